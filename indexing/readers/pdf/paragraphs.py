"""Pieces of text on a page → paragraphs in reading order, with tables, figures and their captions; then headings.

tables and figures taken out whole, a marker left in their place → regions in reading order → paragraphs → captions
joined with what they name. Headings are found at the end, when the size of the body text is known.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from indexing.chunking import join_lines
from indexing.readers.document import markdown_table
from indexing.readers.pdf.tables import Table, aligned_tables
from indexing.readers.pdf.text import PageText
from indexing.readers.reading_order import Piece, around, paragraphs, regions, rows
from indexing.records import Block, Box, Line

CAPTION = re.compile(
    r"^(fig(ure|\.)?|abb(ildung|\.)?|table(au)?|tab\.|tabelle|tabla|tabela|图|表|그림|표)\s*\.?\s*[\dIVX]+",
    re.IGNORECASE,
)
_TABLE_CAPTION = re.compile(r"^(tab|表|표)", re.IGNORECASE)
_LARGEST_FIGURE = 0.4
_LONGEST_OPENING = 300
_OPENS_WITHIN = 0.04
_NUMBERED = re.compile(r"^(\d+(\.\d+)*\.?|[IVX]+\.|[A-Z]\.)\s+\S")


@dataclass(frozen=True, kw_only=True, slots=True)
class Paragraph:
    """A block on its way, with the size and weight of its letters; a table or figure has neither."""

    block: Block
    size: float = 0.0
    bold: bool = False
    table: Table | None = None
    is_aside: bool = False
    """A comment, or what runs up the margin: no part of the running text."""


def page_paragraphs(
    text: PageText,
    number: int,
    tables: Sequence[Table],
    figures: Sequence[Box],
    pictures: Sequence[Sequence[Piece]] = (),
) -> Iterator[Paragraph]:
    """All blocks of one page in reading order; `figures` are the boxes of its pictures. `pictures` are the lines that
    OCR read in some of them: words of the figure, or a block by themselves where there is none."""
    taken = {id(piece) for table in tables for piece in table.pieces}
    left = [piece for piece in text.pieces if id(piece) not in taken]
    by_ocr = [piece for pieces in pictures for piece in pieces]
    things: list[Paragraph] = []
    markers: list[Piece] = []
    for table in tables:
        markers.append(_marker(table.box, things, _table_paragraph(table, number)))
    for lines in text.vertical:
        block = _lines_block(lines, number, join_lines([line.text for line in lines]))
        markers.append(_marker(around([line.box for line in lines if line.box]), things, Paragraph(block=block)))
    for box in figures:
        inside = [piece for piece in left if _inside(piece.box, box)]
        if any(len(piece.text) > 32 for piece in inside) or len(inside) > 60:
            continue  # a background or a frame around text
        left = [piece for piece in left if not _inside(piece.box, box)]
        words = "\n".join(row.text for row in rows([*inside, *(each for each in by_ocr if _inside(each.box, box))]))
        by_ocr = [each for each in by_ocr if not _inside(each.box, box)]
        figure = Block(kind="figure", text=words, page=number, box=box)
        markers.append(_marker(box, things, Paragraph(block=figure)))
    for pieces in pictures:
        own = set(map(id, pieces))
        if rest := [piece for piece in by_ocr if id(piece) in own]:
            lines = tuple(Line(text=row.text, box=row.box, confidence=row.confidence) for row in rows(rest))
            block = _lines_block(lines, number, "\n".join(line.text for line in lines))
            markers.append(_marker(around([piece.box for piece in rest]), things, Paragraph(block=block)))
    ordered: list[Paragraph] = []
    for region in regions([*left, *markers]):
        ordered.extend(_region(region, number, things))
    yield from _with_captions(ordered)
    if text.margin:
        yield Paragraph(block=Block(kind="text", text=text.margin, page=number), is_aside=True)


def is_page(box: Box) -> bool:
    """A scan of a good part of the page is the page's text, not a figure on it."""
    return (box[2] - box[0]) * (box[3] - box[1]) > _LARGEST_FIGURE


def _lines_block(lines: tuple[Line, ...], number: int, text: str) -> Block:
    return Block(kind="text", text=text, page=number, lines=lines, box=around([each.box for each in lines if each.box]))


def _marker(box: Box, things: list[Paragraph], paragraph: Paragraph) -> Piece:
    """A piece that stands for a table or figure while the reading order is found."""
    things.append(paragraph)
    return Piece(text="", box=box, thing=len(things) - 1)


def _table_paragraph(table: Table, number: int) -> Paragraph:
    text = markdown_table(table.cells)
    block = Block(kind="table", text=text, page=number, box=table.box, lines=table.lines)
    return Paragraph(block=block, table=table)


def _region(region: Sequence[Piece], number: int, things: list[Paragraph]) -> Iterator[Paragraph]:
    tables = aligned_tables(region)
    taken = {id(piece) for table in tables for piece in table.pieces}
    rest = [piece for piece in region if id(piece) not in taken]
    markers = [_marker(table.box, things, _table_paragraph(table, number)) for table in tables]
    run: list[Piece] = []
    for row in [*rows([*rest, *markers]), None]:
        if row is not None and row.thing is None:
            run.append(row)
            continue
        for group in paragraphs(run):
            yield _paragraph(group, number)
        run = []
        if row is not None and row.thing is not None:
            yield things[row.thing]


def _paragraph(group: Sequence[Piece], number: int) -> Paragraph:
    lines = tuple(Line(text=row.text, box=row.box, confidence=row.confidence) for row in group)
    block = Block(
        kind="text",
        text=join_lines([line.text for line in lines]),
        page=number,
        lines=lines,
        box=around([row.box for row in group]),
    )
    return Paragraph(block=block, size=max(row.size for row in group), bold=all(row.bold for row in group))


def _with_captions(found: Sequence[Paragraph]) -> Iterator[Paragraph]:
    """`Figure 3: …` and `Table 1. …` go to the nearest figure or table without one; and to a table what opens it."""
    captions: dict[int, int] = {}  # index of the table or figure → index of the caption
    for index, each in enumerate(found):
        if each.block.kind != "text" or not CAPTION.match(each.block.text) or len(each.block.text) > 1_000:
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
    captions |= _units_and_openings(found, captions)
    used = set(captions.values())
    for index, each in enumerate(found):
        if index in captions:
            yield replace(each, block=replace(each.block, caption=found[captions[index]].block.text))
        elif index not in used:
            yield each


def _units_and_openings(found: Sequence[Paragraph], captions: Mapping[int, int]) -> dict[int, int]:
    """What stands right above a table without a caption and opens it: "(In millions)", "The sales by region were:"."""
    taken = set(captions.values())
    return {
        index: index - 1
        for index, each in enumerate(found[1:], start=1)
        if each.block.kind == "table" and index not in captions and index - 1 not in taken
        and _opens_table(found[index - 1].block.text, found[index - 1].block.kind)
        and _distance(found[index - 1].block.box, each.block.box) < _OPENS_WITHIN
    }  # fmt: skip


def _opens_table(text: str, kind: str) -> bool:
    text = text.strip()
    return (
        kind == "text"
        and len(text) <= _LONGEST_OPENING
        and (text.endswith((":", "：")) or text[:1] + text[-1:] == "()")
    )


def _distance(box: Box | None, other: Box | None) -> float:
    """Between the two in height; infinite when they do not stand above each other."""
    if box is None or other is None or min(box[2], other[2]) <= max(box[0], other[0]):
        return float("inf")
    return max(0.0, box[1] - other[3], other[1] - box[3])


def _inside(inner: Box, outer: Box) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def with_headings(found: Sequence[Paragraph]) -> Iterator[Block]:
    """The blocks of all pages, with text in larger or bold letters as headings of levels 1 to 5."""
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


def _is_heading(each: Paragraph, body: float) -> bool:
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
