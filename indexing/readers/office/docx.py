"""Word: headings by style, tables whole; pages where Word has left its page breaks in the file.

DOCX → a copy in which all that a person sees is paragraphs and tables (word_markup, word_beside) → unstructured
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexing.readers.archive import check_archive
from indexing.readers.office.elements import (
    PLAIN,
    element_blocks,
    find_text_in_one_pass,
    office_reading,
    own_properties,
    prepare,
)
from indexing.readers.office.open_xml import Package, W, copy_with, is_on
from indexing.readers.office.word_beside import Beside
from indexing.readers.office.word_markup import Found, made_plain
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Note, Reading

_BODY = "word/document.xml"


def read_docx(path: Path, output: ReaderOutput) -> Reading:
    """Text with its tracked changes accepted; footnotes, comments, text boxes and charts behind their paragraph."""
    check_archive(path, output.limits)
    package = Package(path)
    found = Found()
    changes, never_shown = _plain_parts(package, found)
    prepare()
    from docx import Document
    from unstructured.partition.docx import partition_docx

    find_text_in_one_pass()
    with copy_with(package, changes, output) as copy:
        del changes
        blocks = list(element_blocks(partition_docx(str(copy), **PLAIN), paged=True))
        own = own_properties(path, Document(str(copy)))
    notes = [*found.notes(), *_notes_on_chunks(package)]
    return office_reading(path, "docx", blocks, output, own, notes, left_out=never_shown)


def _plain_parts(package: Package, found: Found) -> tuple[dict[str, bytes], list[str]]:
    """Body, headers and footers as plain paragraphs and tables; and the footnotes of words that were deleted."""
    from lxml import etree

    body = package.main_part(_BODY)
    hidden = frozenset(_hiding_styles(package, body))
    parts: dict[str, bytes] = {}
    never_shown: list[str] = []
    for name in (body, *package.related(body, "header", "footer")):
        root = package.parsed(name)
        if root is not None:
            made_plain(root, found, hidden)
            beside = Beside(package, name, found)
            beside.put_behind(root)
            never_shown += beside.never_shown()
            parts[name] = etree.tostring(root, encoding="UTF-8", xml_declaration=True, standalone=True)
    return parts, never_shown


def _hiding_styles(package: Package, body: str) -> Iterator[str]:
    """Ids of the styles of characters that hide them."""
    for part in package.related(body, "styles"):
        for style in package.parsed(part).iter(f"{W}style"):
            vanish: Any = style.find(f"{W}rPr/{W}vanish")
            if vanish is not None and is_on(vanish.get(f"{W}val")):
                yield style.get(f"{W}styleId", "")


def _notes_on_chunks(package: Package) -> Iterator[Note]:
    """Documents of another kind that Word would take in when it next opens the file."""
    chunks = package.related(package.main_part(_BODY), "aFChunk")
    if chunks:
        sentence = f"{len(chunks):,} documents inside the document, which Word shows as part of it, were not read"
        yield Note(sentence, kind="embedded", number=len(chunks), unread=True)


def _is_docx(start: FileStart) -> bool:
    return start.members is not None and start.members.has_folder("word/")


READERS = (
    Reader(type="docx", extensions=(".docx", ".docm", ".dotx", ".dotm"), recognise=_is_docx, order=31, read=read_docx),
)
