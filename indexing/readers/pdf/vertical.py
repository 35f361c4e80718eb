"""Columns of Chinese and Japanese letters that are read from top to bottom, the columns from right to left.

Geometry alone decides, so that it does not matter whether a font writes downwards or a program placed each letter:
in a column the next letter is closer below than at the side.
"""

import statistics
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexing.readers.pdf.glyphs import Glyph
from indexing.readers.reading_order import around
from indexing.records import Line

_FEWEST = 6
"""Letters in columns on a page; fewer are a label."""
_SHORTEST = 3
_MOST_GLYPHS = 30_000
_NEXT_LETTER = 1.3
"""Distance from letter to letter in a column, in ems; rows of a table are further apart."""
_SAME_COLUMN = 0.35
_GAP_IN_COLUMN = 1.7
_RUBY = 0.65
_MOST_TIERS = 40
_MOST_IN_CELL = 8
_FAR = 99.0


@dataclass(frozen=True, slots=True)
class _Placed:
    """A letter with the middle of its box in ems of its page's letters."""

    glyph: Glyph
    x: float
    y: float
    size: float


def vertical_blocks(glyphs: Sequence[Glyph], aspect: float) -> tuple[list[tuple[Line, ...]], list[Glyph]]:
    """Columns gathered into blocks, in reading order, and the glyphs that stand in none of them."""
    letters = [each for each in glyphs if is_east_asian(each.text)]
    if not _FEWEST <= len(letters) <= _MOST_GLYPHS:
        return [], list(glyphs)
    em = statistics.median(max((each.box[2] - each.box[0]) * aspect, each.box[3] - each.box[1]) for each in letters)
    columns = [run for run in _runs([_placed(each, em, aspect) for each in letters]) if len(run) >= _SHORTEST]
    if sum(map(len, columns)) < _FEWEST:
        return [], list(glyphs)
    taken = {each.glyph.index for column in columns for each in column}
    others = [each for each in glyphs if each.text != " " and each.index not in taken]
    columns = _joined(_with_others(columns, [_placed(each, em, aspect) for each in others]))
    taken = {each.glyph.index for column in columns for each in column}
    blocks = [tuple(_line(column) for column in block) for block in _blocks(columns)]
    return blocks, [each for each in glyphs if each.index not in taken]


def is_east_asian(text: str) -> bool:
    """Letters and marks that can stand in a column: Chinese, kana, their punctuation and wide forms."""
    code = ord(text[0])
    return 0x3000 <= code <= 0x31FF or 0x3400 <= code <= 0x9FFF or code in _WIDE or 0x20000 <= code <= 0x3FFFF


_WIDE = frozenset([*range(0xF900, 0xFB00), *range(0xFE10, 0xFE20), *range(0xFE30, 0xFE50), *range(0xFF00, 0xFFF0)])


def _placed(glyph: Glyph, em: float, aspect: float) -> _Placed:
    x0, y0, x1, y1 = glyph.box
    size = max((x1 - x0) * aspect, y1 - y0) / em
    return _Placed(glyph, (x0 + x1) / 2 * aspect / em, (y0 + y1) / 2 / em, size)


def _runs(letters: Sequence[_Placed]) -> Iterator[list[_Placed]]:
    """Each letter with the one below it, as long as there is one that is closer than the one at its side."""
    cells: dict[tuple[int, int], list[int]] = {}
    for number, each in enumerate(letters):
        cells.setdefault((int(each.x), int(each.y)), []).append(number)
    below = {number: found for number in range(len(letters)) if (found := _below(letters, number, cells)) is not None}
    firsts = set(below) - set(below.values())
    for first in sorted(firsts):
        run, number = [letters[first]], first
        while (number := below.pop(number, -1)) >= 0:
            run.append(letters[number])
        yield run


def _below(letters: Sequence[_Placed], number: int, cells: dict[tuple[int, int], list[int]]) -> int | None:
    here = letters[number]
    down, beside, found = _FAR, _FAR, -1
    near = (
        other
        for x in range(int(here.x) - 2, int(here.x) + 3)
        for y in range(int(here.y) - 1, int(here.y) + 3)
        for other in cells.get((x, y), ())[:_MOST_IN_CELL]
    )
    for other in near:
        across, distance = abs(letters[other].x - here.x), letters[other].y - here.y
        if across < _SAME_COLUMN * here.size and 0.4 * here.size < distance < down:
            down, found = distance, other
        elif other != number and abs(distance) < _SAME_COLUMN * here.size and _are_alike(here, letters[other]):
            beside = min(beside, across)
    if found < 0 or down > _NEXT_LETTER * max(here.size, letters[found].size):
        return None
    if abs(down - beside) < 0.1:  # on squared paper, what was written next is next
        return found if found == number + 1 else None
    return found if down < beside else None


def _are_alike(one: _Placed, other: _Placed) -> bool:
    """Neither is a small letter that says how the other is read."""
    return min(one.size, other.size) > _RUBY * max(one.size, other.size)


def _with_others(columns: Sequence[list[_Placed]], others: Sequence[_Placed]) -> list[list[_Placed]]:
    """Figures and Latin letters inside of a column, or right at its end."""
    grown = [list(column) for column in columns]
    by_place: dict[tuple[int, int], list[list[_Placed]]] = {}
    for column in grown:
        for y in range(int(column[0].y) - 1, int(column[-1].y) + 3):
            by_place.setdefault((int(column[0].x), y), []).append(column)
    for each in sorted(others, key=lambda other: other.y):
        x, y = int(each.x), int(each.y)
        near = (column for place in (x, x - 1, x + 1) for column in by_place.get((place, y), ())[:_MOST_IN_CELL])
        if its := next((column for column in near if _stands_in(each, column)), None):
            its.append(each)
            for below in (y + 1, y + 2):  # the column reaches further down now
                by_place.setdefault((int(its[0].x), below), []).append(its)
    return [sorted(column, key=lambda each: (round(each.y / 0.5), each.x)) for column in grown]


def _stands_in(each: _Placed, column: Sequence[_Placed]) -> bool:
    top, bottom = column[0].y - 1.2, max(letter.y for letter in column[-4:]) + 1.2
    return abs(each.x - column[0].x) < 0.6 * column[0].size and top <= each.y <= bottom


def _joined(columns: Sequence[list[_Placed]]) -> list[list[_Placed]]:
    """Parts of one column that something between them, such as a figure, parted."""
    joined: list[list[_Placed]] = []
    for column in sorted(columns, key=lambda each: (round(each[0].x / 0.7), each[0].y)):
        last = joined[-1] if joined else None
        if last and abs(last[0].x - column[0].x) < _SAME_COLUMN and -0.5 < column[0].y - last[-1].y < _GAP_IN_COLUMN:
            last.extend(column)
        else:
            joined.append(list(column))
    return joined


def _blocks(columns: Sequence[list[_Placed]]) -> Iterator[list[list[_Placed]]]:
    """Tiers from top to bottom; in a tier columns from right to left, parted where a gap or the size of letters says
    so. The small letters beside a word that say how it is read follow their tier."""
    for tier in _tiers(columns):
        usual = statistics.median(each.size for column in tier for each in column)
        large = [column for column in tier if column[0].size >= _RUBY * usual]
        large.sort(key=lambda column: -column[0].x)
        steps = [before[0].x - after[0].x for before, after in pairwise(large)]
        step = statistics.median(steps) if steps else 0.0
        block: list[list[_Placed]] = []
        for column in large:
            if block and (
                block[-1][0].x - column[0].x > 1.8 * step or abs(block[-1][0].size - column[0].size) > 0.2 * usual
            ):
                yield block
                block = []
            block.append(column)
        yield block
        if small := sorted((each for each in tier if each[0].size < _RUBY * usual), key=lambda each: -each[0].x):
            yield small


def _tiers(columns: Sequence[list[_Placed]]) -> list[list[list[_Placed]]]:
    """Columns that share more than half of the shorter one's height stand in one tier."""
    tiers: list[tuple[float, float, list[list[_Placed]]]] = []
    for column in sorted(columns, key=lambda each: each[0].y):
        top, bottom = column[0].y, column[-1].y
        for number in range(len(tiers) - 1, max(-1, len(tiers) - _MOST_TIERS), -1):
            its_top, its_bottom, its_columns = tiers[number]
            if min(bottom, its_bottom) - max(top, its_top) > 0.5 * min(bottom - top, its_bottom - its_top):
                its_columns.append(column)
                tiers[number] = (min(top, its_top), max(bottom, its_bottom), its_columns)
                break
        else:
            tiers.append((top, bottom, [column]))
    return [columns for _, _, columns in tiers]


def _line(column: Sequence[_Placed]) -> Line:
    return Line(text="".join(_upright(each.glyph.text) for each in column), box=around([p.glyph.box for p in column]))


def _upright(text: str) -> str:
    """Forms of punctuation that only columns have, as everywhere else."""
    code = ord(text[0])
    return unicodedata.normalize("NFKC", text) if 0xFE10 <= code < 0xFE20 or 0xFE30 <= code < 0xFE50 else text
