"""PDF files: text layer with line boxes, page images, tables, figures; pages without text by OCR.

Each page is read by itself: pieces of text → tables taken out whole → regions in reading order →
paragraphs. Headings are found at the end, when the size of the body text is known.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexing.chunking import join_lines
from indexing.errors import DamagedFileError, EncryptedFileError, FileTooLargeError, UnreadableFileError, pass_on
from indexing.readers.image import gate_view
from indexing.readers.output import PAGE_SIDE, Spool
from indexing.readers.pdf.objects import LeftOut, Repeats, embedded_files, objects_over, remarks_on, rules_and_figures
from indexing.readers.pdf.reading_order import Piece, around, paragraphs, regions, rows
from indexing.readers.pdf.ruled_tables import Rules
from indexing.readers.pdf.running_headers import FEWEST_PAGES, Furniture, furniture, sampled
from indexing.readers.pdf.tables import Table, aligned_tables, markdown, ruled_tables
from indexing.readers.pdf.text import PageText, read_text, turn
from indexing.readers.text_detection import letters_in_runs
from indexing.records import Block, Box, Line, Page, Reading

_OCR_SIDE = 2000
_FEW_CHARACTERS = 12
_SAMPLE_CHARACTERS = 20_000
_ODD_SHARE = 0.3
_STRANGE_SHARE = 0.045
_STRANGE = re.compile(r"\w[^\w\s.,:/@&'’\-–()]+\w|[a-z][A-Z][a-z]|[a-z]\d[a-z]|[*^~|\\»«]{1}\w|[A-Za-z]{2}[»«^*]")
_CAPTION = re.compile(
    r"^(fig(ure|\.)?|abb(ildung|\.)?|table(au)?|tab\.|tabelle|tabla|tabela|图|表|그림|표)\s*\.?\s*[\dIVX]+",
    re.IGNORECASE,
)
_TABLE_CAPTION = re.compile(r"^(tab|表|표)", re.IGNORECASE)
_NUMBERED = re.compile(r"^(\d+(\.\d+)*\.?|[IVX]+\.|[A-Z]\.)\s+\S")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Paragraph:
    """A block on its way, with the size and weight of its letters; a table or figure has neither."""

    block: Block
    size: float = 0.0
    bold: bool = False


def read_pdf(path: Path, spool: Spool) -> Reading:
    """Raises EncryptedFileError, DamagedFileError or FileTooLargeError for the file as a whole."""
    document = _opened(path)
    try:
        return _Document(document, path, spool).read()
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


class _AgainError(Exception):
    """The page is the same as an earlier one."""

    def __init__(self, first: int) -> None:
        self.first = first


class _Document:
    """One open document; what the pages share."""

    def __init__(self, document: Any, path: Path, spool: Spool) -> None:
        self._document = document
        self._path = path
        self._spool = spool
        self._notes: list[str] = []
        self._characters = 0
        self._furniture = Furniture()
        self._repeats = Repeats(document)
        self._unreadable: set[int] = set()
        self._left_out = LeftOut(spool.limits)

    def read(self) -> Reading:
        pages: list[Page] = []
        found: list[_Paragraph] = []
        count, limit = len(self._document), self._spool.limits.max_pages
        unreadable = self._unreadable
        self._furniture = self._repeated(min(count, limit))
        number = 0
        while number < count and len(pages) + len(unreadable) < limit:
            number += 1
            try:
                read = self._page_unless_read(number)
            except FileTooLargeError:
                raise
            except _page_errors() as error:
                pass_on(error)
                unreadable.add(number)
                continue
            if read is not None:
                pages.append(read[0])
                found.extend(read[1])
                self._spool.page_done()
        if not pages:
            raise DamagedFileError(f"none of the PDF's {count} pages can be read")
        if number < count:
            self._notes.append(f"{count:,} pages, of which the first {number:,} were read")
        if unreadable:
            numbers = ", ".join(str(each) for each in sorted(unreadable)[:10])
            self._notes.append(f"{len(unreadable)} of {count} pages could not be read: {numbers}")
        self._left_out.count["files"] = embedded_files(self._document)
        self._notes += [*self._repeats.notes(), *self._left_out.notes()]
        blocks = tuple(_with_headings(found))
        metadata = self._metadata()
        return Reading(
            is_picture=False,
            title=_title(metadata, blocks, self._path),
            pages=tuple(pages),
            blocks=blocks,
            metadata=metadata,
            notes=tuple(self._notes),
        )

    def _repeated(self, count: int) -> Furniture:
        """Headers, footers and page numbers, by a look at some pages before all are read."""
        if count < FEWEST_PAGES:
            return Furniture()
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
        return furniture([(number, pieces) for number, pieces in pages if pieces])

    def _page_unless_read(self, number: int) -> tuple[Page, list[_Paragraph]] | None:
        """None where the same page was read before."""
        first = self._repeats.is_read(number)
        if first is None:
            page = self._document[number - 1]
            try:
                return self._page(page, number)
            except _AgainError as again:
                first = again.first
            finally:
                self._repeats.mark(page, number)
                page.close()
        if first in self._unreadable:
            self._unreadable.add(number)
        else:
            self._repeats.count(first)
        return None

    def _page(self, page: Any, number: int) -> tuple[Page, list[_Paragraph]]:
        textpage = page.get_textpage()
        try:
            left = max(0, self._spool.limits.max_text_characters - self._characters)
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

    def _from_text(self, page: Any, text: PageText, number: int) -> tuple[Page, list[_Paragraph]]:
        image = self._seen(page, PAGE_SIDE, text, number)
        kept_pieces = self._furniture.without(text.pieces, number)
        self._left_out.count["repeating"] += len(text.pieces) - len(kept_pieces)
        text = replace(text, pieces=kept_pieces)
        rules, figure_boxes = rules_and_figures(page)
        self._left_out.count["objects"] += objects_over(page)
        if text.turned:
            image = image.rotate(text.turned, expand=True)
            figure_boxes, rules = [turn(box, text.turned) for box in figure_boxes], Rules()
        kept = self._keep(image, number, read_by_ocr=False)
        found = list(_page_paragraphs(text, number, ruled_tables(text.pieces, rules), figure_boxes))
        return kept, [self._with_picture(each, image) for each in found]

    def _seen(self, page: Any, side: int, text: PageText, number: int) -> Image.Image:
        """As one sees it; raises _AgainError where another page was the same."""
        image = _rendered(page, side)
        first = self._repeats.looks_like(image, text.pieces, number)
        if first is not None:
            raise _AgainError(first)
        return image

    def _with_picture(self, paragraph: _Paragraph, image: Image.Image) -> _Paragraph:
        block = paragraph.block
        if block.kind != "figure" or block.box is None:
            return paragraph
        if self._spool.figures >= self._spool.limits.max_figures:
            self._left_out.count["figures"] += 1
            return paragraph
        x0, y0, x1, y1 = block.box
        edges = (x0 * image.width, y0 * image.height, x1 * image.width, y1 * image.height)
        crop = image.crop(tuple(round(edge) for edge in edges))  # type: ignore[arg-type]  # four of them
        return replace(paragraph, block=replace(block, image=self._spool.figure(crop)))

    def _from_scan(self, page: Any, text: PageText, number: int) -> tuple[Page, list[_Paragraph]]:
        """OCR, and the text layer after all where OCR finds nothing."""
        from indexing.ocr import read_words

        image = self._seen(page, _OCR_SIDE, text, number)
        if letters_in_runs(gate_view(image), enough=1) == 0 and _is_blank(image):
            return self._keep(image, number, read_by_ocr=False), []
        words = read_words(np.asarray(image))
        self._left_out.count["lines"] += words.left_out
        if words.turned:
            image = image.rotate(words.turned, expand=True)
        kept = self._keep(image, number, read_by_ocr=bool(words.lines))
        if not words.lines and text.pieces and not words.turned:
            return kept, list(_page_paragraphs(text, number, [], []))
        return kept, [_Paragraph(block=block) for block in words.blocks(page=number)]

    def _keep(self, image: Image.Image, number: int, *, read_by_ocr: bool) -> Page:
        path = self._spool.page(image, number)
        if number == 1:
            self._spool.thumb(image)
        width, height = self._spool.sizes[path.name]
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


def _page_paragraphs(
    text: PageText, number: int, tables: Sequence[Table], figures: Sequence[Box]
) -> Iterator[_Paragraph]:
    taken = {id(piece) for table in tables for piece in table.pieces}
    left = [piece for piece in text.pieces if id(piece) not in taken]
    things: list[Block] = []
    markers: list[Piece] = []
    for table in tables:
        markers.append(_marker(table.box, things, _table_block(table, number)))
    for box in figures:
        inside = [piece for piece in left if _inside(piece.box, box)]
        if any(len(piece.text) > 32 for piece in inside) or len(inside) > 60:
            continue  # a background or a frame around text
        left = [piece for piece in left if not _inside(piece.box, box)]
        words = "\n".join(row.text for row in rows(inside))
        markers.append(_marker(box, things, Block(kind="figure", text=words, page=number, box=box)))
    ordered: list[_Paragraph] = []
    for region in regions([*left, *markers]):
        ordered.extend(_region(region, number, things))
    yield from _with_captions(ordered)
    if text.margin:
        yield _Paragraph(block=Block(kind="text", text=text.margin, page=number))


def _marker(box: Box, things: list[Block], block: Block) -> Piece:
    """A piece that stands for a table or figure while the reading order is found."""
    things.append(block)
    return Piece(text="", box=box, thing=len(things) - 1)


def _table_block(table: Table, number: int) -> Block:
    return Block(kind="table", text=markdown(table.cells), page=number, box=table.box, lines=table.lines)


def _region(region: Sequence[Piece], number: int, things: list[Block]) -> Iterator[_Paragraph]:
    tables = aligned_tables(region)
    taken = {id(piece) for table in tables for piece in table.pieces}
    rest = [piece for piece in region if id(piece) not in taken]
    markers = [_marker(table.box, things, _table_block(table, number)) for table in tables]
    run: list[Piece] = []
    for row in [*rows([*rest, *markers]), None]:
        if row is not None and row.thing is None:
            run.append(row)
            continue
        for group in paragraphs(run):
            yield _paragraph(group, number)
        run = []
        if row is not None and row.thing is not None:
            yield _Paragraph(block=things[row.thing])


def _paragraph(group: Sequence[Piece], number: int) -> _Paragraph:
    lines = tuple(Line(text=row.text, box=row.box) for row in group)
    block = Block(
        kind="text",
        text=join_lines([line.text for line in lines]),
        page=number,
        lines=lines,
        box=around([row.box for row in group]),
    )
    return _Paragraph(block=block, size=max(row.size for row in group), bold=all(row.bold for row in group))


def _with_captions(found: Sequence[_Paragraph]) -> Iterator[_Paragraph]:
    """`Figure 3: …` and `Table 1. …` go to the nearest figure or table without one."""
    captions: dict[int, int] = {}  # index of the table or figure → index of the caption
    for index, each in enumerate(found):
        if each.block.kind != "text" or not _CAPTION.match(each.block.text) or len(each.block.text) > 1_000:
            continue
        kind = "table" if _TABLE_CAPTION.match(each.block.text) else "figure"
        near = [
            (distance, other)
            for other, thing in enumerate(found)
            if thing.block.kind == kind and other not in captions
            and (distance := _distance(each.block.box, thing.block.box)) < 0.08
        ]  # fmt: skip
        if near:
            captions[min(near)[1]] = index
    used = set(captions.values())
    for index, each in enumerate(found):
        if index in captions:
            yield replace(each, block=replace(each.block, caption=found[captions[index]].block.text))
        elif index not in used:
            yield each


def _distance(box: Box | None, other: Box | None) -> float:
    """Between the two in height; infinite when they do not stand above each other."""
    if box is None or other is None or min(box[2], other[2]) <= max(box[0], other[0]):
        return float("inf")
    return max(0.0, box[1] - other[3], other[1] - box[3])


def _inside(inner: Box, outer: Box) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _with_headings(found: Sequence[_Paragraph]) -> Iterator[Block]:
    sizes: Counter[float] = Counter()
    for each in found:
        sizes[round(each.size)] += len(each.block.text) if each.size else 0
    body = max(sizes, key=lambda size: sizes[size], default=0.0)
    larger = sorted({round(each.size) for each in found if _is_heading(each, body)}, reverse=True)
    open_heading: Block | None = None
    for each in found:
        heading = None
        if _is_heading(each, body):
            heading = replace(each.block, kind="heading", level=1 + min(larger.index(round(each.size)), 4))
            if open_heading is not None and _continues(open_heading, heading):
                open_heading = _one_heading(open_heading, heading)
                continue
        if open_heading is not None:
            yield open_heading
        open_heading = heading
        if heading is None:
            yield each.block
    if open_heading is not None:
        yield open_heading


def _continues(above: Block, below: Block) -> bool:
    """The second line of a title: the same size, right below, and not a numbered heading of its own."""
    if (above.level, above.page) != (below.level, below.page) or _NUMBERED.match(below.text):
        return False
    if above.box is None or below.box is None or len(above.text) + len(below.text) > 200:
        return False
    height = above.lines[-1].box[3] - above.lines[-1].box[1] if above.lines[-1].box else 0.0
    return -0.5 * height < below.box[1] - above.box[3] < height and _distance(above.box, below.box) < 1


def _one_heading(above: Block, below: Block) -> Block:
    lines = (*above.lines, *below.lines)
    box = around([line.box for line in lines if line.box])
    return replace(above, text=join_lines([line.text for line in lines]), lines=lines, box=box)


def _is_heading(each: _Paragraph, body: float) -> bool:
    text = each.block.text
    if each.block.kind != "text" or not each.size or len(text) > 160 or len(each.block.lines) > 3:
        return False
    if sum(1 for char in text if char.isalpha()) < 3 or text.endswith((",", ";")):
        return False
    if each.size > 1.15 * body:
        return True
    return (
        each.bold
        and each.size >= 0.95 * body
        and len(text) <= 90
        and (not text.endswith(".") or bool(_NUMBERED.match(text)))
    )


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
