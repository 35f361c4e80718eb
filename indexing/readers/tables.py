"""Tables from geometry: ruled grids, tables between horizontal rules, and aligned columns of short cells.

The aim is to keep a table whole and to leave prose alone: a candidate with few rows, mostly empty cells
or long cells is no table. Pieces and rules are fractions of the page.
"""

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexing.readers.layout import Piece, Word, around, levels, rows, runs_right_to_left
from indexing.records import Box, Line

_NEAR = 0.006
_VALUE = re.compile(r"[\d$€£¥%.,+\-–()/: ]")


_Rule = tuple[float, float, float]
_Candidate = tuple[Box, tuple[float, ...], tuple[float, ...]]
"""Where a table may be, the x of its column rules and the y of its row rules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Thin lines on a page: (y, x0, x1) and (x, y0, y1)."""

    horizontal: tuple[_Rule, ...] = ()
    vertical: tuple[_Rule, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells row by row, and the pieces they were made of."""

    cells: tuple[tuple[str, ...], ...]
    box: Box
    lines: tuple[Line, ...]
    pieces: tuple[Piece, ...]


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is the header. Bars and line breaks inside cells are escaped."""
    width = max(len(row) for row in cells)
    escaped = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in cells]
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in escaped]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def ruled_tables(pieces: Sequence[Piece], rules: Rules) -> list[Table]:
    """Grids with both kinds of rules first, then what stands between horizontal rules of one width."""
    tables: list[Table] = []
    left = list(pieces)
    for box, columns, ys in _candidates(rules):
        inside = [piece for piece in left if _middle_in(piece.box, box)]
        inner = [x for x in columns if box[0] + 2 * _NEAR < x < box[2] - 2 * _NEAR]
        table = _table(inside, inner, ys)
        if table is not None:
            tables.append(table)
            taken = {id(piece) for piece in inside}
            left = [piece for piece in left if id(piece) not in taken]
    return tables


def aligned_tables(region: Sequence[Piece]) -> list[Table]:
    """Stretches of at least three levels with three or more short pieces (or two, if one is a number)."""
    tables: list[Table] = []
    run: list[list[Piece]] = []
    for level in [*levels(region), []]:
        if _is_row(level):
            run.append(level)
            continue
        if run and len(level) >= 2 and level[0].thing is None and _short(level):
            run.append(level)  # a row with empty cells
            continue
        if sum(1 for each in run if _is_row(each)) >= 3:
            table = _table([piece for each in run for piece in each], (), ())
            if table is not None and _is_tabular(table.cells):
                tables.append(table)
        run = []
    return tables


def _is_row(level: Sequence[Piece]) -> bool:
    if len(level) < 2 or any(piece.thing is not None for piece in level) or not _short(level):
        return False
    return len(level) >= 3 or (len(level) == 2 and _is_value(level[1].text))


def _is_value(text: str) -> bool:
    """Mostly digits and what stands around them."""
    return any(char.isdigit() for char in text) and 2 * len(_VALUE.findall(text)) >= len(text)


def _short(level: Sequence[Piece]) -> bool:
    return all(len(piece.text) <= 40 for piece in level[1:]) and len(level[0].text) <= 60


def _is_tabular(cells: Sequence[Sequence[str]]) -> bool:
    """Stricter than for ruled tables: short cells, or many numbers; columns of prose have neither."""
    filled = [cell for row in cells for cell in row if cell]
    numbers = sum(1 for cell in filled if _is_value(cell))
    median = statistics.median(len(cell) for cell in filled)
    wide = len(cells[0]) >= 3
    return (median <= 14 and wide) or (median <= 24 and numbers >= 0.3 * len(filled))


def _candidates(rules: Rules) -> list[_Candidate]:
    """Grids, and stretches between horizontal rules of one width; one inside another is one table."""
    horizontal = _end_to_end(rules.horizontal)[:300]
    vertical = _end_to_end(rules.vertical)[:300]
    whole: list[_Candidate] = []
    found = [*_between_rules(horizontal), *_grids(horizontal, vertical)]
    for box, columns, ys in sorted(found, key=lambda each: -_area(each[0])):
        for index, (other, its_columns, its_ys) in enumerate(whole):
            if _area(_overlap(box, other)) > 0.8 * _area(box):
                joined = _distinct([*its_columns, *columns]), _distinct([*its_ys, *ys])
                whole[index] = (other, *joined)
                break
        else:
            whole.append((box, columns, ys))
    return whole


def _end_to_end(rules: Sequence[_Rule]) -> list[_Rule]:
    """Rules that are drawn cell by cell, as one; (position, start, end)."""
    joined: list[_Rule] = []
    for position, start, end in sorted(rules)[:4_000]:
        for index in range(len(joined) - 1, max(-1, len(joined) - 40), -1):
            other, its_start, its_end = joined[index]
            near = position - other <= _NEAR / 2
            if near and start <= its_end + _NEAR and end >= its_start - _NEAR:
                joined[index] = (other, min(start, its_start), max(end, its_end))
                break
        else:
            joined.append((position, start, end))
    return joined


def _grids(horizontal: Sequence[_Rule], vertical: Sequence[_Rule]) -> list[_Candidate]:
    """Connected groups of crossing rules."""
    groups: list[tuple[set[int], set[int]]] = []
    for v, (x, y0, y1) in enumerate(vertical):
        crossing = {
            h
            for h, (y, x0, x1) in enumerate(horizontal)
            if x0 - _NEAR <= x <= x1 + _NEAR and y0 - _NEAR <= y <= y1 + _NEAR
        }
        if not crossing:
            continue
        merged = (crossing, {v})
        apart = []
        for group in groups:
            if group[0] & merged[0]:
                merged = (merged[0] | group[0], merged[1] | group[1])
            else:
                apart.append(group)
        groups = [*apart, merged]
    found: list[_Candidate] = []
    for across, down in groups:
        ys = _distinct([horizontal[h][0] for h in across])
        long = [vertical[v] for v in down if vertical[v][2] - vertical[v][1] >= 0.4 * (ys[-1] - ys[0])]
        xs = _distinct([x for x, _, _ in long])
        if len(xs) >= 2 and len(ys) >= 2 and len(xs) + len(ys) >= 5:
            x0, x1 = (pick(horizontal[h][end] for h in across) for pick, end in ((min, 1), (max, 2)))
            found.append(((min(x0, xs[0]), ys[0], max(x1, xs[-1]), ys[-1]), xs, ys))
    return found


def _between_rules(horizontal: Sequence[_Rule]) -> list[_Candidate]:
    """Horizontal rules of one width above each other, as in books: top, under the header, bottom."""
    found: list[_Candidate] = []
    left = list(horizontal)
    while left:
        first = left[0]
        alike = [r for r in left if abs(r[1] - first[1]) < 0.01 and abs(r[2] - first[2]) < 0.01]
        left = [r for r in left if r not in alike]
        ys = _distinct([r[0] for r in alike])
        height = ys[-1] - ys[0]
        is_frame = len(ys) == 2 and height > 0.75
        if len(ys) >= 2 and height > 0.02 and first[2] - first[1] > 0.1 and not is_frame:
            found.append(((first[1], ys[0], first[2], ys[-1]), (), ys))
    return found


def _table(pieces: Sequence[Piece], columns: Sequence[float], ys: Sequence[float]) -> Table | None:
    """Words put into cells; None when the result does not look like a table."""
    if not pieces:
        return None
    stacked = levels(pieces)
    words = [word for piece in pieces for word in (piece.words or (Word(text=piece.text, box=piece.box),))]
    edges = _edges(columns, _gaps(stacked))
    breaks = _breaks(stacked, words, edges, ys)
    cells: list[list[list[Word]]] = [[[] for _ in range(len(edges) + 1)] for _ in range(len(breaks) + 1)]
    for word in words:
        cells[_band(word.box, 1, breaks)][_band(word.box, 0, edges)].append(word)
    texts = [tuple(_in_order(cell) for cell in row) for row in cells if any(row)]
    texts = _without_empty_columns(texts if len(ys) >= 4 else _continued(texts))
    if not _is_filled(texts) or (len(breaks) > 2 * len(ys) and _is_prose(texts)):
        return None
    if runs_right_to_left([piece.text for piece in pieces]):
        texts = [row[::-1] for row in texts]
    return Table(
        cells=tuple(texts),
        box=around([piece.box for piece in pieces]),
        lines=tuple(Line(text=row.text, box=row.box) for row in rows(pieces)),
        pieces=tuple(pieces),
    )


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
    return statistics.median(len(cell) for cell in filled) > 24 and not any(map(_is_value, filled))


def _edges(columns: Sequence[float], gaps: Sequence[tuple[float, float]]) -> list[float]:
    """Rules between columns, and the gaps without a rule in them."""
    bare = [
        (before + after) / 2
        for before, after in gaps
        if not any(before - 2 * _NEAR <= x <= after + 2 * _NEAR for x in columns)
    ]
    return sorted([*columns, *bare])


def _gaps(stacked: Sequence[Sequence[Piece]]) -> list[tuple[float, float]]:
    """x of the gaps that nearly all rows with several pieces leave free (a header may span columns)."""
    several = [row for row in stacked if len(row) >= 2]
    if not several:
        return []
    tolerated = len(several) // 8
    edges = sorted({x for row in several for piece in row for x in (piece.box[0], piece.box[2])})
    free: list[tuple[float, float]] = []
    for before, after in pairwise(edges):
        x = (before + after) / 2
        covered = sum(1 for row in several if any(p.box[0] < x < p.box[2] for p in row))
        if covered > tolerated:
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
    for band in range(len(breaks) + 1):
        inside = [box for box in bounds if _band(box, 1, ys[1:-1]) == band]
        filled = [
            len({_band(word.box, 0, edges) for word in words if _middle(box, 1) == _level_of(word, inside)})
            for box in inside
        ]
        if len(ys) >= 3 and 1 < len(inside) <= 8 and min(filled) < 0.6 * (len(edges) + 1):
            continue
        middles = [_middle(box, 1) for box in inside]
        breaks += [(above + below) / 2 for above, below in pairwise(middles)]
    return sorted(breaks)


def _level_of(word: Word, bounds: Sequence[Box]) -> float:
    """The middle of the level that the word stands on."""
    return min((_middle(box, 1) for box in bounds), key=lambda middle: abs(middle - _middle(word.box, 1)))


def _band(box: Box, axis: int, edges: Sequence[float]) -> int:
    return sum(1 for edge in edges if edge < _middle(box, axis))


def _middle(box: Box, axis: int) -> float:
    return (box[axis] + box[axis + 2]) / 2


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


def _middle_in(inner: Box, outer: Box) -> bool:
    x, y = _middle(inner, 0), _middle(inner, 1)
    return outer[0] - _NEAR <= x <= outer[2] + _NEAR and outer[1] - _NEAR <= y <= outer[3] + _NEAR


def _overlap(box: Box, other: Box) -> Box:
    x0, y0, x1, y1 = max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3])
    return (x0, y0, max(x0, x1), max(y0, y1))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _distinct(values: Sequence[float]) -> tuple[float, ...]:
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > _NEAR:
            kept.append(value)
    return tuple(kept)
