"""Tables from geometry: ruled grids, tables between horizontal rules, and aligned columns of short cells.

candidates (ruled_tables.py), or levels of short pieces → words put into columns and rows → lines of one row joined

The aim is to keep a table whole and to leave prose alone: a candidate with few rows, mostly empty cells or long cells
is no table. A cell whose text was too long for its column goes on below, so some lines of a table belong to one row.
Pieces and rules are fractions of the page.
"""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexing.readers.pdf.ruled_tables import NEAR, Rules, candidates, middle_in
from indexing.readers.reading_order import Piece, Word, around, levels, rows, runs_right_to_left
from indexing.records import Box, Line

_VALUE = re.compile(r"[\d$€£¥%.,+\-–()/: ]")
_LINE_PITCH = 1.5
_PADDING = 1.25  # and a space between words, in ems
_LEAST_PADDING = 0.25
_RULES_BETWEEN_ROWS = 4
_CLOSER = 0.85
_LEADERS = "...."

_Line = Mapping[int, Sequence[Word]]
"""The words of one line of text, by column."""


Span = tuple[float, float]
"""x of a column's two edges."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells row by row, and the pieces they were made of."""

    cells: tuple[tuple[str, ...], ...]
    box: Box
    lines: tuple[Line, ...]
    pieces: tuple[Piece, ...]
    columns: tuple[Span, ...] = ()
    """From the first to the last letter of each column."""
    has_bold_header: bool = False


def ruled_tables(pieces: Sequence[Piece], rules: Rules) -> list[Table]:
    """Grids with both kinds of rules first, then what stands between horizontal rules of one width."""
    tables: list[Table] = []
    left = list(pieces)
    for whole, columns, its_ys in candidates(rules, pieces):
        ys = _without_title(whole, its_ys, left)
        box = (whole[0], ys[0], whole[2], whole[3])
        inside = [piece for piece in left if middle_in(piece.box, box)]
        if not columns:
            top, header = _header(box, inside, left)
            inside, ys = [*header, *inside], (top, *ys) if header else ys
        inner = [x for x in columns if box[0] + 2 * NEAR < x < box[2] - 2 * NEAR]
        table = _table(inside, inner, ys, box[2])
        if table is not None:
            tables.append(table)
            taken = {id(piece) for piece in inside}
            left = [piece for piece in left if id(piece) not in taken]
    return tables


def _without_title(box: Box, ys: Sequence[float], pieces: Sequence[Piece]) -> tuple[float, ...]:
    """Less the bands on top that hold one piece of text from the left on: a title, and no header."""
    kept = tuple(ys)
    while len(kept) > 3:
        first = [piece for piece in pieces if middle_in(piece.box, (box[0], kept[0] + NEAR, box[2], kept[1] - NEAR))]
        if len(first) != 1 or first[0].box[0] > box[0] + 0.5 * (box[2] - box[0]):
            break
        kept = kept[1:]
    return kept


def _header(box: Box, inside: Sequence[Piece], pieces: Sequence[Piece]) -> tuple[float, list[Piece]]:
    """Bold pieces side by side, right above the first rule of a table whose first row is not bold; their top."""
    first = levels(inside)[:1]
    above = levels([p for p in pieces if box[0] - NEAR <= _x(p) <= box[2] + NEAR and p.box[3] <= box[1] + NEAR])[-1:]
    if not first or not above or len(above[0]) < 2 or len(above[0]) > len(first[0]):
        return box[1], []
    near = box[1] - max(piece.box[3] for piece in above[0]) < max(piece.height for piece in above[0])
    if near and all(p.bold for p in above[0]) and not all(p.bold for p in first[0]):
        return min(piece.box[1] for piece in above[0]), above[0]
    return box[1], []


def _x(piece: Piece) -> float:
    return middle(piece.box, 0)


def aligned_tables(region: Sequence[Piece]) -> list[Table]:
    """Stretches of at least three levels with three or more short pieces (or two, if one is a number)."""
    tables: list[Table] = []
    run: list[list[Piece]] = []
    above: list[Piece] = []
    for level in [*levels(region), []]:
        if _is_row(level):
            run += [above, level] if not run and _is_header(above, level) else [level]
            continue
        above = level
        if run and len(level) >= 2 and level[0].thing is None and _short(level):
            run.append(level)  # a row with empty cells
            continue
        if sum(1 for each in run if _is_row(each)) >= 3:
            table = _table([piece for each in run for piece in each], (), ())
            if table is not None and _is_tabular(table.cells):
                tables.append(table)
        run = []
    return tables


def _is_header(above: Sequence[Piece], level: Sequence[Piece]) -> bool:
    """Bold short pieces side by side, closer to the first row than two lines."""
    if len(above) < 2 or not all(piece.bold for piece in above) or not _short(above):
        return False
    return level[0].box[1] - above[0].box[3] < 2 * above[0].height


def _is_row(level: Sequence[Piece]) -> bool:
    if len(level) < 2 or any(piece.thing is not None for piece in level) or not _short(level):
        return False
    return len(level) >= 3 or (len(level) == 2 and is_value(level[1].text))


def _short(level: Sequence[Piece]) -> bool:
    return all(len(piece.text) <= 40 for piece in level[1:]) and len(level[0].text) <= 60


def _is_tabular(cells: Sequence[Sequence[str]]) -> bool:
    """Stricter than for ruled tables: short cells, or many numbers; columns of prose have neither."""
    filled = [cell for row in cells for cell in row if cell]
    numbers = sum(1 for cell in filled if is_value(cell))
    median = statistics.median(len(cell) for cell in filled)
    wide = len(cells[0]) >= 3
    return (median <= 14 and wide) or (median <= 24 and numbers >= 0.3 * len(filled))


def _table(
    pieces: Sequence[Piece], columns: Sequence[float], ys: Sequence[float], right: float | None = None
) -> Table | None:
    """Words put into cells; None when the result does not look like a table."""
    if not pieces:
        return None
    stacked = levels(pieces)
    words = [word for piece in pieces for word in words_of(piece)]
    edges = _edges(columns, _gaps(stacked))
    breaks = _breaks(stacked, words, edges, ys)
    if len(breaks) > 2 * len(ys) and _is_prose(_cells(words, edges, breaks)):
        return None
    breaks = without_wraps(breaks, stacked, edges, ys=ys, right=right)
    texts = _cells(words, edges, breaks)
    texts = _without_empty_columns(texts if len(ys) >= 4 else _continued(texts))
    if not _is_filled(texts):
        return None
    spans = _spans(words, edges)
    if runs_right_to_left([piece.text for piece in pieces]):
        texts, spans = [row[::-1] for row in texts], spans[::-1]
    return table_of(texts, pieces, spans)


def table_of(texts: Sequence[Sequence[str]], pieces: Sequence[Piece], columns: Sequence[Span]) -> Table:
    """The cells with where they stand."""
    first, *rest = levels(pieces)
    return Table(
        cells=tuple(tuple(row) for row in texts),
        box=around([piece.box for piece in pieces]),
        lines=tuple(Line(text=row.text, box=row.box, confidence=row.confidence) for row in rows(pieces)),
        pieces=tuple(pieces),
        columns=tuple(columns),
        has_bold_header=_is_bold(first) and bool(rest) and not _is_bold(rest[-1]),
    )


def _spans(words: Sequence[Word], edges: Sequence[float]) -> list[Span]:
    """Of the columns that have words."""
    spans: dict[int, Span] = {}
    for word in words:
        column = band(word.box, 0, edges)
        start, end = spans.get(column, (1.0, 0.0))
        spans[column] = (min(start, word.box[0]), max(end, word.box[2]))
    return [spans[column] for column in sorted(spans)]


def _cells(words: Sequence[Word], edges: Sequence[float], breaks: Sequence[float]) -> list[tuple[str, ...]]:
    """Rows with words in them; between two breaks is a row, between two edges a column."""
    cells: list[list[list[Word]]] = [[[] for _ in range(len(edges) + 1)] for _ in range(len(breaks) + 1)]
    for word in words:
        cells[band(word.box, 1, breaks)][band(word.box, 0, edges)].append(word)
    return [tuple(_in_order(cell) for cell in row) for row in cells if any(row)]


def _is_filled(cells: Sequence[Sequence[str]]) -> bool:
    if len(cells) < 2 or len(cells[0]) < 2:
        return False
    filled = [cell for row in cells for cell in row if cell]
    several = sum(1 for row in cells if sum(1 for cell in row if cell) >= 2)
    return (
        several >= 2
        and several >= 0.4 * len(cells)
        and len(filled) >= 0.35 * len(cells) * len(cells[0])
        and statistics.median(len(cell) for cell in filled) <= 120
    )


def _is_prose(cells: Sequence[Sequence[str]]) -> bool:
    """Columns of running text in a frame look like a table whose rows are lines."""
    filled = [cell for row in cells for cell in row if cell]
    return statistics.median(len(cell) for cell in filled) > 24 and not any(map(is_value, filled))


def _edges(columns: Sequence[float], gaps: Sequence[tuple[float, float]]) -> list[float]:
    """Rules between columns, and the gaps without a rule in them."""
    bare = [
        (before + after) / 2
        for before, after in gaps
        if not any(before - 2 * NEAR <= x <= after + 2 * NEAR for x in columns)
    ]
    return sorted([*columns, *bare])


def _gaps(stacked: Sequence[Sequence[Piece]]) -> list[tuple[float, float]]:
    """x of the gaps that nearly all rows with several pieces leave free (a header may span columns)."""
    several = [row for row in stacked if len(row) >= 2]
    if not several:
        return []
    tolerated = len(several) // 8
    edges = sorted({x for row in several for piece in row for x in (piece.box[0], piece.box[2])})
    lefts = [piece.box[0] for row in several for piece in row]
    rights = [piece.box[2] for row in several for piece in row]
    free: list[tuple[float, float]] = []
    for before, after in pairwise(edges):
        x = (before + after) / 2
        covered = sum(1 for row in several if any(p.box[0] < x < p.box[2] for p in row))
        if covered > tolerated or not (any(e < x for e in rights) and any(e > x for e in lefts)):
            continue
        if free and free[-1][1] == before:
            free[-1] = (free[-1][0], after)
        else:
            free.append((before, after))
    return [(before, after) for before, after in free if after - before > 0.004]


def _breaks(
    stacked: Sequence[Sequence[Piece]], words: Sequence[Word], edges: Sequence[float], ys: Sequence[float]
) -> list[float]:
    """y between rows: every rule, and between two rules every level of text that fills most columns.

    A band between rules whose levels are mostly empty is one row with cells of several lines.
    """
    bounds = [around([piece.box for piece in level]) for level in stacked]
    breaks = list(ys[1:-1])
    for number in range(len(breaks) + 1):
        inside = [box for box in bounds if band(box, 1, ys[1:-1]) == number]
        if len(ys) >= 3 and 1 < len(inside) <= 8 and _fewest_filled(inside, words, edges) < 0.6 * (len(edges) + 1):
            continue
        middles = [middle(box, 1) for box in inside]
        breaks += [(above + below) / 2 for above, below in pairwise(middles)]
    return sorted(breaks)


def _fewest_filled(bounds: Sequence[Box], words: Sequence[Word], edges: Sequence[float]) -> int:
    """Columns with words on the level that has words in the fewest."""
    columns: dict[float, set[int]] = {middle(box, 1): set() for box in bounds}
    for word in words:
        columns[_level_of(word, bounds)].add(band(word.box, 0, edges))
    return min(map(len, columns.values()))


def _level_of(word: Word, bounds: Sequence[Box]) -> float:
    """The middle of the level that the word stands on."""
    return min((middle(box, 1) for box in bounds), key=lambda y: abs(y - middle(word.box, 1)))


def _continued(texts: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """A row without a first cell and with few others goes on with the row above (a cell of two lines)."""
    joined: list[tuple[str, ...]] = []
    for row in texts:
        goes_on = len(joined) > 1 and not row[0] and sum(1 for cell in row if cell) <= (len(row) - 1) / 2
        if goes_on and all(above for above, cell in zip(joined[-1], row, strict=True) if cell):
            joined[-1] = tuple(f"{a} {b}".strip() for a, b in zip(joined[-1], row, strict=True))
        else:
            joined.append(row)
    return joined


def _without_empty_columns(texts: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    kept = [index for index in range(len(texts[0]) if texts else 0) if any(row[index] for row in texts)]
    return [tuple(row[index] for index in kept) for row in texts]


def _in_order(cell: Sequence[Word]) -> str:
    return " ".join(row.text for row in rows([Piece(text=word.text, box=word.box) for word in cell]))


def without_wraps(
    breaks: Sequence[float],
    stacked: Sequence[Sequence[Piece]],
    edges: Sequence[float],
    *,
    ys: Sequence[float],
    right: float | None,
) -> list[float]:
    """The breaks between rows, less those between a line and its continuation.

    `ys` are the rules, `right` is where the last column ends, if a rule says so. A line continues the row
    above when it is close, in letters of the same weight, when each of its cells stands below a cell of
    that row, and when none of its first words had room in the line above. Where rules part the rows, an
    empty first cell says as much; where none do, the line must be closer than rows are, or leave a cell
    empty. Numbers below numbers are two rows, and so are lines with dots up to the next column.
    """
    lines = [_by_column(level, edges) for level in stacked]
    heights = [statistics.median(middle(piece.box, 1) for piece in level) for level in stacked]
    widths = _widths(lines, len(edges) + 1, right)
    em = statistics.median(piece.height / piece.aspect for level in stacked for piece in level)
    pitch = _LINE_PITCH * statistics.median(piece.height for level in stacked for piece in level)
    widest = max((below - above for above, below in pairwise(heights[1:])), default=0.0)
    is_ruled = len(ys) >= _RULES_BETWEEN_ROWS
    kept: list[float] = []
    row: dict[int, Sequence[Word]] = {}
    at = 0
    for index, y in enumerate(heights):
        between = [edge for edge in breaks[at:] if edge < y] if index else []
        at += len(between)
        line, step = lines[index], y - heights[index - 1]
        closer = is_ruled or step <= _CLOSER * widest
        padding = (_PADDING if closer else _LEAST_PADDING) * em
        wraps = (
            index > 0
            and step <= pitch
            and not set(between) & set(ys)
            and _is_bold(stacked[index]) == _is_bold(stacked[index - 1])
            and _goes_with(row, line)
            and (
                (is_ruled and 0 not in line)
                or ((closer or len(line) < len(row)) and _had_no_room(row, line, widths, padding))
            )
        )
        if between and not wraps:
            kept += between
            row = {}
        row = {**row, **line}
    return [*kept, *breaks[at:]]


def _goes_with(row: _Line, line: _Line) -> bool:
    return all(
        column in row
        and _LEADERS not in _text([*row[column], *words])
        and not (is_value(_text(row[column])) and is_value(_text(words)))
        for column, words in line.items()
    )


def _is_bold(level: Sequence[Piece]) -> bool:
    return all(piece.bold for piece in level)


def _had_no_room(row: _Line, line: _Line, widths: Sequence[float], padding: float) -> bool:
    return all(_width(row[column]) + _width(words[:1]) > widths[column] - padding for column, words in line.items())


def _by_column(level: Sequence[Piece], edges: Sequence[float]) -> dict[int, list[Word]]:
    columns: dict[int, list[Word]] = {}
    for piece in level:
        for word in words_of(piece):
            columns.setdefault(band(word.box, 0, edges), []).append(word)
    return columns


def _widths(lines: Sequence[_Line], count: int, right: float | None) -> list[float]:
    """From the first letter of a column to the first letter of the next: what its text may fill."""
    starts = [min((w.box[0] for line in lines for w in line.get(n, ())), default=0.0) for n in range(count)]
    end = max((word.box[2] for line in lines for words in line.values() for word in words), default=1.0)
    return [after - before for before, after in pairwise([*starts, end if right is None else right])]


def _width(words: Sequence[Word]) -> float:
    return max(word.box[2] for word in words) - min(word.box[0] for word in words)


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def is_value(text: str) -> bool:
    """Mostly digits and what stands around them."""
    return any(char.isdigit() for char in text) and 2 * len(_VALUE.findall(text)) >= len(text)


def band(box: Box, axis: int, edges: Sequence[float]) -> int:
    """The number of the column (axis 0) or row (axis 1) between `edges` in which the box stands."""
    return sum(1 for edge in edges if edge < middle(box, axis))


def middle(box: Box, axis: int) -> float:
    """x (axis 0) or y (axis 1) of the middle."""
    return (box[axis] + box[axis + 2]) / 2


def words_of(piece: Piece) -> Sequence[Word]:
    """Its words; the piece as one word where nobody has parted them."""
    return piece.words or (Word(text=piece.text, box=piece.box),)
