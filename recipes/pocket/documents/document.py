"""A made-up document whose answers are known, and the chunks that indexing would make of it.

Lines are made of parts; a part with a key holds a value that a question may ask for:

    line("Total: ", ("total", "RM 31.00"))   →  text "Total: RM 31.00", values {"total": "RM 31.00"}

Parts stay apart through the OCR noise, so that a value is still known when it has become "RM 3l.00".
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from claims.passages import fold
from indexing.chunking import ChunkSettings, chunks, with_labels
from indexing.embedding.protocol import Label
from indexing.records import Block, Box, Chunk, Line, Page, Reading, SourceFile

_LOOKS = (("menu",), ("web site", "menu"), ("menu", "crossword puzzle"), ("envelope",), ("book jacket", "menu"))
"""What the pocket kit's classifier takes scanned paper for."""

LINES_PER_PAGE = 46
_CHARACTERS_PER_LINE = 62


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a line; `key` names the value it holds, "" none."""

    text: str
    key: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """One line as it stands on the page. `align` is where it stands: 0 left, 0.5 middle, 1 right."""

    parts: tuple[Part, ...]
    align: float = 0.0
    heading: bool = False

    @property
    def text(self) -> str:
        """The line's words."""
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of cells under column names."""

    header: tuple[str, ...]
    rows: tuple[tuple[Part, ...], ...]
    caption: str = ""

    @property
    def markdown(self) -> str:
        """As the readers write tables."""
        rule = "| " + " | ".join("---" for _ in self.header) + " |"
        rows = ("| " + " | ".join(cell.text for cell in row) + " |" for row in self.rows)
        return "\n".join(["| " + " | ".join(self.header) + " |", rule, *rows])


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A question about one document. `answers` are sentences with `{key}` for values, the best wording first."""

    question: str
    keys: tuple[str, ...]
    answers: tuple[str, ...]
    about: str = ""  # how the question names its document; "" where it leaves that open
    then: str = ""  # the same asked after another question about this document: "And the date?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One file: what stands in it, and what can be asked."""

    kind: str
    name: str  # of the file
    blocks: tuple[Written | Table, ...]
    title: str = ""  # what a reader would call it; "" takes the file's name, as with scans
    asks: tuple[Ask, ...] = ()
    absent: tuple[str, ...] = ()  # questions in the same manner that it does not answer
    scanned: bool = False  # pages have geometry and the noise of OCR
    labels: tuple[str, ...] = ()  # of a picture: what a classifier says it shows
    shows: str = ""  # of a picture: the label that answers
    language: str = "en"  # the folder of its words

    @property
    def values(self) -> Mapping[str, str]:
        """What each key stands for, as the document writes it; the first where it stands twice."""
        found = {"file": self.name, "label": self.shows} if self.shows else {}
        for part in self._parts():
            if part.key:
                found.setdefault(part.key, part.text)
        return found

    def lines_of(self, key: str) -> tuple[int, ...]:
        """The blocks and rows (counted together, from 0) that hold a value."""
        rows = list(self._rows())
        return tuple(number for number, row in enumerate(rows) if any(part.key == key for part in row))

    def changed(self, change: Callable[[Part], Part]) -> "Document":
        """The same document with every part changed."""
        return replace(self, blocks=tuple(_changed(block, change) for block in self.blocks))

    def without(self, keys: Sequence[str]) -> "Document":
        """The document without every line that holds one of the values, under its key or any other."""
        gone = {fold(self.values[key]) for key in keys if key in self.values}

        def kept(parts: Sequence[Part]) -> bool:
            text = fold("".join(part.text for part in parts))
            return not any(part.key in keys for part in parts) and not any(value in text for value in gone)

        blocks: list[Written | Table] = []
        for block in self.blocks:
            if isinstance(block, Table):
                blocks.append(replace(block, rows=tuple(row for row in block.rows if kept(row))))
            elif kept(block.parts):
                blocks.append(block)
        title = "" if any(value in fold(self.title) for value in gone) else self.title
        return replace(self, blocks=tuple(blocks), title=title)

    def chunks(self) -> tuple[Chunk, ...]:
        """What indexing would make of the file, boxes included where it is a scan."""
        digest = hashlib.sha256("\n".join([self.name, *(row_text(row) for row in self._rows())]).encode()).hexdigest()
        source = SourceFile(path=Path("/documents") / self.name, size_bytes=1, modified_ns=0, content_hash=digest)
        stem = Path(self.name).stem
        paged = self.name.endswith(".pdf")
        is_picture = bool(self.labels) or (self.scanned and not paged)
        page = Page(number=None, image=Path("1.webp"), width=1, height=1)
        reading = Reading(
            title=self.title or stem,
            pages=(page,) if is_picture else (),
            blocks=tuple(self._read_blocks(1 if paged else None)),
            is_picture=is_picture,
        )
        labels = self.labels or _LOOKS[sum(self.name.encode()) % len(_LOOKS)]
        known = [Label(text=label, probability=0.5) for label in labels]
        made = chunks(reading, source=source, image_folder=f"pages/{digest[:8]}", settings=ChunkSettings())
        return tuple(with_labels(chunk, known) if chunk.kind == "image" else chunk for chunk in made)

    def _read_blocks(self, page: int | None) -> Iterator[Block]:
        row = 0
        for block in self.blocks:
            if isinstance(block, Table):
                row += len(block.rows) + 1
                yield Block(kind="table", text=block.markdown, page=page, caption=block.caption)
                continue
            row += 1
            box = line_box(block, row) if self.scanned else None
            kind: Literal["heading", "text"] = "heading" if block.heading else "text"
            yield Block(
                kind=kind, text=block.text, page=page, lines=(Line(text=block.text, box=box),), box=box, level=2
            )

    def _rows(self) -> Iterator[Sequence[Part]]:
        for block in self.blocks:
            if isinstance(block, Table):
                yield from block.rows
            else:
                yield block.parts

    def _parts(self) -> Iterator[Part]:
        for row in self._rows():
            yield from row


def line(*parts: str | tuple[str, str], align: float = 0.0, heading: bool = False) -> Written:
    """A line of plain words and of `(key, value)` pairs."""
    made = tuple(Part(part) if isinstance(part, str) else Part(part[1], part[0]) for part in parts)
    return Written(parts=made, align=align, heading=heading)


def row_text(parts: Sequence[Part]) -> str:
    """The words of a row."""
    return " ".join(part.text for part in parts)


def line_box(written: Written, row: int) -> Box:
    """Where line `row` (from 1) stands: a fraction of a page with `LINES_PER_PAGE` lines."""
    width = min(0.9, 0.9 * len(written.text) / _CHARACTERS_PER_LINE)
    left = 0.05 + written.align * (0.9 - width)
    top = min(0.97, row / (LINES_PER_PAGE + 1))
    return (left, top, left + width, top + 0.7 / (LINES_PER_PAGE + 1))


def _changed(block: Written | Table, change: Callable[[Part], Part]) -> Written | Table:
    if isinstance(block, Table):
        return replace(block, rows=tuple(tuple(change(cell) for cell in row) for row in block.rows))
    return replace(block, parts=tuple(change(part) for part in block.parts))
