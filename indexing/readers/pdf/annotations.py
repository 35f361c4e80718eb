"""What lies over a PDF page: PDFium's interface to annotations, and the comments among them.

The fields of forms are read in forms.py; here notes, highlights, text boxes and stamps, in the order of the file.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from indexing.readers.pdf.glyphs import ToFractions
from indexing.records import Block, Box, Line

MOST_ANNOTATIONS = 3_000
_MOST_QUADS = 60
_MOST_CHARACTERS = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Comment:
    """What somebody wrote on a page that was there before."""

    text: str
    author: str
    box: Box
    marked: str = ""
    """The words of the page that were highlighted or underlined for it."""
    is_text_box: bool = False
    """Its words stand on the page as everything else does; those of others show in a window or a list."""
    is_reply: bool = False

    def block(self, page: int, box: Box) -> Block:
        """In words, with who wrote it; `box` is its place on the page as that is kept."""
        by = f" by {self.author}" if self.author else ""
        on = f" on “{self.marked}”" if self.marked else ""
        text = f"{'Reply' if self.is_reply else 'Comment'}{by}{on}: {self.text}"
        lines = tuple(Line(text=line, box=box) for line in text.split("\n") if line.strip())
        return Block(kind="text", text=text, page=page, box=box, lines=lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comments:
    """The comments on a page, and what there is besides."""

    comments: tuple[Comment, ...] = ()
    drawn: tuple[Box, ...] = ()
    """Stamps and the like, whose words can be seen alone."""
    hidden: int = 0
    """Comments with text that no viewer shows."""
    media: int = 0
    """Recordings, films and models."""


def comments_on(page: Any, textpage: Any, *, most_characters: int) -> Comments:
    """Comments with their text; a pop-up is the window of another one and is no comment of its own."""
    found = _Found(page, textpage, most_characters)
    for annotation in annotations(page):
        found.add(annotation)
    return Comments(comments=tuple(found.comments), drawn=tuple(found.drawn), hidden=found.hidden, media=found.media)


class _Found:
    def __init__(self, page: Any, textpage: Any, most_characters: int) -> None:
        self._textpage = textpage
        self._to_fractions = ToFractions(page)
        self._left = most_characters
        self.comments: list[Comment] = []
        self.drawn: list[Box] = []
        self.hidden = self.media = 0

    def add(self, annotation: Any) -> None:
        import pypdfium2.raw as pdfium

        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        if kind in (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP, pdfium.FPDF_ANNOT_WIDGET):
            return
        if kind in (
            pdfium.FPDF_ANNOT_SOUND, pdfium.FPDF_ANNOT_MOVIE, pdfium.FPDF_ANNOT_SCREEN, pdfium.FPDF_ANNOT_RICHMEDIA,
            pdfium.FPDF_ANNOT_THREED,
        ):  # fmt: skip
            self.media += 1
            return
        text = text_of(annotation, b"Contents")[: self._left] or _plain(text_of(annotation, b"RC")[: self._left])
        box = box_of(annotation, self._to_fractions)
        if is_hidden(annotation):
            self.hidden += bool(text)
        elif kind == pdfium.FPDF_ANNOT_STAMP and box is not None:
            self.drawn.append(box)
        if not text or box is None or is_hidden(annotation):
            return
        self._left -= len(text)
        self.comments.append(
            Comment(
                text=text,
                author=" ".join(text_of(annotation, b"T").split())[:200],
                box=box,
                marked=self._marked(annotation),
                is_text_box=kind == pdfium.FPDF_ANNOT_FREETEXT,
                is_reply=bool(pdfium.FPDFAnnot_HasKey(annotation, b"IRT")),
            )
        )

    def _marked(self, annotation: Any) -> str:
        """The words under a highlight or a line."""
        import pypdfium2.raw as pdfium

        quad = pdfium.FS_QUADPOINTSF()
        words: list[str] = []
        for index in range(min(_MOST_QUADS, pdfium.FPDFAnnot_CountAttachmentPoints(annotation))):
            if not pdfium.FPDFAnnot_GetAttachmentPoints(annotation, index, quad):
                continue
            xs, ys = (quad.x1, quad.x2, quad.x3, quad.x4), (quad.y1, quad.y2, quad.y3, quad.y4)
            words += self._textpage.get_text_bounded(min(xs), min(ys), max(xs), max(ys)).split()
        return " ".join(words)[:2_000]


@contextmanager
def _closed(annotation: Any) -> Iterator[Any]:
    import pypdfium2.raw as pdfium

    try:
        yield annotation
    finally:
        pdfium.FPDFPage_CloseAnnot(annotation)


def annotations(page: Any) -> Iterator[Any]:
    """PDFium's handles, each closed when the next one is asked for; the first few thousand."""
    import pypdfium2.raw as pdfium

    for index in range(min(MOST_ANNOTATIONS, pdfium.FPDFPage_GetAnnotCount(page))):
        if annotation := pdfium.FPDFPage_GetAnnot(page, index):
            with _closed(annotation):
                yield annotation


def annotations_over(page: Any) -> int:
    """How many were not looked at."""
    import pypdfium2.raw as pdfium

    return max(0, int(pdfium.FPDFPage_GetAnnotCount(page)) - MOST_ANNOTATIONS)


def is_hidden(annotation: Any) -> bool:
    """Shown in no viewer."""
    import pypdfium2.raw as pdfium

    flags = int(pdfium.FPDFAnnot_GetFlags(annotation))
    return bool(flags & (pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW))


def box_of(annotation: Any, to_fractions: ToFractions) -> Box | None:
    """Where it lies on the page as shown; None outside of it, or without an extent."""
    import pypdfium2.raw as pdfium

    rectangle = pdfium.FS_RECTF()
    if not pdfium.FPDFAnnot_GetRect(annotation, rectangle):
        return None
    box = to_fractions.box(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
    return box if box[2] > box[0] and box[3] > box[1] else None


def text_of(annotation: Any, key: bytes) -> str:
    """The string under this key, its lines parted by line feeds."""
    import pypdfium2.raw as pdfium

    return utf16(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, key, buffer, size))


def utf16(read: Callable[[Any, int], int]) -> str:
    """What a function of PDFium writes as UTF-16 into a buffer of so many bytes; it says how many it needs."""
    import pypdfium2.raw as pdfium

    size = int(read(None, 0))
    if size <= 2:
        return ""
    size = min(size, 2 * _MOST_CHARACTERS)
    buffer = ctypes.create_string_buffer(size)
    read(ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
    text = buffer.raw.decode("utf-16-le", "replace").partition("\0")[0]
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _plain(rich: str) -> str:
    """The words of rich text, which is XHTML."""
    from lxml import etree, html

    if not rich.strip():
        return ""
    try:
        return " ".join(html.fragment_fromstring(rich.encode(), create_parent="div").text_content().split())
    except (etree.LxmlError, ValueError):
        return ""
