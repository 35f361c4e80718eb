"""Office files (Word, PowerPoint, Excel), read by unstructured without a network.

unstructured tells titles from prose by sentences and verbs, for which it asks spaCy: a model that it would download,
and a tokenizer that takes the square of the time for a row of brackets (5,000 of them: 2 s). Nothing here depends on
that guess, since only headings that a style gives are kept; so it gets a stand-in that knows no grammar.

python-docx and unstructured ask an XPath for the text of Word's runs and paragraphs, whose sorting takes the square of
the time: one paragraph with 25,000 line breaks took 10 s. They get functions that find the same in one pass.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from indexing.errors import UnsupportedFileError
from indexing.readers.archive import check_archive, has_member, is_strict, media, notes_on_unread
from indexing.readers.document import clean, finished, markdown_table, table_cells, without_empty
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Reading

_LONGEST_HEADING = 200
_PLAIN: dict[str, Any] = {"languages": [""]}  # no guessing of languages, element by element


def read_docx(path: Path, output: ReaderOutput) -> Reading:
    """Word: headings by style, tables whole; pages where Word has left its page breaks in the file."""
    check_archive(path, output.limits)
    if is_strict(path):
        raise UnsupportedFileError(
            "the document is saved as Strict Open XML, which is not read here (save it as an ordinary DOCX)"
        )
    _prepare()
    from docx import Document
    from unstructured.partition.docx import partition_docx

    find_text_in_one_pass()
    elements = partition_docx(str(path), **_PLAIN)
    blocks = list(_blocks(elements, paged=True))
    own = _properties(path, Document(str(path)))
    return _finished(path, "docx", blocks, output, own)


def read_pptx(path: Path, output: ReaderOutput) -> Reading:
    """PowerPoint: a slide is a page, its title a heading; speaker notes follow their slide."""
    check_archive(path, output.limits)
    _prepare()
    from pptx import Presentation
    from unstructured.partition.pptx import partition_pptx

    elements = partition_pptx(str(path), include_slide_notes=False, **_PLAIN)
    presentation = Presentation(str(path))
    blocks = list(_with_speaker_notes(list(_blocks(elements, paged=True, deepest_heading=0)), presentation))
    return _finished(path, "pptx", blocks, output, _properties(path, presentation))


def read_xlsx(path: Path, output: ReaderOutput) -> Reading:
    """Excel: a sheet is a page under its name, each block of cells a table."""
    check_archive(path, output.limits)
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
    return _finished(path, "xlsx", blocks, output, {})


def _finished(path: Path, kind: str, blocks: Sequence[Block], output: ReaderOutput, own: dict[str, str]) -> Reading:
    """With the pictures inside, and notes on what was not read; `own` are the file's own title and the like."""
    title = own.pop("title", "")
    notes = notes_on_unread(path, kind, blocks)
    return finished(path, blocks, output, title=title, metadata=own, pictures=media(path), notes=notes)


@cache
def _prepare() -> None:
    """Before unstructured is imported: what it must not load, and a stand-in for its sentence splitter."""
    # thinc and others take torch when they can get it: 600 MB in every worker, and no reader needs it
    modules: dict[str, Any] = sys.modules
    for unwanted in ("torch", "tensorflow", "transformers", "cupy", "mxnet", "jax"):
        modules.setdefault(unwanted, None)  # None makes the import fail
    sys.modules["unstructured.nlp.tokenize"] = _no_grammar()


def _no_grammar() -> ModuleType:
    """One sentence, no words, no verbs."""
    module = ModuleType("unstructured.nlp.tokenize")
    for name, answer in (
        ("sent_tokenize", lambda text: [text]),
        ("word_tokenize", str.split),
        ("pos_tag", lambda _: []),
    ):
        setattr(module, name, answer)
    return module


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
        yield Block(kind="table", text=markdown_table(cells), page=page)
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
    yield Block(kind="table", text=markdown_table(cells), page=page, caption="\n".join(caption))


def _with_speaker_notes(blocks: Sequence[Block], presentation: Any) -> Iterator[Block]:
    for number, slide in enumerate(presentation.slides, start=1):
        yield from (block for block in blocks if block.page == number)
        notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        if notes is not None and notes.text.strip():
            yield Block(kind="text", text=f"Speaker notes: {clean(notes.text).strip()}", page=number)


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


@cache
def find_text_in_one_pass() -> None:
    """Put the functions below into both libraries; writing with them goes on as before."""
    from docx.oxml.text.paragraph import CT_P
    from docx.oxml.text.run import CT_R
    from unstructured.partition import docx

    _replace_text(CT_R, _run_text)
    _replace_text(CT_P, _paragraph_text)
    docx._paragraph_text = lambda paragraph: "".join(_with_drawn(paragraph._p))


def _replace_text(kind: Any, text: Callable[[Any], str]) -> None:
    kind.text = property(text, kind.text.fset)


def _run_text(run: Any) -> str:
    return "".join(str(part) for part in run.iterchildren(*_names("br", "cr", "noBreakHyphen", "ptab", "t", "tab")))


def _paragraph_text(paragraph: Any) -> str:
    return "".join(part.text for part in paragraph.iterchildren(*_names("r", "hyperlink")))


def _with_drawn(paragraph: Any) -> Iterator[str]:
    """With the words in shapes that stand in the line."""
    from docx.oxml.ns import qn

    for part in paragraph.iterchildren(*_names("r", "hyperlink")):
        yield part.text
        shape = next(part.iter(qn("wp:inline")), None) if part.tag == qn("w:r") else None
        if shape is not None:
            yield from (run.text for run in shape.iter(qn("w:r")))


@cache
def _names(*local: str) -> tuple[str, ...]:
    from docx.oxml.ns import qn

    return tuple(qn(f"w:{name}") for name in local)


def _holds(folder: str) -> Callable[[FileStart], bool]:
    return lambda start: start.members is not None and start.members.has_folder(folder)


READERS = (
    Reader(type="docx", extensions=(".docx", ".docm"), recognise=_holds("word/"), order=31, read=read_docx),
    Reader(type="pptx", extensions=(".pptx", ".pptm"), recognise=_holds("ppt/"), order=32, read=read_pptx),
    Reader(type="xlsx", extensions=(".xlsx", ".xlsm"), recognise=_holds("xl/"), order=33, read=read_xlsx),
)
