"""What the ledger says of a file and of its bytes, and how that comes out of SQLite's rows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from indexing.discover import Seen
from indexing.facts import Facts, Said
from indexing.records import Chunk, Kind, Note

FileKind = Literal["picture", "document"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """What was last seen at a path, and what came of it."""

    path: str
    size_bytes: int
    modified_ns: int
    seen_hash: str
    content: str | None  # hash of what is searchable; differs from seen_hash where a new version failed
    reason: str  # why it failed, "" where it did not
    retry: bool  # the failure may pass without a change of the file (permissions)
    format: int
    etag: str = ""  # what a source elsewhere called this version

    def is_same(self, seen: Seen) -> bool:
        """By size and ETag, or time of change, alone: the file does not look touched."""
        before, now = self.etag or self.modified_ns, seen.etag or seen.modified_ns
        return (self.size_bytes, before) == (seen.size_bytes, now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What was made of some bytes."""

    hash: str
    state: Literal["writing", "indexed", "removing"]
    shown_path: str  # the path that its rows carry
    kind: FileKind
    chunks: Mapping[Kind, int]

    @property
    def rows(self) -> int:
        """How many rows it has in the store."""
        return sum(self.chunks.values())

    def ids(self) -> list[str]:
        """The ids of its rows."""
        return [
            Chunk(content_hash=self.hash, path="", kind=kind, ordinal=ordinal).id
            for kind, count in self.chunks.items()
            for ordinal in range(count)
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """One line of the library's list. A failed file that has chunks still shows its last good version."""

    path: str
    state: Literal["indexed", "failed", "pending"]  # pending: its rows were lost, the next run writes them again
    reason: str
    kind: str  # picture, document, or "" where nothing was read
    chunks: int
    size_bytes: int
    indexed_at: str  # ISO 8601 with zone; "" where nothing was indexed
    notes: tuple[Note, ...] = ()  # what the reader left out, and why
    content: str = ""  # hash of what is searchable, "" where nothing is
    facts: Facts = field(default_factory=dict)
    near: tuple[str, ...] = ()  # paths of pictures that are nearly the same

    @property
    def read_in_part(self) -> bool:
        """It holds something that was not read."""
        return any(note.unread for note in self.notes)


def file_record(row: tuple[object, ...]) -> FileRecord:
    """A row of `files`."""
    path, size, modified_ns, seen_hash, content, reason, retry, made, etag = row
    return FileRecord(
        path=cast(str, path),
        size_bytes=cast(int, size),
        modified_ns=cast(int, modified_ns),
        seen_hash=cast(str, seen_hash),
        content=cast("str | None", content),
        reason=cast(str, reason),
        retry=bool(retry),
        format=cast(int, made),
        etag=cast(str, etag),
    )


def content_from(row: tuple[object, ...]) -> Content:
    """The first columns of a row of `contents`."""
    content_hash, state, shown_path, kind, chunks = row
    return Content(
        hash=cast(str, content_hash),
        state=cast(Literal["writing", "indexed", "removing"], state),
        shown_path=cast(str, shown_path),
        kind=cast(FileKind, kind),
        chunks=json.loads(cast(str, chunks)),
    )


def entry_from(row: tuple[object, ...], own: Facts, said: Said) -> FileEntry:
    """A row of `files` with what it points to, and its facts; what a person says counts before what the file says."""
    path, reason, kind, chunks, size, indexed_at, notes, content = row
    return FileEntry(
        path=cast(str, path),
        state="failed" if reason else "indexed" if content else "pending",
        reason=cast(str, reason),
        kind=cast(str, kind),
        chunks=sum(json.loads(cast(str, chunks)).values()),
        size_bytes=cast(int, size),
        indexed_at=cast(str, indexed_at),
        notes=(*notes_from(notes), *said.notes),
        content=cast("str | None", content) or "",
        facts={**own, **said.beside, **said.given},
    )


def notes_from(written: object) -> tuple[Note, ...]:
    """As `written_notes` wrote them."""
    return tuple(map(_note, json.loads(cast(str, written))))


def written_notes(notes: tuple[Note, ...]) -> str:
    """Notes as one value."""
    return json.dumps([[note, note.kind, note.place, note.number, note.unread] for note in notes])


def _note(value: str | list[Any]) -> Note:
    """A note as `finish` wrote it; earlier programs wrote its sentence alone."""
    if isinstance(value, str):
        return Note(value)
    text, kind, place, count, unread = value
    return Note(text, kind=kind, place=place, number=count, unread=unread)
