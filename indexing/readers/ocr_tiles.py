"""Long pictures (screenshots of a whole chat, panoramas) in overlapping tiles; the lines found in them are put together.

The detector sees a picture at most 1,280 long; letters of a screenshot that is ten times as long as it is wide
would be a pixel high. So it is given squarish tiles one after the other. A line in the overlap of two tiles is found
twice, a line of a panorama in two halves: such quads become one before a word is read, so that none is doubled.

Legend: H W pixels, C colours; a quad is four corners (x, y) in pixels, clockwise from top left.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Quad = npt.NDArray[np.float32]

LONG = 3
"""A picture more than so many times as long as it is wide is read in tiles."""
SHORT_SIDE = 1400
"""Longer than this the shorter side of a long picture need not be."""
_LENGTH = 1.5
_OVERLAP = 0.2
"""Length and overlap of a tile, in widths of the picture."""
MOST_TILES = 60
"""Reading a tile takes about half a second."""
_SAME_LINE = 0.6


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A piece of a long picture."""

    start: int
    """Where it begins on the longer side, in pixels."""
    pixels_HWC: Pixels


def is_long(width: int, height: int) -> bool:
    """Whether it is read in tiles."""
    return max(width, height) > LONG * min(width, height)


def longest_read(width: int, height: int) -> int:
    """How much of the longer side is read, in pixels."""
    short = min(width, height)
    step = round(_LENGTH * short) - round(_OVERLAP * short)
    return (MOST_TILES - 1) * step + round(_LENGTH * short)


def tiles(image_HWC: Pixels) -> Iterator[Tile]:
    """Overlapping pieces along the longer side; a picture that is not long is one tile."""
    height, width = image_HWC.shape[:2]
    if not is_long(width, height):
        yield Tile(start=0, pixels_HWC=image_HWC)
        return
    short, long = min(width, height), min(max(width, height), longest_read(width, height))
    length = max(1, round(_LENGTH * short))
    step = max(1, length - round(_OVERLAP * short))
    for start in range(0, max(1, long - length + step), step):
        end = min(start + length, long)
        yield Tile(start=start, pixels_HWC=image_HWC[start:end] if height > width else image_HWC[:, start:end])


def put_together(found: Sequence[tuple[Tile, list[Quad]]], *, upright: bool) -> list[Quad]:
    """Quads of tiles as quads of the whole picture; `upright` for one that is higher than wide."""
    offset = np.array([0, 1] if upright else [1, 0], np.float32)
    whole: list[Quad] = []
    before: list[Quad] = []  # of the tile before
    for tile, quads in found:
        moved = [(quad + tile.start * offset).astype(np.float32) for quad in quads]
        before = _joined(before, moved, tile.start, axis=1 if upright else 0, whole=whole)
    return [*whole, *before]


def _joined(before: list[Quad], quads: list[Quad], start: int, *, axis: int, whole: list[Quad]) -> list[Quad]:
    """The quads of a tile, each with what the tile before saw of the same line. The rest of that tile is `whole`."""
    waiting = [quad for quad in before if quad[:, axis].max() > start]
    whole.extend(quad for quad in before if quad[:, axis].max() <= start)
    joined: list[Quad] = []
    for quad in quads:
        same = [other for other in waiting if _is_same_line(quad, other)]
        waiting = [other for other in waiting if not any(other is each for each in same)]
        joined.append(_around([quad, *same]) if same else quad)
    whole.extend(waiting)
    return joined


def _is_same_line(quad: Quad, other: Quad) -> bool:
    """They share most of the lower one's height, and some of their width."""
    (left, top), (right, low) = quad.min(axis=0), quad.max(axis=0)
    (other_left, other_top), (other_right, other_low) = other.min(axis=0), other.max(axis=0)
    height = min(low - top, other_low - other_top)
    return bool(
        min(low, other_low) - max(top, other_top) >= _SAME_LINE * height
        and min(right, other_right) - max(left, other_left) >= 0.3 * height
    )


def _around(quads: Sequence[Quad]) -> Quad:
    """One of them where it holds the others, else the upright rectangle around all."""
    points = np.concatenate(quads)
    (left, top), (right, low) = points.min(axis=0), points.max(axis=0)
    for quad in quads:
        (x0, y0), (x1, y1) = quad.min(axis=0), quad.max(axis=0)
        if (x1 - x0) * (y1 - y0) >= 0.95 * (right - left) * (low - top):
            return quad
    return np.array([[left, top], [right, top], [right, low], [left, low]], np.float32)
