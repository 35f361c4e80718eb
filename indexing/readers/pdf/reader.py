"""PDF files: text layer with line boxes, page images, tables, figures; pages without text by OCR.

Each page is read by itself: text (pieces) → running_headers (taken out) → objects (rules, figures) → tables →
paragraphs. A page without a usable text layer goes through OCR instead.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexing.errors import DamagedFileError, EncryptedFileError, FileTooLargeError, UnreadableFileError, pass_on
from indexing.readers.image import small_grey
from indexing.readers.ocr import letters_in_runs
from indexing.readers.output import PAGE_SIDE, ReaderOutput
from indexing.readers.pdf.objects import (
    ObjectsLeftOut,
    Repeats,
    embedded_files,
    objects_over,
    remarks_on,
    rules_and_figures,
)
from indexing.readers.pdf.paragraphs import Paragraph, page_paragraphs, with_headings
from indexing.readers.pdf.ruled_tables import Rules
from indexing.readers.pdf.running_headers import FEWEST_PAGES, RunningHeaders, running_headers, sampled
from indexing.readers.pdf.tables import ruled_tables
from indexing.readers.pdf.glyphs import turn
from indexing.readers.pdf.text import PageText, read_text
from indexing.readers.reading_order import Piece
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Page, Reading

_OCR_SIDE = 2000
_FEW_CHARACTERS = 12
_SAMPLE_CHARACTERS = 20_000
_ODD_SHARE = 0.3
_STRANGE_SHARE = 0.045
_STRANGE = re.compile(r"\w[^\w\s.,:/@&'’\-–()]+\w|[a-z][A-Z][a-z]|[a-z]\d[a-z]|[*^~|\\»«]{1}\w|[A-Za-z]{2}[»«^*]")


def read_pdf(path: Path, output: ReaderOutput) -> Reading:
    """Raises EncryptedFileError, DamagedFileError or FileTooLargeError for the file as a whole."""
    document = _opened(path)
    try:
        return _Document(document, path, output).read()
    finally:
        document.close()


def _opened(path: Path) -> Any:
    import pypdfium2
    import pypdfium2.raw as pdfium

    raw = pdfium.FPDF_LoadDocument(os.fsencode(path) + b"\0", None)
    if not raw:  # only now does the last error say anything: asked at another time, it is an earlier file's
        raise _refusal(pdfium.FPDF_GetLastError())
    document = pypdfium2.PdfDocument(raw)
    if len(document) == 0:
        document.close()
        raise DamagedFileError("the PDF has no pages")
    return document


def _refusal(code: int) -> UnreadableFileError:
    import pypdfium2.raw as pdfium

    if code == pdfium.FPDF_ERR_PASSWORD:
        return EncryptedFileError("the PDF asks for a password")
    if code == pdfium.FPDF_ERR_SECURITY:
        return EncryptedFileError("the PDF is protected in a way that is not supported")
    words = {
        pdfium.FPDF_ERR_FILE: "PDFium cannot open the file",
        pdfium.FPDF_ERR_FORMAT: "its data are not those of a PDF",
        pdfium.FPDF_ERR_PAGE: "a page is missing or makes no sense",
    }
    return DamagedFileError(f"the PDF is damaged ({words.get(code, 'PDFium gives no reason')})")


class _SamePageError(Exception):
    """The page is the same as an earlier one, `first`."""

    def __init__(self, first: int) -> None:
        self.first = first


class _Document:
    """One open document; what the pages share."""

    def __init__(self, document: Any, path: Path, output: ReaderOutput) -> None:
        self._document = document
        self._path = path
        self._output = output
        self._characters = 0
        self._running_headers = RunningHeaders()
        self._repeats = Repeats(document)
        self._unreadable: set[int] = set()
        self._left_out = ObjectsLeftOut(output.limits)

    def read(self) -> Reading:
        """Every page up to the limit, then the headings. Raises DamagedFileError when no page can be read."""
        count, limit = len(self._document), self._output.limits.max_pages
        self._running_headers = self._repeated(min(count, limit))
        pages: list[Page] = []
        found: list[Paragraph] = []
        number = 0
        while number < count and len(pages) + len(self._unreadable) < limit:
            number += 1
            read = self._page_if_readable(number)
            if read is not None:
                pages.append(read[0])
                found.extend(read[1])
                self._output.page_done()
        if not pages:
            raise DamagedFileError(f"none of the PDF's {count} pages can be read")
        blocks, metadata = tuple(with_headings(found)), self._metadata()
        return Reading(
            is_picture=False,
            title=_title(metadata, blocks, self._path),
            pages=tuple(pages),
            blocks=blocks,
            metadata=metadata,
            notes=tuple(self._notes(count, number)),
        )

    def _page_if_readable(self, number: int) -> tuple[Page, list[Paragraph]] | None:
        try:
            return self._page_unless_read(number)
        except FileTooLargeError:
            raise
        except _page_errors() as error:
            pass_on(error)
            self._unreadable.add(number)
            return None

    def _notes(self, count: int, last: int) -> Iterator[Note]:
        """On pages after the `last` one that was read, on pages that could not be read, and on what was left out."""
        if last < count:
            sentence = f"{count:,} pages, of which the first {last:,} were read"
            yield Note(sentence, kind="page", number=count - last, unread=True)
        if self._unreadable:
            numbers = ", ".join(str(each) for each in sorted(self._unreadable)[:10])
            sentence = f"{len(self._unreadable)} of {count} pages could not be read: {numbers}"
            yield Note(sentence, kind="page", number=len(self._unreadable), unread=True)
        self._left_out.count["files"] = embedded_files(self._document)
        yield from self._repeats.notes()
        yield from self._left_out.notes()

    def _repeated(self, count: int) -> RunningHeaders:
        """Headers, footers and page numbers, by a look at some pages before all are read."""
        if count < FEWEST_PAGES:
            return RunningHeaders()
        pages: list[tuple[int, Sequence[Piece]]] = []
        for number in sampled(count):
            try:
                page = self._document[number - 1]
                textpage = page.get_textpage()
                try:
                    pages.append((number, read_text(page, textpage, most_characters=_SAMPLE_CHARACTERS).pieces))
                finally:
                    textpage.close()
                    page.close()
            except _page_errors() as error:
                pass_on(error)
                continue
        return running_headers([(number, pieces) for number, pieces in pages if pieces])

    def _page_unless_read(self, number: int) -> tuple[Page, list[Paragraph]] | None:
        """None where the same page was read before."""
        first = self._repeats.is_read(number)
        if first is None:
            page = self._document[number - 1]
            try:
                return self._page(page, number)
            except _SamePageError as again:
                first = again.first
            finally:
                self._repeats.mark(page, number)
                page.close()
        if first in self._unreadable:
            self._unreadable.add(number)
        else:
            self._repeats.count(first)
        return None

    def _page(self, page: Any, number: int) -> tuple[Page, list[Paragraph]]:
        textpage = page.get_textpage()
        try:
            left = max(0, self._output.limits.max_text_characters - self._characters)
            over = max(0, textpage.count_chars() - left)
            text = read_text(page, textpage, most_characters=left)
            self._characters += text.characters
            self._left_out.count["characters"] += over
            self._left_out.count["remarks"] += remarks_on(page)
            if over or _is_legible(text):  # words that are not wanted are not read from the picture either
                return self._from_text(page, text, number)
            return self._from_scan(page, text, number)
        finally:
            textpage.close()

    def _from_text(self, page: Any, text: PageText, number: int) -> tuple[Page, list[Paragraph]]:
        image = self._seen(page, PAGE_SIDE, text, number)
        kept_pieces = self._running_headers.without(text.pieces, number)
        self._left_out.count["repeating"] += len(text.pieces) - len(kept_pieces)
        text = replace(text, pieces=kept_pieces)
        rules, figure_boxes = rules_and_figures(page)
        self._left_out.count["objects"] += objects_over(page)
        if text.turned:
            image = image.rotate(text.turned, expand=True)
            figure_boxes, rules = [turn(box, text.turned) for box in figure_boxes], Rules()
        kept = self._keep(image, number, read_by_ocr=False)
        found = list(page_paragraphs(text, number, ruled_tables(text.pieces, rules), figure_boxes))
        return kept, [self._with_picture(each, image) for each in found]

    def _seen(self, page: Any, side: int, text: PageText, number: int) -> Image.Image:
        """As one sees it; raises _SamePageError where another page was the same."""
        image = _rendered(page, side)
        first = self._repeats.looks_like(image, text.pieces, number)
        if first is not None:
            raise _SamePageError(first)
        return image

    def _with_picture(self, paragraph: Paragraph, image: Image.Image) -> Paragraph:
        block = paragraph.block
        if block.kind != "figure" or block.box is None:
            return paragraph
        if self._output.figures >= self._output.limits.max_figures:
            self._left_out.count["figures"] += 1
            return paragraph
        (x0, x1), (y0, y1) = (
            [round(edge * side) for edge in edges]
            for edges, side in ((block.box[0::2], image.width), (block.box[1::2], image.height))
        )
        crop = image.crop((x0, y0, x1, y1))
        return replace(paragraph, block=replace(block, image=self._output.figure(crop)))

    def _from_scan(self, page: Any, text: PageText, number: int) -> tuple[Page, list[Paragraph]]:
        """OCR, and the text layer after all where OCR finds nothing."""
        from indexing.readers.ocr import read_words

        image = self._seen(page, _OCR_SIDE, text, number)
        if letters_in_runs(small_grey(image), enough=1) == 0 and _is_blank(image):
            return self._keep(image, number, read_by_ocr=False), []
        words = read_words(np.asarray(image))
        self._left_out.count["lines"] += words.left_out
        if words.turned:
            image = image.rotate(words.turned, expand=True)
        kept = self._keep(image, number, read_by_ocr=bool(words.lines))
        if not words.lines and text.pieces and not words.turned:
            return kept, list(page_paragraphs(text, number, [], []))
        return kept, [Paragraph(block=block) for block in words.blocks(page=number)]

    def _keep(self, image: Image.Image, number: int, *, read_by_ocr: bool) -> Page:
        path = self._output.page(image, number)
        if number == 1:
            self._output.thumb(image)
        width, height = self._output.sizes[path.name]
        return Page(number=number, image=path, width=width, height=height, read_by_ocr=read_by_ocr)

    def _metadata(self) -> dict[str, str]:
        import pypdfium2

        try:
            found = self._document.get_metadata_dict(skip_empty=True)
        except (pypdfium2.PdfiumError, UnicodeDecodeError):
            return {}
        names = {"Title": "title", "Author": "author", "Subject": "subject", "CreationDate": "date"}
        return {names[key]: " ".join(value.split())[:500] for key, value in found.items() if key in names}


def _page_errors() -> tuple[type[Exception], ...]:
    import pypdfium2

    return (pypdfium2.PdfiumError, DamagedFileError, ValueError)


def _is_legible(text: PageText) -> bool:
    """A text layer worth reading: some characters, most of which mean something.

    Invisible text was put over a scan by somebody's OCR, maybe decades ago: where it looks misread,
    ours reads the page again.
    """
    if text.characters < _FEW_CHARACTERS or text.odd > _ODD_SHARE * text.characters:
        return False
    return not text.invisible or _strange_words(text) <= _STRANGE_SHARE


def _strange_words(text: PageText) -> float:
    """The share of words with signs or changes of case inside, such as `n»Bfl` or `s*r;tiiR`."""
    words = [word for piece in text.pieces for word in piece.text.split() if len(word) > 2]
    return sum(1 for word in words if _STRANGE.search(word)) / max(1, len(words))


def _is_blank(image: Image.Image) -> bool:
    return float(np.asarray(image.convert("L").resize((64, 64))).std()) < 1.0


def _rendered(page: Any, side: int) -> Image.Image:
    width, height = page.get_size()
    if not (width > 0 and height > 0) or max(width, height) > 200 * min(width, height):
        raise DamagedFileError(f"a page measures {width:.0f} × {height:.0f} points")
    image: Image.Image = page.render(scale=side / max(width, height), may_draw_forms=False).to_pil()
    return image.convert("RGB")


def _title(metadata: dict[str, str], blocks: Sequence[Block], path: Path) -> str:
    """The document's own title where it is one, else its first large heading, else the file's name."""
    own = metadata.get("title", "")
    if len(own) > 3 and not re.search(r"\.(docx?|pdf|tex|indd|pptx?|qxd)$|untitled|^microsoft|^powerpoint", own, re.I):
        return own
    opening = [block for block in blocks if block.page == 1 and block.kind == "heading"]
    if not opening:
        return path.stem
    if opening[0] is blocks[0] and opening[0].level <= 2:
        return opening[0].text
    return min(opening, key=lambda block: block.level).text


def _is_pdf(start: FileStart) -> bool:
    return b"%PDF-" in start.head[:1024]


READERS = (Reader(type="pdf", extensions=(".pdf",), recognise=_is_pdf, order=20, read=read_pdf),)
