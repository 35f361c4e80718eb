"""Invoices, price lists and other tables, timetables and cards: values that stand under a name or beside a label."""

import random

from recipes.pocket.documents.document import Ask, Document, Part, Table, Written, line
from recipes.pocket.documents.facts import VALUES
from recipes.pocket.documents.names import GOODS, SERVICES, coined, company, person, street, town
from recipes.pocket.documents.receipts import called
from recipes.pocket.documents.values import (
    LONG_STYLES,
    MONEY_STYLES,
    any_day,
    clock,
    code,
    digits,
    weighted,
    written_date,
)


def invoice(draw: random.Random) -> Document:
    """An invoice as a PDF: a head, a table of positions, the total, when to pay."""
    firm, buyer, money = company(draw), company(draw), None
    money = draw.choice([style for style in MONEY_STYLES[firm.style] if style.mark] or MONEY_STYLES["english"])
    day, number = any_day(draw, 2014), code(draw)
    style = draw.choice(LONG_STYLES)
    chosen = draw.sample(SERVICES, draw.randint(1, 4))
    prices = [round(draw.uniform(20, 4000), 2) for _ in chosen]
    net = sum(prices)
    tax = round(net * draw.choice([0.06, 0.07, 0.19, 0.2, 0.21]), 2)
    rows = tuple((Part(item), Part(money(price), f"amount {n}")) for n, (item, price) in enumerate(zip(chosen, prices, strict=True)))
    who = called(draw, firm)
    about, of = draw.choice([(who, f"the invoice from {who}"), (number, f"invoice {number}"), (who, f"the {who} invoice"), (number, f"the invoice {number} of {who}")])
    pay_by = written_date(any_day(draw, 2014), style)
    blocks: list[Written | Table] = [
        line(("company", firm.name), heading=True),
        line(f"{street(draw, firm.style)}, {town(draw)}"),
        line("Invoice number: ", ("number", number)),
        line(f"{draw.choice(['Date', 'Date of invoice', 'Invoice date'])}: ", ("date", written_date(day, style))),
        line(f"{draw.choice(['Bill to', 'Customer', 'To'])}: ", ("customer", buyer.name)),
        Table(header=(draw.choice(["Item", "Service", "Description"]), draw.choice(["Amount", "Price", "Amount (net)"])), rows=rows),
        line(f"{draw.choice(['Net', 'Subtotal'])}: {money(net)}"),
        line(f"{draw.choice(['VAT', 'Tax', 'GST'])}: ", ("tax", money(tax))),
        line(f"{draw.choice(['Total', 'Invoice total', 'Amount due', 'Total due'])}: ", ("total", money(net + tax))),
        line(f"{draw.choice(['Please pay by', 'Payable until', 'Payment due by'])} ", ("due", pay_by), "."),
    ]
    pick = draw.randrange(len(chosen))
    asks = (
        Ask(question=draw.choice([f"What is the total of {of}?", f"How much is {of} in total?", f"What is the amount due on {of}?", f"What is the sum of {of}?"]), keys=("total",), about=about, answers=("The total is {total}.", "It is {total}."), then="And the total?"),
        Ask(question=draw.choice([f"What is the total of {of}?", f"How much is {of}?"]), keys=("total",), about=about, answers=("The total is {total}.", "It is {total}."), then="How much is it in total?"),
        Ask(question=draw.choice([f"What is the date of {of}?", f"When was {of} issued?", f"From which date is {of}?"]), keys=("date",), about=about, answers=("The date is {date}.", "It is {date}."), then="And what is its date?"),
        Ask(question=draw.choice([f"By when must {of} be paid?", f"When is {of} due?", f"Until when do we have to pay {of}?"]), keys=("due",), about=about, answers=("Please pay by {due}.", "Payment is due by {due}.", "It is {due}."), then="And when is it due?"),
        Ask(question=draw.choice([f"Who issued invoice {number}?", f"Which company sent invoice {number}?", f"From whom is invoice {number}?"]), keys=("company",), about=number, answers=("It is {company}.", "{company}."), then="And which company is it from?"),
        Ask(question=draw.choice([f"Who is the customer on {of}?", f"To whom is {of} addressed?", f"Who has to pay {of}?"]), keys=("customer",), about=about, answers=("The customer is {customer}.", "It is {customer}."), then="And who is the customer?"),
        Ask(question=draw.choice([f"What is the number of the invoice from {who}?", f"Which number does the invoice of {who} have?"]), keys=("number",), about=who, answers=("The number is {number}.", "It is {number}."), then="And its number?"),
        Ask(question=draw.choice([f"How much does {who} charge for the {chosen[pick].lower()}?", f"What is the price of the {chosen[pick].lower()}?", f"How much did the {chosen[pick].lower()} cost?"]), keys=(f"amount {pick}",), about=chosen[pick], answers=(f"The {chosen[pick].lower()} is {{amount {pick}}}.", f"It is {{amount {pick}}}."), then=f"And the {chosen[pick].lower()}?"),
    )  # fmt: skip
    absent = (f"What is the bank account of {who}?", f"How much discount is on {of}?", f"Who signed {of}?", f"What is the delivery date of {of}?")
    name = f"invoice-{number.replace('/', '-')}.pdf"
    title = draw.choice([f"Invoice {number}", f"Invoice {number}", f"Invoice from {firm.short}"])
    return Document(kind="invoice", name=name, title=title, blocks=tuple(blocks), asks=asks, absent=absent, scanned=draw.random() < 0.3)


def price_list(draw: random.Random) -> Document:
    """A table of things with two or three properties each: prices, stock, technical data, where things are kept."""
    properties = draw.sample(
        [("Price", "money", "What does {} cost?~How much is {}?~What is the price of {}?"), ("Weight", "weight", "How heavy is {}?~What does {} weigh?~What is the weight of {}?"),
         ("Width", "length", "How wide is {}?~What is the width of {}?"), ("Colour", "colour", "What colour is {}?~Which colour does {} have?"),
         ("Order number", "code", "What is the order number of {}?~Which order number does {} have?"), ("In stock", "count", "How many of {} are in stock?~How many {} do we have in stock?"),
         ("Kept", "place", "Where is {} kept?~Where do I find {}?"), ("Supplier", "name", "Who is the supplier of {}?~Which supplier delivers {}?"),
         ("Delivery", "duration", "How long does the delivery of {} take?~What is the delivery time of {}?"), ("Power", "power", "How much power does {} need?~What is the power of {}?")],
        draw.randint(1, 3),
    )  # fmt: skip
    manner = draw.random()
    things = [f"{coined(draw)} {draw.randint(1, 99) * 10}" for _ in range(8)] if manner < 0.4 else draw.sample(GOODS, 8)
    things = things[: draw.randint(3, 8)]
    rows = []
    asks = []
    for n, thing in enumerate(things):
        rows.append((Part(thing), *(Part(VALUES[kind](draw), f"{column} {n}") for column, kind, _ in properties)))
        column, _, questions = draw.choice(properties)
        key = f"{column} {n}"
        named = f"the {thing}"
        asks.append(Ask(question=draw.choice(questions.split("~")).format(named), keys=(key,), about=thing, answers=(_said(column, named, key), "It is {" + key + "}."), then=f"And the {thing}?" if draw.random() < 0.3 else f"What about the {column.lower()} of the {thing}?"))  # fmt: skip
    title = draw.choice(["Price list", "Catalogue", "Stock list", "Inventory", "Product data", f"{coined(draw)} catalogue", f"Price list {draw.randint(2015, 2027)}"])
    absent = tuple(draw.choice(questions.split("~")).format(f"the {coined(draw)} {draw.randint(1, 99) * 10}") for _, _, questions in properties)
    name = f"{title.lower().replace(' ', '-')}.{draw.choice(['xlsx', 'pdf', 'docx', 'html'])}"
    header = (draw.choice(["Item", "Name", "Article", "Product"]), *(column for column, _, _ in properties))
    blocks = (line(title, heading=True), Table(header=header, rows=tuple(rows)))
    return Document(kind="table", name=name, title=title, blocks=blocks, asks=tuple(asks), absent=absent)


def _said(column: str, named: str, key: str) -> str:
    value = "{" + key + "}"
    return {
        "Weight": f"The weight of {named} is {value}.", "Kept": f"{named[0].upper()}{named[1:]} is kept {value}.",
        "In stock": f"{value} are in stock.", "Delivery": f"The delivery takes {value}.",
    }.get(column, f"The {column.lower()} of {named} is {value}.")  # fmt: skip


def schedule(draw: random.Random) -> Document:
    """A timetable: of a ferry, of a course, of a festival, of opening hours."""
    manner = draw.choice(["line", "programme", "hours"])
    if manner == "line":
        stops = [town(draw) for _ in range(draw.randint(3, 6))]
        way = draw.choice(["ferry", "bus", "train", "shuttle"])
        rows = tuple((Part(stop), Part(clock(draw), f"first {n}"), Part(clock(draw, first=16, last=23), f"last {n}")) for n, stop in enumerate(stops))
        asks = tuple(
            Ask(question=draw.choice([f"When does the {which} {way} leave {stop}?", f"What time is the {which} {way} from {stop}?", f"At what time does the {which} {way} leave from {stop}?"]), keys=(f"{which} {n}",), about=f"{way} {stop}", answers=(f"The {which} {way} leaves {stop} at {{{which} {n}}}.", f"It is {{{which} {n}}}.", f"At {{{which} {n}}}."), then=f"And the {'last' if which == 'first' else 'first'} one?" if draw.random() < 0 else f"And when is the {which} {way} from {stop}?")
            for n, stop in enumerate(stops) for which in [draw.choice(["first", "last"])]
        )  # fmt: skip
        table = Table(header=("Stop", "First", "Last"), rows=rows)
        title = f"{way.capitalize()} timetable"
        absent = (f"When does the last {way} leave {coined(draw)}?", f"What does a ticket for the {way} cost?", f"Which platform does the {way} use?")
    elif manner == "programme":
        events = draw.sample("Opening speech|Brass band|Puppet show|Guided walk|Cooking course|First-aid training|Lantern parade|Concert of the choir|Poetry reading|Pottery workshop|Yoga class|Chess tournament|Award ceremony|Film evening|Dance lesson".split("|"), draw.randint(3, 7))
        rows = tuple((Part(event), Part(clock(draw), f"time {n}"), Part(draw.choice(["Hall A", "Room 12", "Garden", "Main stage", "Library", "Tent 2", "Foyer", "Courtyard", "Studio 4"]), f"room {n}")) for n, event in enumerate(events))
        asks = tuple(
            Ask(question=draw.choice(([f"When is the {event.lower()}?", f"At what time does the {event.lower()} begin?", f"What time is the {event.lower()}?"] if what == "time" else [f"Where is the {event.lower()}?", f"Where does the {event.lower()} take place?", f"In which room is the {event.lower()}?"])), keys=(f"{what} {n}",), about=event, answers=(f"The {event.lower()} is {'at' if what == 'time' else 'in'} {{{what} {n}}}.", f"It is {{{what} {n}}}."), then=f"And the {event.lower()}?")
            for n, event in enumerate(events) for what in [draw.choice(["time", "time", "room"])]
        )  # fmt: skip
        table = Table(header=("Event", "Time", "Place"), rows=rows)
        title = draw.choice(["Programme", "Festival programme", "Course plan", "Open day"])
        absent = ("When is the fireworks display?", "Who leads the pottery workshop?", "What does the guided walk cost?", f"At what time does {person(draw)} speak?")
    else:
        days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"][: draw.randint(4, 7)]
        place = draw.choice(["town hall", "post office", "pool", "library", "surgery", "recycling yard"])
        rows = tuple((Part(day), Part(f"{clock(draw, first=6, last=11)} to {clock(draw, first=13, last=22)}", f"hours {n}")) for n, day in enumerate(days))
        asks = tuple(
            Ask(question=draw.choice([f"When is the {place} open on {day}?", f"What are the opening hours of the {place} on {day}?", f"When does the {place} open on a {day}?"]), keys=(f"hours {n}",), about=place, answers=(f"On {day} it is {{hours {n}}}.", f"It is {{hours {n}}}."), then=f"And on {day}?")
            for n, day in enumerate(days)
        )  # fmt: skip
        table = Table(header=("Day", "Open"), rows=rows)
        title = f"Opening hours, {place}"
        absent = (f"When is the {place} open on public holidays?", f"Who runs the {place}?", f"What is the phone number of the {place}?")
    name = f"{title.lower().replace(' ', '-').replace(',', '')}.{draw.choice(['pdf', 'docx', 'html', 'tif'])}"
    return Document(kind="schedule", name=name, title=title, blocks=(line(title, heading=True), table), asks=asks, absent=absent)


def card(draw: random.Random) -> Document:
    """A form or card with labels: staff, member, library, vehicle, patient; made-up people only."""
    holder = person(draw)
    what = draw.choice(["Member card", "Staff card", "Library card", "Visitor pass", "Registration form", "Vehicle permit", "Parking permit"])
    style = draw.choice(LONG_STYLES[:-1])
    fields = [
        ("Name", "name", holder), ("No.", "number", draw.choice([code(draw), digits(draw, 8)])), ("Date of birth", "born", written_date(any_day(draw, 1945, 2008), style)),
        ("Valid until", "until", written_date(any_day(draw, 2024, 2034), style)), ("Issued", "issued", written_date(any_day(draw, 2012, 2024), style)),
        ("Address", "address", f"{street(draw, 'english')}, {town(draw)}"), ("Department", "department", draw.choice(["Accounts", "Workshop", "Kitchen", "Research", "Sales", "Archive", "Laboratory 2"])),
        ("Phone", "phone", VALUES["phone"](draw)),
    ]  # fmt: skip
    kept = [fields[0], *draw.sample(fields[1:], draw.randint(3, 6))]
    missing = [each for each in fields if each not in kept]
    colon = draw.choice([": ", " ", " : "])
    upper = draw.random() < 0.3
    lines = [line(what.upper() if upper else what, heading=True), line(company(draw).name)]
    lines += [line(f"{label.upper() if upper else label}{colon}", (key, value)) for label, key, value in kept]
    first, last = holder.split(" ", 1)
    who = draw.choice([holder, holder, f"{last}", f"{first} {last}"])
    asked = {
        "number": [f"What is the number of {who}'s {what.lower()}?", f"Which {what.lower()} number does {who} have?"], "born": [f"When was {who} born?", f"What is the date of birth of {who}?"],
        "until": [f"Until when is the {what.lower()} of {who} valid?", f"When does {who}'s {what.lower()} expire?"], "issued": [f"When was the {what.lower()} of {who} issued?"],
        "address": [f"Where does {who} live?", f"What is the address of {who}?"], "department": [f"In which department is {who}?", f"Which department does {who} work in?"],
        "phone": [f"What is the phone number of {who}?", f"What is {who}'s telephone number?"],
    }  # fmt: skip
    said = {"number": "The number is", "born": "The date of birth is", "until": "It is valid until", "issued": "It was issued", "address": "The address is", "department": "The department is", "phone": "The phone number is"}
    asks = tuple(
        Ask(question=draw.choice(asked[key]), keys=(key,), about=who, answers=(f"{said[key]} {{{key}}}.", "It is {" + key + "}."), then=weighted(draw, (1, f"And the {label.lower().rstrip('.')}?")))
        for label, key, _ in kept if key != "name"
    )  # fmt: skip
    absent = tuple(draw.choice(asked[key]) for _, key, _ in missing)
    name = f"{what.lower().replace(' ', '-')}-{digits(draw, 3)}.{draw.choice(['jpg', 'png', 'pdf'])}"
    title = "" if name.endswith(("jpg", "png")) else f"{what} {holder}"
    return Document(kind="card", name=name, title=title, blocks=tuple(lines), asks=asks, absent=absent or (f"What is the bank account of {who}?",), scanned=True)
