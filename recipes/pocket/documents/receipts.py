"""Till receipts as a scanner sees them: shop, address, date, goods, totals and small print."""

import random
from dataclasses import dataclass
from datetime import date

from recipes.pocket.documents.document import Ask, Document, Written, line
from recipes.pocket.documents.names import GOODS, Company, company, person, street, town
from recipes.pocket.documents.values import (
    DATE_STYLES,
    MONEY_STYLES,
    Money,
    any_day,
    as_asked,
    clock,
    code,
    digits,
    phone,
    weighted,
    written_date,
)

_TOTALS = {
    "malay": "Total|TOTAL|Total Amount|Grand Total|TOTAL (RM)|Nett Total|Total Sales (Inclusive GST)|TOTAL INCL GST|Total Due|JUMLAH|Jumlah Besar|Rounded Total (RM)|Total Payable|TOTAL AMT|Amount Due",  # fmt: skip
    "english": "Total|TOTAL|Total Due|Grand Total|Balance Due|TOTAL TO PAY|Amount Due|Order Total|Total incl. VAT",
    "spanish": "TOTAL|Total|Importe total|TOTAL A PAGAR|Total EUR|Total factura",
    "german": "SUMME|Summe EUR|Gesamtbetrag|Total|Zu zahlen|Gesamt|Endbetrag",
}
_DATES = {
    "malay": "Date|DATE|Date :|Tarikh|Invoice Date|Bill Date|Dt|",
    "english": "Date|DATE|Sale date|Trans. date|Date/Time|",
    "spanish": "Fecha|FECHA|Fecha y hora|",
    "german": "Datum|Belegdatum|Date|",
}
_HEADINGS = {
    "malay": "TAX INVOICE|RECEIPT|CASH BILL|SIMPLIFIED TAX INVOICE|OFFICIAL RECEIPT|RESIT|TAXINVOICE|INVOICE",
    "english": "RECEIPT|SALES RECEIPT|CUSTOMER COPY|TAX RECEIPT|INVOICE",
    "spanish": "TICKET|FACTURA SIMPLIFICADA|RECIBO",
    "german": "KASSENBON|RECHNUNG|QUITTUNG|BON",
}
_FEET = {
    "malay": "THANK YOU PLEASE COME AGAIN|GOODS SOLD ARE NOT RETURNABLE|Terima kasih, sila datang lagi|Thank you & come again!|谢谢光临|Exchange within 7 days with receipt|CUSTOMER SERVICE HOTLINE",  # fmt: skip
    "english": "Thank you for shopping with us|Keep this receipt|Returns within 14 days|Have a nice day!|You were served by",
    "spanish": "Gracias por su visita|IVA incluido|Conserve este ticket|Vuelva pronto",
    "german": "Vielen Dank für Ihren Einkauf|Umtausch innerhalb von 14 Tagen|Auf Wiedersehen|Es bediente Sie",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Till:
    """Everything that one receipt holds before it is laid out."""

    shop: Company
    manner: str
    day: date
    date: str
    time: str
    money: Money
    goods: tuple[tuple[str, int, float], ...]  # name, count, price of one
    cashier: str
    number: str
    total: float
    paid: float


def receipt(draw: random.Random) -> Document:
    """A receipt with questions about company, date, total, number, cashier, change and single goods."""
    till = _till(draw)
    shown = till.shop.name.upper() if draw.random() < 0.65 else till.shop.name
    lines = [
        *_head(draw, till, shown),
        *_meta(draw, till),
        *_goods(draw, till),
        *_totals(draw, till),
        *_foot(draw, till),
    ]
    name = _file_name(draw)
    asks = _asks(draw, till)
    return Document(
        kind="receipt", name=name, blocks=tuple(lines), asks=asks, absent=_absent(draw, till), scanned=True
    )


def _till(draw: random.Random) -> _Till:
    shop = company(draw)
    manner = {"chinese": "malay", "coined": "english"}.get(shop.style, shop.style)
    day = any_day(draw)
    goods = tuple(
        (item, weighted(draw, (6, 1), (2, 2), (1, draw.randint(3, 12))), round(draw.uniform(0.5, 60), 1 + (draw.random() < 0.6)))
        for item in draw.sample(GOODS, weighted(draw, (3, 1), (4, 2), (3, 3), (2, 4), (1, 6)))
    )
    total = round(sum(count * price for _, count, price in goods), 2)
    paid = total if draw.random() < 0.3 else float(-(-total // 10) * 10)
    return _Till(
        shop=shop, manner=manner, day=day, date=written_date(day, draw.choice(DATE_STYLES)), time=clock(draw),
        money=draw.choice(MONEY_STYLES[shop.style]), goods=goods, cashier=person(draw).split()[0], number=code(draw),
        total=total, paid=paid,
    )  # fmt: skip


def _head(draw: random.Random, till: _Till, shown: str) -> list[Written]:
    lines = []
    if draw.random() < 0.2:  # a brand or somebody's note stands above the company
        lines.append(line(draw.choice([person(draw).lower(), digits(draw, 4), till.shop.short.split()[0].upper()]), align=0.5))
    tail = f" ({digits(draw, 6)}-{draw.choice('ADHKMPTVWX')})" if draw.random() < 0.25 else ""
    lines.append(line(("company", shown), tail, align=0.5))
    if not tail and draw.random() < 0.5:
        lines.append(line(f"({digits(draw, 6)}-{draw.choice('ADHKMPTVWX')})", align=0.5))
    lines.append(line(street(draw, till.shop.style) + ",", align=0.5))
    lines.append(line(f"{digits(draw, 5)} {town(draw)}", align=0.5))
    if draw.random() < 0.5:
        lines.append(line(draw.choice(["Tel: ", "TEL ", "Phone: "]), ("phone", phone(draw)), align=0.5))
    if draw.random() < 0.45:
        lines.append(line(f"{draw.choice(['GST ID', 'GST No', 'GST Reg No', 'VAT No', 'Tax ID'])}: {digits(draw, 12)}", align=0.5))
    if draw.random() < 0.7:
        lines.append(line(draw.choice(_HEADINGS[till.manner].split("|")), align=0.5))
    return lines


def _meta(draw: random.Random, till: _Till) -> list[Written]:
    label = draw.choice(_DATES[till.manner].split("|"))
    opening = f"{label}{draw.choice([': ', ' : ', ' ', ':'])}" if label else ""
    after = draw.choice(["", f" {till.time}", f" {till.time}", f"  Time: {till.time}"])
    lines = [
        line(opening, ("date", till.date), after),
        line(f"{draw.choice(['Bill No', 'Receipt No', 'Invoice #', 'Doc No.', 'Inv. No', 'Ref', 'Slip'])}{draw.choice([': ', ' : ', ':'])}", ("number", till.number)),
    ]
    if draw.random() < 0.6:
        lines.append(line(f"{draw.choice(['Cashier', 'CASHIER', 'Served by', 'Staff', 'Operator'])}{draw.choice([': ', ' : '])}", ("cashier", draw.choice([till.cashier, till.cashier.upper()]))))
    if draw.random() < 0.3:
        lines.append(line(f"{draw.choice(['Table', 'Counter', 'POS', 'Till', 'Station'])}: {draw.randint(1, 40)}"))
    draw.shuffle(lines)
    return lines


def _goods(draw: random.Random, till: _Till) -> list[Written]:
    lines = [line(draw.choice(["Item Qty Total", "QTY DESCRIPTION AMOUNT", "Description Qty Price Amt", "CODE/DESC PRICE AMOUNT"]))] if draw.random() < 0.6 else []
    two_lines = draw.random() < 0.4
    shouted = draw.random() < 0.4
    for number, (item, count, price) in enumerate(till.goods):
        item = item.upper() if shouted else item
        amount = till.money(count * price) if draw.random() < 0.5 else f"{count * price:.2f}"
        mark = draw.choice(["", "", " SR", " *", " A"])
        if two_lines:
            lines += [line(f"{digits(draw, 7)} {item}"), line(f"{count} x {price:.2f} ", (f"amount {number}", amount), mark)]
        else:
            lines.append(line(f"{count} {item} ", (f"amount {number}", amount), mark))
    return lines


def _totals(draw: random.Random, till: _Till) -> list[Written]:
    money = till.money
    label = draw.choice(_TOTALS[till.manner].split("|"))
    between = draw.choice([": ", " ", " : ", ":", "  "])
    lines = []
    tax = round(till.total * draw.choice([0.06, 0.07, 0.19, 0.21]) / 1.06, 2)
    if draw.random() < 0.55:
        lines.append(line(f"{draw.choice(['Sub Total', 'SUBTOTAL', 'Subtotal', 'Total (Excluding GST)', 'Taxable amount'])}{between}{money(till.total - tax)}", align=1))
        lines.append(line(f"{draw.choice(['GST 6%', 'Tax', 'VAT', 'GST @6%'])}{between}", ("tax", money(tax)), align=1))
    if draw.random() < 0.3:
        lines.append(line(f"{draw.choice(['Rounding', 'Rounding Adjustment', 'Discount'])}{between}{money(0)}", align=1))
    lines.append(line(f"{label}{between}", ("total", money(till.total)), align=1))
    if draw.random() < 0.8:
        how = draw.choice(["CASH", "Cash", "Cash Tendered", "PAID", "VISA", "Bar", "Efectivo"])
        lines.append(line(f"{how}{between}", ("paid", money(till.paid)), align=1))
        lines.append(line(f"{draw.choice(['CHANGE', 'Change', 'Change Due'])}{between}", ("change", money(till.paid - till.total)), align=1))
    if draw.random() < 0.35:
        lines += [line("GST Summary  Amount  Tax"), line(f"SR = 6%  {till.total - tax:.2f}  {tax:.2f}")]
    return lines


def _foot(draw: random.Random, till: _Till) -> list[Written]:
    feet = _FEET[till.manner].split("|")
    return [line(foot, align=0.5) for foot in draw.sample(feet, draw.randint(0, 3))]


def _file_name(draw: random.Random) -> str:
    stem = draw.choice(
        [f"{draw.randrange(1000):03}", f"{draw.randrange(1000):03}", f"scan{draw.randrange(10000):04}",
         f"IMG_{draw.randrange(10000):04}", f"X5100{digits(draw, 6)}", f"receipt-{draw.randrange(400):03}",
         f"bon {draw.randrange(99)}"]
    )  # fmt: skip
    return stem + draw.choice([".jpg", ".jpg", ".png", ".tif"])


def called(draw: random.Random, shop: Company) -> str:
    """The company as somebody would type it."""
    name = draw.choice([shop.name, shop.name, shop.short, shop.short, shop.name.upper()])
    return name.lower() if draw.random() < 0.1 else name


def _asks(draw: random.Random, till: _Till) -> tuple[Ask, ...]:
    who, day = called(draw, till.shop), as_asked(till.day, draw, written=till.date)
    total = till.money(till.total) if draw.random() < 0.6 else f"{till.total:.2f}"
    word = draw.choice(["receipt", "receipt", "receipt", "bill", "slip", "purchase"])
    of_shop = draw.choice([f"the {word} from {who}", f"the {who} {word}", f"our {word} from {who}", f"the {word} of {who}", f"the {word} issued by {who}"])
    if draw.random() < 0.35:
        of_shop += draw.choice([f" of {day}", f" dated {day}", f" from {day}", f" on {day}"])
    dated_shop = draw.choice([f"the {word} from {who} over {total}", of_shop, f"the {who} {word} with the total {total}"]) if draw.random() < 0.3 else f"the {word} from {who}"
    by_day = draw.choice([f"the {word} of {day} over {total}", f"the {word} dated {day}", f"the {word} of {day}", f"the {word} of {day} with a total of {total}", f"the {word} for {total} on {day}", f"the {word} over {total}"])
    if till.date not in by_day and total not in by_day and day not in by_day:
        by_day = f"the {word} of {day}"
    asks = [
        _ask(draw, ("total",), who, [f"What is the total on {of_shop}?", f"What is the total of {of_shop}?", f"How much is {of_shop}?", f"How much was paid in total on {of_shop}?", f"What does {of_shop} come to?", f"Total of {of_shop}?", f"How much did we spend at {who} on {day}?", f"How much did we pay at {who}?", f"What is the total amount of {of_shop}?", f"What was the sum on {of_shop}?"],
             ["The total is {total}.", "The total is {total}.", "It is {total}."], "And the total?|What was the total?|How much was it?|And how much did it cost?"),
        _ask(draw, ("total",), who, [f"What is the total on {of_shop}?", f"What is the total of {of_shop}?", f"How much did we spend at {who}?"],
             ["The total is {total}.", "It is {total}."], "And how much was it?"),
        _ask(draw, ("date",), who, [f"What is the date of {dated_shop}?", f"When was {dated_shop} issued?", f"What is the date on {dated_shop}?", f"When did we shop at {who}?", f"On which day was {dated_shop} made out?", f"Date of {dated_shop}?", f"On what date did somebody buy something at {who}?", f"When were we at {who}?", f"From which date is {dated_shop}?"],
             ["The date is {date}.", "It is {date}."], "And when was it?|What is its date?|And the date?|When was that?"),
        _ask(draw, ("company",), by_day.split(" ", 3)[-1], [f"Which company issued {by_day}?", f"Who issued {by_day}?", f"Which shop is {by_day} from?", f"From which company is {by_day}?", f"What is the name of the company on {by_day}?", f"Which company is {by_day} from?", f"Where did we spend {total} on {day}?", f"Which shop gave us {by_day}?", f"Who is the seller on {by_day}?"],
             ["It is {company}.", "{company}."], "And who issued it?|Which company is it from?|And the shop?|Who is it from?"),
        _ask(draw, ("number",), who, [f"What is the number of {of_shop}?", f"Which number does {of_shop} have?", f"What is the receipt number of {of_shop}?"],
             ["The number is {number}.", "It is {number}."], "And its number?|What is the bill number?"),
    ]  # fmt: skip
    asks += [
        _ask(draw, ("cashier",), who, [f"Who was the cashier on {of_shop}?", f"Who served us at {who}?", f"What is the cashier's name on {of_shop}?"], ["The cashier is {cashier}.", "It is {cashier}."], "And who was the cashier?|Who served us?"),
        _ask(draw, ("change",), who, [f"How much change was given on {of_shop}?", f"What was the change on {of_shop}?"], ["The change is {change}.", "It is {change}."], "And the change?|How much change did we get?"),
        _ask(draw, ("phone",), who, [f"What is the phone number of {who}?", f"What is the telephone number on {of_shop}?"], ["The telephone number is {phone}.", "It is {phone}."], "And the phone number?"),
        _ask(draw, ("tax",), who, [f"How much tax is on {of_shop}?", f"How much tax did we pay at {who}?"], ["The tax is {tax}.", "It is {tax}."], "And the tax?"),
    ]  # fmt: skip
    item = draw.randrange(len(till.goods))
    bought = till.goods[item][0]
    asks.append(_ask(draw, (f"amount {item}",), bought, [f"How much did the {bought} cost at {who}?", f"What did we pay for the {bought}?", f"How much was the {bought} on {of_shop}?"],
                     [f"The {bought} cost {{amount {item}}}.", f"It is {{amount {item}}}."], f"And how much was the {bought}?"))  # fmt: skip
    return tuple(asks)


def _absent(draw: random.Random, till: _Till) -> tuple[str, ...]:
    who = called(draw, till.shop)
    return (
        f"What is the e-mail address of {who}?", f"How many loyalty points did the {who} receipt give?",
        f"Who is the manager of {who}?", f"When does {who} open on Sundays?", f"Which delivery address is on the {who} receipt?",
        f"How old is {who}?", f"What is the colour of the bag from {who}?",
    )  # fmt: skip


def _ask(draw: random.Random, keys: tuple[str, ...], about: str, questions: list[str], answers: list[str], then: str) -> Ask:
    return Ask(
        question=draw.choice(questions), keys=keys, answers=tuple(answers), about=about, then=draw.choice(then.split("|"))
    )
