"""One page of a PDF → its picture and its paragraphs.

text layer, fields and comments → is it legible? → what only the picture shows, by OCR → tables, figures, paragraphs.
A page without a usable text layer goes through OCR as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexing.embedding.protocol import Pixels
from indexing.errors import DamagedFileError
from indexing.readers.image import small_grey
from indexing.readers.letters import letters_in_runs
from indexing.readers.output import PAGE_SIDE, ReaderOutput, pixels_of
from indexing.readers.pdf.continued_tables import OpenTable, continued_rows, left_open, with_header
from indexing.readers.pdf.coverage import cropped, gathered, painted, raster_areas, unread_areas, without_known
from indexing.readers.pdf.forms import FormField
from indexing.readers.pdf.glyphs import turn
from indexing.readers.pdf.laid_over import LaidOver, laid_over
from indexing.readers.pdf.left_out import NotRead
from indexing.readers.pdf.legibility import agree, is_legible, is_read, makes_no_words, odd_letters
from indexing.readers.pdf.objects import objects_over, rules_and_figures
from indexing.readers.pdf.paragraphs import Paragraph, is_page, page_paragraphs
from indexing.readers.pdf.repeats import Repeats
from indexing.readers.pdf.ruled_tables import Rules
from indexing.readers.pdf.running_headers import RunningHeaders
from indexing.readers.pdf.statements import page_tables
from indexing.readers.pdf.tables import Table
from indexing.readers.pdf.text import PageText, read_text
from indexing.readers.pdf.undrawn import SecondReader, undrawn_text
from indexing.readers.pdf.unseen import shows_nothing, without_unseen
from indexing.readers.reading_order import Piece
from indexing.records import Block, Box, Page

_OCR_SIDE = 2000


_UNREAD_LINES = 2
"""Lines in pictures on a page of text, over those that were read, that are worth a note: one is often a drawing."""


class SamePageError(Exception):
    """The page is the same as an earlier one, `first`."""

    def __init__(self, first: int) -> None:
        self.first = first


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenAlone:
    """What OCR read on a page that has text."""

    pieces: tuple[Piece, ...] = ()
    """Lines of a scan, or of no picture at all: they are lines of the page."""
    pictures: tuple[tuple[Piece, ...], ...] = ()
    """Lines of each smaller picture."""
    lying: tuple[Block, ...] = ()
    """Blocks of pictures that lie on their side."""

    @property
    def everywhere(self) -> list[Piece]:
        """All lines that stand upright."""
        return [*self.pieces, *(piece for pieces in self.pictures for piece in pieces)]

    @property
    def characters(self) -> int:
        """How many there are."""
        return sum(len(piece.text) for piece in self.everywhere) + sum(len(block.text) for block in self.lying)

    def only(self, kept: Sequence[Piece]) -> "SeenAlone":
        """Without the lines that are not among `kept`."""
        ids = set(map(id, kept))
        pictures = (tuple(piece for piece in pieces if id(piece) in ids) for pieces in self.pictures)
        return SeenAlone(
            pieces=tuple(piece for piece in self.pieces if id(piece) in ids),
            pictures=tuple(filter(None, pictures)),
            lying=self.lying,
        )


class PageReader:
    """Reads the pages of one document, one by one."""

    def __init__(
        self,
        path: Path,
        output: ReaderOutput,
        *,
        left_out: NotRead,
        repeats: Repeats,
        running_headers: RunningHeaders,
        looked_at: dict[int, PageText],
    ) -> None:
        """`looked_at` holds the text of some pages by their numbers; what is read is taken out of it."""
        self._output = output
        self._left_out = left_out
        self._repeats = repeats
        self._running_headers = running_headers
        self._looked_at = looked_at
        self._second = SecondReader(path)
        self.characters = 0
        """Of all pages so far."""
        self.open_table: OpenTable | None = None
        """At the end of the page that was read last."""

    def read(self, page: Any, number: int) -> tuple[Page, list[Paragraph]]:
        """Raises SamePageError, and DamagedFileError for a page that is none."""
        textpage = page.get_textpage()
        try:
            left = max(0, self._output.limits.max_text_characters - self.characters)
            over = max(0, textpage.count_chars() - left)
            text = self._text(page, textpage, number, left)
            laid = laid_over(page, textpage, text, number, most_characters=left, left_out=self._left_out)
            self.characters += text.characters + laid.characters
            self._left_out.count["characters"] += over
            if over:  # words that are not wanted are not read from the picture either
                return self._from_text(page, text, laid, number, looks=False)
            if not is_legible(text):
                return self._from_scan(page, text, laid, number)
            if makes_no_words([piece.text for piece in text.pieces]):
                return self._from_either(page, text, laid, number)
            return self._from_text(page, text, laid, number)
        finally:
            textpage.close()

    def _text(self, page: Any, textpage: Any, number: int, most_characters: int) -> PageText:
        undrawn = undrawn_text(page)
        known = self._looked_at.pop(number, None)
        if known is not None and not undrawn and known.is_whole and textpage.count_chars() <= most_characters:
            return known
        more = self._second.glyphs(page, number, undrawn, textpage.count_chars()) if undrawn else []
        return read_text(page, textpage, most_characters=most_characters, more=more)

    def _from_text(
        self, page: Any, text: PageText, laid: LaidOver, number: int, *, looks: bool = True
    ) -> tuple[Page, list[Paragraph]]:
        """The text layer, and what OCR reads where the layer has nothing, unless it is not to look there."""
        image = self._seen(page, PAGE_SIDE, text, laid, number)
        rules, figure_boxes = rules_and_figures(page)
        self._left_out.count["objects"] += objects_over(page)
        if text.turned:
            image = image.rotate(text.turned, expand=True)
            figure_boxes, rules = [turn(box, text.turned) for box in figure_boxes], Rules()
        text = self._shown(page, image, text, number)
        kept_pieces = self._running_headers.without(text.pieces, number)
        self._left_out.count["repeating"] += len(text.pieces) - len(kept_pieces)
        seen = self._seen_alone(page, image, text, laid, number) if looks else SeenAlone()
        kept = self._keep(image, number, read_by_ocr=seen.characters > text.characters)
        fields = laid.pieces_beside([*kept_pieces, *seen.pieces], image.width / image.height)
        text = replace(text, pieces=(*kept_pieces, *fields, *seen.pieces))
        tables = self._with_continued(text, number, page_tables(text.pieces, rules))
        found = list(page_paragraphs(text, number, tables, figure_boxes, seen.pictures))
        found += [Paragraph(block=block, is_aside=True) for block in (*seen.lying, *laid.comments)]
        found = with_header(found, self.open_table, number)
        self.open_table = left_open(found, number)
        return kept, [self._with_picture(each, image) for each in found]

    def _shown(self, page: Any, image: Image.Image, text: PageText, number: int) -> PageText:
        """Without the words that the page does not show."""
        pixels_HWC = pixels_of(image)
        if shows_nothing(pixels_HWC, text):
            self._left_out.on_page("unseen", number)
            return text
        shown, unseen = without_unseen(page, pixels_HWC, text)
        self._left_out.count["covered"] += unseen
        return shown

    def _with_continued(self, text: PageText, number: int, tables: list[Table]) -> list[Table]:
        """With the rows on top of the page that go on with a table, unless they are in a table by their rules."""
        if self.open_table is None or self.open_table.page != number - 1:
            return tables
        rows = continued_rows(text.pieces, self.open_table)
        if rows is None or any(rows.box[1] < table.box[3] and table.box[1] < rows.box[3] for table in tables):
            return tables
        return [rows, *tables]

    def _seen_alone(self, page: Any, image: Image.Image, text: PageText, laid: LaidOver, number: int) -> SeenAlone:
        """What OCR reads where nothing else is known to stand."""
        known = [*text.boxes, *laid.covers]
        unclear = gathered(word.box for word in text.unclear)
        rasters = raster_areas(page, text.turned)
        areas = unread_areas(pixels_of(image), known, rasters, laid.stamps, is_invisible=text.invisible)
        if not areas and not unclear:
            return SeenAlone()
        large = _rendered(page, _OCR_SIDE)
        large_HWC = painted(np.asarray(large.rotate(text.turned, expand=True) if text.turned else large), known)
        aspect = image.width / image.height
        seen = self._words_in(large_HWC, areas, aspect, number)
        if unclear:
            clear = self._words_in(large_HWC, unclear, aspect, number).everywhere
            if is_read([piece.text for piece in clear], odd_letters(text)):
                seen = replace(seen, pieces=(*seen.pieces, *without_known(clear, seen.everywhere, is_invisible=False)))
            else:
                self._left_out.on_page("font", number)
        known_pieces = [*text.pieces, *laid.pieces_beside((), aspect)]
        return seen.only(without_known(seen.everywhere, known_pieces, is_invisible=text.invisible))

    def _words_in(self, image_HWC: Pixels, areas: Sequence[Box], aspect: float, number: int) -> SeenAlone:
        """Lines of these areas by OCR."""
        from indexing.readers.ocr import read_words

        seen = SeenAlone()
        unread = 0
        for area in areas:
            words = read_words(cropped(image_HWC, area))
            self._left_out.count["lines"] += words.left_out
            unread += max(0, words.unread - len(words.lines))
            if words.turned:
                lying = tuple(replace(block, lines=(), box=area) for block in words.blocks(page=number))
                seen = replace(seen, lying=(*seen.lying, *lying))
                continue
            pieces = tuple(
                Piece(text=line.text, box=_within(line.box, area), aspect=aspect, confidence=line.confidence)
                for line in words.lines
                if line.box
            )
            if is_page(area):
                seen = replace(seen, pieces=(*seen.pieces, *pieces))
            else:
                seen = replace(seen, pictures=(*seen.pictures, pieces))
        if unread >= _UNREAD_LINES:
            self._left_out.on_page("script", number)
        return seen

    def _from_either(self, page: Any, text: PageText, laid: LaidOver, number: int) -> tuple[Page, list[Paragraph]]:
        """Letters that make no words: what OCR reads, if it is something else and makes sense."""
        from indexing.readers.ocr import read_words

        texts = [piece.text for piece in text.pieces]
        lines = [line.text for line in read_words(np.asarray(_rendered(page, _OCR_SIDE))).lines]
        if agree(texts, lines):
            return self._from_text(page, text, laid, number)
        if is_read(lines, text.characters) and not makes_no_words(lines):
            return self._from_scan(page, replace(text, pieces=()), laid, number)
        self._left_out.on_page("font", number)
        return self._from_text(page, text, laid, number)

    def _from_scan(self, page: Any, text: PageText, laid: LaidOver, number: int) -> tuple[Page, list[Paragraph]]:
        """OCR, and the text layer after all where OCR finds nothing."""
        from indexing.readers.ocr import read_words

        image = self._seen(page, _OCR_SIDE, text, laid, number)
        # fields and comments stand on the page as it is shown
        shown_HWC = painted(pixels_of(image), [turn(box, -text.turned % 360) for box in laid.covers])
        if letters_in_runs(small_grey(shown_HWC), enough=1) == 0 and _is_blank(shown_HWC):
            return self._keep(image, number, read_by_ocr=False), self._as_they_are(image, text, laid, number)
        words = read_words(np.ascontiguousarray(shown_HWC))
        self._left_out.count["lines"] += words.left_out
        if text.odd and not is_read([line.text for line in words.lines], text.characters):
            self._left_out.on_page("font", number)
        elif words.unread:
            self._left_out.on_page("script", number)
        if words.is_doubtful:
            self._left_out.on_page("doubt", number)
        if words.turned:
            image = image.rotate(words.turned, expand=True)
        kept = self._keep(image, number, read_by_ocr=bool(words.lines))
        if not words.lines and not words.turned:
            return kept, self._as_they_are(image, text, laid, number)
        if laid.fields and not words.turned and not text.turned:
            aspect = image.width / image.height
            pieces = [
                Piece(text=line.text, box=line.box, aspect=aspect, confidence=line.confidence)
                for line in words.lines
                if line.box
            ]
            seen = replace(text, pieces=tuple(pieces), vertical=(), sideways=())
            return kept, self._as_they_are(image, seen, laid, number)
        blocks = [*words.blocks(page=number), *_as_blocks(laid.fields, number), *laid.comments]
        return kept, [Paragraph(block=block) for block in blocks]

    def _as_they_are(self, image: Image.Image, text: PageText, laid: LaidOver, number: int) -> list[Paragraph]:
        """Pieces and fields as paragraphs, on a page without rules and figures."""
        fields = laid.pieces_beside(text.pieces, image.width / image.height)
        text = replace(text, pieces=(*text.pieces, *fields))
        return [*page_paragraphs(text, number, [], []), *(Paragraph(block=block) for block in laid.comments)]

    def _seen(self, page: Any, side: int, text: PageText, laid: LaidOver, number: int) -> Image.Image:
        """As one sees it; raises SamePageError where another page was the same."""
        image = _rendered(page, side)
        words = [(piece.text, piece.box) for piece in text.pieces] + laid.words
        first = self._repeats.looks_like(image, words, number)
        if first is not None:
            raise SamePageError(first)
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

    def _keep(self, image: Image.Image, number: int, *, read_by_ocr: bool) -> Page:
        path = self._output.page(image, number)
        if number == 1 and not self._output.page_offset:
            self._output.thumb(pixels_of(image))
        width, height = self._output.sizes[path.name]
        return Page(number=number, image=path, width=width, height=height, read_by_ocr=read_by_ocr)


def _within(box: Box, area: Box) -> Box:
    """A box of the area as one of the page."""
    width, height = area[2] - area[0], area[3] - area[1]
    x0, y0, x1, y1 = box
    return (area[0] + x0 * width, area[1] + y0 * height, area[0] + x1 * width, area[1] + y1 * height)


def _as_blocks(fields: Sequence[FormField], number: int) -> list[Block]:
    """On a page that lies on its side: nobody knows beside what they stand."""
    texts = [f"{field.name}: {field.value}" if field.name else field.value for field in fields]
    return [Block(kind="text", text=text, page=number) for text in texts]


def _is_blank(image_HWC: Pixels) -> bool:
    small = Image.fromarray(image_HWC).convert("L").resize((64, 64))
    return float(np.asarray(small).std()) < 1.0


def _rendered(page: Any, side: int) -> Image.Image:
    width, height = page.get_size()
    if not (width > 0 and height > 0) or max(width, height) > 200 * min(width, height):
        raise DamagedFileError(f"a page measures {width:.0f} × {height:.0f} points")
    image: Image.Image = page.render(scale=side / max(width, height)).to_pil()
    return image.convert("RGB")
