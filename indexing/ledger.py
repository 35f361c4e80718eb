"""What became of every file: SQLite beside the store, the reason why a run that was killed can go on.

`files` says what was seen at a path, `contents` what was made of some bytes; two paths with the same bytes share one
content, whose rows are in the store once. `said_facts` is what persons say of a path, `own_facts` what some bytes say
of themselves. A content is

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
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, cast

from indexing import ledger_schema as schema
from indexing.discover import Seen
from indexing.errors import ADVICE, IndexingError
from indexing.facts import LIKENESS, NEAR_DUPLICATES, NOTHING_SAID, Facts, Said
from indexing.ledger_rows import (
    Content,
    FileEntry,
    FileKind,
    FileRecord,
    content_from,
    entry_from,
    file_record,
    notes_from,
    written_notes,
)
from indexing.records import Note

__all__ = ["Content", "FileEntry", "FileKind", "FileRecord", "Ledger", "LedgerError"]

_DISK_TROUBLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


class LedgerError(IndexingError):
    """SQLite could not read or write the ledger; the message carries its words."""


class Ledger:
    """One connection, safe to use from several threads; one process at a time (the library's lock sees to it)."""

    def __init__(self, connection: sqlite3.Connection, *, content_format: int) -> None:
        self._connection = connection
        self._format = content_format
        self._lock = threading.RLock()
        self._entries: tuple[int, tuple[FileEntry, ...]] = (-1, ())  # as of which change, and what they were
        self._keys: tuple[tuple[FileEntry, ...], frozenset[str]] = (), frozenset()
        self._copies: tuple[int, Mapping[str, tuple[str, ...]]] = (-1, {})
        self._near: tuple[int, Mapping[str, tuple[str, ...]]] = (-1, {})

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
                if version in schema.CHANGES:
                    change = schema.CHANGES[version]
                    connection.executescript(f"BEGIN;{change}PRAGMA user_version = {schema.VERSION};COMMIT;")
                elif version != schema.VERSION:
                    raise LedgerError(f"the ledger '{path}' has version {version}, this program knows {schema.VERSION}")
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
            "SELECT path, size, modified_ns, seen_hash, content, reason, retry, format, etag FROM files WHERE path = ?",
            path,
        )
        return file_record(rows[0]) if rows else None

    def is_current(self, record: FileRecord) -> bool:
        """Its content was made the way this program makes it."""
        return record.format == self._format

    def content(self, content_hash: str) -> Content | None:
        """What was made of these bytes, if all of it is in place and of today's format."""
        rows = self._all(
            f"{schema.CONTENTS} WHERE hash = ? AND state = 'indexed' AND format = {self._format}",
            content_hash,
        )
        return content_from(rows[0]) if rows else None

    def earlier(self, content_hash: str) -> Content | None:
        """What is there of these bytes, in whatever state and format."""
        rows = self._all(f"{schema.CONTENTS} WHERE hash = ?", content_hash)
        return content_from(rows[0]) if rows else None

    def contents(self, state: str = "indexed") -> list[Content]:
        """All contents in one state."""
        return [content_from(row) for row in self._all(f"{schema.CONTENTS} WHERE state = ? ORDER BY hash", state)]

    def unfinished(self) -> list[Content]:
        """What a run that was killed, or runs right now, has half written or half removed."""
        return [*self.contents("writing"), *self.contents("removing")]

    def content_of(self, path: str) -> Content | None:
        """What is searchable of a path."""
        rows = self._all(f"{schema.CONTENTS} WHERE hash = (SELECT content FROM files WHERE path = ?)", path)
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
                for content_hash, path, is_shown in self._all(schema.COPIES):
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
                own, said = self._facts(schema.OWN), self.said()
                entries = tuple(
                    entry_from(row, own.get(cast(str, row[7]), {}), said.get(cast(str, row[0]), NOTHING_SAID))
                    for row in self._all(schema.ENTRIES)
                )
                entries = _with_near(entries, self.near())
                self._entries = change, entries
            return entries

    def likenesses(self) -> dict[str, str]:
        """Contents that are pictures → what is kept of each to find those that are nearly the same."""
        return dict(cast(list[tuple[str, str]], self._all(schema.LIKENESSES, LIKENESS)))

    def near(self) -> Mapping[str, tuple[str, ...]]:
        """Contents → the others that are nearly the same picture. Read again only after a change."""
        with self._lock:
            change, near = self._near
            if change != self._connection.total_changes:
                pairs = cast(list[tuple[str, str]], self._all(schema.LIKENESSES, NEAR_DUPLICATES))
                there = {content for (content,) in self._all(schema.INDEXED)} if pairs else set()
                found: dict[str, set[str]] = {}
                for one, other in pairs:
                    if other in there:
                        found.setdefault(one, set()).add(other)
                        found.setdefault(other, set()).add(one)
                near = {content: tuple(sorted(others)) for content, others in found.items()}
                self._near = self._connection.total_changes, near
            return near

    def said(self) -> dict[str, Said]:
        """What persons say of each path of which they say something."""
        with self._lock:
            given, beside = self._facts(schema.SAID, "given"), self._facts(schema.SAID, "beside")
            rows = cast(list[tuple[str, str]], self._all("SELECT path, notes FROM files WHERE notes <> '[]'"))
        notes = {path: notes_from(written) for path, written in rows}
        return {
            path: Said(given=given.get(path, {}), beside=beside.get(path, {}), notes=notes.get(path, ()))
            for path in {**given, **beside, **notes}
        }

    def fact_keys(self) -> frozenset[str]:
        """The keys that facts of any file have."""
        entries = self.entries()
        with self._lock:
            if self._keys[0] is not entries:
                self._keys = entries, frozenset(key for entry in entries for key in entry.facts)
            return self._keys[1]

    def _facts(self, query: str, *values: str) -> dict[str, dict[str, tuple[str, ...]]]:
        """Of rows (whose, key, value) in this order."""
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for whose, key, value in cast(list[tuple[str, str, str]], self._all(query, *values)):
            facts = found.get(whose)
            if facts is None:
                found[whose] = {key: (value,)}
            else:
                facts[key] = (*facts[key], value) if key in facts else (value,)
        return found

    # ── changes, each of them one transaction ───────────────────

    def begin(self, content: Content) -> None:
        """Its rows are about to be written."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO contents (hash, state, shown_path, kind, chunks, format)"
                " VALUES (?, 'writing', ?, ?, ?, ?)",
                (content.hash, content.shown_path, content.kind, json.dumps(content.chunks), self._format),
            )

    def finish(
        self,
        content_hash: str,
        seen: Seen,
        *,
        seconds: float = 0.0,
        notes: tuple[Note, ...] = (),
        own: Facts | None = None,
        said: Said | None = None,
    ) -> None:
        """The path holds this content, all of which is in the store. What it held before is left to `release`. `own`
        and `said` replace the facts that are known; without them those stay."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE contents SET state = 'indexed', seconds = ?, notes = ?, indexed_at = ?"
                " WHERE hash = ? AND state <> 'indexed'",
                (seconds, written_notes(notes), _now(), content_hash),
            )
            self._see(connection, seen, content_hash, content=content_hash)
            if own is not None:
                connection.execute("DELETE FROM own_facts WHERE content = ?", (content_hash,))
                connection.executemany(
                    "INSERT INTO own_facts VALUES (?, ?, ?)", [(content_hash, *pair) for pair in _pairs(own)]
                )
            if said is not None:
                self._say(connection, seen.path, said)

    def say(self, path: str, said: Said) -> None:
        """What persons say of a path; nothing happens where the ledger has none such."""
        with self._transaction() as connection:
            if connection.execute("SELECT 1 FROM files WHERE path = ?", (path,)).fetchone():
                self._say(connection, path, said)

    def _say(self, connection: sqlite3.Connection, path: str, said: Said) -> None:
        connection.execute("UPDATE files SET notes = ? WHERE path = ?", (written_notes(said.notes), path))
        connection.execute("DELETE FROM said_facts WHERE path = ?", (path,))
        rows = [(path, "given", *pair) for pair in _pairs(said.given)]
        rows += [(path, "beside", *pair) for pair in _pairs(said.beside)]
        connection.executemany("INSERT INTO said_facts VALUES (?, ?, ?, ?)", rows)

    def touch(self, seen: Seen) -> None:
        """The file has another time of change and the same bytes."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE files SET size = ?, modified_ns = ?, etag = ?, format = ? WHERE path = ?",
                (seen.size_bytes, seen.modified_ns, seen.etag, self._format, seen.path),
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
                "UPDATE files SET content = NULL, seen_hash = '', modified_ns = -1, etag = '' WHERE content = ?",
                (content_hash,),
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
            schema.SEE,
            (seen.path, seen.size_bytes, seen.modified_ns, seen.etag, seen_hash, content, reason, retry, self._format),
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


def _with_near(entries: tuple[FileEntry, ...], near: Mapping[str, tuple[str, ...]]) -> tuple[FileEntry, ...]:
    """Each file with the paths of the pictures that are nearly the same."""
    if not near:
        return entries
    paths: dict[str, list[str]] = {}
    for entry in entries:
        paths.setdefault(entry.content, []).append(entry.path)
    return tuple(
        replace(entry, near=tuple(sorted(path for other in near[entry.content] for path in paths.get(other, ()))))
        if entry.content in near
        else entry
        for entry in entries
    )


def _pairs(facts: Facts) -> Iterator[tuple[str, str]]:
    return ((key, value) for key, values in facts.items() for value in values)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
