"""What a PDF holds besides its text: rules and pictures on a page, remarks, embedded files, pages that repeat."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from PIL import Image

from indexing.readers.pdf.ruled_tables import Rules
from indexing.readers.pdf.glyphs import ToFractions
from indexing.readers.reading_order import Piece
from indexing.records import Box, Note, NoteKind
from indexing.settings import ReadLimits

_MOST_OBJECTS = 20_000
_THIN = 0.004
_TALLEST_ROW = 0.15
_MOST_FILLS = 600
_LEAST_SIDE = 0.08
_LEAST_AREA = 0.015
_MOST_AREA = 0.8
_MOST_NAMED = 10
_NOTHING = 2
"""Bytes of an empty UTF-16 string with its end."""

Kind = Literal["characters", "figures", "objects", "repeating", "remarks", "files", "lines"]
_SENTENCES: dict[Kind, str] = {
    "characters": "{count:,} characters over the limit of {limits.max_text_characters:,} were left out",
    "figures": "{count:,} figures over the limit of {limits.max_figures:,} were kept without their pictures",
    "objects": "{count:,} drawn objects over the limit for a page were not looked at for tables and figures",
    "repeating": "{count:,} lines that repeat at the top or the bottom of pages were left out",
    "remarks": "{count:,} filled form fields, comments or other remarks laid over pages were not read",
    "files": "{count:,} embedded files were not read",
    "lines": "{count:,} lines over the limit for text in a picture were left out",
}

_NOTE_KINDS: dict[Kind, NoteKind] = {"figures": "picture", "remarks": "comment", "files": "attachment"}
_REMARKS: tuple[Kind, ...] = ("repeating", "figures", "objects")  # nothing is missing from the text

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


def remarks_on(page: Any) -> int:
    """Fields with a value, notes and text boxes; they lie over the page and are no part of its text."""
    import pypdfium2.raw as pdfium

    told = 0
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        remark = pdfium.FPDFPage_GetAnnot(page, index)
        if not remark:
            continue
        kind = pdfium.FPDFAnnot_GetSubtype(remark)
        key = b"V" if kind == pdfium.FPDF_ANNOT_WIDGET else b"Contents"
        if kind not in (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP):
            told += pdfium.FPDFAnnot_GetStringValue(remark, key, None, 0) > _NOTHING
        pdfium.FPDFPage_CloseAnnot(remark)
    return told


def embedded_files(document: Any) -> int:
    """Files inside the file."""
    import pypdfium2.raw as pdfium

    return max(0, int(pdfium.FPDFDoc_GetAttachmentCount(document)))


class ObjectsLeftOut:
    """What a PDF holds and its reader leaves out, one sentence for each kind. Add up with `count[kind] += n`."""

    def __init__(self, limits: ReadLimits) -> None:
        self.count: Counter[Kind] = Counter()
        self._limits = limits

    def notes(self) -> list[Note]:
        """In the order above, without the kinds of which there is nothing."""
        return [
            Note(
                sentence.format(count=self.count[kind], limits=self._limits),
                kind=_NOTE_KINDS.get(kind, "text"),
                number=self.count[kind],
                unread=kind not in _REMARKS,
            )
            for kind, sentence in _SENTENCES.items()
            if self.count[kind]
        ]


class Repeats:
    """Pages that stand in a PDF more than once are read once; how often they stand there becomes a note.

    A page tree can name one page object any number of times. PDFium does not say which object a page is, but it changes
    the object when asked to: a page that was read gets a size of its own, and where that size turns up again, so does
    the page. Two objects that look alike are known by their pixels and their text.
    """

    def __init__(self, document: Any) -> None:
        self._document = document
        self._mark = float(secrets.randbelow(1 << 22) + (1 << 22))
        """Longer side, in points, of the pages that were read; whoever wrote the file cannot have known it."""
        self._looks: dict[bytes, int] = {}
        self._times: Counter[int] = Counter()

    def is_read(self, number: int) -> int | None:
        """The page that is the same object as this one and was read; costs no more than a look at its size."""
        sides = sorted(self._document.get_page_size(number - 1))
        return round(sides[0]) if sides[1] == self._mark else None

    def mark(self, page: Any, number: int) -> None:
        """The page has been read, and is not going to be again."""
        page.set_mediabox(0, 0, self._mark, number)
        page.set_cropbox(0, 0, self._mark, number)

    def looks_like(self, image: Image.Image, pieces: Sequence[Piece], number: int) -> int | None:
        """The page before this one with the same pixels and words."""
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
        digest.update(repr((image.size, [(piece.text, piece.box) for piece in pieces])).encode())
        first = self._looks.setdefault(digest.digest(), number)
        return None if first == number else first

    def count(self, first: int) -> None:
        """The page stands there once more."""
        self._times[first] += 1

    def notes(self) -> list[Note]:
        """For each page that stands there more than once; a long list is cut and counted."""
        told = [
            Note(f"page {number} stands {times + 1:,} times and was read once", kind="page", place=f"page {number}")
            for number, times in self._named()
        ]
        if more := len(self._times) - len(told):
            told.append(Note(f"and {more:,} more pages stand there several times", kind="page", number=more))
        return told

    def _named(self) -> list[tuple[int, int]]:
        return sorted(self._times.most_common(_MOST_NAMED))
