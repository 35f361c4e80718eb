"""One run of `index`: events from the feed become rows, states of the ledger, and numbers.

The order in which a file comes in makes a run that dies anywhere one that can go on: the ledger says `writing`, rows
are written, pictures are moved into place, and one transaction says `indexed`. What a path held before is removed at
the end of the run, when it is known that no other path holds it now. What another start finds half done it takes out
and does again (`recovery`).
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from indexing.chunking import chunks
from indexing.discover import Failure, Seen, count_files, is_gone, printable
from indexing.embedding.protocol import Embedder
from indexing.errors import StoreError
from indexing.feed import Feed, Known, Read, ReaderFactory, Refused, Unchanged
from indexing.library import Library
from indexing.progress import IndexReport, Progress, Tally
from indexing.readers.spool import THUMB
from indexing.records import Chunk
from indexing.recovery import recover, tidy
from indexing.rows import Job, RowMaker
from indexing.settings import IndexingSettings
from indexing.states import Content, FileKind
from indexing.store import Store

_IDLE_SECONDS = 0.25
"""Nothing came for so long: batches that are not full are embedded now."""
_PROGRESS_SECONDS = 0.1


class Run:
    """One call of `index`. Everything here happens in the caller's thread; the feed has its own."""

    def __init__(
        self,
        library: Library,
        store: Store,
        embedder: Callable[[], Embedder],
        settings: IndexingSettings,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._library, self._store, self._settings = library, store, settings
        self._ledger = library.ledger
        self._maker = RowMaker(embedder=embedder, store=store, settings=settings, on_batch=self._tell)
        self._tally = Tally()
        self._on_progress = on_progress
        self._told = 0.0
        self._current = ""
        self._changed = False

    def all(
        self, paths: Sequence[str], readers: ReaderFactory, retry_failed: bool, cancelled: Callable[[], bool]
    ) -> IndexReport:
        """The run from recovery to report."""
        self._changed = recover(self._library, self._store)
        skip = [self._library.folder]
        self._feed = Feed(
            paths,
            skip=skip,
            ledger=self._ledger,
            readers=readers,
            max_file_bytes=self._settings.limits.max_file_bytes,
            retry_failed=retry_failed,
            capacity=self._settings.picture_batch,
        )
        threading.Thread(target=self._count, args=(paths, skip), name="count", daemon=True).start()
        try:
            self._feed.start()
            stopped = self._consume(cancelled)
        finally:
            self._feed.close()
            self._maker.close()
        if not stopped:
            self._forget_gone(paths)
        return self._report(cancelled=stopped)

    def _count(self, paths: Sequence[str], skip: Sequence[Path]) -> None:
        self._tally.found = count_files(paths, skip=skip)
        self._tally.walked = True

    def _consume(self, cancelled: Callable[[], bool]) -> bool:
        stopped = False
        while True:
            if not stopped and cancelled():
                stopped = True
                self._feed.stop_intake()
            try:
                event = self._feed.next(_IDLE_SECONDS)
            except queue.Empty:
                self._maker.flush()
                self._tell()
                continue
            match event:
                case None:
                    self._maker.flush()
                    return stopped
                case Unchanged():
                    self._unchanged(event)
                case Refused():
                    self._refused(event)
                case Known():
                    self._indexed(event.seen, event.content_hash)
                case Read():
                    self._read(event)

    def _unchanged(self, event: Unchanged) -> None:
        if event.touched is not None:
            self._ledger.touch(event.touched)
        self._done("unchanged", event.path)

    def _refused(self, event: Refused) -> None:
        if event.seen is not None:
            self._ledger.fail(event.seen, event.reason, seen_hash=event.seen_hash, retry=event.retry)
        self._failed(event.path, event.reason)
        for other in self._feed.finished(event.seen_hash):
            self._ledger.fail(other, event.reason, seen_hash=event.seen_hash, retry=event.retry)
            self._failed(other.path, event.reason)

    def _failed(self, path: str, reason: str) -> None:
        self._tally.failures.append(Failure(path=path, reason=reason))
        self._done("failed", path)

    def _read(self, event: Read) -> None:
        started = time.monotonic()
        self._current = event.seen.path.rpartition("/")[2]
        reading, content_hash = event.result.reading, event.source.content_hash
        found = self._chunks(event)
        kind: FileKind = "picture" if reading.is_picture else "document"
        content = Content(
            hash=content_hash,
            state="writing",
            shown_path=event.seen.path,
            kind=kind,
            chunks=dict(Counter(chunk.kind for chunk in found)),
        )
        earlier = self._ledger.earlier(content_hash)  # of another format: it may have had more chunks
        surplus = set(earlier.ids()) - set(content.ids()) if earlier else set()
        self._ledger.begin(content)
        written = partial(self._written, event, started, sorted(surplus))
        self._maker.add(Job(content=content, missing=len(found), is_written=written), found, event.result.pixels)

    def _chunks(self, event: Read) -> list[Chunk]:
        """The file's chunks; the small picture of a photograph lies with its like."""
        content_hash = event.source.content_hash
        folder = self._library.image_folder(content_hash)
        thumb = self._library.thumb(content_hash)
        found = chunks(event.result.reading, source=event.source, image_folder=folder, settings=self._settings.chunks)
        return [replace(chunk, image=thumb) if chunk.image == f"{folder}/{THUMB}" else chunk for chunk in found]

    def _written(self, event: Read, started: float, surplus: list[str]) -> None:
        """All rows of a file are in the store."""
        content_hash = event.source.content_hash
        self._store.delete(surplus)
        self._library.keep_pictures(event.result.folder, content_hash)
        self._changed = True
        self._indexed(event.seen, content_hash, seconds=time.monotonic() - started, notes=event.result.reading.notes)
        for other in self._feed.finished(content_hash):
            self._indexed(other, content_hash)

    def _indexed(self, seen: Seen, content_hash: str, *, seconds: float = 0.0, notes: tuple[str, ...] = ()) -> None:
        before = self._ledger.file(seen.path)
        self._ledger.finish(content_hash, seen, seconds=seconds, notes=notes)
        self._done("updated" if before is not None and before.content is not None else "added", seen.path)

    def _forget_gone(self, paths: Sequence[str]) -> None:
        """Files that the ledger has below the given paths and the disk has not. A path that is itself gone stays:
        it may be a drive that is not plugged in."""
        for root in paths:
            if is_gone(root):
                continue
            for path in self._ledger.paths_below(printable(root)):
                if is_gone(path):
                    self._ledger.forget(path)
                    self._tally.counts["removed"] += 1

    def _report(self, *, cancelled: bool) -> IndexReport:
        if tidy(self._library, self._store) or self._changed:
            self._store.ready()
        stored, expected = self._store.count(), self._ledger.rows()
        if stored != expected:
            problem = StoreError(f"the store holds {stored:,} rows where the ledger counts {expected:,}")
            problem.add_note("Run it again: what is missing is written again, what is left over is removed.")
            raise problem
        self._tell(always=True)
        counts = self._tally.counts
        return IndexReport(
            added=counts["added"],
            updated=counts["updated"],
            unchanged=counts["unchanged"],
            removed=counts["removed"],
            failed=counts["failed"],
            chunks=self._maker.written,
            seconds=time.monotonic() - self._tally.started,
            failures=tuple(self._tally.failures),
            cancelled=cancelled,
        )

    def _done(self, outcome: str, path: str) -> None:
        self._tally.counts[outcome] += 1
        self._current = Path(path).name
        self._tell()

    def _tell(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            self._on_progress(self._tally.progress(self._current))
