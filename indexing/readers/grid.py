"""The cells of a spreadsheet → its tables. Excel, OpenDocument and the old Excel workbooks give their sheets as grids.

    A title                                caption "A title" of the first table
    Year  Count      Name   Town           two tables side by side: two columns or more in each, a blank one between
    2023    160      Kay    Ryde
    Notes: …                               text

Blank rows part tables too, except where what follows goes on with the same columns and begins with a number: then the
blank row was only a space in a table, and its rows stay under their header.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from indexing.readers.document import COVERED, clean, has_words, markdown_table
from indexing.records import Block, Note

MOST_CELLS = 1_000_000
"""Cells with something in them that are read from one workbook: what a worker's memory holds."""
_MOST_MERGED = 20_000
_MOST_SPAN = 500
_LEAST_COLUMNS_BESIDE = 2
_MOST_CAPTION_ROWS = 3


@dataclass(frozen=True, slots=True)
class GridCell:
    """One cell as it is shown."""

    text: str
    is_number: bool = False
    is_formula: bool = False  # the formula itself: its value is not in the file


Row = dict[int, GridCell]
"""Column → cell, from 1 on; only cells with something in them."""
Span = tuple[int, int, int, int]
"""First row, first column, last row, last column of merged cells."""


@dataclass(kw_only=True, slots=True)
class Sheet:
    """One sheet while it is read."""

    name: str
    number: int | None  # the page
    hidden: bool = False
    rows: dict[int, Row] = field(default_factory=dict)  # in ascending order
    merged: list[Span] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    beside: list[Block] = field(default_factory=list)  # charts and text boxes
    hidden_rows: int = 0  # with something in them
    hidden_columns: int = 0
    formulas: int = 0  # without a value
    calculated: int = 0  # formulas that had none, and have one from `calculated_by`
    calculated_by: str = ""
    is_damaged: bool = False  # from somewhere on
    cut_from: int = 0  # the first row that was not read; 0 where all were


@dataclass(frozen=True, slots=True)
class _Part:
    """A rectangle of the sheet with no blank row or column that parts it."""

    rows: tuple[tuple[int, Row], ...]
    columns: tuple[int, ...]

    @property
    def is_words(self) -> bool:
        """One cell in each row, so no table."""
        return len(self.columns) == 1 or all(len(row) == 1 for _, row in self.rows)


def sheet_blocks(sheet: Sheet) -> Iterator[Block]:
    """The sheet's name as a heading, its tables, then what stands beside them."""
    content = [*tables(sheet), *sheet.beside, *(_text(sheet, line) for line in sheet.comments)]
    if content:
        mark = " (hidden sheet)" if sheet.hidden else ""
        yield Block(kind="heading", text=f"{clean(sheet.name)}{mark}", page=sheet.number, level=1)
        yield from content


def sheet_notes(sheets: Sequence[Sheet]) -> list[Note]:
    """What a person shall know of each sheet."""
    notes: list[Note] = []
    for sheet in sheets:
        place = f"sheet '{sheet.name}'"
        if sheet.hidden:
            notes.append(Note(f"the hidden {place} was read", kind="hidden", place=place))
        for count, what in ((sheet.hidden_rows, "rows"), (sheet.hidden_columns, "columns")):
            if count:
                sentence = f"{count:,} hidden {what} of {place} were read"
                notes.append(Note(sentence, kind="hidden", number=count, place=place))
        if sheet.calculated:
            who = sheet.calculated_by
            sentence = f"{sheet.calculated:,} formulas of {place} had no value in the file; {who} calculated them"
            notes.append(Note(sentence, kind="formula", number=sheet.calculated, place=place))
        if sheet.formulas:
            sentence = f"{sheet.formulas:,} formulas of {place} have no value in the file and were read as formulas"
            notes.append(Note(sentence, kind="formula", number=sheet.formulas, place=place, unread=True))
        if sheet.is_damaged:
            sentence = f"{place} is damaged and was read up to row {max(sheet.rows, default=0):,}"
            notes.append(Note(sentence, place=place, unread=True))
        if sheet.cut_from:
            sentence = (
                f"{place} was read up to row {sheet.cut_from - 1:,}: more than {MOST_CELLS:,} cells in the workbook"
            )
            notes.append(Note(sentence, place=place, unread=True))
    return notes


def column_name(column: int) -> str:
    """1 → A, 27 → AA."""
    name = ""
    while column > 0:
        column, letter = divmod(column - 1, 26)
        name = chr(65 + letter) + name
    return name


def tables(sheet: Sheet) -> Iterator[Block]:
    """Its tables, and words between them, in the order of the rows."""
    caption: list[str] = []
    for part in _parts(sheet):
        if part.is_words:
            lines = [cell.text for _, row in part.rows for cell in row.values()]
            if caption or len(lines) > _MOST_CAPTION_ROWS:
                yield from (_text(sheet, line) for line in ["\n".join([*caption, *lines])])
                caption = []
            else:
                caption = lines
            continue
        yield _table(sheet, part, caption)
        caption = []
    if caption:
        yield _text(sheet, "\n".join(caption))


def _table(sheet: Sheet, part: _Part, caption: Sequence[str]) -> Block:
    above = list(caption)
    rows = list(part.rows)
    while len(rows) > 1 and len(rows[0][1]) == 1:
        above += [cell.text for cell in rows.pop(0)[1].values()]
    columns = sorted({column for _, row in rows for column in row})
    reached = _reached_from_the_left(sheet.merged, rows[0][0], rows[-1][0])
    cells = [
        [row[column].text if column in row else COVERED if (number, column) in reached else "" for column in columns]
        for number, row in rows
    ]
    if len(cells) == 1:
        words = " | ".join(text for text in cells[0] if has_words(text))
        return _text(sheet, "\n".join([*above, words]))
    return Block(kind="table", text=markdown_table(cells), page=sheet.number, caption="\n".join(above))


def _reached_from_the_left(merged: Sequence[Span], first: int, last: int) -> set[tuple[int, int]]:
    """Places in these rows, row and column, that a merged cell at their left reaches over."""
    return {
        (top, column)
        for top, left, _, right in merged[:_MOST_MERGED]
        if first <= top <= last
        for column in range(left + 1, min(right, left + _MOST_SPAN) + 1)
    }


def _text(sheet: Sheet, text: str) -> Block:
    return Block(kind="text", text=text, page=sheet.number)


def _parts(sheet: Sheet) -> Iterator[_Part]:
    """In the order of their rows, those side by side from left to right."""
    _repeat_labels(sheet)
    covered = _covered(sheet.merged)
    bands: list[list[tuple[int, Row]]] = []
    last = -1
    for number, row in sheet.rows.items():
        if bands and (number == last + 1 or covered.get(last, 0) >= number or _goes_on(bands[-1], row)):
            bands[-1].append((number, row))
        else:
            bands.append([(number, row)])
        last = number
    spans = sorted(sheet.merged)[:_MOST_MERGED]
    at = 0
    for band in bands:
        inside: list[Span] = []
        while at < len(spans) and spans[at][0] <= band[-1][0]:
            inside.append(spans[at])
            at += 1
        yield from _beside_each_other(band, inside)


def _repeat_labels(sheet: Sheet) -> None:
    """Words in a cell that reaches over several rows belong to each of them; a number does not (it may be a sum)."""
    for top, left, bottom, _ in sheet.merged[:_MOST_MERGED]:
        label = sheet.rows.get(top, {}).get(left)
        if label is None or label.is_number:
            continue
        for number in range(top + 1, min(bottom, top + _MOST_SPAN) + 1):
            if sheet.rows.get(number):
                sheet.rows[number].setdefault(left, label)


def _covered(merged: Sequence[Span]) -> dict[int, int]:
    """Row → the last row that a merged cell reaches which is open there."""
    reached: dict[int, int] = {}
    for top, _, bottom, _ in merged[:_MOST_MERGED]:
        for row in range(top, min(bottom, top + _MOST_SPAN) + 1):
            reached[row] = max(reached.get(row, 0), bottom)
    return reached


def _goes_on(band: Sequence[tuple[int, Row]], row: Row) -> bool:
    """The row belongs to the table above the blank row: no column of its own, and a number as no header has one."""
    if len(band) < 2 or len(row) < 2:
        return False
    columns = band[0][1].keys() | band[1][1].keys() | band[-1][1].keys()
    return row.keys() <= columns and any(cell.is_number for cell in row.values())


def _beside_each_other(band: Sequence[tuple[int, Row]], merged: Sequence[Span]) -> Iterator[_Part]:
    """The columns that a merged cell covers are not blank."""
    used = {column for _, row in band for column in row}
    for _, left, bottom, right in merged:
        if bottom >= band[0][0]:
            used |= set(range(left, min(right, left + _MOST_SPAN) + 1))
    groups: list[list[int]] = []
    for column in sorted(used):
        if groups and column == groups[-1][-1] + 1:
            groups[-1].append(column)
        else:
            groups.append([column])
    if len(groups) < 2 or any(len(group) < _LEAST_COLUMNS_BESIDE for group in groups):
        groups = [sorted(used)]
    group_of = {column: index for index, group in enumerate(groups) for column in group}
    rows: list[dict[int, Row]] = [{} for _ in groups]
    for number, row in band:
        for column, cell in row.items():
            rows[group_of[column]].setdefault(number, {})[column] = cell
    for group, found in zip(groups, rows, strict=True):
        if found:
            yield _Part(tuple(found.items()), tuple(group))
