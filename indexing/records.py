"""The values that travel from a file to a hit, all frozen.

Boxes are `(x0, y0, x1, y1)` as fractions 0..1 of the page or picture, origin top left.
Page numbers start at 1; `None` means a file without pages, such as a photograph.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

CONTENT_FORMAT = 5
"""How files become chunks. Files indexed under another number are indexed again by the next run."""

Box = tuple[float, float, float, float]
Kind = Literal["image", "page", "text", "table", "figure"]
Channel = Literal["clip", "text", "bm25"]

KINDS: tuple[Kind, ...] = ("image", "page", "text", "table", "figure")
CHANNELS: tuple[Channel, ...] = ("clip", "text", "bm25")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One file on disk at the moment it was looked at."""

    path: Path  # absolute; where its bytes can be read now
    size_bytes: int
    modified_ns: int
    content_hash: str  # SHA-256 of the bytes, hex
    address: str = ""  # where it comes from, if `path` is only a copy that was downloaded

    @property
    def place(self) -> str:
        """What the library calls it."""
        return self.address or str(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of words as it stands on a page; `box` is None where the format has no geometry, `confidence`
    (0..1) where the words were not read by OCR."""

    text: str
    box: Box | None = None
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One piece of a document in reading order, as a reader found it."""

    kind: Literal["heading", "text", "table", "figure"]
    text: str  # a table is Markdown; a figure's text is the words inside it
    page: int | None = None
    lines: tuple[Line, ...] = ()
    box: Box | None = None
    level: int = 0  # headings: 1 is the highest
    caption: str = ""  # tables and figures
    image: Path | None = None  # figures: the pixels, in the reading's spool folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page or picture frame; `image` is its picture in the reading's spool folder."""

    number: int | None
    image: Path | None
    width: int  # of `image` in pixels, 0 without one
    height: int
    read_by_ocr: bool = False


NoteKind = Literal[
    "attachment", "chart", "comment", "converted", "embedded", "encoding", "facts", "font", "form", "formula", "hidden",
    "name", "page", "picture", "revision", "script", "text",
]  # fmt: skip
NOTE_KINDS: tuple[NoteKind, ...] = get_args(NoteKind)


class Note(str):
    """A sentence for a person on what a reader saw in a file and did not read, or read in another way than expected;
    with what a program wants to know of it.

        Note("2 embedded files were not read", kind="attachment", number=2, unread=True)
    """

    kind: NoteKind
    place: str
    """Where in the file: "page 3", "sheet 'Prices'", an attachment's name; "" for the file as a whole."""
    number: int
    """How many of what the sentence speaks of."""
    unread: bool
    """Something a person would look for in the file cannot be found in the library."""

    def __new__(
        cls, text: str, *, kind: NoteKind = "text", place: str = "", number: int = 1, unread: bool = False
    ) -> Self:
        """`unread` is for what makes a run end with exit code 3."""
        note = super().__new__(cls, text)
        note.kind, note.place, note.number, note.unread = kind, place, number, unread
        return note

    def within(self, place: str) -> "Note":
        """The same of a part of a file: its sentence begins with the place."""
        inner = f"{place}, {self.place}" if self.place else place
        return Note(f"{place}: {self}", kind=self.kind, place=inner, number=self.number, unread=self.unread)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Everything one reader got out of one file.

    A picture file is a reading with `is_picture`, one page numbered None (or one per TIFF frame,
    numbered from 1) and the words OCR found in it, if any, as text blocks.
    """

    is_picture: bool
    title: str
    pages: tuple[Page, ...] = ()
    blocks: tuple[Block, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)  # author, date, subject, from, to …
    notes: tuple[Note, ...] = ()  # what was left out and why, one sentence each


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """One row of the store: the smallest thing that can be found and cited."""

    content_hash: str
    path: str  # absolute, or an address; where the file lay when it was indexed
    kind: Kind
    ordinal: int  # counts within (file, kind), from 0
    page: int | None = None
    box: Box | None = None
    lines: tuple[Line, ...] = ()
    regions: tuple[Line, ...] = ()  # of a picture: things that a recogniser saw, by name; no words stand there
    text: str = ""
    title: str = ""
    heading: str = ""
    image: str = ""  # the chunk's picture, relative to the library folder; "" without one

    @property
    def id(self) -> str:
        """Deterministic, so that writing the same chunk again replaces it (32 hex digits)."""
        return hashlib.sha256(f"{self.content_hash}\0{self.kind}\0{self.ordinal}".encode()).hexdigest()[:32]

    @property
    def searchable_text(self) -> str:
        """What the text embedder and BM25 see: the words with the title and heading they stand under."""
        header = " › ".join(part for part in (self.title, self.heading) if part)
        return f"{header}\n{self.text}".strip() if self.text else header


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelRank:
    """Where one channel put a hit: rank from 1, and the channel's own score (not comparable across channels)."""

    rank: int
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A chunk that a search found, with its fused score and its place in every channel that saw it."""

    chunk: Chunk
    score: float
    channels: Mapping[Channel, ChannelRank]
    near: tuple[str, ...] = ()  # paths of pictures in the library that are nearly the same
