"""What lies over a page, ready to be put into its text: values of fields as pieces, comments as blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from indexing.readers.pdf.annotations import Comments, annotations_over, comments_on
from indexing.readers.pdf.forms import Fields, FormField, fields_of, is_labelled, pieces_of
from indexing.readers.pdf.glyphs import turn
from indexing.readers.pdf.left_out import NotRead
from indexing.readers.pdf.nearby import ByHeight
from indexing.readers.pdf.text import PageText
from indexing.readers.reading_order import Piece
from indexing.records import Block, Box


@dataclass(frozen=True, kw_only=True, slots=True)
class LaidOver:
    """Boxes are fractions of the page as its text is upright."""

    fields: tuple[FormField, ...] = ()
    """Fields with their values, and words typed beside a label."""
    comments: tuple[Block, ...] = ()
    covers: tuple[Box, ...] = ()
    """Where fields and text boxes are drawn: their words are known."""
    stamps: tuple[Box, ...] = ()
    """Stamps and signatures, whose words can be seen alone."""

    @property
    def words(self) -> list[tuple[str, object]]:
        """All of it, to compare pages."""
        fields: list[tuple[str, object]] = [(field.value, field.box) for field in self.fields]
        return fields + [(block.text, block.box) for block in self.comments]

    @property
    def characters(self) -> int:
        """How many there are of all this."""
        return sum(len(text) for text, _ in self.words)

    def pieces_beside(self, pieces: Sequence[Piece], aspect: float) -> list[Piece]:
        """The fields as pieces of a page whose other words are `pieces`."""
        return pieces_of(self.fields, pieces, aspect)


def laid_over(
    page: Any, textpage: Any, text: PageText, number: int, *, most_characters: int, left_out: NotRead
) -> LaidOver:
    """Fields and comments of the page; what is not read of them is added to `left_out`."""
    import pypdfium2.raw as pdfium

    if pdfium.FPDFPage_GetAnnotCount(page) <= 0:
        return LaidOver()
    fields = fields_of(page, most_characters=most_characters)
    comments = comments_on(page, textpage, most_characters=most_characters)
    left_out.count["hidden"] += fields.hidden + comments.hidden
    left_out.count["media"] += comments.media
    left_out.count["annotations"] += annotations_over(page)
    return _on_upright_page(fields, comments, text, number, _aspect(page, text.turned))


def _aspect(page: Any, turned: int) -> float:
    width, height = page.get_size()
    return float(height / width if turned in (90, 270) else width / height)


def _on_upright_page(fields: Fields, comments: Comments, text: PageText, number: int, aspect: float) -> LaidOver:
    typed: list[FormField] = [_turned(each, text.turned) for each in fields.filled]
    covers = [each.box for each in typed]
    blocks: list[Block] = []
    by_height = ByHeight(text.pieces)
    for comment in comments.comments:
        box = turn(comment.box, text.turned)
        as_field = FormField(value=comment.text, name="", box=box)
        if comment.is_text_box:
            covers.append(box)
        if comment.is_text_box and is_labelled(as_field, by_height.near(box[1], box[3]), aspect):
            typed.append(as_field)
        else:
            blocks.append(comment.block(number, box))
    return LaidOver(
        fields=tuple(typed),
        comments=tuple(blocks),
        covers=tuple(covers),
        stamps=_turned_boxes([*fields.signed, *comments.drawn], text.turned),
    )


def _turned(each: FormField, degrees: int) -> FormField:
    return FormField(value=each.value, name=each.name, box=turn(each.box, degrees), is_box=each.is_box)


def _turned_boxes(boxes: Sequence[Box], degrees: int) -> tuple[Box, ...]:
    return tuple(turn(box, degrees) for box in boxes)
