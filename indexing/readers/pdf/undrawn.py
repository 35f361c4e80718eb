"""Text in fonts that neither the file nor this machine has: PDFium leaves it out where it cannot measure its letters.

Such text has no extent on the page, which is how it is known here. pypdf needs no font to say what it is: its place is
that of its first letter, and the letters are taken to be as wide as they are high (half of it for Latin ones).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from indexing.errors import pass_on
from indexing.readers.pdf.glyphs import Glyph, ToFractions
from indexing.readers.pdf.vertical import is_east_asian

_MOST_OBJECTS = 20_000
_MOST_CHARACTERS = 100_000
_NO_EXTENT = 0.01
_SAME_PLACE = 1.0
_HANGS_LEFT = 0.5
"""In a column the pen stands above the middle of a letter, in ems."""

Point = tuple[float, float]


def undrawn_text(page: Any) -> list[Point]:
    """Where text begins on the page that has no extent and whose font is not in the file (points)."""
    import ctypes

    import pypdfium2.raw as pdfium

    found: list[Point] = []
    edges = [ctypes.c_float() for _ in range(4)]
    matrix = pdfium.FS_MATRIX()
    for index in range(min(_MOST_OBJECTS, pdfium.FPDFPage_CountObjects(page))):
        each = pdfium.FPDFPage_GetObject(page, index)
        if pdfium.FPDFPageObj_GetType(each) != pdfium.FPDF_PAGEOBJ_TEXT:
            continue
        if not pdfium.FPDFPageObj_GetBounds(each, *edges) or abs(edges[2].value - edges[0].value) > _NO_EXTENT:
            continue
        if pdfium.FPDFFont_GetIsEmbedded(pdfium.FPDFTextObj_GetFont(each)) == 0:
            pdfium.FPDFPageObj_GetMatrix(each, matrix)
            found.append((matrix.e, matrix.f))
    return found


class SecondReader:
    """pypdf on the same file, opened when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: Any = None

    def glyphs(self, page: Any, number: int, places: Sequence[Point], first: int) -> list[Glyph]:
        """The letters of the text at these places, numbered from `first` on; none where pypdf cannot say."""
        pieces: list[tuple[str, Any, Any, Any, float]] = []
        try:
            if self._reader is None:
                import pypdf

                self._reader = pypdf.PdfReader(self._path)
            self._reader.pages[number - 1].extract_text(visitor_text=lambda *piece: pieces.append(piece))
        except Exception as error:  # noqa: BLE001  # pypdf raises whatever a damaged file leads it to
            pass_on(error)
            return []
        wanted = {(round(x / _SAME_PLACE), round(y / _SAME_PLACE)) for x, y in places}
        to_fractions = ToFractions(page)
        found: list[Glyph] = []
        for text, its_page, its_text, font, size in pieces:
            x, y, scale = _start(its_page, its_text)
            if text.strip() and _is_among(wanted, x, y) and len(found) < _MOST_CHARACTERS:
                downwards = str((font or {}).get("/Encoding", "")).endswith("-V")
                for box, letter in _boxes(text, (x, y), size * scale, downwards=downwards):
                    found.append(Glyph(text=letter, box=to_fractions.box(*box), index=first + len(found)))
        return found


def _start(page: Sequence[float], text: Sequence[float]) -> tuple[float, float, float]:
    """x and y in points, and by how much the font is enlarged."""
    x = text[4] * page[0] + text[5] * page[2] + page[4]
    y = text[4] * page[1] + text[5] * page[3] + page[5]
    return x, y, abs(text[3] * page[3]) or 1.0


def _is_among(wanted: set[tuple[int, int]], x: float, y: float) -> bool:
    across, down = round(x / _SAME_PLACE), round(y / _SAME_PLACE)
    return any((across + dx, down + dy) in wanted for dx in (-1, 0, 1) for dy in (-1, 0, 1))


def _boxes(
    text: str, start: Point, size: float, *, downwards: bool
) -> Iterator[tuple[tuple[float, float, float, float], str]]:
    """(left, bottom, right, top) of each letter, in points."""
    x, y = start
    if downwards:
        x -= _HANGS_LEFT * size
    for letter in text.strip():
        width = size if is_east_asian(letter) else 0.5 * size
        top = y if downwards else y + 0.8 * size
        yield (x, top - size, x + width, top), letter
        x, y = (x, y - size) if downwards else (x + width, y)
