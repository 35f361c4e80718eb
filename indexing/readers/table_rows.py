"""Which lines of a table belong to one row: a cell whose text was too long for its column goes on below."""

import re
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise

from indexing.readers.layout import Piece, Word
from indexing.records import Box

_VALUE = re.compile(r"[\d$€£¥%.,+\-–()/: ]")
_LINE_PITCH = 1.5
_PADDING = 1.25  # and a space between words, in ems
_LEAST_PADDING = 0.25
_RULES_BETWEEN_ROWS = 4
_CLOSER = 0.85
_LEADERS = "...."

_Line = Mapping[int, Sequence[Word]]
"""The words of one line of text, by column."""


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
