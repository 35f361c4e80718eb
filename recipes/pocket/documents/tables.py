"""Price and stock lists, timetables, programmes and opening hours: values that stand in a row under a column's name."""

import random

from recipes.pocket.documents.document import Ask, Document, Part, Table, line
from recipes.pocket.documents.facts import VALUES
from recipes.pocket.documents.figures import figures
from recipes.pocket.documents.lists import agenda, contacts, file_name, group_prices, listing
from recipes.pocket.documents.names import GOODS, coined, person, town
from recipes.pocket.documents.values import WEEKDAYS, clock, listed, weighted
from recipes.pocket.documents.wordings import Name, Wording, ask, filled, parsed

_COLUMNS = {
    "Price": "money", "Weight": "weight", "Width": "length", "Colour": "colour", "Order number": "code",
    "In stock": "count", "Kept": "place", "Supplier": "name", "Delivery": "duration", "Power": "power",
}  # fmt: skip
"""What a list of things may tell, and the generator of its values."""

_OF_THINGS = {
    wording.key: wording
    for wording in parsed("""
    Price
    ? What does the <thing> cost? How much is the <thing>? What is the price of the <thing>?
    = The price of the <thing> is {<key>}.
    + And the price of the <thing>? And the <thing>?

    Weight
    ? How heavy is the <thing>? What does the <thing> weigh? What is the weight of the <thing>?
    = The weight of the <thing> is {<key>}.
    + And how heavy is the <thing>?

    Width
    ? How wide is the <thing>? What is the width of the <thing>?
    = The width of the <thing> is {<key>}.
    + And how wide is the <thing>?

    Colour
    ? What colour is the <thing>? Which colour does the <thing> have?
    = The colour of the <thing> is {<key>}.
    + And the colour of the <thing>?

    Order number
    ? What is the order number of the <thing>? Which order number does the <thing> have?
    = The order number of the <thing> is {<key>}.
    + And the order number of the <thing>?

    In stock
    ? How many of the <thing> are in stock? How many of the <thing> do we have?
    = {<key>} of the <thing> are in stock.
    + And how many of the <thing> are there?

    Kept
    ? Where is the <thing> kept? Where do I find the <thing>?
    = The <thing> is kept {<key>}.
    + And where is the <thing>?

    Supplier
    ? Who is the supplier of the <thing>? Which supplier delivers the <thing>?
    = The supplier of the <thing> is {<key>}.
    + And who supplies the <thing>?

    Delivery
    ? How long does the delivery of the <thing> take? What is the delivery time of the <thing>?
    = The delivery of the <thing> takes {<key>}.
    = The delivery is {<key>}.
    + And the delivery of the <thing>?

    Power
    ? How much power does the <thing> need? What is the power of the <thing>?
    = The power of the <thing> is {<key>}.
    + And the power of the <thing>?
    """)
}
_LEAVES, _TIME, _ROOM, _HOURS = parsed("""
    <key>
    ? When does the <which> <way> leave <stop>? What time is the <which> <way> from <stop>?
    ? At what time does the <which> <way> leave from <stop>? When does the <which> <way> go from <stop>?
    = The <which> <way> leaves <stop> at {<key>}.
    = The <which> is at {<key>}.
    = It is {<key>}.
    + And when is the <which> <way> from <stop>?

    <key>
    ? When is the <thing>? At what time does the <thing> begin? What time is the <thing>?
    = The <thing> is at {<key>}.
    + And when is the <thing>? And the <thing>?

    <key>
    ? Where is the <thing>? Where does the <thing> take place? In which room is the <thing>?
    = The <thing> is in {<key>}.
    = It is {<key>}.
    + And where is the <thing>?

    <key>
    ? When is the <place> open on <day>? What are the opening hours of the <place> on <day>?
    ? When does the <place> open on a <day>? How long is the <place> open on <day>?
    = On <day> it is {<key>}.
    = It is {<key>}.
    + And on <day>?
""")
_EVENTS = listed("""
    Opening speech|Brass band|Puppet show|Guided walk|Cooking course|First-aid training|Lantern parade|
    Concert of the choir|Poetry reading|Pottery workshop|Yoga class|Chess tournament|Award ceremony|Film evening|
    Dance lesson
""")
_ROOMS = listed("Hall A|Room 12|Garden|Main stage|Library|Tent 2|Foyer|Courtyard|Studio 4")
_OPEN = listed("town hall|post office|pool|library|surgery|recycling yard")


def price_list(draw: random.Random) -> Document:
    """Any table but timetables: mostly of things, else of figures, people or what groups pay."""
    kinds = ((45, _of_things), (27, figures), (16, contacts), (12, group_prices))
    return weighted(draw, *kinds)(draw)


def _of_things(draw: random.Random) -> Document:
    """A table of things with one to three properties each: prices, stock, technical data, where things are kept."""
    columns = draw.sample(list(_COLUMNS), draw.randint(1, 3))
    made_up = draw.random() < 0.4
    things = [_model(draw) for _ in range(8)] if made_up else draw.sample(GOODS, 8)
    things = things[: draw.randint(3, 8)]
    rows = tuple(
        (Part(thing), *(Part(VALUES[_COLUMNS[column]](draw), f"{column} {place}") for column in columns))
        for place, thing in enumerate(things)
    )
    title = draw.choice(
        [*listed("Price list|Catalogue|Stock list|Inventory|Product data"), f"Price list {draw.randint(2015, 2027)}"]
    )
    header = (draw.choice(["Item", "Name", "Article", "Product"]), *columns)
    return Document(
        kind="table",
        name=file_name(draw, title, "xlsx|pdf|docx|html"),
        title=title,
        blocks=(line(title, heading=True), Table(header=header, rows=rows)),
        asks=tuple(_of_row(draw, _OF_THINGS[draw.choice(columns)], thing, at) for at, thing in enumerate(things)),
        absent=tuple(_of_row(draw, _OF_THINGS[column], _model(draw), 0).question for column in columns),
    )


def _model(draw: random.Random) -> str:
    return f"{coined(draw)} {draw.randint(1, 99) * 10}"


def _of_row(draw: random.Random, wording: Wording, thing: str, place: int) -> Ask:
    key = f"{wording.key} {place}"
    names = {"thing": Name(thing, thing), "key": Name(key)}
    asked = ask(draw, wording, names)
    return Ask(
        question=asked.question,
        keys=(key,),
        answers=(*asked.answers, "It is {" + key + "}."),
        about=asked.about,
        then=asked.then,
    )


def schedule(draw: random.Random) -> Document:
    """When something leaves, begins or is open."""
    return draw.choice([_timetable, _programme, _opening_hours, agenda, agenda])(draw)


def _timetable(draw: random.Random) -> Document:
    stops = list(dict.fromkeys(town(draw) for _ in range(draw.randint(3, 6))))
    way = draw.choice(["ferry", "bus", "train", "shuttle"])
    rows = tuple(
        (Part(stop), Part(clock(draw), f"first {at}"), Part(clock(draw, first=16, last=23), f"last {at}"))
        for at, stop in enumerate(stops)
    )
    asks = []
    for at, stop in enumerate(stops):
        which = draw.choice(["first", "last"])
        names = {"way": Name(way, way), "stop": Name(stop, stop), "which": Name(which), "key": Name(f"{which} {at}")}
        asks.append(ask(draw, _LEAVES, names))
    absent = (
        f"When does the last {way} leave {coined(draw)}?",
        f"What does a ticket for the {way} cost?",
        f"Which platform does the {way} use?",
    )
    table = Table(header=("Stop", "First", "Last"), rows=rows)
    return listing(draw, "schedule", f"{way.capitalize()} timetable", table, asks, absent)


def _programme(draw: random.Random) -> Document:
    events = draw.sample(_EVENTS, draw.randint(3, 7))
    rows = tuple(
        (Part(event), Part(clock(draw), f"time {at}"), Part(draw.choice(_ROOMS), f"room {at}"))
        for at, event in enumerate(events)
    )
    asks = []
    for at, event in enumerate(events):
        wording, key = draw.choice([(_TIME, f"time {at}"), (_TIME, f"time {at}"), (_ROOM, f"room {at}")])
        asks.append(ask(draw, wording, {"thing": Name(event.lower(), event), "key": Name(key)}))
    absent = (
        "When is the fireworks display?",
        "Who conducts the orchestra?",
        "What does the parking cost?",
        f"At what time does {person(draw)} speak?",
    )
    title = draw.choice(["Programme", "Festival programme", "Course plan", "Open day"])
    return listing(draw, "schedule", title, Table(header=("Event", "Time", "Place"), rows=rows), asks, absent)


def _opening_hours(draw: random.Random) -> Document:
    days, place = WEEKDAYS[: draw.randint(4, 7)], draw.choice(_OPEN)
    rows = tuple(
        (Part(day), Part(f"{clock(draw, first=6, last=11)} to {clock(draw, first=13, last=22)}", f"hours {at}"))
        for at, day in enumerate(days)
    )
    asks = [
        ask(draw, _HOURS, {"place": Name(place, place), "day": Name(day), "key": Name(f"hours {at}")})
        for at, day in enumerate(days)
    ]
    names = {"place": Name(place, place)}
    absent = tuple(
        filled(text, names) for text in ("When is the <place> open on Christmas Eve?", "Who runs the <place>?")
    )
    return listing(draw, "schedule", f"Opening hours, {place}", Table(header=("Day", "Open"), rows=rows), asks, absent)
