"""What comes to the pipeline: files are found, looked up and read while others are embedded.

    walk (a thread) → what the ledger knows already → readers (processes) → a bounded queue of
    `Unchanged | Refused | Known | Read`

The folders are walked once, ahead of everything else, so that it is soon known how many files there are. A file that
lies elsewhere is downloaded when it is about to be read, and its copy deleted when it was. The threads ask the ledger
and never write to it.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

from indexing.addresses import is_address
from indexing.discover import Failure, Seen, look_again, reason_of, source_of
from indexing.errors import DiskError, MissingProgramError, UnreadableFileError, disk_error, words_of
from indexing.ledger import FileRecord, Ledger
from indexing.records import SourceFile
from indexing.settings import MEGABYTE
from indexing.sources.protocol import GONE, ItemError
from indexing.sources.remote import Download, RemoteFiles, StoppedError, TooLargeError
from indexing.walk import Walk
from indexing.workers.pool import ReadResult

_LONGEST_WAIT_SECONDS = 5.0


class FileReader(Protocol):
    """What the pipeline wants of `workers.pool.ReaderPool`."""

    def read(self, sources: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, ReadResult | UnreadableFileError]]:
        """Files with their outcomes, in the order in which they finish; pulls lazily."""

    def cancel(self) -> None:
        """From another thread: let what is being read end at once."""

    def under_way(self) -> tuple[str, int, int]:
        """Of the long file that is being read: its name, its pages done, and how many there are (0: nobody knows)."""


ReaderFactory = Callable[[], AbstractContextManager[FileReader]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unchanged:
    """The library has it already. `seen` is given where only its time of change is new."""

    path: str
    touched: Seen | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """It cannot be indexed. `seen` is given where the ledger shall remember it."""

    path: str
    reason: str
    seen: Seen | None = None
    seen_hash: str = ""
    retry: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """New to the library as a path, but its bytes are not: a copy, or a file that was moved."""

    seen: Seen
    content_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """A file as a reader returned it."""

    seen: Seen
    source: SourceFile
    result: ReadResult


Event = Unchanged | Refused | Known | Read


class Prefetch:
    """Ask for `next` until it is None; `stop_intake` ends it early and politely, `close` at once."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        skip: Sequence[Path],
        ledger: Ledger,
        readers: ReaderFactory,
        max_file_bytes: int,
        retry_failed: bool,
        capacity: int,
        follow_links: bool = False,
        remote: RemoteFiles | None = None,
    ) -> None:
        self._walk = Walk(paths, skip, follow_links, remote)
        self._remote = remote
        self._ledger, self._readers = ledger, readers
        self._max_file_bytes, self._retry_failed = max_file_bytes, retry_failed
        self._queue: queue.Queue[Event | BaseException | None] = queue.Queue(capacity)
        self._no_more, self._given_up, self._closed = threading.Event(), threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._under_way: dict[str, list[Seen]] = {}  # hash → other paths with the same bytes, met meanwhile
        self._seen: dict[str, Seen] = {}
        self._reader: FileReader | None = None
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)

    def start(self) -> None:
        """Begin to walk and read."""
        self._walk.start()
        self._thread.start()

    @property
    def found(self) -> int:
        """How many files the walk has met so far."""
        return self._walk.found

    @property
    def walked(self) -> bool:
        """The walk has come to its end: `found` does not grow any more."""
        return self._walk.finished

    @property
    def links_out(self) -> Sequence[str]:
        """Links that lead out of the paths and were not followed."""
        return self._walk.links_out

    @property
    def download(self) -> Download | None:
        """The file that is on its way from elsewhere, if one is."""
        return self._remote.download_under_way if self._remote else None

    def next(self, timeout_seconds: float) -> Event | None:
        """The next event; None at the end, queue.Empty when nothing came in time; raises what the thread raised."""
        event = self._queue.get(timeout=timeout_seconds)
        if isinstance(event, OSError):
            raise disk_error(event.strerror or words_of(event)) from event
        if isinstance(event, BaseException):
            raise event
        return event

    def finished(self, content_hash: str) -> list[Seen]:
        """The content is in the library, or has failed. Returns the other paths with the same bytes."""
        with self._lock:
            return self._under_way.pop(content_hash, [])

    def stop_intake(self) -> None:
        """Take no further files; what is being read still comes."""
        self._no_more.set()

    def give_up(self) -> None:
        """Stop what is being read as well; these files count as not met."""
        self._given_up.set()
        self._walk.give_up()
        if self._reader is not None:
            self._reader.cancel()

    def under_way(self) -> tuple[str, int, int]:
        """The long file that is being read, see `FileReader`."""
        return self._reader.under_way() if self._reader is not None else ("", 0, 0)

    def close(self) -> None:
        """Stop at once, killing what is being read, and wait for the threads; not for a server that sends nothing: who
        waits for one writes nothing any more."""
        self._no_more.set()
        self._closed.set()
        self._walk.stop()
        if self._reader is not None and self._thread.is_alive():
            self._reader.cancel()
        if self._thread.ident is None:
            return
        waiting_since = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.1)
            if self._remote is None or not self._remote.is_downloading:
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since > _LONGEST_WAIT_SECONDS:
                return

    def _run(self) -> None:
        try:
            self._read_all()
            self._put(None)
        except _ClosedError:
            pass
        except BaseException as error:  # noqa: BLE001  # handed to the thread that iterates
            with suppress(_ClosedError):
                self._put(error)

    def _read_all(self) -> None:
        sources = self._sources()
        first = next(sources, None)  # without a file to read, no reader is made
        if first is None:
            return
        with self._readers() as reader:
            self._reader = reader
            if self._closed.is_set():  # `close` may have looked for the reader before there was one
                raise _ClosedError
            outcomes = reader.read(chain([first], sources))
            for source, outcome in outcomes:
                if isinstance(outcome, UnreadableFileError) and self._given_up.is_set():
                    continue
                self._put(self._event(source, outcome))

    def _put(self, event: Event | BaseException | None) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(event, timeout=0.1)
            except queue.Full:
                continue
            return
        raise _ClosedError

    def _sources(self) -> Iterator[SourceFile]:
        for seen in self._walk:
            if self._no_more.is_set():
                return
            if isinstance(seen, Failure):
                self._put(Refused(path=seen.path, reason=seen.reason, seen=seen.seen, retry=True))
                continue
            event = self._look_up(seen)
            if isinstance(event, SourceFile):
                yield event
            elif event is not None:
                self._put(event)
        for lost in self._remote.lost() if self._remote else ():
            self._put(Refused(path=lost.path, reason=lost.reason))

    def _look_up(self, seen: Seen) -> SourceFile | Event | None:
        """The file to be read, or why it need not be; None where another path with the same bytes is under way."""
        record = self._ledger.file(seen.path)
        if record is not None and record.is_same(seen):
            settled = self._settled(record)
            if settled is not None:
                return settled
        is_elsewhere = is_address(seen.path)
        try:
            if not is_elsewhere:
                seen = look_again(seen)  # the walk may have met it hours ago
            if seen.size_bytes > self._max_file_bytes:
                size, limit = seen.size_bytes // MEGABYTE, self._max_file_bytes // MEGABYTE
                return Refused(path=seen.path, reason=f"the file is {size:,} MB, the limit is {limit:,} MB", seen=seen)
            source = self._downloaded(seen) if is_elsewhere else source_of(seen)
        except OSError as error:
            gone = isinstance(error, FileNotFoundError)
            return Refused(path=seen.path, reason=reason_of(error), seen=None if gone else seen, retry=True)
        if not isinstance(source, SourceFile):
            return source
        taken = self._look_at(seen, source, record)
        if taken is not source:
            self._discard(source)
        return taken

    def _downloaded(self, seen: Seen) -> SourceFile | Refused | None:
        """None where its source is gone, or the run is being stopped."""
        assert self._remote is not None
        try:
            copy = self._remote.download(seen, most_bytes=self._max_file_bytes, stopped=self._no_more.is_set)
        except TooLargeError as error:
            return Refused(path=seen.path, reason=error.reason, seen=seen)
        except ItemError as error:
            gone = error.reason == GONE
            return Refused(path=seen.path, reason=error.reason, seen=None if gone else seen, retry=True)
        except StoppedError:
            return None
        if copy is None:
            return None
        return SourceFile(
            path=copy.path,
            size_bytes=copy.size_bytes,
            modified_ns=seen.modified_ns,
            content_hash=copy.content_hash,
            address=seen.path,
        )

    def _discard(self, source: SourceFile) -> None:
        if source.address and self._remote is not None:
            self._remote.discard(source.path)

    def _look_at(self, seen: Seen, source: SourceFile, record: FileRecord | None) -> SourceFile | Event | None:
        """The same when its bytes are known."""
        if record is not None and record.seen_hash == source.content_hash:
            settled = self._settled(record, touched=seen)
            if settled is not None:
                return settled
        return self._take(seen, source)

    def _settled(self, record: FileRecord, *, touched: Seen | None = None) -> Unchanged | Refused | None:
        """What the last run found out about these bytes, where it still holds."""
        if not self._ledger.is_current(record):
            return None
        if record.reason and not record.retry and not self._retry_failed:
            return Refused(path=record.path, reason=record.reason, seen=touched, seen_hash=record.seen_hash)
        if not record.reason and record.content is not None:
            return Unchanged(path=record.path, touched=touched)
        return None

    def _take(self, seen: Seen, source: SourceFile) -> SourceFile | Known | None:
        with self._lock:
            others = self._under_way.get(source.content_hash)
            if others is not None:
                others.append(seen)
                return None
            if self._ledger.content(source.content_hash) is not None:
                return Known(seen=seen, content_hash=source.content_hash)
            self._under_way[source.content_hash] = []
            self._seen[str(source.path)] = seen
            return source

    def _event(self, source: SourceFile, outcome: ReadResult | UnreadableFileError) -> Event:
        seen = self._seen.pop(str(source.path))
        self._discard(source)
        if isinstance(outcome, DiskError):  # whatever has become of the file meanwhile
            raise disk_error(outcome.reason) from outcome
        changed = "" if source.address else _changed(seen)
        if changed:
            return Refused(path=seen.path, reason=changed, seen_hash=source.content_hash)
        if isinstance(outcome, UnreadableFileError):
            may_pass = isinstance(outcome, MissingProgramError)
            reason, content_hash = outcome.reason, source.content_hash
            return Refused(path=seen.path, reason=reason, seen=seen, seen_hash=content_hash, retry=may_pass)
        return Read(seen=seen, source=source, result=outcome)


class _ClosedError(Exception):
    """Nobody takes events any more."""


def _changed(seen: Seen) -> str:
    """Why what was read is not what was hashed; "" when nothing happened meanwhile."""
    try:
        status = os.stat(seen.path)  # noqa: PTH116  # a string from the walk
    except OSError as error:
        return reason_of(error)
    if (status.st_size, status.st_mtime_ns) != (seen.size_bytes, seen.modified_ns):
        return "it changed while it was being read; the next run takes it"
    return ""
