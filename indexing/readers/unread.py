"""What lies in an office file and was not read, counted: text boxes, footnotes, comments, charts, odd pictures.

The libraries that read these files follow the paragraphs of the body and pass over the rest without a word. Here all
words in the archive's XML are held against the words that came out.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from indexing.readers.archive import READ_MEDIA
from indexing.records import Block

_PARTS = {
    "docx": re.compile(r"word/(?:document|footnotes|endnotes|comments|charts/chart\d+|diagrams/data\d+)\.xml$"),
    "pptx": re.compile(r"ppt/(?:slides/slide\d+|charts/chart\d+|diagrams/data\d+|comments/.*)\.xml$"),
    "xlsx": re.compile(r"xl/(?:comments\d*|comments/.*|drawings/drawing\d+|charts/chart\d+)\.xml$"),
}
_PICTURE = re.compile(r"(?:word|ppt|xl)/media/[^/]+\.(\w+)$", re.IGNORECASE)
_EMBEDDED = re.compile(r"(?:word|ppt|xl)/embeddings/[^/]+$")
_WORD = re.compile(r"\w+")
_APART = frozenset({"p", "tab", "br", "cr", "v", "tc"})
"""Elements at whose end a word ends, though no space may stand there."""


def notes_on_unread(path: Path, kind: str, blocks: Iterable[Block]) -> tuple[str, ...]:
    """One note for words, one for pictures, one for embedded files, where there are any that were not read."""
    read: Counter[str] = Counter()
    for block in blocks:
        read.update(_WORD.findall(block.text))
        read.update(_WORD.findall(block.caption))
    there: Counter[str] = Counter()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if _PARTS[kind].match(name):
                with archive.open(name) as part:
                    there.update(_WORD.findall("".join(_texts(part))))
        names = archive.namelist()
    words = (there - read).total()
    notes = [f"{words:,} words in text boxes, footnotes, comments, charts or the like were not read"] if words else []
    return (*notes, *_notes_on_members(names))


def _texts(part: IO[bytes]) -> Iterator[str]:
    from lxml import etree

    passed_over = 0
    events = etree.iterparse(part, events=("start", "end"), resolve_entities=False, no_network=True, recover=True)
    for event, element in events:
        name = _local(element)
        if name == "Fallback":  # says again, for older programs, what its sibling says
            passed_over += 1 if event == "start" else -1
        if event == "end" and not passed_over:
            yield element.text or "" if name in ("t", "v") else ""
            yield " " if name in _APART else ""
        if event == "end" and name == "p":
            element.clear()


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _notes_on_members(names: Iterable[str]) -> Iterator[str]:
    embedded = 0
    odd: Counter[str] = Counter()
    for name in names:
        picture = _PICTURE.match(name)
        if picture and not READ_MEDIA.match(name):
            odd[picture[1].lower()] += 1
        embedded += bool(_EMBEDDED.match(name))
    if odd:
        kinds = ", ".join(sorted(odd))
        yield f"{odd.total():,} embedded pictures or recordings of kinds that are not read were left out ({kinds})"
    if embedded:
        yield f"{embedded:,} embedded files were not read"
