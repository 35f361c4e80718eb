"""What the readers of documents share.

read_text (a file of any encoding) and table_cells (an HTML table) → blocks → finished (the `Reading`, with the
pictures that lie inside the document as figures)
"""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Any

from indexing.errors import UnreadableFileError, pass_on
from indexing.readers.encoding import decoded_with_notes
from indexing.readers.output import ReaderOutput
from indexing.records import Block, Note, Page, Reading
from indexing.settings import ReadLimits

_LEAST_FIGURE_SIDE = 120
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_MOST_SPAN = 200
_DOTS = "\u0095\u2022\u2023\u2043\u204c\u204d\u2219\u25cb\u25cf\u25d8\u25e6\u2619\u2765\u2767\u29be\u29bf\u3164\uf0b7*·"
_BULLET = re.compile(rf"[{_DOTS}]|[-\u2013](?=\s|$)")
_BAR = "\\|"
COVERED = "\0"
"""Stands for a place that the cell at its left reaches over; no text of a file has this character."""
HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html", "legend", "li", "main",
    "ol", "option", "p", "pre", "section", "summary", "table", "ul",
}) | frozenset(HEADINGS)  # fmt: skip
"""Elements that begin and end a paragraph."""
_PARTING = frozenset({"br", "img", "tr", "td", "th"})


def finished(
    path: Path,
    blocks: Sequence[Block],
    output: ReaderOutput,
    *,
    title: str | None = None,
    metadata: dict[str, str] | None = None,
    pictures: Iterator[tuple[int | None, bytes]] | None = None,
    notes: tuple[Note, ...] = (),
) -> Reading:
    """The blocks as a document. Figures are made of `pictures`, each given with its slide. A document without a title
    of its own takes its first heading for one."""
    if pictures is not None:
        figures, left_out = figures_of(pictures, output)
        blocks, notes = [*blocks, *figures], (*notes, *left_out)
    numbers = sorted({block.page for block in blocks if block.page is not None})
    first = next((block.text for block in blocks if block.kind == "heading"), "")
    return Reading(
        is_picture=False,
        title=" ".join(clean(title or first or path.stem).split())[:300] or path.stem,
        pages=tuple(Page(number=number, image=None, width=0, height=0) for number in numbers),
        blocks=tuple(blocks),
        metadata=metadata or {},
        notes=notes,
    )


def figures_of(pictures: Iterator[tuple[int | None, bytes]], output: ReaderOutput) -> tuple[list[Block], list[Note]]:
    """Figures in order, and notes on those that were left out."""
    figures: list[Block] = []
    too_many = 0
    broken: Counter[str] = Counter()
    unread: list[Note] = []
    for slide, data in pictures:
        if output.figures >= output.limits.max_figures:
            too_many += 1
            continue
        try:
            with output.part():
                block = figure_block(data, output, page=slide, notes=unread)
        except UnreadableFileError as error:
            pass_on(error)
            broken[error.reason] += 1
            continue
        figures += [block] if block is not None else []
    notes = [
        Note(f"{count:,} embedded pictures could not be read: {reason}", kind="picture", number=count, unread=True)
        for reason, count in broken.items()
    ]
    if too_many:
        sentence = f"{too_many:,} embedded pictures over the limit of {output.limits.max_figures:,} were left out"
        notes.append(Note(sentence, kind="picture", number=too_many, unread=True))
    return figures, [*notes, *(note.within("a picture") for note in unread)]


def figure_block(
    data: bytes, output: ReaderOutput, *, page: int | None = None, caption: str = "", notes: list[Note]
) -> Block | None:
    """A picture inside a document, with the words in it; None when it is as small as a bullet or a logo. What OCR
    could not read of it is added to the `notes`."""
    from indexing.readers.image import decoded_bytes, words_in

    image = decoded_bytes(io.BytesIO(data), output)
    if min(image.size) < _LEAST_FIGURE_SIDE:
        return None
    image, words = words_in(image)
    text = "\n".join(line.text for line in words.lines) if words else ""
    notes += words.notes() if words else ()
    return Block(kind="figure", text=text, page=page, caption=caption, image=output.figure(image))


def read_text(path: Path, limits: ReadLimits, *, is_html: bool = False) -> tuple[str, tuple[Note, ...]]:
    """The file as text, whatever its encoding, and a note where it was cut."""
    with path.open("rb") as file:
        return read_text_of(file, limits, is_html=is_html)


def read_text_of(file: IO[bytes], limits: ReadLimits, *, is_html: bool = False) -> tuple[str, tuple[Note, ...]]:
    """The same for an open file, such as a page in an archive."""
    data = file.read(4 * (limits.max_text_characters + 1))  # no encoding has longer characters
    found = decoded_with_notes(data, is_html=is_html)
    text = clean(found.text)
    if is_html:
        text = _XML_DECLARATION.sub("", text)
    if len(text) > limits.max_text_characters:
        limit = limits.max_text_characters
        cut = Note(f"longer than {limit:,} characters, of which the first were read", unread=True)
        return text[:limit], (cut, *found.notes)
    return text, found.notes


def clean(text: str) -> str:
    """Without control characters, which neither XML parsers nor databases take."""
    return _UNREADABLE.sub(" ", text)


def without_bullet(text: str) -> str:
    """The words of a list's item; a row of bullets is a line that somebody drew, and a minus belongs to its number."""
    found = _BULLET.match(text)
    return text[found.end() :].strip() if found and not _BULLET.match(text, found.end()) else text


def markdown_table(cells: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is the header. Bars and line breaks inside cells are escaped.

    A place that is `COVERED` has nothing between its bars, not even a space, as MultiMarkdown writes it:
    `| Year || n |`.
    """
    width = max(len(row) for row in cells)
    lines = ["|" + "".join(map(_between_bars, [*row, *[""] * (width - len(row))])) for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _between_bars(cell: str) -> str:
    return "|" if cell == COVERED else f" {' '.join(cell.split()).replace('|', _BAR)} |"


def table_cells(html: str) -> list[list[str]]:
    """Rows of cells of the first table."""
    from lxml import html as lxml_html

    table = lxml_html.fragment_fromstring(html, create_parent="div").find(".//table")
    return [] if table is None else cells_of(table)


def cells_of(table: Any) -> list[list[str]]:
    """Rows of cells; a spanning cell has its words in its first place, `COVERED` in those at the right of it and empty
    ones below. A table inside a cell is words of the cell."""
    rows: list[list[str]] = []
    covered: dict[int, int] = {}  # column → the first row that no cell from above reaches into
    for y, row in enumerate(_rows_of(table)):
        cells: list[str] = []
        for cell in row.iterchildren("td", "th"):
            cells += _reached(covered, y, len(cells))
            x, width = len(cells), _span(cell.get("colspan"))
            cells += [_words_of(cell), *[COVERED] * (width - 1)]
            covered |= dict.fromkeys(range(x, x + width), y + _span(cell.get("rowspan")))
        rows.append(cells + _reached(covered, y, len(cells)))
    return without_empty(rows)


def _reached(covered: dict[int, int], y: int, x: int) -> list[str]:
    """Empty cells for the columns from `x` on that a cell from above reaches into."""
    return [""] * next(step for step in count() if covered.get(x + step, 0) <= y)


def _rows_of(table: Any) -> Iterator[Any]:
    for child in table.iterchildren("tr", "thead", "tbody", "tfoot"):
        if child.tag == "tr":
            yield child
        else:
            yield from child.iterchildren("tr")


def _words_of(cell: Any) -> str:
    """A block inside the cell parts words as a space does; a bold letter does not."""
    from lxml import etree

    parts: list[str] = []
    for event, element in etree.iterwalk(cell, events=("start", "end")):
        parts.append(" " if element.tag in BLOCKS or element.tag in _PARTING else "")
        if event == "start":
            parts.append(element.text or "")
        elif element is not cell:
            parts.append(element.tail or "")
    return " ".join("".join(parts).split())


def without_empty(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The same width for every row; rows and columns with nothing in them left out."""
    width = max((len(row) for row in rows), default=0)
    full = [[*row, *[""] * (width - len(row))] for row in rows if any(map(has_words, row))]
    kept = [x for x in range(width) if any(has_words(row[x]) for row in full)]
    return [[row[x] for x in kept] for row in full]


def has_words(cell: str) -> bool:
    """Whether anything stands in it."""
    return cell != COVERED and not cell.isspace() and cell != ""


def _span(value: str | None) -> int:
    return min(_MOST_SPAN, max(1, int(value))) if value and value.strip().isdigit() else 1
