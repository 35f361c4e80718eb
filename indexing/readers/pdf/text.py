"""The text layer of one PDF page as pieces with boxes, through PDFium's character interface.

Boxes are fractions of the page as it is shown (crop box and page rotation applied), origin top left.
Text that is drawn sideways on an upright page (a margin stamp) is kept apart: it would tear lines.
"""

import ctypes
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from indexing.readers.reading_order import Piece, Word, around
from indexing.records import Box

_GAP_IN_EMS = 1.0
_SPACES = frozenset(" \u00a0\u2002\u2003\u2009\u200b\ufeff")
_BOLD_NAME = re.compile(rb"bold|black|heavy|-medi|^(?:[A-Z]{6}\+)?cmbx", re.IGNORECASE)
_NOWHERE: Box = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Glyph:
    """One character; `box` spans the font's height, so that a line's letters have one height."""

    text: str
    box: Box
    index: int
    sideways: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PageText:
    """What the text layer says."""

    pieces: tuple[Piece, ...]
    margin: str  # what runs sideways
    characters: int
    odd: int  # characters without a meaning: no Unicode mapping, private use, replacement signs
    invisible: bool  # drawn with no ink, as the text layer over a scan is
    turned: int  # degrees counter-clockwise that the page was turned for its text to stand upright


class ToFractions:
    """Page coordinates (points, origin bottom left, unturned) → fractions of the page as shown."""

    def __init__(self, page: Any) -> None:
        corners = [_to_device(page, x, y) for x, y in ((0.0, 0.0), (1000.0, 0.0), (0.0, 1000.0))]
        (self._x0, self._y0), (x1, y1), (x2, y2) = corners
        self._xx, self._xy = (x1 - self._x0) / 1000, (x2 - self._x0) / 1000
        self._yx, self._yy = (y1 - self._y0) / 1000, (y2 - self._y0) / 1000

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        """The rectangle as (x0, y0, x1, y1), clipped to the page."""
        xs = [self._x0 + x * self._xx + y * self._xy for x, y in ((left, bottom), (right, top))]
        ys = [self._y0 + x * self._yx + y * self._yy for x, y in ((left, bottom), (right, top))]
        x0, x1, y0, y1 = (min(1.0, max(0.0, each)) for each in (min(xs), max(xs), min(ys), max(ys)))
        return (x0, y0, x1, y1)


def read_text(page: Any, textpage: Any, *, most_characters: int) -> PageText:
    """Characters → words → pieces: words of one line without a gap wider than a letter is high."""
    width, height = page.get_size()
    glyphs, odd, turned = _glyphs(page, textpage, most_characters)
    if turned in (90, 270):
        width, height = height, width
    aspect = width / height
    upright = list(_words([each for each in glyphs if not each.sideways]))
    sideways = list(_words([each for each in glyphs if each.sideways or each.text == " "]))
    return PageText(
        pieces=tuple(_piece(line, aspect, height, textpage) for line in _lines(upright, aspect)),
        margin=" ".join(_spelled(word) for word in sideways),
        characters=sum(1 for each in glyphs if each.text != " "),
        odd=odd,
        invisible=_is_invisible(textpage, [each.index for each in glyphs if each.text != " "]),
        turned=turned,
    )


def turn(box: Box, degrees: int) -> Box:
    """Where the box lies after its page was turned counter-clockwise."""
    x0, y0, x1, y1 = box
    if degrees == 90:
        return (y0, 1 - x1, y1, 1 - x0)
    if degrees == 180:
        return (1 - x1, 1 - y1, 1 - x0, 1 - y0)
    return (1 - y1, x0, 1 - y0, x1) if degrees == 270 else box


def _is_invisible(textpage: Any, indices: Sequence[int]) -> bool:
    """By a sample of the characters: render mode 3 draws neither fill nor stroke."""
    import pypdfium2.raw as pdfium

    sample = indices[:: max(1, len(indices) // 20)]
    modes = [pdfium.FPDFTextObj_GetTextRenderMode(pdfium.FPDFText_GetTextObject(textpage, index)) for index in sample]
    return sum(1 for mode in modes if mode == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE) > 0.8 * len(modes)


def _to_device(page: Any, x: float, y: float) -> tuple[float, float]:
    import pypdfium2.raw as pdfium

    side = 10_000_000
    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page, 0, 0, side, side, 0, x, y, across, down)
    return across.value / side, down.value / side


def _glyphs(page: Any, textpage: Any, most: int) -> tuple[list[Glyph], int, int]:
    import pypdfium2.raw as pdfium

    to_fractions = ToFractions(page)
    rectangle = pdfium.FS_RECTF()
    raw: list[tuple[str, Box, int, int]] = []
    odd = 0
    turns = [0, 0, 0, 0]
    shown = page.get_rotation()
    for index in range(min(textpage.count_chars(), most)):
        code = pdfium.FPDFText_GetUnicode(textpage, index)
        text = _character(code)
        if text in _SPACES:
            raw.append((" ", _NOWHERE, index, -1))
            continue
        unmapped = pdfium.FPDFText_HasUnicodeMapError(textpage, index) == 1
        if unmapped or 0xE000 <= code <= 0xF8FF or code == 0xFFFD:
            odd += 1
        if not pdfium.FPDFText_GetLooseCharBox(textpage, index, rectangle):
            continue
        box = to_fractions.box(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
        if box[2] <= box[0] or box[3] <= box[1]:
            continue  # outside of the page that is shown
        angle = math.degrees(max(0.0, pdfium.FPDFText_GetCharAngle(textpage, index)))
        quarter = round((angle + shown) / 90) % 4
        turns[quarter] += 1
        raw.append((text, box, index, quarter))
    main = max(range(4), key=lambda quarter: (turns[quarter], -quarter))
    # PDFium counts a character's angle clockwise on the shown page: turning the page back is the remedy
    turned = 90 * main
    glyphs = [
        Glyph(
            text=text,
            box=box if quarter == -1 else turn(box, turned),
            index=index,
            sideways=quarter not in (-1, main),
        )
        for text, box, index, quarter in raw
    ]
    return glyphs, odd, turned


def _character(code: int) -> str:
    """One printable character; a space for what only moves the pen, a hyphen for its soft relatives."""
    if code in (0x02, 0xAD, 0xFFFE):  # PDFium says U+0002 or U+FFFE where a line ends in a hyphen
        return "-"
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return chr(code) if code > 32 else " "


def _words(glyphs: Sequence[Glyph]) -> Iterator[list[Glyph]]:
    word: list[Glyph] = []
    for glyph in glyphs:
        if word and (glyph.text == " " or not _goes_on(word[-1], glyph)):
            yield word
            word = []
        if glyph.text != " ":
            word.append(glyph)
    if word:
        yield word


def _goes_on(last: Glyph, glyph: Glyph) -> bool:
    """The same word, unless the pen jumped to another line."""
    if glyph.sideways:
        return True
    shared = min(last.box[3], glyph.box[3]) - max(last.box[1], glyph.box[1])
    return shared > 0.4 * min(last.box[3] - last.box[1], glyph.box[3] - glyph.box[1])


def _lines(words: Sequence[list[Glyph]], aspect: float) -> Iterator[list[list[Glyph]]]:
    line: list[list[Glyph]] = []
    for word in words:
        if line and not _same_line(_box(line[-1]), _box(word), aspect):
            yield line
            line = []
        line.append(word)
    if line:
        yield line


def _same_line(last: Box, box: Box, aspect: float) -> bool:
    tall, low = max(last[3] - last[1], box[3] - box[1]), min(last[3] - last[1], box[3] - box[1])
    shared = min(last[3], box[3]) - max(last[1], box[1])
    gap = max(box[0] - last[2], last[0] - box[2]) * aspect
    return shared > 0.5 * low and -0.5 * low < gap < _GAP_IN_EMS * tall


def _piece(line: Sequence[list[Glyph]], aspect: float, height: float, textpage: Any) -> Piece:
    words = tuple(Word(text=_spelled(word), box=_box(word)) for word in line)
    sizes = sorted(word.box[3] - word.box[1] for word in words)
    return Piece(
        text=" ".join(word.text for word in words),
        box=around([word.box for word in words]),
        aspect=aspect,
        size=round(sizes[len(sizes) // 2] * height, 1),
        bold=_is_bold(textpage, line[0][0].index) and _is_bold(textpage, line[-1][-1].index),
        words=words,
    )


def _is_bold(textpage: Any, index: int) -> bool:
    import pypdfium2.raw as pdfium

    name = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(textpage, index, name, len(name), flags)
    if _BOLD_NAME.search(name.value):
        return True
    return bool(pdfium.FPDFText_GetFontWeight(textpage, index) >= 600)


def _spelled(word: Sequence[Glyph]) -> str:
    return "".join(glyph.text for glyph in word)


def _box(word: Sequence[Glyph]) -> Box:
    return around([glyph.box for glyph in word])
