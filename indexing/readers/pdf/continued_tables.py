"""Tables that go on on the next page: every piece begins with the header of the first and says which page it continues.

A table goes on where it is the last thing on a page, and the first thing on the next page stands in its columns without
a header of its own. Rows that are too few to be a table by themselves are one by these columns.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from indexing.readers.document import markdown_table
from indexing.readers.pdf.paragraphs import CAPTION, Paragraph
from indexing.readers.pdf.tables import Span, Table, is_value, table_of
from indexing.readers.reading_order import Piece, Word, levels

_CONTINUED = re.compile(r" ?\(continued from page \d+\)$")
_EDGE = 0.09
"""What stands so close to the upper or lower edge of a page is a page number or a running title."""
_SHORT = 40
_OVERHANG = 0.02
_VALUES = 0.7
_MOST_ROWS = 400

_Row = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenTable:
    """The table at the end of a page, which may go on."""

    page: int
    header: _Row
    columns: tuple[Span, ...]
    caption: str
    above: str
    """The text before it, which may stand above each of its pieces."""


def with_header(found: Sequence[Paragraph], open_table: OpenTable | None, page: int) -> list[Paragraph]:
    """The paragraphs of `page`, the tables that it begins with under the header of the one that they continue."""
    if open_table is None or open_table.page != page - 1:
        return list(found)
    joined = list(found)
    index = _first(found, open_table)
    while index is not None and index < len(joined):
        continued = _continued(joined[index], open_table)
        if continued is None or continued.table is None:
            break
        joined[index] = continued
        open_table = replace(open_table, columns=continued.table.columns)
        index += 1
    return joined


def _continued(each: Paragraph, open_table: OpenTable) -> Paragraph | None:
    """The table with the header of the one before; None for what does not go on with it."""
    table = each.table
    places = _places(table.columns, open_table.columns) if table is not None else None
    if table is None or places is None:
        return None
    if _has_header(table, open_table) or _is_another(each.block.caption, open_table):
        return None
    cells = [_spread(row, places, len(open_table.columns)) for row in table.cells]
    if not _same(cells[0], open_table.header):
        cells = [open_table.header, *cells]
    columns = _widened(open_table.columns, table.columns, places)
    caption = each.block.caption or f"{open_table.caption} (continued from page {open_table.page})".strip()
    block = replace(each.block, text=markdown_table(cells), caption=caption)
    return replace(each, block=block, table=replace(table, cells=tuple(cells), columns=columns))


def left_open(found: Sequence[Paragraph], page: int) -> OpenTable | None:
    """The table that is the last thing on a page."""
    running = [each for each in found if not _is_marginal(each)]
    if not running or running[-1].table is None or len(running[-1].table.columns) < 2:
        return None
    table, above = running[-1].table, running[-2].block.text if len(running) > 1 else ""
    caption = _CONTINUED.sub("", running[-1].block.caption)
    return OpenTable(page=page, header=table.cells[0], columns=table.columns, caption=caption, above=above)


def continued_rows(pieces: Sequence[Piece], open_table: OpenTable) -> Table | None:
    """Rows from the top of a page down that stand in the columns of the table before; None where there are none."""
    rows: list[_Row] = []
    taken: list[Piece] = []
    for level in levels(pieces)[:_MOST_ROWS]:
        row = _row(level, open_table.columns)
        if not rows and not (row and _is_nearly_full(row)) and _is_above(level, open_table):
            continue
        if row is None or not (_fills(row) or (rows and _is_near(taken, level))):
            break
        if _fills(row):
            rows.append(row)
        else:  # a cell of several lines
            rows[-1] = tuple(f"{above} {below}".strip() for above, below in zip(rows[-1], row, strict=True))
        taken += level
    return table_of(rows, taken, open_table.columns) if rows else None


def _first(found: Sequence[Paragraph], open_table: OpenTable) -> int | None:
    for index, each in enumerate(found):
        if not _is_marginal(each) and each.block.text != open_table.above:
            return index
    return None


def _is_marginal(each: Paragraph) -> bool:
    box = each.block.box
    if each.is_aside or box is None:
        return True
    at_edge = box[3] < _EDGE or box[1] > 1 - _EDGE
    return each.table is None and each.block.kind == "text" and at_edge and len(each.block.text) < _SHORT


def _is_above(level: Sequence[Piece], open_table: OpenTable) -> bool:
    """A running title, or the text that stands above each piece of the table."""
    text = " ".join(piece.text for piece in level)
    return text == open_table.above or (all(piece.box[3] < _EDGE for piece in level) and len(text) < _SHORT)


def _places(columns: Sequence[Span], others: Sequence[Span]) -> list[int] | None:
    """Which column of the other table each column stands in; None where one stands in none or in several."""
    places = [_place(span, others) for span in columns]
    known = [place for place in places if place is not None]
    order = sorted(set(known), key=lambda place: others[place])
    if len(known) < len(places) or len(set(known)) < len(known) or 2 * len(known) < len(others):
        return None
    return known if order == sorted(known, key=lambda place: others[place]) else None


def _place(span: Span, columns: Sequence[Span]) -> int | None:
    """The column that the span lies in, between the columns at its sides."""
    for index, (start, end) in enumerate(columns):
        before = max((x1 for x0, x1 in columns if x0 < start), default=0.0)
        after = min((x0 for x0, x1 in columns if x0 > start), default=1.0)
        overlaps = min(span[1], end) > max(span[0], start)
        if overlaps and span[0] > before - _OVERHANG and span[1] < after + _OVERHANG:
            return index
    return None


def _row(level: Sequence[Piece], columns: Sequence[Span]) -> _Row | None:
    cells = [""] * len(columns)
    for piece in level:
        for word in piece.words or (Word(text=piece.text, box=piece.box),):
            place = _place((word.box[0], word.box[2]), columns)
            if place is None:
                return None
            cells[place] = f"{cells[place]} {word.text}".strip()
    return tuple(cells)


def _is_nearly_full(row: _Row) -> bool:
    return 4 * sum(1 for cell in row if cell) >= 3 * len(row)


def _fills(row: _Row) -> bool:
    """Two cells or more, and half of all."""
    filled = sum(1 for cell in row if cell)
    return filled >= 2 and 2 * filled >= len(row)


def _is_near(taken: Sequence[Piece], level: Sequence[Piece]) -> bool:
    return level[0].box[1] - max(piece.box[3] for piece in taken) < 0.6 * level[0].height


def _has_header(table: Table, open_table: OpenTable) -> bool:
    """A first row unlike the others that is not the header again: bold, or words above columns of numbers."""
    if _same(table.cells[0], open_table.header):
        return False
    if table.has_bold_header:
        return True
    columns = list(zip(*table.cells[1:], strict=True)) if len(table.cells) > 1 else []
    numbers = [index for index, cells in enumerate(columns) if _are_values(cells)]
    return bool(numbers) and all(table.cells[0][index] and not is_value(table.cells[0][index]) for index in numbers)


def _are_values(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and sum(1 for cell in filled if is_value(cell)) >= _VALUES * len(filled)


def _is_another(caption: str, open_table: OpenTable) -> bool:
    """Its caption has another number."""
    if not caption:
        return False
    mine, other = CAPTION.match(caption), CAPTION.match(open_table.caption)
    return mine is None or other is None or mine[0].casefold() != other[0].casefold()


def _same(row: Sequence[str], header: Sequence[str]) -> bool:
    return [cell.casefold() for cell in row if cell] == [cell.casefold() for cell in header if cell]


def _spread(row: Sequence[str], places: Sequence[int], count: int) -> _Row:
    cells = [""] * count
    for place, cell in zip(places, row, strict=True):
        cells[place] = cell
    return tuple(cells)


def _widened(columns: Sequence[Span], others: Sequence[Span], places: Sequence[int]) -> tuple[Span, ...]:
    """Columns that hold both, as long as they stay apart."""
    wider = list(columns)
    for place, (start, end) in zip(places, others, strict=True):
        wider[place] = (min(start, wider[place][0]), max(end, wider[place][1]))
    in_order = sorted(wider)
    return tuple(wider) if all(left[1] <= right[0] for left, right in pairwise(in_order)) else tuple(columns)
