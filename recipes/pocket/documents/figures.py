"""Budgets and statistics: rows of months, departments or cost positions under columns of plain numbers."""

import random
from dataclasses import dataclass

from recipes.pocket.documents.document import Document, Part, Table
from recipes.pocket.documents.lists import DEPARTMENTS, listing
from recipes.pocket.documents.names import town
from recipes.pocket.documents.values import MONTHS, listed
from recipes.pocket.documents.wordings import Name, ask, filled, parsed

_PLAN, _ACTUAL, _DIFFERENCE, _COUNT, _HOURS, _DONE = parsed("""
    <key>
    ? What did we plan to spend <on>? How much was planned <of>? What was the plan <of>? How much did we plan <of>?
    = The plan <of> was {<key>} <unit>.
    = The planned cost <of> was {<key>} <unit>.
    = The budget <of> was {<key>} <unit>.
    + And what was the plan <of>? And the plan <of>?

    <key>
    ? What was the actual cost <of>? How much did we actually spend <on>? What did we actually pay <of>?
    ? How much was really spent <on>, not planned?
    = The actual cost <of> was {<key>} <unit>.
    = {<key>} <unit> was spent <of>.
    = Actual <of>: {<key>} <unit>.
    + And what was the actual cost <of>?

    <key>
    ? What is the difference <of>? How big is the difference <of>? By how much did plan and actual differ <of>?
    ? How far from the plan were we <of>?
    = The difference <of> is {<key>} <unit>.
    + And the difference <of>?

    <key>
    ? How many <what> were there <of>? How many <what> did we have <of>? What is the number of <what> <of>?
    ? How many <what> were counted <of>?
    = There were {<key>} <what> <of>.
    + And how many <what> <of>?

    <key>
    ? How many hours were worked <of>? How many hours did it take <of>? How many working hours were there <of>?
    = There were {<key>} hours <of>.
    + And how many hours <of>?

    <key>
    ? How many were <done> <of>? How many pieces were <done> <of>? How many of them have been <done> <of>?
    = There were {<key>} <done> <of>.
    + And how many were <done> <of>?
""")
_COUNTED = listed("Visitors|Adults|Children|Orders|Complaints|Trips|Loans|Bookings|Students|Patients|Calls|Parcels")
_STATES = listed("Sold|Returned|Repaired|Delivered|Rejected|Cancelled")
_POSITIONS = listed("""
    Rent|Wages|Electricity|Heating|Insurance|Advertising|Travel|Office supplies|Repairs|Cleaning|Telephone|Postage|
    Training|Seeds and plants|Sheet music|Catering|Vehicles|Licences|Water|Uniforms
""")
_TITLES = listed("Annual report|Overview|Statistics|Evaluation|Figures|Results|Monthly report|Summary|Comparison")


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a table is by: the column's name, the labels, and how a question puts one: spent *on*, planned *for*."""

    by: str
    labels: tuple[str, ...]
    spent: str = "in"
    of: str = "in"

    def names(self, label: str) -> dict[str, Name]:
        """The label in a question; a cost position is no name."""
        written = label.lower() if self.spent == "on" and label in _POSITIONS else label
        return {"on": Name(f"{self.spent} {written}", label), "of": Name(f"{self.of} {written}", label)}


_MONTHLY = _Rows("Month", MONTHS)
_QUARTERLY = _Rows("Quarter", listed("Q1|Q2|Q3|Q4"))
_BY_DEPARTMENT = _Rows("Department", DEPARTMENTS)
_BY_POSITION = _Rows("Item", _POSITIONS, "on", "for")


def figures(draw: random.Random) -> Document:
    """A budget with its actual costs, or how many of what there were."""
    places = _Rows("Branch", tuple(dict.fromkeys(town(draw) for _ in range(12))))
    if draw.random() < 0.5:
        return _budget(draw, draw.choice([_BY_POSITION, _BY_POSITION, _BY_DEPARTMENT, _QUARTERLY, _MONTHLY, places]))
    return _statistics(draw, draw.choice([_MONTHLY, _QUARTERLY, _BY_DEPARTMENT, places]))


def _budget(draw: random.Random, rows: _Rows) -> Document:
    unit, year = draw.choice(["€", "EUR", "RM", "$", "£"]), draw.randint(2015, 2027)
    behind = draw.choice([f" ({unit})", f" in {unit}", f" {year} ({unit})"])
    names = draw.choice([("Plan", "Actual"), ("Planned cost", "Actual cost"), ("Budget", "Spent")])
    header = (rows.by, *(f"{name}{behind}" for name in (*names, "Difference")))[: draw.choice([3, 4, 4])]
    labels, missing = _labels(draw, rows)
    written, made, asks = draw.choice(["{}", "{:,}"]).format, [], []
    for at, label in enumerate(labels):
        plan = draw.randint(120, 9900) if draw.random() < 0.7 else draw.randint(10, 900) * 100
        actual = int(plan * draw.uniform(0.6, 1.5))
        plan, actual = _unlike(plan, header), _unlike(actual, header)
        cells = (written(plan), written(actual), f"{'+' if actual >= plan else '-'}{written(abs(actual - plan))}")
        keys = [f"{column} {at}" for column in ("plan", "actual", "difference")]
        parts = [Part(cell, key) for cell, key in zip(cells, keys, strict=True)]
        made.append((Part(label), *parts[: len(header) - 1]))
        wording, key = draw.choice(list(zip((_PLAN, _ACTUAL, _DIFFERENCE), keys, strict=True))[: len(header) - 1])
        asks.append(ask(draw, wording, {"key": Name(key), "unit": Name(unit), **rows.names(label)}))
    absent = tuple(
        filled(text, rows.names(missing))
        for text in ("What did we plan to spend <on>?", "What was the actual cost <of>?")
    )
    title = draw.choice(["Budget", f"Budget {year}", "Costs", "Plan and actual", "Finances"])
    return listing(draw, "table", title, Table(header=header, rows=tuple(made)), asks, absent)


def _statistics(draw: random.Random, rows: _Rows) -> Document:
    pool = [*draw.sample(_COUNTED, 3), "Hours", *draw.sample(_STATES, 2)]
    unused, *columns = draw.sample(pool, draw.randint(3, 5))
    header = (rows.by, *columns)
    labels, missing = _labels(draw, rows)
    written, most, made, asks = draw.choice(["{}", "{:,}"]).format, draw.choice([90, 900, 9000]), [], []
    for at, label in enumerate(labels):
        counts = [_unlike(draw.randint(10, most), header) for _ in columns]
        keys = [f"{column} {at}" for column in columns]
        made.append((Part(label), *(Part(written(count), key) for count, key in zip(counts, keys, strict=True))))
        column = draw.choice(columns)
        wording = _HOURS if column == "Hours" else _DONE if column in _STATES else _COUNT
        names = {"key": Name(f"{column} {at}"), "what": Name(column.lower()), "done": Name(column.lower())}
        asks.append(ask(draw, wording, {**names, **rows.names(label)}))
    plain = unused.lower() if unused in _COUNTED else "accidents"
    absent = tuple(f"How many {plain} were there in {label}?" for label in (labels[0], missing))
    if draw.random() < 0.3:  # nobody asks for the totals
        totals = [sum(int(row[place].text.replace(",", "")) for row in made) for place in range(1, len(header))]
        made.append((Part("Total"), *(Part(written(total)) for total in totals)))
    title = draw.choice([*_TITLES, f"Figures for {draw.randint(2015, 2027)}"])
    return listing(draw, "table", title, Table(header=header, rows=tuple(made)), asks, absent)


def _unlike(number: int, header: tuple[str, ...]) -> int:
    """A number that does not stand in a column's name, as 20 does in "Plan 2024"."""
    while str(number) in " ".join(header):
        number += 7
    return number


def _labels(draw: random.Random, rows: _Rows) -> tuple[list[str], str]:
    """Some of the rows, months and quarters in their order, and one that is not there."""
    count = draw.randint(3, min(8, len(rows.labels) - 1))
    if rows in (_MONTHLY, _QUARTERLY):
        first = draw.randrange(len(rows.labels) - count)
        return list(rows.labels[first : first + count]), rows.labels[first + count]
    missing, *labels = draw.sample(rows.labels, count + 1)
    return labels, missing
