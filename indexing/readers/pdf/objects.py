"""What a PDF page holds besides its text: rules and pictures."""

from collections.abc import Sequence
from typing import Any

from indexing.readers.pdf.glyphs import ToFractions
from indexing.readers.pdf.ruled_tables import Rules
from indexing.records import Box

_MOST_OBJECTS = 20_000
_THIN = 0.004
_TALLEST_ROW = 0.15
_MOST_FILLS = 600
_LEAST_SIDE = 0.08
_LEAST_AREA = 0.015
_MOST_AREA = 0.8

_Fill = tuple[Box, tuple[int, ...]]
"""A filled rectangle and its colour."""


def rules_and_figures(page: Any) -> tuple[Rules, list[Box]]:
    """Thin lines and edges of filled bands (table rules); boxes of embedded pictures of useful size, largest first."""
    import pypdfium2.raw as pdfium

    to_fractions = ToFractions(page)
    horizontal: list[tuple[float, float, float]] = []
    vertical: list[tuple[float, float, float]] = []
    figures: list[Box] = []
    fills: list[_Fill] = []
    for count, thing in enumerate(page.get_objects(max_depth=1)):
        if count >= _MOST_OBJECTS:
            break
        if thing.type == pdfium.FPDF_PAGEOBJ_PATH:
            _add_rules(thing, to_fractions, horizontal, vertical, fills)
        elif thing.type in (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM):
            box = _bounds(thing, to_fractions)
            if box is not None and _is_useful(box):
                figures.append(box)
    horizontal += [(y, box[0], box[2]) for box in _bands(fills) for y in (box[1], box[3])]
    figures.sort(key=_area, reverse=True)
    apart: list[Box] = []
    for box in figures:
        if all(_shared(box, other) < 0.5 * _area(box) for other in apart):
            apart.append(box)
    return Rules(horizontal=tuple(horizontal), vertical=tuple(vertical)), apart


def objects_over(page: Any) -> int:
    """How many objects of the page were not looked at."""
    import pypdfium2.raw as pdfium

    return max(0, int(pdfium.FPDFPage_CountObjects(page)) - _MOST_OBJECTS)


def _add_rules(
    path: Any,
    to_fractions: ToFractions,
    horizontal: list[tuple[float, float, float]],
    vertical: list[tuple[float, float, float]],
    fills: list[_Fill],
) -> None:
    import ctypes

    import pypdfium2.raw as pdfium

    box = _bounds(path, to_fractions)
    if box is None:
        return
    x0, y0, x1, y1 = box
    if y1 - y0 <= _THIN and x1 - x0 > 0.02:
        horizontal.append(((y0 + y1) / 2, x0, x1))
    elif x1 - x0 <= _THIN and y1 - y0 > 0.006:
        vertical.append(((x0 + x1) / 2, y0, y1))
    elif 4 <= pdfium.FPDFPath_CountSegments(path) <= 6 and x1 - x0 > 0.02 and y1 - y0 > 0.006:
        fill, stroked = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDFPath_GetDrawMode(path, fill, stroked)
        if stroked.value:  # the outline of a cell
            horizontal += [(y0, x0, x1), (y1, x0, x1)]
            vertical += [(x0, y0, y1), (x1, y0, y1)]
        elif fill.value and len(fills) < _MOST_FILLS:
            fills.append((box, _colour(path)))


def _bands(fills: Sequence[_Fill]) -> list[Box]:
    """Grounds of rows, whose edges part them; inside a ground of its own colour a fill has no edges to see."""
    return [
        box
        for box, colour in fills
        if box[3] - box[1] <= _TALLEST_ROW
        and not any(
            colour == its_colour and _area(box) < 0.98 * _area(other) and _shared(box, other) > 0.98 * _area(box)
            for other, its_colour in fills
        )
    ]


def _colour(path: Any) -> tuple[int, ...]:
    import ctypes

    import pypdfium2.raw as pdfium

    channels = [ctypes.c_uint() for _ in range(4)]
    pdfium.FPDFPageObj_GetFillColor(path, *channels)
    return tuple(channel.value for channel in channels)


def _bounds(thing: Any, to_fractions: ToFractions) -> Box | None:
    import pypdfium2

    try:
        return to_fractions.box(*thing.get_bounds())
    except pypdfium2.PdfiumError:
        return None  # an object without an extent


def _is_useful(box: Box) -> bool:
    sides = (box[2] - box[0], box[3] - box[1])
    return min(sides) >= _LEAST_SIDE and _LEAST_AREA <= _area(box) <= _MOST_AREA


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(box: Box, other: Box) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(0.0, width) * max(0.0, height)
