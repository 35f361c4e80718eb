"""Words with their places on a page → the order in which a person reads them. Geometry alone, for PDF and OCR.

Boxes are fractions of a page; `aspect` (width / height of the page) makes horizontal and vertical
distances comparable. A region is a stretch of rows that are read one after the other: a column, or a
band across the page.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from indexing.confidence import mean_confidence
from indexing.records import Box, Line

_SIDE_BY_SIDE = 0.5
_COLUMN_LINES = 4
_COLUMN_CHARACTERS = 14
_MOST_DEPTH = 6
_RTL = range(0x0590, 0x0900)


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """One word where it stands."""

    text: str
    box: Box


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Words that stand together on one line."""

    text: str
    box: Box
    aspect: float = 1.0
    size: float = 0.0  # of the letters, in points; 0 where nobody knows
    bold: bool = False
    words: tuple["Word", ...] = ()
    confidence: float | None = None  # of OCR, 0..1; None where the words came as text
    thing: int | None = None  # stands for the table or figure of this number; never joined with others

    @property
    def height(self) -> float:
        """As a fraction of the page's height."""
        return self.box[3] - self.box[1]

    @property
    def width(self) -> float:
        """In the unit of `height`."""
        return (self.box[2] - self.box[0]) * self.aspect


def reading_order(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Regions in reading order, each a list of rows from top to bottom (pieces of one row joined)."""
    return [rows(region) for region in regions(pieces)]


def regions(pieces: Sequence[Piece], *, depth: int = 0) -> list[list[Piece]]:
    """Regions in reading order; the pieces inside one are in no order yet."""
    if not pieces:
        return []
    parts = _columns(pieces) if depth < _MOST_DEPTH else None
    if parts is None:
        return [list(pieces)]
    return [region for part in parts for region in regions(part, depth=depth + 1)]


def levels(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that stand side by side, from top to bottom; each level from left to right."""
    lines: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda each: each.box[1] + each.box[3]):
        for line in reversed(lines[-6:]):
            if all(_level(piece, other) for other in line):
                line.append(piece)
                break
        else:
            lines.append([piece])
    lines.sort(key=lambda line: statistics.median(each.box[1] + each.box[3] for each in line))
    return [sorted(line, key=lambda each: each.box[0]) for line in lines]


def rows(pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces that stand side by side become one row, in the direction in which the script runs."""
    return [_joined(line) for line in levels(pieces)]


def paragraphs(region: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Rows with no gap between them that is larger than usual, alike in size."""
    group: list[Piece] = []
    gaps = [below.box[1] - above.box[3] for above, below in pairwise(region)]
    heights = [row.height for row in region]
    usual = statistics.median(heights) if heights else 0.0
    near = statistics.median([gap for gap in gaps if gap < usual] or [0.0])
    for index, row in enumerate(region):
        if group and (gaps[index - 1] > max(near + 0.6 * usual, 0.5 * usual) or _unlike(group[-1], row)):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def runs_right_to_left(texts: Sequence[str]) -> bool:
    """True when most letters are Hebrew, Arabic or of a related script."""
    letters = [ord(char) for text in texts for char in text if char.isalpha()]
    return sum(1 for letter in letters if letter in _RTL or 0xFB1D <= letter <= 0xFEFC) * 2 > len(letters)


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of them. There must be at least one."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)  # a page has thousands of words: no Python for each box
    return min(lefts), min(tops), max(rights), max(bottoms)


def _level(piece: Piece, other: Piece) -> bool:
    """Side by side: they share most of the lower one's height and hardly any width."""
    if piece.thing is not None or other.thing is not None:
        return False
    top, bottom = max(piece.box[1], other.box[1]), min(piece.box[3], other.box[3])
    shared_width = min(piece.box[2], other.box[2]) - max(piece.box[0], other.box[0])
    narrower = min(piece.box[2] - piece.box[0], other.box[2] - other.box[0])
    level = bottom - top >= _SIDE_BY_SIDE * min(piece.height, other.height)
    return level and shared_width <= 0.3 * narrower


def _joined(line: Sequence[Piece]) -> Piece:
    if len(line) == 1:
        return line[0]
    backwards = runs_right_to_left([each.text for each in line])
    ordered = sorted(line, key=lambda each: each.box[0], reverse=backwards)
    return replace(
        ordered[0],
        text=" ".join(each.text for each in ordered),
        box=around([each.box for each in ordered]),
        size=max(each.size for each in ordered),
        bold=all(each.bold for each in ordered),
        words=tuple(word for each in ordered for word in each.words),
        confidence=mean_confidence(Line(text=each.text, confidence=each.confidence) for each in ordered),
    )


def _unlike(above: Piece, below: Piece) -> bool:
    if above.size and below.size:
        return abs(above.size - below.size) > 0.12 * max(above.size, below.size) or above.bold != below.bold
    return max(above.height, below.height) > 1.8 * min(above.height, below.height)


def _columns(pieces: Sequence[Piece]) -> list[list[Piece]] | None:
    """The parts of a page with a gutter, in reading order; None when there is none.

    What crosses the gutter (a headline, a wide table) parts the page into bands; inside a band the left
    column comes before the right one (the other way round in scripts that run right to left).
    """
    gutter = _gutter(pieces)
    if gutter is None:
        return None
    backwards = runs_right_to_left([each.text for each in pieces])
    crossing = [each for each in pieces if each.box[0] < gutter < each.box[2]]
    edges = sorted(each.box[1] for each in rows(crossing))
    bands: list[list[Piece]] = [[] for _ in range(len(edges) + 1)]
    for piece in pieces:
        middle = (piece.box[1] + piece.box[3]) / 2
        bands[sum(1 for edge in edges if edge <= middle)].append(piece)
    parts: list[list[Piece]] = []
    wide: list[Piece] = []
    for band in bands:
        over = [each for each in band if each.box[0] < gutter < each.box[2]]
        left = [each for each in band if each.box[2] <= gutter]
        right = [each for each in band if each.box[0] >= gutter]
        wide.extend(over)
        if left or right:
            if wide:
                parts.append(wide)
                wide = []
            parts.extend(side for side in ((right, left) if backwards else (left, right)) if side)
    if wide:
        parts.append(wide)
    return parts if len(parts) > 1 else None


def _gutter(pieces: Sequence[Piece]) -> float | None:
    """The x that parts the page into columns of prose, or None.

    Receipts and tables have gaps too; prose has several lines of some length on both sides.
    """
    if len(pieces) < 2 * _COLUMN_LINES:
        return None
    left_edge, right_edge = min(p.box[0] for p in pieces), max(p.box[2] for p in pieces)
    span = right_edge - left_edge
    candidates = sorted({p.box[2] for p in pieces} | {p.box[0] for p in pieces})
    best: tuple[float, float] | None = None
    for before, after in pairwise(candidates):
        x = (before + after) / 2
        if after - before < 0.008 or not left_edge + 0.2 * span < x < right_edge - 0.2 * span:
            continue
        left = [p for p in pieces if p.box[2] <= x]
        right = [p for p in pieces if p.box[0] >= x]
        crossing = sum(len(p.text) for p in pieces) - sum(len(p.text) for p in (*left, *right))
        if not (_is_prose(left, span) and _is_prose(right, span)):
            continue
        if crossing > 0.6 * sum(len(p.text) for p in (*left, *right)) or not _abreast(left, right):
            continue
        quality = (after - before) - crossing / (1 + sum(len(p.text) for p in pieces))
        if best is None or quality > best[0]:
            best = (quality, x)
    return best[1] if best else None


def _is_prose(side: Sequence[Piece], span: float) -> bool:
    if len(side) < _COLUMN_LINES:
        return False
    lengths = [len(each.text) for each in side]
    widths = [each.box[2] - each.box[0] for each in side]
    long = [length for length in lengths if length >= _COLUMN_CHARACTERS]
    return (
        (2 * len(long) >= len(side) or (len(long) >= 3 * _COLUMN_LINES and sum(long) >= 0.85 * sum(lengths)))
        and sum(lengths) >= 120
        and statistics.quantiles(widths, n=4)[2] >= 0.18 * span
    )


def _abreast(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    """The two sides share a good part of their height; a note under a picture is no column."""
    top = max(min(p.box[1] for p in left), min(p.box[1] for p in right))
    bottom = min(max(p.box[3] for p in left), max(p.box[3] for p in right))
    lower = min(max(p.box[3] for p in side) - min(p.box[1] for p in side) for side in (left, right))
    return bottom - top > 0.4 * lower
