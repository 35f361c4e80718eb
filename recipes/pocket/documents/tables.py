"""Documents that are one table under a title: the rows' things, the columns' values, a question about each row.

The templates (tables.toml) name the rows, columns and wordings; `numbers` that depend on each other are computed here.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recipes.pocket.documents.document import Ask, Document, Part, Table, Written
from recipes.pocket.documents.languages import Template
from recipes.pocket.documents.templates import Blocks, Sheet
from recipes.pocket.documents.values import clock_time, figure
from recipes.pocket.documents.wordings import Wording, ask, filled

_BY = re.compile(r"(?:subject by )?(.+?)(?: \*(\d))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of values: its name on the page, the pattern of its values, the key of its wordings."""

    head: str
    value: str
    key: str
    distinct: bool = False


@dataclass(kw_only=True)
class Grid:
    """A table in the making. The rows' things may end in "=verb", the verb that a question puts to them."""

    subject: str  # the name of the column of things
    things: Sequence[str]
    missing: str  # a thing that is not there
    columns: Sequence[Column]
    unused: str  # the name of a column that is not there
    names: Mapping[str, str]  # how questions call a row
    taken: set[tuple[str, str]] = field(default_factory=set)  # of columns whose values are distinct


def listing(sheet: Sheet) -> Document:
    """A price list, a timetable, a budget: one table under its title."""
    sheet.keep_words()
    grid = _grid(sheet)
    rows, asks = [], list[Ask]()
    for at, thing in enumerate(grid.things):
        cells = _row(sheet, grid, thing, at)
        asks.extend(_asked(sheet, grid, cells, at))
        rows.append(_placed(Part(thing.partition("=")[0], f"thing {at}"), cells, sheet.template.get("rows_at", 0)))
    absent = _absent(sheet, grid)
    heads = _placed(grid.subject, [column.head for column in grid.columns], sheet.template.get("rows_at", 0))
    document = sheet.document((), asks=tuple(asks), absent=absent)
    title = Written(parts=(Part(document.title),), heading=True)
    return replace(document, blocks=(title, *_laid_out(sheet, heads, rows)))


def _grid(sheet: Sheet) -> Grid:
    """What the rows are about and which columns there are."""
    draw, variants = sheet.draw, sheet.template["rows"]
    rows = draw.choices(variants, [variant.get("share", 1) for variant in variants])[0]
    *things, missing = _things(sheet, rows)
    columns, unused = _columns(sheet)
    return Grid(
        subject=sheet.writer.text(rows["head"]), things=things, missing=missing.partition("=")[0], columns=columns,
        unused=unused, names=rows.get("names", {}),
    )  # fmt: skip


def _things(sheet: Sheet, rows: Template) -> list[str]:
    """The things and one more, which the table leaves out."""
    count = sheet.draw.randint(*rows["count"]) + 1
    name = rows["each"].strip("<>")
    if not rows.get("in_order"):
        return list(_different(sheet, rows["each"], count))
    known = sheet.writer.options(name) if rows["each"] != name else tuple(name.split("|"))
    first = 0 if rows.get("from_first") else sheet.draw.randrange(max(1, len(known) - count + 1))
    return [*known[first : first + count], *known[: max(0, first + count - len(known))]]


def _different(sheet: Sheet, pattern: str, count: int) -> Iterator[str]:
    """So many texts of a pattern, none of them twice."""
    made: set[str] = set()
    while len(made) < count:
        text = sheet.writer.text(pattern)
        if text not in made:
            made.add(text)
            yield text


def _columns(sheet: Sheet) -> tuple[list[Column], str]:
    """The columns that the table has, and the name of one that it does not have."""
    draw, pool, unused = sheet.draw, list[Column](), ""
    for entry in sheet.template["columns"]:
        if "each" in entry:
            *heads, unused = draw.sample(sheet.writer.options(entry["each"]), entry["draw"] + 1)
            pool.extend(_column(sheet, entry, head) for head in heads)
        else:
            pool.append(_column(sheet, entry, entry["head"]))
    shares = {
        column.key: entry.get("share", 100) for column, entry in zip(pool, sheet.template["columns"], strict=False)
    }
    if "keep" in sheet.template:
        return draw.sample(pool, draw.randint(*sheet.template["keep"])), unused
    return [column for column in pool if draw.random() < shares[column.key] / 100] or pool[-1:], unused


def _column(sheet: Sheet, entry: Template, head: str) -> Column:
    return Column(
        head=sheet.writer.text(head), value=entry["value"], key=entry.get("key", head),
        distinct=entry.get("distinct", False),
    )  # fmt: skip


def _row(sheet: Sheet, grid: Grid, thing: str, at: int) -> list[Part]:
    """The values of a row, each under the key "head at"."""
    words = sheet.writer.words
    words["thing"], _, words["verb"] = thing.partition("=")
    if "numbers" in sheet.template:
        NUMBERS[sheet.template["numbers"]](sheet, grid)
    return [Part(_value(sheet, grid, column), f"{column.head} {at}") for column in grid.columns]


def _value(sheet: Sheet, grid: Grid, column: Column) -> str:
    while True:
        text = sheet.writer.text(column.value)
        if not column.distinct or (column.key, text) not in grid.taken:
            grid.taken.add((column.key, text))
            return text


def _asked(sheet: Sheet, grid: Grid, cells: Sequence[Part], at: int) -> Iterator[Ask]:
    """Questions about a row, mostly one: for a value by the thing, or for the thing by a value."""
    possible = [
        (wording, column, cell)
        for column, cell in zip(grid.columns, cells, strict=True)
        for wording in _wordings(sheet, column.key)
    ]
    for wording, column, cell in sheet.draw.sample(possible, min(len(possible), sheet.template.get("questions", 1))):
        words = sheet.writer.words
        words["value"], words["column"] = cell.text, column.head
        names = sheet.names(
            {
                "thing": "<thing> @ <thing>",
                "value": "<value> @ <value>",
                **grid.names,
                **sheet.template.get("names", {}),
            }
        )
        bare = (sheet.language.manners["bare_answer"],) if sheet.template.get("bare_answer") else ()
        by_value = wording.key.startswith("subject by ")
        key = f"thing {at}" if by_value else cell.key
        yield ask(sheet.draw, replace(wording, answers=(*wording.answers, *bare)), names, key=key)


def _wordings(sheet: Sheet, key: str) -> Iterator[Wording]:
    """The wordings about a column, as often as their " *2" says."""
    for wording in sheet.wordings():
        found = _BY.fullmatch(wording.key)
        if found is not None and found[1] == key:
            yield from [wording] * int(found[2] or 1)


def _absent(sheet: Sheet, grid: Grid) -> tuple[str, ...]:
    """Questions about a thing or a column that the table does not have."""
    words = sheet.writer.words
    words["thing"] = grid.missing
    if sheet.template.get("absent_from_asks"):
        return tuple(_question(sheet, column) for column in grid.columns)
    missing = {f"{name}_missing": sheet.writer.text(text).partition(" @ ")[0] for name, text in grid.names.items()}
    words["thing"] = grid.things[0].partition("=")[0]
    words.update({"missing": grid.missing, "unused": grid.unused, **missing})
    return sheet.absent({"column": grid.columns[0].head})


def _question(sheet: Sheet, column: Column) -> str:
    wording = next(_wordings(sheet, column.key))
    return filled(sheet.draw.choice(wording.questions), sheet.names())


def _placed(thing: Any, rest: Sequence[Any], at: int) -> tuple[Any, ...]:
    """The thing at its place among the rest of its row."""
    return (*rest[:at], thing, *rest[at:])


def _laid_out(sheet: Sheet, heads: tuple[str, ...], rows: list[tuple[Part, ...]]) -> Blocks:
    """The table, or its two columns in one line."""
    if sheet.draw.random() < sheet.template.get("in_one_line", 0) / 100:
        parts = [Part(f"{heads[-1]}: ")]
        for place, (label, cell) in enumerate(rows):
            parts += [Part(f"{', ' if place else ''}{label.text} "), cell]
        return [Written(parts=tuple(parts))]
    if "total_row" in sheet.template and sheet.draw.random() < 0.3:  # nobody asks for the totals
        sums = [sum(int(row[at].text.replace(",", "")) for row in rows) for at in range(1, len(heads))]
        rows = [*rows, (Part(sheet.template["total_row"]), *(Part(figure(sheet.writer, each)) for each in sums))]
    return [Table(header=heads, rows=tuple(rows))]


def _unlike_heads(number: int, grid: Grid) -> int:
    """The number, or a near one that does not stand in a column's name, as 20 does in "Plan 2024"."""
    while any(str(number) in column.head for column in grid.columns):
        number += 7
    return number


def _budget(sheet: Sheet, grid: Grid) -> None:
    """<plan>, <actual> and their <difference>."""
    draw = sheet.draw
    plan = draw.randint(120, 9900) if draw.random() < 0.7 else draw.randint(10, 900) * 100
    actual = _unlike_heads(int(plan * draw.uniform(0.6, 1.5)), grid)
    plan = _unlike_heads(plan, grid)
    difference = f"{'+' if actual >= plan else '-'}{figure(sheet.writer, abs(actual - plan))}"
    sheet.writer.words.update(
        plan=figure(sheet.writer, plan), actual=figure(sheet.writer, actual), difference=difference
    )


def _later(sheet: Sheet, grid: Grid) -> None:
    """A <time> that is later than the row's before, in one clock style."""
    draw, words = sheet.draw, sheet.writer.words
    words.setdefault("clock_style", draw.choice(["H:M", "G:M", "H.M"]))
    minutes = int(words["minutes"]) if "minutes" in words else draw.randint(28, 44) * 15
    words["time"] = clock_time(sheet.writer, minutes)
    words["minutes"] = str(minutes + draw.randint(1, 6) * 15)


NUMBERS: Mapping[str, Callable[[Sheet, Grid], None]] = {"budget": _budget, "clock": _later}
"""What computes words of a row before its values are written; a template's `numbers` names it."""
