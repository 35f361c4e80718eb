"""The text layer of one PDF page as pieces with boxes: characters → words → pieces of lines.

Boxes are fractions of the page as it is shown (crop box and page rotation applied), origin top left.
Text that is drawn sideways on an upright page (a margin stamp) is kept apart: it would tear lines.
"""

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from indexing.readers.pdf.glyphs import Glyph, glyphs_of
from indexing.readers.pdf.vertical import vertical_blocks
from indexing.readers.reading_order import Piece, Word, around
from indexing.records import Box, Line

_GAP_IN_EMS = 1.0
_FEWEST_ODD = 2
_ODD_LETTERS = 12
_BOLD_NAME = re.compile(rb"bold|black|heavy|-medi|^(?:[A-Z]{6}\+)?cmbx", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PageText:
    """What the text layer says."""

    pieces: tuple[Piece, ...]
    sideways: tuple[Word, ...]
    """What runs up or down the page: a stamp in the margin, the header of a narrow column."""
    characters: int
    odd: int  # characters without a meaning: no Unicode mapping, private use, replacement signs
    invisible: bool  # drawn with no ink, as the text layer over a scan is
    turned: int  # degrees counter-clockwise that the page was turned for its text to stand upright
    vertical: tuple[tuple[Line, ...], ...] = ()
    """Blocks of columns that are read from top to bottom, in reading order."""
    unclear: tuple[Word, ...] = ()
    """Words of which most characters have no meaning; they are in no piece."""
    inkless: tuple[Word, ...] = ()
    """Words of the pieces that are not drawn, and were put there for programs to find."""
    is_whole: bool = True
    """Whether all of the page's characters were wanted."""

    @property
    def margin(self) -> str:
        """What runs sideways, in the order of the file."""
        return " ".join(word.text for word in self.sideways)

    @property
    def boxes(self) -> Iterator[Box]:
        """Where the page's text is known."""
        yield from (piece.box for piece in self.pieces)
        yield from (word.box for word in self.sideways)
        yield from (line.box for lines in self.vertical for line in lines if line.box)


def read_text(page: Any, textpage: Any, *, most_characters: int, more: Sequence[Glyph] = ()) -> PageText:
    """Characters → words → pieces: words of one line without a gap wider than a letter is high. `more` are characters
    of the page that are not in PDFium's text."""
    width, height = page.get_size()
    glyphs, turned = glyphs_of(page, textpage, most_characters)
    indices = [each.index for each in glyphs if each.text != " "]
    glyphs += more
    if turned in (90, 270):
        width, height = height, width
    aspect = width / height
    vertical, flat = vertical_blocks(glyphs, aspect)
    words = list(_words([each for each in flat if not each.sideways]))
    sideways = list(_words([each for each in flat if each.sideways or each.text == " "]))
    unclear = _unclear(words)
    clear = [word for word in words if id(word) not in unclear]
    inkless = {id(word) for word in clear if _is_inkless(textpage, word[0].index)}
    lines = list(_lines(clear, aspect))
    pieces = tuple(_piece(line, aspect, height, textpage) for line in lines)
    return PageText(
        is_whole=textpage.count_chars() <= most_characters,
        pieces=pieces,
        sideways=tuple(Word(text=_spelled(word), box=_box(word)) for word in sideways),
        characters=sum(1 for each in glyphs if each.text != " "),
        odd=sum(1 for each in glyphs if each.odd),
        invisible=_is_invisible(textpage, indices),
        turned=turned,
        vertical=tuple(vertical),
        unclear=tuple(Word(text=_spelled(word), box=_box(word)) for word in words if id(word) in unclear),
        inkless=tuple(
            word
            for line, piece in zip(lines, pieces, strict=True)
            for glyphs_of_word, word in zip(line, piece.words, strict=True)
            if id(glyphs_of_word) in inkless
        ),
    )


def _unclear(words: Sequence[list[Glyph]]) -> set[int]:
    """Words without a meaning, by their ids, where there are enough of them to be text; few are signs of a formula."""
    found = [word for word in words if _is_unclear(word)]
    return set(map(id, found)) if sum(map(len, found)) >= _ODD_LETTERS else set()


def _is_unclear(word: Sequence[Glyph]) -> bool:
    """Several characters without a meaning; a single one is a bullet or a sign."""
    odd = sum(1 for glyph in word if glyph.odd)
    return odd >= _FEWEST_ODD and 2 * odd > len(word)


def _is_invisible(textpage: Any, indices: Sequence[int]) -> bool:
    """By a sample of the characters."""
    sample = indices[:: max(1, len(indices) // 20)]
    return sum(1 for index in sample if _is_inkless(textpage, index)) > 0.8 * len(sample)


def _is_inkless(textpage: Any, index: int) -> bool:
    """Render mode 3 draws neither fill nor stroke."""
    import pypdfium2.raw as pdfium

    mode = pdfium.FPDFTextObj_GetTextRenderMode(pdfium.FPDFText_GetTextObject(textpage, index))
    return bool(mode == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE)


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
