"""Till receipts as a scanner sees them: shop, address, date, goods, totals and small print."""

import random
from collections.abc import Sequence
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
from recipes.pocket.documents.wordings import Name, asks, filled, parsed

_TOTALS = {
    "malay": (
        "Total", "TOTAL", "Total Amount", "Grand Total", "TOTAL (RM)", "Nett Total", "Total Sales (Inclusive GST)",
        "TOTAL INCL GST", "Total Due", "JUMLAH", "Jumlah Besar", "Rounded Total (RM)", "Total Payable", "TOTAL AMT",
        "Amount Due",
    ),
    "english": (
        "Total", "TOTAL", "Total Due", "Grand Total", "Balance Due", "TOTAL TO PAY", "Amount Due", "Order Total",
        "Total incl. VAT",
    ),
    "spanish": (
        "TOTAL", "Total", "Importe total", "TOTAL A PAGAR", "Total EUR", "Total factura",
    ),
    "german": (
        "SUMME", "Summe EUR", "Gesamtbetrag", "Total", "Zu zahlen", "Gesamt", "Endbetrag",
    ),
}  # fmt: skip
_DATES = {
    "malay": (
        "Date", "DATE", "Date :", "Tarikh", "Invoice Date", "Bill Date", "Dt", "",
    ),
    "english": (
        "Date", "DATE", "Sale date", "Trans. date", "Date/Time", "",
    ),
    "spanish": (
        "Fecha", "FECHA", "Fecha y hora", "",
    ),
    "german": (
        "Datum", "Belegdatum", "Date", "",
    ),
}  # fmt: skip
_COLUMNS = ("Item Qty Total", "QTY DESCRIPTION AMOUNT", "Description Qty Price Amt", "CODE/DESC PRICE AMOUNT")
_NUMBERS = ("Bill No", "Receipt No", "Invoice #", "Doc No.", "Inv. No", "Ref", "Slip")
_CASHIERS = ("Cashier", "CASHIER", "Served by", "Staff", "Operator")
_NETS = ("Sub Total", "SUBTOTAL", "Subtotal", "Total (Excluding GST)", "Taxable amount")
_TAXES = ("GST 6%", "Tax", "VAT", "GST @6%")
_HEADINGS = {
    "malay": (
        "TAX INVOICE", "RECEIPT", "CASH BILL", "SIMPLIFIED TAX INVOICE", "OFFICIAL RECEIPT", "RESIT", "TAXINVOICE",
        "INVOICE",
    ),
    "english": (
        "RECEIPT", "SALES RECEIPT", "CUSTOMER COPY", "TAX RECEIPT", "INVOICE",
    ),
    "spanish": (
        "TICKET", "FACTURA SIMPLIFICADA", "RECIBO",
    ),
    "german": (
        "KASSENBON", "RECHNUNG", "QUITTUNG", "BON",
    ),
}  # fmt: skip
_FEET = {
    "malay": (
        "THANK YOU PLEASE COME AGAIN", "GOODS SOLD ARE NOT RETURNABLE", "Terima kasih, sila datang lagi",
        "Thank you & come again!", "谢谢光临", "Exchange within 7 days with receipt", "CUSTOMER SERVICE HOTLINE",
    ),
    "english": (
        "Thank you for shopping with us", "Keep this receipt", "Returns within 14 days", "Have a nice day!",
        "You were served by",
    ),
    "spanish": (
        "Gracias por su visita", "IVA incluido", "Conserve este ticket", "Vuelva pronto",
    ),
    "german": (
        "Vielen Dank für Ihren Einkauf", "Umtausch innerhalb von 14 Tagen", "Auf Wiedersehen", "Es bediente Sie",
    ),
}  # fmt: skip

_WORDINGS = parsed("""
    total
    ? What is the total on <receipt>? What is the total of <receipt>? How much is <receipt>? Total of <receipt>?
    ? How much was paid in total on <receipt>? What does <receipt> come to? What is the total amount of <receipt>?
    ? How much did we spend at <who> on <day>? How much did we pay at <who>? What was the sum on <receipt>?
    = The total is {total}.
    = It is {total}.
    + And the total? What was the total? How much was it? And how much did it cost?

    date
    ? What is the date of <undated>? When was <undated> issued? What is the date on <undated>? Date of <undated>?
    ? On which day was <undated> made out? On what date did somebody buy something at <who>?
    ? From which day is <undated>? When did we shop at <who>? When were we at <who>?
    = The date is {date}.
    = It is {date}.
    + And when was it? What is its date? And the date? When was that?

    company
    ? Which company issued <nameless>? Who issued <nameless>? Which shop is <nameless> from?
    ? From which company is <nameless>? What is the name of the company on <nameless>? Which company is <nameless> from?
    ? Where did we spend <day and total>? Which shop gave us <nameless>? Who is the seller on <nameless>?
    = It is {company}.
    = {company}.
    + And who issued it? Which company is it from? And the shop? Who is it from?

    number
    ? What is the number of <receipt>? Which number does <receipt> have? What is the receipt number of <receipt>?
    = The number is {number}.
    = It is {number}.
    + And its number? What is the bill number?

    cashier
    ? Who was the cashier on <receipt>? Who served us at <who>? What is the cashier's name on <receipt>?
    = The cashier is {cashier}.
    = It is {cashier}.
    + And who was the cashier? Who served us?

    change
    ? How much change was given on <receipt>? What was the change on <receipt>?
    = The change is {change}.
    = It is {change}.
    + And the change? How much change did we get?

    phone
    ? What is the phone number of <who>? What is the telephone number on <receipt>?
    = The phone number is {phone}.
    = It is {phone}.
    + And the phone number?

    tax
    ? How much tax is on <receipt>? How much tax did we pay at <who>?
    = The tax is {tax}.
    = It is {tax}.
    + And the tax?

    <amount>
    ? How much did the <bought> cost at <who>? What did we pay for the <bought>? How much was the <bought> on <receipt>?
    = The <bought> cost {<amount>}.
    = It is {<amount>}.
    + And how much was the <bought>?
""")
_NOT_THERE = (
    "What is the e-mail address of <who>?",
    "How many loyalty points did <receipt> give?",
    "Who is the manager of <who>?",
    "When does <who> open on Sundays?",
    "Which delivery address is on <receipt>?",
    "In which year was <who> founded?",
    "When does the guarantee of <receipt> end?",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Till:
    """Everything that one receipt holds before it is laid out."""

    shop: Company
    manner: str
    day: date
    dated: str
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
    return Document(
        kind="receipt",
        name=_file_name(draw),
        blocks=tuple(lines),
        asks=_asks(draw, till),
        absent=_absent(draw, till),
        scanned=True,
    )


def _till(draw: random.Random) -> _Till:
    shop = company(draw)
    manner = {"chinese": "malay", "coined": "english"}.get(shop.style, shop.style)
    day = any_day(draw)
    goods = tuple(
        (
            item,
            weighted(draw, (6, 1), (2, 2), (1, draw.randint(3, 12))),
            round(draw.uniform(0.5, 60), 1 + (draw.random() < 0.6)),
        )
        for item in draw.sample(GOODS, weighted(draw, (3, 1), (4, 2), (3, 3), (2, 4), (1, 6)))
    )
    total = round(sum(count * price for _, count, price in goods), 2)
    paid = total if draw.random() < 0.3 else float(-(-total // 10) * 10)
    return _Till(
        shop=shop, manner=manner, day=day, dated=written_date(day, draw.choice(DATE_STYLES)), time=clock(draw),
        money=draw.choice(MONEY_STYLES[shop.style]), goods=goods, cashier=person(draw).split()[0], number=code(draw),
        total=total, paid=paid,
    )  # fmt: skip


def _head(draw: random.Random, till: _Till, shown: str) -> list[Written]:
    lines = []
    if draw.random() < 0.2:  # a brand or somebody's note stands above the company
        above = [person(draw).lower(), digits(draw, 4), till.shop.short.split()[0].upper()]
        lines.append(line(draw.choice(above), align=0.5))
    tail = f" ({digits(draw, 6)}-{draw.choice('ADHKMPTVWX')})" if draw.random() < 0.25 else ""
    lines.append(line(("company", shown), tail, align=0.5))
    if not tail and draw.random() < 0.5:
        lines.append(line(f"({digits(draw, 6)}-{draw.choice('ADHKMPTVWX')})", align=0.5))
    lines.append(line(street(draw, till.shop.style) + ",", align=0.5))
    lines.append(line(f"{digits(draw, 5)} {town(draw)}", align=0.5))
    if draw.random() < 0.5:
        lines.append(line(draw.choice(["Tel: ", "TEL ", "Phone: "]), ("phone", phone(draw)), align=0.5))
    if draw.random() < 0.45:
        known_as = draw.choice(["GST ID", "GST No", "GST Reg No", "VAT No", "Tax ID"])
        lines.append(line(f"{known_as}: {digits(draw, 12)}", align=0.5))
    if draw.random() < 0.7:
        lines.append(line(draw.choice(_HEADINGS[till.manner]), align=0.5))
    return lines


def _meta(draw: random.Random, till: _Till) -> list[Written]:
    label = draw.choice(_DATES[till.manner])
    opening = f"{label}{draw.choice([': ', ' : ', ' ', ':'])}" if label else ""
    after = draw.choice(["", f" {till.time}", f" {till.time}", f"  Time: {till.time}"])
    colon = draw.choice([": ", " : ", ":"])
    lines = [line(opening, ("date", till.dated), after), line(draw.choice(_NUMBERS) + colon, ("number", till.number))]
    if draw.random() < 0.6:
        cashier = draw.choice([till.cashier, till.cashier.upper()])
        lines.append(line(draw.choice(_CASHIERS) + colon, ("cashier", cashier)))
    if draw.random() < 0.3:
        lines.append(line(f"{draw.choice(['Table', 'Counter', 'POS', 'Till', 'Station'])}{colon}{draw.randint(1, 40)}"))
    draw.shuffle(lines)
    return lines


def _goods(draw: random.Random, till: _Till) -> list[Written]:
    lines = [line(draw.choice(_COLUMNS))] if draw.random() < 0.6 else []
    two_lines = draw.random() < 0.4
    shouted = draw.random() < 0.4
    for number, (item, count, price) in enumerate(till.goods):
        item = item.upper() if shouted else item
        amount = till.money(count * price) if draw.random() < 0.5 else f"{count * price:.2f}"
        mark = draw.choice(["", "", " SR", " *", " A"])
        if two_lines:
            lines += [
                line(f"{digits(draw, 7)} {item}"),
                line(f"{count} x {price:.2f} ", (f"amount {number}", amount), mark),
            ]
        else:
            lines.append(line(f"{count} {item} ", (f"amount {number}", amount), mark))
    return lines


def _totals(draw: random.Random, till: _Till) -> list[Written]:
    between = draw.choice([": ", " ", " : ", ":", "  "])
    tax = round(till.total * draw.choice([0.06, 0.07, 0.19, 0.21]) / 1.06, 2)
    lines = []

    def add(labels: Sequence[str], amount: float, key: str = "") -> None:
        lines.append(line(draw.choice(labels) + between, (key, till.money(amount)), align=1))

    if draw.random() < 0.55:
        add(_NETS, till.total - tax)
        add(_TAXES, tax, "tax")
    if draw.random() < 0.3:
        add(("Rounding", "Rounding Adjustment", "Discount"), 0)
    add(_TOTALS[till.manner], till.total, "total")
    if draw.random() < 0.8:
        add(("CASH", "Cash", "Cash Tendered", "PAID", "VISA", "Bar", "Efectivo"), till.paid, "paid")
        add(("CHANGE", "Change", "Change Due"), till.paid - till.total, "change")
    if draw.random() < 0.35:
        lines += [line("GST Summary  Amount  Tax"), line(f"SR = 6%  {till.total - tax:.2f}  {tax:.2f}")]
    return lines


def _foot(draw: random.Random, till: _Till) -> list[Written]:
    feet = _FEET[till.manner]
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
    item = draw.randrange(len(till.goods))
    names = {
        **_called(draw, till),
        "bought": Name(till.goods[item][0], till.goods[item][0]),
        "amount": Name(f"amount {item}"),
    }
    return asks(draw, _WORDINGS, names)


def _absent(draw: random.Random, till: _Till) -> tuple[str, ...]:
    names = _called(draw, till)
    return tuple(filled(question, names) for question in _NOT_THERE)


def _called(draw: random.Random, till: _Till) -> dict[str, Name]:
    """The ways to name one receipt: by its shop, by its shop and day, by its day and total."""
    who, day = called(draw, till.shop), as_asked(till.day, draw, written=till.dated)
    total = till.money(till.total) if draw.random() < 0.6 else f"{till.total:.2f}"
    word = draw.choice(["receipt", "receipt", "receipt", "bill", "slip", "purchase"])
    by_shop = draw.choice([f"the {word} from", f"our {word} from", f"the {word} of", f"the {word} issued by"])
    by_shop = f"the {who} {word}" if draw.random() < 0.25 else f"{by_shop} {who}"
    dated = f"{by_shop} {draw.choice(['of', 'dated', 'from', 'on'])} {day}" if draw.random() < 0.4 else by_shop
    over = f"{by_shop} {draw.choice(['over', 'with the total', 'for'])} {total}" if draw.random() < 0.4 else by_shop
    by_day = f"the {word} {draw.choice(['of', 'dated', 'from'])} {day}"
    by_total = f"the {word} {draw.choice(['over', 'for', 'with the total'])} {total}"
    by_both = f"{by_day} {draw.choice(['over', 'with the total', 'for', 'with a total of'])} {total}"
    return {
        "who": Name(who, who),
        "day": Name(day),
        "total": Name(total),
        "receipt": Name(dated, who),
        "undated": Name(over, who),
        "nameless": draw.choice([Name(by_day, day), Name(by_total, total), Name(by_both, day), Name(by_both, total)]),
        "day and total": Name(f"{total} on {day}", total),
    }
