"""What became of every file: SQLite beside the store, the reason why a run that was killed can go on.

Two tables. `files` says what was seen at a path, `contents` what was made of some bytes; two paths with the same
bytes share one content, whose rows are in the store once. A content is

    writing   rows are on their way into the store; after a crash they are taken out again
    indexed   all rows and pictures are in place
    removing  nothing points here any more; rows are on their way out

and every change of state is one transaction. Row ids follow from the hash and the number of chunks of each kind, so
the ledger knows them all without listing them.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, cast

from indexing.discover import Seen
from indexing.errors import ADVICE, IndexingError
from indexing.records import Chunk, Kind, Note

# -- what the ledger says of a file and of its bytes, and how it comes out of SQLite's rows ------------------------

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

    def is_same(self, seen: Seen) -> bool:
        """By size and time of change alone: the file does not look touched."""
        return (self.size_bytes, self.modified_ns) == (seen.size_bytes, seen.modified_ns)


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

    @property
    def read_in_part(self) -> bool:
        """It holds something that was not read."""
        return any(note.unread for note in self.notes)


def file_record(row: tuple[object, ...]) -> FileRecord:
    """A row of `files`."""
    path, size, modified_ns, seen_hash, content, reason, retry, made = row
    return FileRecord(
        path=cast(str, path),
        size_bytes=cast(int, size),
        modified_ns=cast(int, modified_ns),
        seen_hash=cast(str, seen_hash),
        content=cast("str | None", content),
        reason=cast(str, reason),
        retry=bool(retry),
        format=cast(int, made),
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


def entry_from(row: tuple[object, ...]) -> FileEntry:
    """A row of `files` with what it points to."""
    path, reason, kind, chunks, size, indexed_at, notes, content = row
    return FileEntry(
        path=cast(str, path),
        state="failed" if reason else "indexed" if content else "pending",
        reason=cast(str, reason),
        kind=cast(str, kind),
        chunks=sum(json.loads(cast(str, chunks)).values()),
        size_bytes=cast(int, size),
        indexed_at=cast(str, indexed_at),
        notes=tuple(map(_note, json.loads(cast(str, notes)))),
        content=cast("str | None", content) or "",
    )


def _note(value: str | list[Any]) -> Note:
    """A note as `finish` wrote it; earlier programs wrote its sentence alone."""
    if isinstance(value, str):
        return Note(value)
    text, kind, place, count, unread = value
    return Note(text, kind=kind, place=place, number=count, unread=unread)


_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE contents (
    hash TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('writing', 'indexed', 'removing')),
    shown_path TEXT NOT NULL,
    kind TEXT NOT NULL,
    chunks TEXT NOT NULL,
    format INTEGER NOT NULL,
    notes TEXT NOT NULL DEFAULT '[]',
    seconds REAL NOT NULL DEFAULT 0,
    indexed_at TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    seen_hash TEXT NOT NULL,
    content TEXT REFERENCES contents (hash),
    reason TEXT NOT NULL DEFAULT '',
    retry INTEGER NOT NULL DEFAULT 0,
    format INTEGER NOT NULL
) STRICT;
CREATE INDEX files_by_content ON files (content);
CREATE INDEX contents_by_state ON contents (state);
"""

_DISK_TROUBLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_CONTENTS = "SELECT hash, state, shown_path, kind, chunks FROM contents"
_ENTRIES = """
SELECT path, reason, coalesce(kind, ''), coalesce(chunks, '{}'), size, coalesce(indexed_at, ''), coalesce(notes, '[]'),
    content FROM files LEFT JOIN contents ON content = hash ORDER BY path
"""
_COPIES = """
SELECT content, path, path = shown_path FROM files JOIN contents ON hash = content
    WHERE state = 'indexed'
    AND content IN (SELECT content FROM files WHERE content IS NOT NULL GROUP BY content HAVING count(*) > 1)
    ORDER BY path
"""


class LedgerError(IndexingError):
    """SQLite could not read or write the ledger; the message carries its words."""


class Ledger:
    """One connection, safe to use from several threads; one process at a time (the library's lock sees to it)."""

    def __init__(self, connection: sqlite3.Connection, *, content_format: int) -> None:
        self._connection = connection
        self._format = content_format
        self._lock = threading.RLock()
        self._entries: tuple[int, tuple[FileEntry, ...]] = (-1, ())  # as of which change, and what they were
        self._copies: tuple[int, Mapping[str, tuple[str, ...]]] = (-1, {})

    @classmethod
    def open(cls, path: Path, *, content_format: int) -> Self:
        """Open or make the ledger. What was indexed in another `content_format` counts as changed."""
        with _sqlite(path):
            connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {_SCHEMA_VERSION};COMMIT;")
                elif version != _SCHEMA_VERSION:
                    raise LedgerError(
                        f"the ledger '{path}' has version {version}, this program knows {_SCHEMA_VERSION}"
                    )
            except BaseException:
                connection.close()
                raise
        return cls(connection, content_format=content_format)

    def copy_to(self, target: Path) -> None:
        """A whole ledger in a new file, whatever is under way in this one."""
        with self._lock, _sqlite(target), closing(sqlite3.connect(target)) as copy:
            self._connection.backup(copy)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _sqlite("the ledger"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.commit()  # also writes, and may find the disk full
            except BaseException:
                self._connection.rollback()
                raise

    def _all(self, query: str, *values: str) -> list[tuple[object, ...]]:
        with self._lock, _sqlite("the ledger"):
            return self._connection.execute(query, values).fetchall()

    # ── questions ───────────────────────────────────────────────

    def file(self, path: str) -> FileRecord | None:
        """What is known of a path."""
        rows = self._all(
            "SELECT path, size, modified_ns, seen_hash, content, reason, retry, format FROM files WHERE path = ?", path
        )
        return file_record(rows[0]) if rows else None

    def is_current(self, record: FileRecord) -> bool:
        """Its content was made the way this program makes it."""
        return record.format == self._format

    def content(self, content_hash: str) -> Content | None:
        """What was made of these bytes, if all of it is in place and of today's format."""
        rows = self._all(
            f"{_CONTENTS} WHERE hash = ? AND state = 'indexed' AND format = {self._format}",
            content_hash,
        )
        return content_from(rows[0]) if rows else None

    def earlier(self, content_hash: str) -> Content | None:
        """What is there of these bytes, in whatever state and format."""
        rows = self._all(f"{_CONTENTS} WHERE hash = ?", content_hash)
        return content_from(rows[0]) if rows else None

    def contents(self, state: str = "indexed") -> list[Content]:
        """All contents in one state."""
        return [content_from(row) for row in self._all(f"{_CONTENTS} WHERE state = ? ORDER BY hash", state)]

    def unfinished(self) -> list[Content]:
        """What a run that was killed, or runs right now, has half written or half removed."""
        return [*self.contents("writing"), *self.contents("removing")]

    def content_of(self, path: str) -> Content | None:
        """What is searchable of a path."""
        rows = self._all(f"{_CONTENTS} WHERE hash = (SELECT content FROM files WHERE path = ?)", path)
        return content_from(rows[0]) if rows else None

    def misplaced(self) -> list[tuple[Content, str]]:
        """Contents whose rows show a path that is no longer theirs, with the first path that is."""
        rows = self._all(
            "SELECT hash, state, shown_path, kind, chunks, min(path) FROM contents JOIN files ON content = hash"
            " WHERE state = 'indexed' GROUP BY hash HAVING sum(path = shown_path) = 0 ORDER BY hash"
        )
        return [(content_from(row[:5]), cast(str, row[5])) for row in rows]

    def paths_below(self, folder: str) -> list[str]:
        """Paths in the ledger that are this path, or lie below it, in order."""
        inside = folder.rstrip("/") + "/"
        rows = self._all(
            "SELECT path FROM files WHERE path = ? OR (path >= ? AND path < ?) ORDER BY path",
            folder,
            inside,
            inside[:-1] + chr(ord("/") + 1),
        )
        return [cast(str, path) for (path,) in rows]

    def paths_of(self, content_hash: str) -> list[str]:
        """Every path with these bytes, in order."""
        rows = self._all("SELECT path FROM files WHERE content = ? ORDER BY path", content_hash)
        return [cast(str, path) for (path,) in rows]

    def copies(self) -> Mapping[str, tuple[str, ...]]:
        """Contents at several paths → the path that their rows carry, then the others. Read again only after a
        change."""
        with self._lock:
            change, copies = self._copies
            if change != self._connection.total_changes:
                found: dict[str, list[str]] = {}
                for content_hash, path, is_shown in self._all(_COPIES):
                    paths = found.setdefault(cast(str, content_hash), [])
                    paths.insert(0 if is_shown else len(paths), cast(str, path))
                copies = {content_hash: tuple(paths) for content_hash, paths in found.items()}
                self._copies = self._connection.total_changes, copies
            return copies

    def hashes_beginning(self, prefix: str) -> list[str]:
        """Contents whose hash begins so; for a person who types the first digits."""
        rows = self._all(
            "SELECT hash FROM contents WHERE state = 'indexed' AND substr(hash, 1, length(?1)) = ?1", prefix
        )
        return [cast(str, each) for (each,) in rows]

    def rows(self) -> int:
        """How many rows the store has to hold when nothing is under way."""
        return sum(content.rows for content in self.contents())

    def entries(self) -> tuple[FileEntry, ...]:
        """Every file, in order of path. Read again only after a change: this connection makes all of them."""
        with self._lock:
            change, entries = self._entries
            if change != self._connection.total_changes:
                change = self._connection.total_changes
                entries = tuple(map(entry_from, self._all(_ENTRIES)))
                self._entries = change, entries
            return entries

    # ── changes, each of them one transaction ───────────────────

    def begin(self, content: Content) -> None:
        """Its rows are about to be written."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO contents (hash, state, shown_path, kind, chunks, format)"
                " VALUES (?, 'writing', ?, ?, ?, ?)",
                (content.hash, content.shown_path, content.kind, json.dumps(content.chunks), self._format),
            )

    def finish(self, content_hash: str, seen: Seen, *, seconds: float = 0.0, notes: tuple[Note, ...] = ()) -> None:
        """The path holds this content, all of which is in the store. What it held before is left to `release`."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE contents SET state = 'indexed', seconds = ?, notes = ?, indexed_at = ?"
                " WHERE hash = ? AND state <> 'indexed'",
                (
                    seconds,
                    json.dumps([[note, note.kind, note.place, note.number, note.unread] for note in notes]),
                    _now(),
                    content_hash,
                ),
            )
            self._see(connection, seen, content_hash, content=content_hash)

    def touch(self, seen: Seen) -> None:
        """The file has another time of change and the same bytes."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE files SET size = ?, modified_ns = ?, format = ? WHERE path = ?",
                (seen.size_bytes, seen.modified_ns, self._format, seen.path),
            )

    def fail(self, seen: Seen, reason: str, *, seen_hash: str = "", retry: bool = False) -> None:
        """The file could not be read; what was indexed of an earlier version stays searchable."""
        with self._transaction() as connection:
            row = connection.execute("SELECT content FROM files WHERE path = ?", (seen.path,)).fetchone()
            self._see(connection, seen, seen_hash, content=row[0] if row else None, reason=reason, retry=retry)

    def forget(self, path: str) -> None:
        """The path is no longer part of the library."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM files WHERE path = ?", (path,))

    def release(self) -> list[Content]:
        """Contents that no path holds any more are to be removed, and returned.

        Not at once when a path lets go of one: in the same run another path may turn out to hold these bytes now.
        """
        with self._transaction() as connection:
            connection.execute(
                "UPDATE contents SET state = 'removing'"
                " WHERE state = 'indexed' AND NOT EXISTS (SELECT 1 FROM files WHERE content = hash)"
            )
        return self.contents("removing")

    def drop(self, content_hash: str) -> None:
        """Its rows and pictures are gone. Files that still point here will be indexed again."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE files SET content = NULL, seen_hash = '', modified_ns = -1 WHERE content = ?", (content_hash,)
            )
            connection.execute("DELETE FROM contents WHERE hash = ?", (content_hash,))

    def show(self, content_hash: str, path: str) -> None:
        """Its rows carry this path now."""
        with self._transaction() as connection:
            connection.execute("UPDATE contents SET shown_path = ? WHERE hash = ?", (path, content_hash))

    def _see(
        self,
        connection: sqlite3.Connection,
        seen: Seen,
        seen_hash: str,
        *,
        content: str | None,
        reason: str = "",
        retry: bool = False,
    ) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO files (path, size, modified_ns, seen_hash, content, reason, retry, format)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (seen.path, seen.size_bytes, seen.modified_ns, seen_hash, content, reason, retry, self._format),
        )


@contextmanager
def _sqlite(what: object) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        problem = LedgerError(f"{what}: {error}")
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK_TROUBLE:
            problem.add_note(ADVICE)
        else:
            problem.add_note("Move ledger.sqlite away and index again; the files themselves are untouched.")
        raise problem from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
