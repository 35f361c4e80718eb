"""PDF files: page by page (pages.py), then the headings, then the files inside.

What one sees is read: text, values of form fields, comments, words in pictures; tables and figures; and every page has
its picture. What is not read becomes a note.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from indexing.errors import DamagedFileError, EncryptedFileError, FileTooLargeError, UnreadableFileError, pass_on
from indexing.readers.attachments import Attachments
from indexing.readers.output import ReaderOutput
from indexing.readers.pdf.embedded import EmbeddedFiles, Pinned, has_annotations, pinned_files
from indexing.readers.pdf.kept_pages import KeptPage, KeptPages, difference
from indexing.readers.pdf.left_out import Kind, NotRead
from indexing.readers.pdf.pages import PageReader, SamePageError
from indexing.readers.pdf.paragraphs import Paragraph, with_headings
from indexing.readers.pdf.repeats import Repeats
from indexing.readers.pdf.running_headers import FEWEST_PAGES, running_headers, sampled
from indexing.readers.pdf.text import PageText, read_text
from indexing.readers.pdf.xfa import XfaForm
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Page, Reading

_SAMPLE_CHARACTERS = 20_000


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
    logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # of XFA forms people are told in a note
    document.init_forms()  # before anything else, or values are not drawn
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


class _Document:
    """One open document; what the pages share."""

    def __init__(self, document: Any, path: Path, output: ReaderOutput) -> None:
        self._document = document
        self._path = path
        self._output = output
        self._repeats = Repeats(document)
        self._unreadable: set[int] = set()
        self._left_out = NotRead(output.limits)
        self._xfa = XfaForm(document)
        self._pinned: list[Pinned] = []
        self._same_as, self._has_annotations = 0, False  # of the page that was read last
        looked_at = self._looked_at(min(len(document), output.limits.max_pages))
        headers = running_headers([(number, text.pieces) for number, text in looked_at.items() if text.pieces])
        self._pages = PageReader(
            path,
            output,
            left_out=self._left_out,
            repeats=self._repeats,
            running_headers=headers,
            looked_at=looked_at,
        )

    def read(self) -> Reading:
        """Every page up to the limit, the headings, then the files inside. Raises DamagedFileError when no page can be
        read."""
        count, limit = len(self._document), self._output.limits.max_pages
        pages: list[Page] = []
        found: list[Paragraph] = []
        number = 0
        kept = KeptPages(self._output, count)
        try:
            for number, read in enumerate(self._pages_of(kept, count), start=1):
                if read is not None:
                    pages.append(read[0])
                    found.extend(read[1])
                    self._output.page_done(of=min(count, limit))
                if number == count or len(pages) + len(self._unreadable) >= limit:
                    break
        finally:
            kept.close()
        if not pages:
            raise DamagedFileError(f"none of the PDF's {count} pages can be read")
        blocks, metadata = (*with_headings(found), *self._xfa.blocks()), self._metadata()
        attachments = Attachments(self._output, pages_before=count, word="embedded file")
        inside = list(self._embedded(attachments).blocks(self._pinned))
        return Reading(
            is_picture=False,
            title=_title(metadata, blocks, self._path),
            pages=(*pages, *attachments.pages),
            blocks=(*blocks, *inside),
            metadata=metadata,
            notes=(*self._notes(count, number), *attachments.notes),
        )

    def _pages_of(self, kept: KeptPages, count: int) -> Iterator[tuple[Page, list[Paragraph]] | None]:
        """Every page: those that an earlier run has read, then the others. None where there is nothing new on it."""
        is_whole = len(kept.earlier) == count
        for each in kept.earlier:
            self._take_over(each, is_whole=is_whole)
            yield (each.page, list(each.paragraphs)) if each.page is not None else None
        for number in range(len(kept.earlier) + 1, count + 1):
            before, names = Counter(self._left_out.count), len(self._output.names)
            read = self._page_if_readable(number)
            kept.add(self._kept(number, read, before, names))
            yield read

    def _kept(
        self, number: int, read: tuple[Page, list[Paragraph]] | None, before: Counter[Kind], names: int
    ) -> KeptPage:
        page, paragraphs = read or (None, [])
        return KeptPage(
            number=number,
            page=page,
            paragraphs=tuple(paragraphs),
            same_as=self._same_as if read is None else 0,
            is_unreadable=number in self._unreadable,
            look=self._repeats.look_of(number),
            has_annotations=self._has_annotations,
            left_out=difference(self._left_out.count, before),
            told_of=self._left_out.told_of(number),
            characters=self._pages.characters,
            open_table=self._pages.open_table,
            names=tuple(self._output.names[names:]),
            figures=self._output.figures,
            written_bytes=self._output.written_bytes,
        )

    def _take_over(self, kept: KeptPage, *, is_whole: bool) -> None:
        """As if the page had just been read."""
        if kept.is_unreadable:
            self._unreadable.add(kept.number)
        elif kept.same_as:
            self._repeats.count(kept.same_as)
        self._left_out.add(kept.left_out, kept.told_of, kept.number)
        self._pages.characters, self._pages.open_table = kept.characters, kept.open_table
        self._repeats.know(kept.look, kept.number)
        with suppress(*_page_errors()):
            is_marked = is_whole or self._repeats.is_read(kept.number) is not None
            if is_marked and not kept.has_annotations:
                return
            page = self._document[kept.number - 1]
            if kept.has_annotations:
                self._look_at_annotations(page, kept.number)
            if not is_marked:
                self._repeats.mark(page, kept.number)
            page.close()

    def _look_at_annotations(self, page: Any, number: int) -> None:
        self._xfa.look_at(page)
        self._pinned += pinned_files(page, number)

    def _embedded(self, attachments: Attachments) -> EmbeddedFiles:
        """Under headings that begin with this file's name, where it has one of its own."""
        is_inside = self._output.inside.depth > 0
        heading = "Embedded file: {name}" if is_inside else f"{self._path.name} › {{name}}"
        return EmbeddedFiles(self._document, self._output, attachments, heading)

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
        yield from self._xfa.notes()
        yield from self._repeats.notes()
        yield from self._left_out.notes()

    def _looked_at(self, count: int) -> dict[int, PageText]:
        """The text of some pages, for headers, footers and page numbers, before all are read."""
        texts: dict[int, PageText] = {}
        for number in sampled(count) if count >= FEWEST_PAGES else ():
            try:
                page = self._document[number - 1]
                textpage = page.get_textpage()
                try:
                    texts[number] = read_text(page, textpage, most_characters=_SAMPLE_CHARACTERS)
                finally:
                    textpage.close()
                    page.close()
            except _page_errors() as error:
                pass_on(error)
                continue
        return texts

    def _page_unless_read(self, number: int) -> tuple[Page, list[Paragraph]] | None:
        """None where the same page was read before."""
        self._same_as, self._has_annotations = 0, False
        first = self._repeats.is_read(number)
        if first is None:
            page = self._document[number - 1]
            try:
                self._has_annotations = has_annotations(page)
                self._look_at_annotations(page, number)
                return self._pages.read(page, number)
            except SamePageError as again:
                first = again.first
            finally:
                self._repeats.mark(page, number)
                page.close()
        if first in self._unreadable:
            self._unreadable.add(number)
        else:
            self._same_as = first
            self._repeats.count(first)
        return None

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


def _title(metadata: dict[str, str], blocks: Sequence[Block], path: Path) -> str:
    """The document's own title where it is one, else its first large heading, else the file's name."""
    own = metadata.get("title", "")
    is_name = re.search(r"\.(docx?|pdf|tex|indd|pptx?|qxd)$|untitled|^microsoft|^powerpoint", own, re.I)
    if len(own) > 3 and not is_name and any(sign.isalpha() for sign in own):  # a number of a filing is no title
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
