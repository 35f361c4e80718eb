"""Words of the text layer that the page does not show: on a layer that is switched off, white on white, under a cover.

The picture of the page decides: where a word should be, it has one colour. Words that are drawn without ink, for
programs to find, are kept. So are words in a font that is neither in the file nor on this machine: they are not drawn
here, and elsewhere one sees them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from indexing.embedding.protocol import Pixels
from indexing.readers.pdf.coverage import cropped
from indexing.readers.pdf.text import PageText
from indexing.readers.reading_order import Piece, around
from indexing.records import Box

_FLAT = 1.0
"""Standard deviation of each colour, of 255."""
_INSET = 0.1
_SAMPLED = 8
_MOST_OBJECTS = 20_000
_FIRST_RARE = 0x0590
"""Letters before this are in fonts that every machine has a substitute for."""


def shows_nothing(image_HWC: Pixels, text: PageText) -> bool:
    """Where the longest words and columns should be, there is nothing; not asked of the layer over a scan."""
    longest = sorted(text.boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))[-_SAMPLED:]
    return not text.invisible and bool(longest) and all(_is_flat(image_HWC, box) for box in longest)


def without_unseen(page: Any, image_HWC: Pixels, text: PageText) -> tuple[PageText, int]:
    """The text that can be seen, and how many words cannot; all of the layer over a scan."""
    if text.invisible:
        return text, 0
    inkless = set(map(id, text.inkless))
    words = [word for piece in text.pieces for word in piece.words if any(map(str.isalnum, word.text))]
    words = [word for word in words if id(word) not in inkless]
    flat = _flat_in_grey(image_HWC, [word.box for word in words])
    unseen = {id(word) for word, is_grey in zip(words, flat, strict=True) if is_grey and _is_flat(image_HWC, word.box)}
    rare = {id(word) for word in words if id(word) in unseen and any(ord(char) >= _FIRST_RARE for char in word.text)}
    if rare and _has_missing_fonts(page):
        unseen -= rare
    return (replace(text, pieces=tuple(_left(text.pieces, unseen))), len(unseen)) if unseen else (text, 0)


def _is_flat(image_HWC: Pixels, box: Box) -> bool:
    """One colour inside of the box; its border may belong to what is beside it."""
    across, down = _INSET * (box[2] - box[0]), _INSET * (box[3] - box[1])
    inner_HWC = cropped(image_HWC, (box[0] + across, box[1] + down, box[2] - across, box[3] - down))
    return float(inner_HWC.std(axis=(0, 1)).max()) < _FLAT


def _flat_in_grey(image_HWC: Pixels, boxes: Sequence[Box]) -> list[bool]:
    """The same of the grey picture for all boxes at once, by the sums of pixels and of their squares."""
    if not boxes:
        return []
    sums, squares = cv2.integral2(cv2.cvtColor(np.asarray(image_HWC), cv2.COLOR_RGB2GRAY))
    height, width = image_HWC.shape[:2]
    x0, y0, x1, y1 = np.array(boxes).T
    across, down = _INSET * (x1 - x0), _INSET * (y1 - y0)
    left = np.clip(((x0 + across) * width).astype(int), 0, width - 1)
    top = np.clip(((y0 + down) * height).astype(int), 0, height - 1)
    right = np.clip(((x1 - across) * width).round().astype(int), left + 1, width)
    bottom = np.clip(((y1 - down) * height).round().astype(int), top + 1, height)
    mean, mean_square = (
        (each[bottom, right] - each[top, right] - each[bottom, left] + each[top, left])
        / ((right - left) * (bottom - top))
        for each in (sums.astype(np.float64), squares)
    )
    return [bool(variance < _FLAT**2) for variance in mean_square - mean**2]


def _left(pieces: Sequence[Piece], unseen: set[int]) -> Iterator[Piece]:
    for piece in pieces:
        words = tuple(word for word in piece.words if id(word) not in unseen)
        if len(words) == len(piece.words):
            yield piece
        elif words:
            text = " ".join(word.text for word in words)
            yield replace(piece, text=text, box=around([word.box for word in words]), words=words)


def _has_missing_fonts(page: Any) -> bool:
    """Some font of the page's text is not in the file."""
    import pypdfium2.raw as pdfium

    objects = (
        pdfium.FPDFPage_GetObject(page, n) for n in range(min(_MOST_OBJECTS, pdfium.FPDFPage_CountObjects(page)))
    )
    texts = (each for each in objects if pdfium.FPDFPageObj_GetType(each) == pdfium.FPDF_PAGEOBJ_TEXT)
    return any(pdfium.FPDFFont_GetIsEmbedded(pdfium.FPDFTextObj_GetFont(each)) == 0 for each in texts)
