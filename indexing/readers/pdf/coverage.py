"""Which parts of a page have words that only its picture shows: a scan under a stamp, a picture with words, letters
drawn as shapes.

The words that are known are painted over; where letters are left, OCR reads. Measures decide, not kinds of files:
letters that stand in runs (`readers/ocr.py`), in the areas of pictures and then in the rest of the page.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from indexing.embedding.protocol import Pixels
from indexing.readers.image import small_grey
from indexing.readers.letters import LETTERS_FOR_TEXT, Strokes, letters_in_runs
from indexing.readers.pdf.glyphs import ToFractions, turn
from indexing.readers.pdf.nearby import ByHeight
from indexing.readers.reading_order import Piece
from indexing.records import Box

_MOST_OBJECTS = 20_000
_MOST_DEPTH = 4
_GRID = 128
"""Pictures are gathered on a grid of so many squares each way: strips of one scan become one area."""
_LEAST_CELLS = 8
_MOST_AREAS = 12
_LEAST_SIDE = 16
"""In pixels."""
_MOST_BOXES = 20_000
_GROWN = 0.0015
"""Painting reaches over a word's box by so much: letters hang out of it."""
_KNOWN_SHARE = 0.6
_INVISIBLE_SHARE = 0.25
"""A text layer that nobody sees was laid over a scan, and not always exactly: so many of the letters may stick out."""


def raster_areas(page: Any, turned: int) -> list[Box]:
    """Boxes around the pictures of the page, those that touch as one; largest first. `turned` is the page's turn."""
    return gathered((turn(box, turned) for box in _pictures(page)), least_cells=_LEAST_CELLS)


def gathered(boxes: Iterable[Box], *, least_cells: int = 1) -> list[Box]:
    """Boxes that touch or nearly do as one, on a grid; the largest few, largest first."""
    cells = np.zeros((_GRID, _GRID), np.uint8)
    for x0, y0, x1, y1 in boxes:
        if x1 > x0 and y1 > y0:
            cells[int(y0 * _GRID) : int(np.ceil(y1 * _GRID)), int(x0 * _GRID) : int(np.ceil(x1 * _GRID))] = 1
    _, _, stats, _ = cv2.connectedComponentsWithStats(cells)
    found = sorted(((w * h, x, y, w, h) for x, y, w, h, _ in stats[1:].tolist()), reverse=True)
    return [
        (x / _GRID, y / _GRID, (x + w) / _GRID, (y + h) / _GRID) for area, x, y, w, h in found if area >= least_cells
    ][:_MOST_AREAS]


def _pictures(page: Any) -> Iterator[Box]:
    """Of every picture that is drawn, also inside of forms, within the limit of objects."""
    import pypdfium2.raw as pdfium

    to_fractions = ToFractions(page)
    looked_at = 0
    inside: list[tuple[Any, Any, int]] = [(page, np.eye(3), 0)]
    while inside:
        holder, outer, depth = inside.pop()
        count = (pdfium.FPDFFormObj_CountObjects if depth else pdfium.FPDFPage_CountObjects)(holder)
        get = pdfium.FPDFFormObj_GetObject if depth else pdfium.FPDFPage_GetObject
        for index in range(count):
            looked_at += 1
            if looked_at > _MOST_OBJECTS:
                return
            each = get(holder, index)
            kind = pdfium.FPDFPageObj_GetType(each)
            if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                yield _square(outer @ _matrix(each), to_fractions)
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _MOST_DEPTH:
                inside.append((each, outer @ _matrix(each), depth + 1))


def _matrix(thing: Any) -> Any:
    import pypdfium2.raw as pdfium

    found = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(thing, found)
    return np.array([[found.a, found.c, found.e], [found.b, found.d, found.f], [0.0, 0.0, 1.0]])


def _square(matrix: Any, to_fractions: ToFractions) -> Box:
    """Where the matrix puts the unit square, which is where a picture is drawn."""
    xs, ys, _ = matrix @ np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
    return to_fractions.box(float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))


def unread_areas(
    image_HWC: Pixels, known: Sequence[Box], rasters: Sequence[Box], stamps: Sequence[Box], *, is_invisible: bool
) -> list[Box]:
    """Where OCR should read. `known` are the words of the text layer, which may be `is_invisible`; `rasters` the areas
    of pictures; `stamps` are read in any case."""
    painted_HWC = painted(image_HWC, known)
    if is_invisible:
        left, all_letters = (letters_in_runs(small_grey(each)) for each in (painted_HWC, image_HWC))
        if left < max(LETTERS_FOR_TEXT, _INVISIBLE_SHARE * all_letters):
            return list(stamps)
    if _is_written(painted(painted_HWC, [*rasters, *stamps])):
        return [(0.0, 0.0, 1.0, 1.0)]
    return [*(box for box in rasters if _is_written(cropped(painted_HWC, box), few=True)), *stamps]


def _is_written(image_HWC: Pixels, *, few: bool = False) -> bool:
    """Text in lines; in a picture a `few` words are enough, which on a page may be what sticks out of other words."""
    from indexing.readers.ocr import few_words, looks_written

    if min(image_HWC.shape[:2]) < _LEAST_SIDE:
        return False
    strokes = Strokes(small_grey(image_HWC))
    if strokes.make_text() and looks_written(image_HWC):
        return True
    return few and few_words(image_HWC, strokes.likely_words()) == "legible"


def cropped(image_HWC: Pixels, box: Box) -> Pixels:
    """The part of the picture in the box, at least a pixel wide and high."""
    x, y = _span(box[0], box[2], image_HWC.shape[1]), _span(box[1], box[3], image_HWC.shape[0])
    return np.ascontiguousarray(image_HWC[y, x])


def painted(image_HWC: Pixels, boxes: Iterable[Box]) -> Pixels:
    """A copy with these boxes in the colour of what is around each of them."""
    painted_HWC = image_HWC.copy()
    height, width = image_HWC.shape[:2]
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        if number >= _MOST_BOXES:
            break
        x, y = _span(x0 - _GROWN, x1 + _GROWN, width), _span(y0 - _GROWN, y1 + _GROWN, height)
        edge = image_HWC[y, x.start : x.start + 1].reshape(-1, 3)
        other = image_HWC[y, x.stop - 1 : x.stop].reshape(-1, 3)
        painted_HWC[y, x] = np.median(np.concatenate([edge, other]), axis=0)
    return painted_HWC


def _span(start: float, stop: float, size: int) -> slice:
    first = min(size - 1, max(0, int(start * size)))
    return slice(first, max(first + 1, min(size, round(stop * size))))


def without_known(found: Sequence[Piece], known: Sequence[Piece], *, is_invisible: bool) -> list[Piece]:
    """Less the lines whose words the text layer has at that height; anywhere, where the layer was laid over a scan."""
    if is_invisible:
        everywhere = {word for piece in known for word in _words(piece.text)}
        words = [word for piece in found for word in _words(piece.text)]
        if sum(1 for word in words if word in everywhere) >= _KNOWN_SHARE * len(words):
            return []
    by_height = ByHeight(known)
    return [piece for piece in found if not _is_known(piece, by_height)]


def _is_known(piece: Piece, known: ByHeight) -> bool:
    words = _words(piece.text)
    others = known.near(piece.box[1] - piece.height, piece.box[3] + piece.height)
    near = {word for other in others if _is_level(piece.box, other.box) for word in _words(other.text)}
    if len(words) == 1 and any(word.startswith(words[0]) or word.endswith(words[0]) for word in near):
        return True  # the end of a word that sticks out of its box
    return bool(words) and sum(1 for word in words if word in near) >= _KNOWN_SHARE * len(words)


def _words(text: str) -> list[str]:
    return ["".join(filter(str.isalnum, word)).casefold() for word in text.split() if any(map(str.isalnum, word))]


def _is_level(box: Box, other: Box) -> bool:
    near = 0.5 * (box[3] - box[1])
    return (
        box[1] - near < other[3] and other[1] < box[3] + near and box[0] < other[2] + 0.05 and other[0] < box[2] + 0.05
    )
