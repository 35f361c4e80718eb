"""What lies in an office file and was not read, counted: text boxes, footnotes, comments, charts, odd pictures.

The libraries that read these files follow the paragraphs of the body and pass over the rest without a word. Here all
words in the archive's XML are held against the words that came out.
"""

import contextlib
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

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
                there.update(_WORD.findall(_text_of(archive.read(name))))
        names = archive.namelist()
    words = (there - read).total()
    notes = [f"{words:,} words in text boxes, footnotes, comments, charts or the like were not read"] if words else []
    return (*notes, *_notes_on_members(names))


def _text_of(part: bytes) -> str:
    from lxml import etree

    target = _Texts()
    parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True, recover=True)
    parser.feed(part)
    with contextlib.suppress(etree.XMLSyntaxError):  # the reader itself has said what it thinks of the file
        parser.close()
    return "".join(target.found)


class _Texts:
    """Takes the parser's events; no tree is built."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._passed_over = 0
        self._is_text = False

    def start(self, tag: str, _attributes: Mapping[str, str]) -> None:
        name = _local(tag)
        self._passed_over += name == "Fallback"  # says again, for older programs, what its sibling says
        self._is_text = name in ("t", "v") and not self._passed_over

    def data(self, text: str) -> None:
        self.found.append(text if self._is_text else "")

    def end(self, tag: str) -> None:
        name = _local(tag)
        self._passed_over -= name == "Fallback"
        self._is_text = False
        self.found.append(" " if name in _APART else "")

    def close(self) -> None:
        pass


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


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
