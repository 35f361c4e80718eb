"""unstructured, which reads the main text of Word and PowerPoint without a network; its elements → blocks.

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

from indexing.readers.archive import has_member, media, notes_on_unread
from indexing.readers.document import clean, finished, has_words, markdown_table, table_cells
from indexing.readers.office.open_xml import Package, local
from indexing.readers.output import ReaderOutput
from indexing.records import Block, Note, Reading

_LONGEST_HEADING = 200
PLAIN: dict[str, Any] = {"languages": [""]}
"""Options of unstructured: no guessing of languages, element by element."""


def office_reading(
    path: Path,
    kind: str,
    blocks: Sequence[Block],
    output: ReaderOutput,
    own: dict[str, str],
    notes: Sequence[Note] = (),
    *,
    pictures: Iterator[tuple[int | None, bytes]] | None = None,
    left_out: Sequence[str] = (),
) -> Reading:
    """With the pictures inside, and notes on what was not read; `own` are the file's own title and the like."""
    title = own.pop("title", "")
    unread = notes_on_unread(path, kind, blocks, left_out)
    shown = media(path) if pictures is None else pictures
    return finished(path, blocks, output, title=title, metadata=own, pictures=shown, notes=(*notes, *unread))


@cache
def prepare() -> None:
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


def element_blocks(elements: Sequence[Any], *, paged: bool = False, deepest_heading: int = 9) -> Iterator[Block]:
    """unstructured's elements as blocks; a title counts as a heading down to `deepest_heading`."""
    seen: set[str] = set()  # headers and footers, which come again with every section
    for element in elements:
        page = element.metadata.page_number if paged else None
        text = clean(element.text or "").strip()
        if element.category in ("Header", "Footer"):
            if text in seen:
                continue
            seen.add(text)
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
        texts = [cell for row in cells for cell in row if has_words(cell)] or [clean(element.text)]
        yield Block(kind="text", text="\n".join(texts), page=page)


def own_properties(path: Path, document: Any) -> dict[str, str]:
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


def core_properties(package: Package) -> dict[str, str]:
    """The same from the package's own part."""
    root = next((package.parsed(part) for part in package.related("", "core-properties")), None)
    if root is None:
        return {}
    names = {"title": "title", "creator": "author", "subject": "subject", "modified": "date"}
    found = {names[local(each)]: clean(each.text or "").strip()[:500] for each in root if local(each) in names}
    if found.get("date", "").endswith("Z"):
        found["date"] = f"{found['date'][:-1]}+00:00"
    return {key: value for key, value in found.items() if value}


@cache
def find_text_in_one_pass() -> None:
    """Put the functions below into both libraries; writing with them goes on as before."""
    from docx.oxml.text.paragraph import CT_P
    from docx.oxml.text.run import CT_R
    from unstructured.partition import docx

    _replace_text(CT_R, _run_text)
    _replace_text(CT_P, _paragraph_text)
    docx._paragraph_text = lambda paragraph: paragraph.text


def _replace_text(kind: Any, text: Callable[[Any], str]) -> None:
    kind.text = property(text, kind.text.fset)


def _run_text(run: Any) -> str:
    return "".join(str(part) for part in run.iterchildren(*_names("br", "cr", "noBreakHyphen", "ptab", "t", "tab")))


def _paragraph_text(paragraph: Any) -> str:
    return "".join(part.text for part in paragraph.iterchildren(*_names("r", "hyperlink")))


@cache
def _names(*local: str) -> tuple[str, ...]:
    from docx.oxml.ns import qn

    return tuple(qn(f"w:{name}") for name in local)
