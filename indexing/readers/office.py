"""Office files, web pages, Markdown and plain text, read by unstructured without a network.

unstructured asks spaCy for the sentence model `en_core_web_sm` and would download it. spaCy takes a
folder of that name in the working directory instead: the parent may have linked a model there; if not,
a rule-based sentence splitter is written there once. Nothing here depends on part-of-speech tags (they
only tell titles from prose where a format has no styles), so the rules are as good and seven times
faster: the 872-page handbook of the test corpus takes 2.8 s instead of 20 s.
"""

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexing.content_type import ContentType
from indexing.errors import UnreadableFileError, UnsupportedFileError
from indexing.readers.archive import check_archive, has_member, is_strict, media
from indexing.readers.markup import clean, read_text, table_cells, without_empty
from indexing.readers.spool import Spool
from indexing.readers.tables import markdown
from indexing.records import Block, Page, Reading

if TYPE_CHECKING:
    from indexing.readers import Reader

_SENTENCE_MODEL = Path("en_core_web_sm")
_LEAST_FIGURE_SIDE = 120
_LONGEST_HEADING = 200


def reader_of(content_type: ContentType) -> "Reader":
    """The reader for one of the types that unstructured knows."""
    from indexing.readers.epub import read_epub

    readers: dict[ContentType, Reader] = {
        "docx": read_docx,
        "pptx": read_pptx,
        "xlsx": read_xlsx,
        "epub": read_epub,
        "html": read_html,
        "markdown": read_markdown,
        "text": read_plain,
    }
    return readers[content_type]


def read_docx(path: Path, spool: Spool) -> Reading:
    """Word: headings by style, tables whole; pages where Word has left its page breaks in the file."""
    check_archive(path, spool.limits)
    if is_strict(path):
        raise UnsupportedFileError(
            "the document is saved as Strict Open XML, which is not read here (save it as an ordinary DOCX)"
        )
    _prepare()
    from docx import Document
    from unstructured.partition.docx import partition_docx

    elements = partition_docx(str(path), **_PLAIN)
    blocks = list(_blocks(elements, paged=True))
    own = _properties(path, Document(str(path)))
    return finished(path, blocks, spool, title=own.pop("title", ""), metadata=own, pictures=media(path))


def read_pptx(path: Path, spool: Spool) -> Reading:
    """PowerPoint: a slide is a page, its title a heading; speaker notes follow their slide."""
    check_archive(path, spool.limits)
    _prepare()
    from pptx import Presentation
    from unstructured.partition.pptx import partition_pptx

    elements = partition_pptx(str(path), include_slide_notes=False, **_PLAIN)
    presentation = Presentation(str(path))
    blocks = list(_with_speaker_notes(list(_blocks(elements, paged=True, deepest_heading=0)), presentation))
    own = _properties(path, presentation)
    return finished(path, blocks, spool, title=own.pop("title", ""), metadata=own, pictures=media(path))


def read_xlsx(path: Path, spool: Spool) -> Reading:
    """Excel: a sheet is a page under its name, each block of cells a table."""
    check_archive(path, spool.limits)
    _prepare()
    from unstructured.partition.xlsx import partition_xlsx

    elements = partition_xlsx(str(path), find_subtable=False, include_header=False, **_PLAIN)
    blocks: list[Block] = []
    for element in elements:
        page = element.metadata.page_number
        name = element.metadata.page_name
        if name and not any(b.kind == "heading" and b.page == page for b in blocks):
            blocks.append(Block(kind="heading", text=clean(name), page=page, level=1))
        blocks.extend(_sheet(_sheet_cells(element.metadata.text_as_html or ""), page))
    return finished(path, blocks, spool, pictures=media(path))


def read_html(path: Path, spool: Spool) -> Reading:
    """Web pages; scripts, styles and everything that lies elsewhere are left out."""
    text, notes = read_text(path, spool.limits, is_html=True)
    return replace(finished(path, html_blocks(text), spool, title=_html_title(text)), notes=notes)


def read_markdown(path: Path, spool: Spool) -> Reading:
    """Markdown, with its tables."""
    _prepare()
    from unstructured.partition.md import partition_md

    text, notes = read_text(path, spool.limits)
    blocks = list(_blocks(partition_md(text=text, **_PLAIN))) if text.strip() else []
    return replace(finished(path, blocks, spool), notes=notes)


def read_plain(path: Path, spool: Spool) -> Reading:
    """Plain text in any encoding that it is likely to have."""
    text, notes = read_text(path, spool.limits)
    return replace(finished(path, plain_blocks(text), spool, title=path.stem), notes=notes)


def html_blocks(text: str) -> list[Block]:
    """A web page or the HTML part of a mail."""
    if not _has_elements(text):
        return []
    _prepare()
    from unstructured.partition.html import partition_html

    return list(_blocks(partition_html(text=text, **_PLAIN)))


def plain_blocks(text: str) -> list[Block]:
    """Paragraphs of plain text; nothing in it is taken for a heading."""
    if not text.strip():
        return []
    _prepare()
    from unstructured.partition.text import partition_text

    elements = partition_text(text=text, paragraph_grouper=False, **_PLAIN)
    return list(_blocks(elements, deepest_heading=-1))


_PLAIN: dict[str, Any] = {"languages": [""]}  # no guessing of languages, element by element


@cache
def _prepare() -> None:
    """Before unstructured is imported: what it must not load, and the sentence splitter it looks for.

    unstructured asks spaCy for `en_core_web_sm` and downloads it where it is missing; spaCy takes a folder of that
    name in the working directory, which is the worker's own. Rules do: only headings that a style gives are kept.
    """
    # thinc and others take torch when they can get it: 600 MB in every worker, and no reader needs it
    for unwanted in ("torch", "tensorflow", "transformers", "cupy", "mxnet", "jax"):
        sys.modules.setdefault(unwanted, None)  # type: ignore[arg-type]  # None makes the import fail
    if not _SENTENCE_MODEL.exists():
        import spacy

        rules = spacy.blank("en")
        rules.add_pipe("sentencizer")
        rules.to_disk(_SENTENCE_MODEL)


def _blocks(elements: Sequence[Any], *, paged: bool = False, deepest_heading: int = 9) -> Iterator[Block]:
    """unstructured's elements as blocks; a title counts as a heading down to `deepest_heading`."""
    for element in elements:
        page = element.metadata.page_number if paged else None
        text = clean(element.text or "").strip()
        depth = element.metadata.category_depth
        if element.category == "Table":
            yield from _table(element, page)
        elif not text:
            continue
        elif (
            element.category == "Title"
            and depth is not None
            and depth <= deepest_heading
            and len(text) <= _LONGEST_HEADING
        ):
            yield Block(kind="heading", text=text, page=page, level=depth + 1)
        else:
            yield Block(kind="text", text=text, page=page)


def _table(element: Any, page: int | None) -> Iterator[Block]:
    cells = table_cells(clean(element.metadata.text_as_html or ""))
    if len(cells) > 1 and len(cells[0]) > 1:
        yield Block(kind="table", text=markdown(cells), page=page)
    elif cells or element.text:
        # a frame around text is no table
        texts = [cell for row in cells for cell in row if cell] or [clean(element.text)]
        yield Block(kind="text", text="\n".join(texts), page=page)


def _sheet_cells(html: str) -> list[list[str]]:
    """pandas writes a line break inside a cell as a backslash and an n."""
    return [[" ".join(cell.replace("\\n", " ").split()) for cell in row] for row in table_cells(html)]


def _sheet(rows: Sequence[Sequence[str]], page: int | None) -> Iterator[Block]:
    """A sheet's cells as one table; a single cell above it is its caption."""
    caption: list[str] = []
    left = [list(row) for row in rows]
    while left and sum(1 for cell in left[0] if cell) == 1 and len(left[0]) > 1:
        caption.append(next(cell for cell in left.pop(0) if cell))
    cells = without_empty(left)
    if not cells:
        if caption:
            yield Block(kind="text", text="\n".join(caption), page=page)
        return
    yield Block(kind="table", text=markdown(cells), page=page, caption="\n".join(caption))


def _with_speaker_notes(blocks: Sequence[Block], presentation: Any) -> Iterator[Block]:
    for number, slide in enumerate(presentation.slides, start=1):
        yield from (block for block in blocks if block.page == number)
        notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        if notes is not None and notes.text.strip():
            yield Block(kind="text", text=f"Speaker notes: {clean(notes.text).strip()}", page=number)


def finished(
    path: Path,
    blocks: Sequence[Block],
    spool: Spool,
    *,
    title: str | None = None,
    metadata: dict[str, str] | None = None,
    pictures: Iterator[tuple[int | None, bytes]] | None = None,
    notes: tuple[str, ...] = (),
) -> Reading:
    """The blocks as a document; `pictures` are looked at for figures, and it is called after its first heading when it
    has no title of its own."""
    blocks = [*blocks, *(_figures(pictures, spool) if pictures is not None else ())]
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


def _figures(pictures: Iterator[tuple[int | None, bytes]], spool: Spool) -> Iterator[Block]:
    for slide, data in pictures:
        if spool.figures >= spool.limits.max_figures:
            return
        block = figure_block(data, spool, page=slide)
        if block is not None:
            yield block


def figure_block(data: bytes, spool: Spool, *, page: int | None = None, caption: str = "") -> Block | None:
    """A picture inside a document, with the words in it; None when it is small or broken."""
    from indexing.readers.picture import decoded_bytes, words_in

    try:
        image = decoded_bytes(io.BytesIO(data), spool)
    except UnreadableFileError:
        return None
    if min(image.size) < _LEAST_FIGURE_SIDE:
        return None
    image, words = words_in(image)
    text = "\n".join(line.text for line in words.lines) if words else ""
    return Block(kind="figure", text=text, page=page, caption=caption, image=spool.figure(image))


def _properties(path: Path, document: Any) -> dict[str, str]:
    """Title, author, subject and date as the author's program wrote them; a file without them has none
    (python-docx and python-pptx would make some up, dated today)."""
    if not has_member(path, "docProps/core.xml"):
        return {}
    properties = document.core_properties
    found = {
        "title": properties.title,
        "author": properties.author,
        "subject": properties.subject,
        "date": properties.modified.isoformat() if properties.modified else "",
    }
    return {key: clean(str(value))[:500] for key, value in found.items() if value}


def _has_elements(text: str) -> bool:
    """unstructured stumbles over a page that is nothing but comments."""
    from lxml import etree
    from lxml import html as lxml_html

    try:
        return bool(lxml_html.document_fromstring(text).text_content().strip()) if text.strip() else False
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return False


def _html_title(text: str) -> str:
    from lxml import etree
    from lxml import html as lxml_html

    try:
        found = lxml_html.document_fromstring(text[:200_000]).findtext(".//title")
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return ""
    return found or ""
