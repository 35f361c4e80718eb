"""Who sits where, what happens when, who pays what: lists that are asked both ways round."""

import random
from collections.abc import Sequence
from dataclasses import replace

from recipes.pocket.documents.document import Ask, Document, Part, Table, line
from recipes.pocket.documents.names import coined, person
from recipes.pocket.documents.phrases import PHRASES
from recipes.pocket.documents.values import digits, listed
from recipes.pocket.documents.wordings import Name, ask, parsed

DEPARTMENTS = listed("""
    Accounts|Packing|Sales|Purchasing|Human Resources|Dispatch|Laundry|Catering|Legal|Marketing|Archive|
    Maintenance|Customer Service|Research|Reception|Fleet|Nursing|Typesetting
""")
_FOR_CONTACT = {
    wording.key: wording
    for wording in parsed("""
    Department
    ? In which department does <who> work? Which department is <who> in? Where does <who> work?
    = The department of <who> is {<key>}.
    = <who> is in {<key>}.
    + And the department of <who>?

    Room
    ? In which room is <who>? Where does <who> sit? What is the room of <who>? Which room do I find <who> in?
    = The room of <who> is {<key>}.
    = <who> is in room {<key>}.
    + And where does <who> sit?

    Extension
    ? What is the extension of <who>? Under which extension can I reach <who>? What do I dial to get <who>?
    = The extension of <who> is {<key>}.
    + And the extension of <who>?

    E-mail
    ? What is the e-mail address of <who>? Where can I write an e-mail to <who>? How do I reach <who> by e-mail?
    = The e-mail of <who> is {<key>}.
    + And the e-mail of <who>?
    """)
}
_WHO = {
    wording.key: wording
    for wording in parsed("""
    Department
    ? Who works in <what>? Who is in the <what> department? Who is the contact for <what>?
    = {<key>} is in <what>.

    Room
    ? Who sits in room <what>? Whose room is <what>? Whom do I find in room <what>?
    = {<key>} is in room <what>.

    Extension
    ? Who has the extension <what>? Whose extension is <what>? Who answers extension <what>?
    = {<key>} has the extension <what>.

    E-mail
    ? Whose e-mail is <what>? Who gets e-mail sent to <what>? To whom does the e-mail address <what> belong?
    = It is the e-mail of {<key>}.
    """)
}
_BEGINS, _ON_AT, _WHERE, _WHO_DOES = parsed("""
    <key>
    ? At what time does the <item> <begin>? When does the <item> <begin>? When is the <item>?
    = The <item> is at {<key>}.
    = At {<key>}.
    + And when is the <item>?

    <key>
    ? What is on at <time>? What happens at <time>? What begins at <time>? What comes at <time> in the programme?
    = At <time> it is {<key>}.
    = {<key>} is at <time>.
    + And what is on at <time>?

    <key>
    ? Where does the <item> <begin>? Where is the <item>? Where do I go for the <item>?
    = The <item> is in {<key>}.
    = It is {<key>}.
    + And where is the <item>?

    <key>
    ? Who is in charge of the <item>? Who is responsible for the <item>? Who leads the <item>?
    = The <item> is led by {<key>}.
    = It is {<key>}.
    + And who leads the <item>?
""")
_ACTS = listed("""
    Brass quintet=play|Welcome by the mayor=begin|Fashion show=start|Relay race=start|Gospel choir=sing|
    Juggling duo=perform|Lunch break=begin|Prize draw=take place|Tour of the greenhouse=set off|String trio=play|
    Talk on bees=begin|Children's theatre=perform|Farewell drink=begin|Egg and spoon race=start|Folk band=play|
    Quiz for teams=begin|Safety briefing=start|Report of the treasurer=come|Discussion of the budget=begin|
    Tea break=begin|Magician=appear|Robot demonstration=take place|Fire drill=take place|Drum class=start|
    Election of the board=take place|Sheepdog trial=start|Bread baking workshop=begin
""")
_STAGES = listed("Garden|Hall B|Big tent|Room 7|Terrace|Canteen|Sports field|Chapel|Lecture room|Barn|Foyer")
_PAYS, _PAYS_FOR = parsed("""
    <key>
    ? How much do <group> pay? What is the price for <group>? What does it cost for <group>? What must <group> pay?
    = The price for <group> is {<key>}.
    = For <group> it is {<key>}.
    = It is {<key>}.
    + And for <group>?

    <key>
    ? What does a <ticket> cost for <group>? How much is a <ticket> for <group>? What do <group> pay for a <ticket>?
    = A <ticket> for <group> is {<key>}.
    = For <group> it is {<key>}.
    + And a <ticket> for <group>?
""")
_GROUPS = listed("""
    Adults|Students|Children under 6|Families|Pensioners|Members|School classes|Unemployed people|Residents|
    Groups of ten|Apprentices|Disabled visitors|Teenagers|Hotel guests
""")
_TICKETS = listed("""
    Day ticket|Season ticket|Evening ticket|Ten-visit card|Guided tour|Swimming course|Sauna pass|Monthly card|
    Single ride|Trial lesson
""")


def contacts(draw: random.Random) -> Document:
    """Who works in which department and room, and how to reach them."""
    columns = [name for name in _FOR_CONTACT if draw.random() < 0.7] or ["Extension"]
    people = list(dict.fromkeys(person(draw) for _ in range(draw.randint(3, 8))))
    unused, *departments = draw.sample(DEPARTMENTS, len(people) + 1)
    rooms = draw.sample(range(101, 460), len(people))
    length, house = draw.choice([3, 4]), f"{coined(draw).lower()}.example"
    rows, asks = [], []
    for at, (who, department, room) in enumerate(zip(people, departments, rooms, strict=True)):
        texts = {
            "Department": department, "Room": str(room), "Extension": digits(draw, length),
            "E-mail": f"{''.join(name[:3] for name in who.lower().split())}@{house}",
        }  # fmt: skip
        rows.append((Part(who, f"name {at}"), *(Part(texts[column], f"{column} {at}") for column in columns)))
        column = draw.choice(columns)
        forwards = {"who": Name(who, who), "key": Name(f"{column} {at}")}
        asks.append(_also_short(ask(draw, _FOR_CONTACT[column], forwards), f"{column} {at}"))
        backwards = {"what": Name(texts[column], texts[column]), "key": Name(f"name {at}")}
        asks.append(_also_short(ask(draw, _WHO[column], backwards), f"name {at}"))
    title = draw.choice(listed("Telephone list|Staff list|Contacts|Who is who|Our team|Internal directory"))
    absent = (
        f"What is the extension of {person(draw)}?",
        f"Who works in {unused}?",
        f"When is the birthday of {people[0]}?",
        f"Who sits in room {draw.randint(470, 990)}?",
    )
    table = Table(header=("Name", *columns), rows=tuple(rows))
    return listing(draw, "table", title, table, asks, absent)


def agenda(draw: random.Random) -> Document:
    """A programme in the order of its times: the time comes first and the event stands in a cell."""
    acts = [act.split("=") for act in draw.sample(_ACTS, draw.randint(4, 8))]
    led, clock = draw.random() < 0.35, draw.choice(["{:02}:{:02}", "{}:{:02}", "{:02}.{:02}"])
    minute, rows, asks = draw.randint(28, 44) * 15, [], []
    for at, (item, begin) in enumerate(acts):
        time, minute = clock.format(*divmod(minute, 60)), minute + draw.randint(1, 6) * 15
        other = person(draw) if led else draw.choice(_STAGES)
        rows.append((Part(time, f"time {at}"), Part(item, f"item {at}"), Part(other, f"other {at}")))
        wording, key = draw.choice(
            [(_BEGINS, "time"), (_BEGINS, "time"), (_ON_AT, "item"), (_WHO_DOES if led else _WHERE, "other")]
        )
        names = {
            "item": Name(item[:1].lower() + item[1:], item), "begin": Name(begin), "time": Name(time, time),
            "key": Name(f"{key} {at}"),
        }  # fmt: skip
        asks.append(ask(draw, wording, names))
    absent = (
        "When does the hot-air balloon take off?",
        "What is on at 23:05?",
        f"At what time does {person(draw)} give a speech?",
        "Who plays the piano?",
    )
    header = ("Time", draw.choice(["Event", "Item", "What"]), "Led by" if led else draw.choice(["Place", "Where"]))
    title = draw.choice(
        ["Agenda", "Running order", "Programme of the day", f"Programme: {draw.choice(PHRASES['event'])}"]
    )
    return listing(draw, "schedule", title, Table(header=header, rows=tuple(rows)), asks, absent)


def group_prices(draw: random.Random) -> Document:
    """What adults, students and others pay, in a table or all in one line."""
    missing, *groups = draw.sample(_GROUPS, draw.randint(4, 7))
    none, *tickets = draw.sample(_TICKETS, draw.randint(2, 4))
    mark, even = draw.choice(["€{}", "{} €", "£{}", "$ {}", "EUR {}"]), draw.random() < 0.4
    flat = len(tickets) == 1
    rows, asks = [], []
    for at, group in enumerate(groups):
        prices = [draw.randint(2, 60) if even else f"{draw.randint(4, 240) / 2:.2f}" for _ in tickets]
        cells = [Part(mark.format(price), f"{column} {at}") for column, price in enumerate(prices)]
        if group.startswith("Children") and draw.random() < 0.4:
            cells[0] = replace(cells[0], text="free")
        rows.append((Part(group), *cells))
        column = draw.randrange(len(tickets))
        name, ticket = group[:1].lower() + group[1:], tickets[column].lower()
        names = {"group": Name(name, group), "ticket": Name(ticket, ticket), "key": Name(f"{column} {at}")}
        wording = _PAYS if flat else _PAYS_FOR
        asks.append(_also_short(ask(draw, wording, names), f"{column} {at}"))
    title = draw.choice(["Prices", "Price list", "Prices of tickets", f"Prices from {draw.randint(2015, 2027)}"])
    absent = (f"What do {missing.lower()} pay?", f"What does a {none.lower()} cost?", "Is there a price for dogs?")
    table = Table(header=("", "Price") if flat else ("For", *tickets), rows=tuple(rows))
    document = listing(draw, "table", title, table, asks, absent)
    if not flat or draw.random() < 0.4:
        return document
    parts: list[str | tuple[str, str]] = []
    for label, cell in rows:
        parts.extend([f"{', ' if parts else ''}{label.text} ", (cell.key, cell.text)])
    return replace(document, blocks=(line(title, heading=True), line("Price: ", *parts)))


def listing(
    draw: random.Random, kind: str, title: str, table: Table, asks: Sequence[Ask], absent: tuple[str, ...]
) -> Document:
    """A document that is one table under its title."""
    endings = "pdf|docx|html|tif" if kind == "schedule" else "xlsx|pdf|docx|html"
    return Document(
        kind=kind,
        name=file_name(draw, title, endings),
        title=title,
        blocks=(line(title, heading=True), table),
        asks=tuple(asks),
        absent=absent,
    )


def file_name(draw: random.Random, title: str, endings: str) -> str:
    """The title in small letters with one of the endings `a|b|…`."""
    return f"{title.lower().replace(' ', '-').replace(',', '').replace(':', '')}.{draw.choice(listed(endings))}"


def _also_short(asked: Ask, key: str) -> Ask:
    return replace(asked, keys=(key,), answers=(*asked.answers, "It is {" + key + "}."))
