"""Invoices as PDFs: a head, a table of positions, the total, when to pay."""

import random

from recipes.pocket.documents.document import Document, Part, Table, Written, line
from recipes.pocket.documents.names import SERVICES, Company, company, street, town
from recipes.pocket.documents.receipts import called
from recipes.pocket.documents.values import LONG_STYLES, MONEY_STYLES, Money, any_day, code, written_date
from recipes.pocket.documents.wordings import Name, asks, filled, parsed

_WORDINGS = parsed("""
    total
    ? What is the total of <invoice>? How much is <invoice> in total? What is the amount due on <invoice>?
    ? What is the sum of <invoice>? How much is <invoice>? How much money does <who> want for <invoice>?
    = The total is {total}.
    = It is {total}.
    + And the total? How much is it in total?

    date
    ? What is the date of <invoice>? When was <invoice> issued? From which date is <invoice>?
    = The date is {date}.
    = It is {date}.
    + And what is its date?

    due
    ? By when must <invoice> be paid? When is <invoice> due? Until when do we have to pay <invoice>?
    = Please pay by {due}.
    = Payment is due by {due}.
    = It is {due}.
    + And when is it due?

    company
    ? Who issued invoice <number>? Which company sent invoice <number>? From whom is invoice <number>?
    = It is {company}.
    = {company}.
    + And which company is it from?

    customer
    ? Who is the customer on <invoice>? To whom is <invoice> addressed? Who has to pay <invoice>?
    = The customer is {customer}.
    = It is {customer}.
    + And who is the customer?

    number
    ? What is the number of the invoice from <who>? Which number does the invoice of <who> have?
    = The number is {number}.
    = It is {number}.
    + And its number?

    <amount>
    ? How much does <who> charge for the <work>? What is the price of the <work>? How much did the <work> cost?
    = The <work> is {<amount>}.
    = It is {<amount>}.
    + And the <work>?
""")
_NOT_THERE = (
    "What is the bank account of <who>?",
    "How much discount is on <invoice>?",
    "Who signed <invoice>?",
    "What is the delivery date of <invoice>?",
)


def invoice(draw: random.Random) -> Document:
    """An invoice of one to four positions."""
    firm, number = company(draw), code(draw)
    works = draw.sample(SERVICES, draw.randint(1, 4))
    who, pick = called(draw, firm), draw.randrange(len(works))
    names = {
        "who": Name(who, who),
        "number": Name(number, number),
        "invoice": draw.choice(
            [
                Name(f"the invoice from {who}", who),
                Name(f"the {who} invoice", who),
                Name(f"invoice {number}", number),
                Name(f"the invoice {number} of {who}", number),
            ]
        ),
        "work": Name(works[pick].lower(), works[pick]),
        "amount": Name(f"amount {pick}"),
    }
    return Document(
        kind="invoice",
        name=f"invoice-{number.replace('/', '-')}.pdf",
        title=draw.choice([f"Invoice {number}", f"Invoice {number}", f"Invoice from {firm.short}"]),
        blocks=tuple(_blocks(draw, firm, number, works)),
        asks=asks(draw, _WORDINGS, names),
        absent=tuple(filled(question, names) for question in _NOT_THERE),
        scanned=draw.random() < 0.3,
    )


def _blocks(draw: random.Random, firm: Company, number: str, works: list[str]) -> list[Written | Table]:
    money: Money = draw.choice([style for style in MONEY_STYLES[firm.style] if style.mark])
    style = draw.choice(LONG_STYLES)
    prices = [round(draw.uniform(20, 4000), 2) for _ in works]
    net = sum(prices)
    tax = round(net * draw.choice([0.06, 0.07, 0.19, 0.2, 0.21]), 2)
    positions = Table(
        header=(draw.choice(["Item", "Service", "Description"]), draw.choice(["Amount", "Price", "Amount (net)"])),
        rows=tuple(
            (Part(work), Part(money(price), f"amount {place}"))
            for place, (work, price) in enumerate(zip(works, prices, strict=True))
        ),
    )
    return [
        line(("company", firm.name), heading=True),
        line(f"{street(draw, firm.style)}, {town(draw)}"),
        line("Invoice number: ", ("number", number)),
        line(
            f"{draw.choice(['Date', 'Date of invoice', 'Invoice date'])}: ",
            ("date", written_date(any_day(draw, 2014), style)),
        ),
        line(f"{draw.choice(['Bill to', 'Customer', 'To'])}: ", ("customer", company(draw).name)),
        positions,
        line(f"{draw.choice(['Net', 'Subtotal'])}: {money(net)}"),
        line(f"{draw.choice(['VAT', 'Tax', 'GST'])}: ", ("tax", money(tax))),
        line(f"{draw.choice(['Total', 'Invoice total', 'Amount due', 'Total due'])}: ", ("total", money(net + tax))),
        line(
            f"{draw.choice(['Please pay by', 'Payable until', 'Payment due by'])} ",
            ("due", written_date(any_day(draw, 2014), style)),
            ".",
        ),
    ]
