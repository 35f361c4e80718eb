"""The characters of one PDF page with their places, through PDFium's character interface.

Boxes are fractions of the page as it is shown (crop box and page rotation applied), origin top left. Where most
characters lie on their side or stand on their head, the page is turned for them, and `turned` says how far.
"""

import ctypes
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from indexing.records import Box

SPACES = frozenset(" \u00a0\u2002\u2003\u2009\u200b\ufeff")
_NOWHERE: Box = (0.0, 0.0, 0.0, 0.0)
_ALEFS, _LAM = "\u0622\u0623\u0625\u0627", "\u0644"
_PRIVATE = ((0xE000, 0xF8FF), (0xF0000, 0x10FFFD))


@dataclass(slots=True)
class Glyph:
    """One character; `box` spans the font's height, so that a line's letters have one height. Never changed; not frozen
    either, since making a frozen one takes three times as long, and a page has thousands."""

    text: str
    box: Box
    index: int
    sideways: bool = False
    odd: bool = False
    """Without a meaning: no Unicode mapping, private use, a replacement sign."""


class ToFractions:
    """Page coordinates (points, origin bottom left, unturned) → fractions of the page as shown."""

    def __init__(self, page: Any) -> None:
        corners = [_to_device(page, x, y) for x, y in ((0.0, 0.0), (1000.0, 0.0), (0.0, 1000.0))]
        (self._x0, self._y0), (x1, y1), (x2, y2) = corners
        self._xx, self._xy = (x1 - self._x0) / 1000, (x2 - self._x0) / 1000
        self._yx, self._yy = (y1 - self._y0) / 1000, (y2 - self._y0) / 1000

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        """The rectangle as (x0, y0, x1, y1), clipped to the page."""
        x0, x1 = self._x0 + left * self._xx + bottom * self._xy, self._x0 + right * self._xx + top * self._xy
        y0, y1 = self._y0 + left * self._yx + bottom * self._yy, self._y0 + right * self._yx + top * self._yy
        if x0 > x1:
            x0, x1 = x1, x0
        if y0 > y1:
            y0, y1 = y1, y0
        if x0 >= 0.0 and y0 >= 0.0 and x1 <= 1.0 and y1 <= 1.0:  # as most are: a page has thousands
            return (x0, y0, x1, y1)
        return (min(1.0, max(0.0, x0)), min(1.0, max(0.0, y0)), min(1.0, max(0.0, x1)), min(1.0, max(0.0, y1)))


def _to_device(page: Any, x: float, y: float) -> tuple[float, float]:
    import pypdfium2.raw as pdfium

    side = 10_000_000
    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page, 0, 0, side, side, 0, x, y, across, down)
    return across.value / side, down.value / side


def turn(box: Box, degrees: int) -> Box:
    """Where the box lies after its page was turned counter-clockwise."""
    x0, y0, x1, y1 = box
    if degrees == 90:
        return (y0, 1 - x1, y1, 1 - x0)
    if degrees == 180:
        return (1 - x1, 1 - y1, 1 - x0, 1 - y0)
    return (1 - y1, x0, 1 - y0, x1) if degrees == 270 else box


def glyphs_of(page: Any, textpage: Any, most: int) -> tuple[list[Glyph], int]:
    """The first `most` characters, spaces among them, and the degrees that the page was turned for them."""
    import pypdfium2.raw as pdfium

    box_of, rectangle = ToFractions(page).box, pdfium.FS_RECTF()
    # a page has thousands of characters: PDFium's own handle, and its functions by their short names
    handle, count = textpage.raw, textpage.count_chars()
    code_of, box_into, angle_of = (
        pdfium.FPDFText_GetUnicode, pdfium.FPDFText_GetLooseCharBox, pdfium.FPDFText_GetCharAngle
    )  # fmt: skip
    is_unmapped = pdfium.FPDFText_HasUnicodeMapError
    found: list[tuple[Glyph, int]] = []
    turns = [0, 0, 0, 0]
    shown = page.get_rotation()
    for index in range(min(count, most)):
        code = code_of(handle, index)
        text = _character(code)
        if text in SPACES:
            found.append((Glyph(" ", _NOWHERE, index), -1))
            continue
        if not box_into(handle, index, rectangle):
            continue
        box = box_of(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
        if box[2] <= box[0] or box[3] <= box[1]:
            continue  # outside of the page that is shown
        angle = angle_of(handle, index)
        quarter = round(((math.degrees(angle) if angle > 0 else 0.0) + shown) / 90) % 4
        turns[quarter] += 1
        odd = is_unmapped(handle, index) == 1 or (code >= _PRIVATE[0][0] and _means_nothing(code))
        found.append((Glyph(text, box, index, odd=odd), quarter))
    main = max(range(4), key=lambda quarter: (turns[quarter], -quarter))
    if main == 0 and not any(turns[1:]):
        return _right_to_left_mended([glyph for glyph, _ in found]), 0
    # PDFium counts a character's angle clockwise on the shown page: turning the page back is the remedy
    return _right_to_left_mended([_turned(glyph, quarter, main) for glyph, quarter in found]), 90 * main


def _right_to_left_mended(glyphs: list[Glyph]) -> list[Glyph]:
    return _with_marks_behind_letters(_with_arabic_ligatures(glyphs))


def _with_marks_behind_letters(glyphs: list[Glyph]) -> list[Glyph]:
    """Vowel points of Arabic and Hebrew behind the letter that they stand at. A mark is drawn before its letter where a
    line was laid out from left to right, and PDFium, whose pen goes back for it, puts a space between the letter before
    and the mark, though the letters touch."""
    if not any(_is_point(glyph) for glyph in glyphs):
        return glyphs
    mended: list[Glyph] = []
    waiting: list[Glyph] = []
    for glyph in glyphs:
        if _is_point(glyph):
            waiting.append(glyph)
            continue
        if waiting:
            if glyph.text != " " and _stands_at(waiting[0], glyph) and not _stands_at_last(waiting[0], mended):
                if len(mended) > 1 and mended[-1].text == " " and _touch(mended[-2], glyph):
                    mended.pop()
                mended += [glyph, *waiting]
                waiting = []
                continue
            mended += waiting
            waiting = []
        mended.append(glyph)
    return mended + waiting


def _is_point(glyph: Glyph) -> bool:
    return "\u0591" <= glyph.text <= "\u0670" and unicodedata.combining(glyph.text) != 0


def _stands_at(mark: Glyph, letter: Glyph) -> bool:
    """More than half of the mark lies over or under the letter."""
    shared = min(mark.box[2], letter.box[2]) - max(mark.box[0], letter.box[0])
    return _same_height(mark, letter) and 2 * shared > mark.box[2] - mark.box[0]


def _stands_at_last(mark: Glyph, before: list[Glyph]) -> bool:
    return bool(before) and before[-1].text != " " and _stands_at(mark, before[-1])


def _touch(one: Glyph, other: Glyph) -> bool:
    """Whether no more than a tenth of their height lies between two letters of a line."""
    gap = max(one.box[0], other.box[0]) - min(one.box[2], other.box[2])
    return _same_height(one, other) and gap < 0.1 * (one.box[3] - one.box[1])


def _same_height(one: Glyph, other: Glyph) -> bool:
    return min(one.box[3], other.box[3]) > max(one.box[1], other.box[1])


def _with_arabic_ligatures(glyphs: list[Glyph]) -> list[Glyph]:
    """The letters of one sign in their order. PDFium turns what is drawn from left to right around, letter by letter,
    and so also the two of a lam-alef: no font has a sign for alef and lam, so where there is one, all were turned."""
    if not any(glyph.text == _LAM for glyph in glyphs):
        return glyphs
    signs = [(start, stop) for start, stop in _same_place(glyphs) if all(map(_is_arabic, glyphs[start:stop]))]
    if not any(glyphs[start].text in _ALEFS and glyphs[stop - 1].text == _LAM for start, stop in signs):
        return glyphs
    mended = list(glyphs)
    for start, stop in signs:
        mended[start:stop] = glyphs[start:stop][::-1]
    return mended


def _same_place(glyphs: list[Glyph]) -> Iterator[tuple[int, int]]:
    """Where letters begin and end that share one sign."""
    start = 0
    for index in range(1, len(glyphs) + 1):
        if index < len(glyphs) and glyphs[index].box == glyphs[start].box and glyphs[index].text != " ":
            continue
        if index - start > 1:
            yield start, index
        start = index


def _is_arabic(glyph: Glyph) -> bool:
    return "\u0600" <= glyph.text <= "\u06ff"


def _turned(glyph: Glyph, quarter: int, main: int) -> Glyph:
    if quarter == -1 or main == quarter == 0:
        return glyph
    box, sideways = turn(glyph.box, 90 * main), quarter != main
    return Glyph(text=glyph.text, box=box, index=glyph.index, sideways=sideways, odd=glyph.odd)


def _means_nothing(code: int) -> bool:
    return code == 0xFFFD or any(first <= code <= last for first, last in _PRIVATE)


def _character(code: int) -> str:
    """One printable character; a space for what only moves the pen, a hyphen for its soft relatives."""
    if code in (0x02, 0xAD, 0xFFFE):  # PDFium says U+0002 or U+FFFE where a line ends in a hyphen
        return "-"
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return chr(code) if code > 32 else " "
