"""The whole way from paths to rows; the way back is `indexing.removal`.

    index    prefetch (walk, look up, read; threads and processes of its own) → chunking → embed_and_write → ledger

The order in which a file comes in makes a run that dies anywhere one that can go on: the ledger says `writing`, rows
are written, pictures are moved into place, and one transaction says `indexed`. What a path held before is removed at
the end of the run, when it is known that no other path holds it now. What a dead run left half done is taken out
before the next one begins (`library.recover`), and done again.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from indexing.addresses import is_address
from indexing.chunking import chunks
from indexing.confidence import confidence_facts
from indexing.discover import Failure, Roots, Seen, absolute, is_gone, leads_nowhere, printable
from indexing.embed_and_write import Job, RowMaker
from indexing.embedding.protocol import Embedder
from indexing.errors import StoreError
from indexing.facts import LIKENESS, NEAR_DUPLICATES, Facts, facts_of, own_facts
from indexing.ledger import Content, FileEntry, FileKind
from indexing.library import Library, recover, tidy
from indexing.likeness import Likenesses
from indexing.prefetch import Known, Prefetch, Read, ReaderFactory, Refused, Unchanged
from indexing.progress import Progress, RunCounts
from indexing.readers.output import THUMB
from indexing.records import Chunk, Note
from indexing.removal import NotInLibraryError, RemoveReport, remove
from indexing.settings import IndexingSettings
from indexing.sidecars import SaidFacts, is_sidecar
from indexing.sources.access import Accesses
from indexing.sources.remote import RemoteFiles
from indexing.spans import begin, span
from indexing.store import Store
from indexing.workers.pool import ReaderPool

__all__ = [
    "Failure",
    "FileEntry",
    "IndexReport",
    "NotInLibraryError",
    "Progress",
    "RemoveReport",
    "files",
    "index",
    "remove",
]

_IDLE_SECONDS = 0.25
"""Nothing came for so long: batches that are not full are embedded now."""
_PROGRESS_SECONDS = 0.1
_PATIENCE_SECONDS = 5.0
"""After a cancel, files that are nearly read are waited for; a long one goes on in the next run."""
_DOWNLOADS = "downloads"
"""Below the spool, which is emptied before every run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexReport:
    """What a run did, counted from what ledger and store acknowledged."""

    added: int
    updated: int
    unchanged: int
    removed: int
    failed: int
    chunks: int  # rows written by this run
    seconds: float
    failures: tuple[Failure, ...]
    noted: tuple[FileEntry, ...] = ()  # files below the run's paths with notes, in order; those of earlier runs, too
    cancelled: bool = False
    links_out: tuple[str, ...] = ()  # links that lead out of the run's paths and were not followed

    @property
    def read_in_part(self) -> tuple[FileEntry, ...]:
        """Files that hold something which was not read."""
        return tuple(entry for entry in self.noted if entry.read_in_part)


def index(
    paths: Sequence[str | Path],
    *,
    library: Library,
    store: Store,
    embedder: Embedder | Callable[[], Embedder],
    settings: IndexingSettings | None = None,
    readers: ReaderFactory | None = None,
    retry_failed: bool = False,
    follow_links: bool = False,
    facts: Mapping[str, Sequence[str]] | None = None,
    sources: Accesses | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Bring the library up to date with these files and folders, which may be addresses (`indexing.addresses`).

    New files are added, changed ones replace their rows, files that are gone from disk below the given folders are
    removed; a file whose bytes are known embeds nothing. A file that failed and did not change is reported with its
    reason again without being read, unless `retry_failed`. Links that lead out of the paths are counted, or followed
    with `follow_links`; what an earlier run has read through them stays. `facts` are said of every file that the run
    meets, and replace what was said with these keys before; a key without values is forgotten (`indexing.facts`).
    `sources` says who one is at addresses; what they could not list to its end loses nothing.
    `cancelled` is asked between files: what was read by then is still written, and a long document goes on in the next
    run at the page where it was. Raises FactsError, AddressError, and RemoteError where nothing but addresses was
    named and none of them could be listed.

    `embedder` may be a function that loads it; it is called only when there is something to embed. `readers`
    replaces the pool of worker processes.
    """
    chosen = settings or IndexingSettings()
    load = _once(embedder if callable(embedder) else lambda: embedder, library)

    def pool() -> ReaderPool:
        return ReaderPool(
            limits=chosen.limits,
            preprocess=load().preprocess,
            spool=library.spool,
            workers=chosen.workers,
        )

    run = _IndexRun(library, store, load, chosen, on_progress)
    given = facts_of((facts or {}).items())
    accesses = sources or Accesses()
    choices = _Choices(retry_failed=retry_failed, follow_links=follow_links, facts=given, sources=accesses)
    return run.to_the_end([absolute(path) for path in paths], readers or pool, choices, cancelled)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choices:
    """What the person asked for."""

    retry_failed: bool
    follow_links: bool
    facts: Facts
    sources: Accesses


def _once(load: Callable[[], Embedder], library: Library) -> Callable[[], Embedder]:
    """Loads at the first call, from whichever thread, and refuses an embedder that is not the library's."""
    lock = threading.Lock()

    @cache
    def loaded() -> Embedder:
        embedder = load()
        library.settle(embedder)
        return embedder

    def locked() -> Embedder:
        with lock:
            return loaded()

    return locked


def files(library: Library) -> tuple[FileEntry, ...]:
    """Every file the library knows, with its state, in order of path."""
    return library.ledger.entries()


class _IndexRun:
    """One call of `index`: what `prefetch` brings becomes rows, states of the ledger, and numbers.

    Everything here happens in the caller's thread.
    """

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
        self._maker = RowMaker(embedder=embedder, store=store, settings=settings, on_batch=self._show_progress)
        self._counts = RunCounts()
        self._on_progress = on_progress
        self._shown_at = 0.0
        self._current = ""
        self._changed = False
        self._likenesses: Likenesses | None = None

    def to_the_end(
        self, paths: Sequence[str], readers: ReaderFactory, choices: _Choices, cancelled: Callable[[], bool]
    ) -> IndexReport:
        """The run from recovery to report."""
        with span("index", paths=len(paths)) as work:
            report = self._run(paths, readers, choices, cancelled)
            work.count(added=report.added, updated=report.updated, failed=report.failed, chunks=report.chunks)
        return report

    def _run(
        self, paths: Sequence[str], readers: ReaderFactory, choices: _Choices, cancelled: Callable[[], bool]
    ) -> IndexReport:
        with span("index.recover"):
            self._changed = recover(self._library, self._store)
        self._library.is_clean = False
        self._said = SaidFacts(choices.facts, self._ledger.said())
        self._remote = RemoteFiles(paths, choices.sources, self._library.spool / _DOWNLOADS)
        self._prefetch = Prefetch(
            paths,
            skip=[self._library.folder],
            ledger=self._ledger,
            readers=readers,
            max_file_bytes=self._settings.limits.max_file_bytes,
            retry_failed=choices.retry_failed,
            capacity=self._settings.picture_batch,
            follow_links=choices.follow_links,
            remote=self._remote,
        )
        reading = begin("index.read")  # beside it batches are embedded and written
        try:
            self._prefetch.start()
            stopped = self._consume(cancelled)
        finally:
            self._prefetch.close()
            self._remote.close()
            self._maker.close()
            reading.end()
        with span("index.tidy"):
            if not stopped:
                self._remote.check()
                self._forget_gone([path for path in paths if not is_address(path)])
                for path in self._remote.vanished(self._ledger.paths_below):
                    self._forget(path)
                self._library.clear_spool(keep_pages=False)
            return self._report(paths, cancelled=stopped)

    def _consume(self, cancelled: Callable[[], bool]) -> bool:
        stopped, patience = False, float("inf")
        while True:
            if not stopped and cancelled():
                stopped, patience = True, time.monotonic() + _PATIENCE_SECONDS
                self._prefetch.stop_intake()
            if time.monotonic() > patience:
                self._prefetch.give_up()
            try:
                event = self._prefetch.next(_IDLE_SECONDS)
            except queue.Empty:
                self._maker.flush()
                self._show_progress()
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
        self._say(event.path)
        self._done("unchanged", event.path)

    def _refused(self, event: Refused) -> None:
        if event.seen is not None:
            self._ledger.fail(event.seen, event.reason, seen_hash=event.seen_hash, retry=event.retry)
        self._failed(event.path, event.reason)
        for other in self._prefetch.finished(event.seen_hash):
            self._ledger.fail(other, event.reason, seen_hash=event.seen_hash, retry=event.retry)
            self._failed(other.path, event.reason)

    def _failed(self, path: str, reason: str) -> None:
        self._say(path)
        self._counts.failures.append(Failure(path=path, reason=reason))
        self._done("failed", path)

    def _say(self, path: str) -> None:
        """Keep what persons say of a file that is not written now."""
        if (said := self._said.news_of(path)) is not None:
            self._ledger.say(path, said)

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
        job = Job(
            content=content,
            missing=len(found),
            is_written=written,
            picture=partial(self._spooled_picture, event),
        )
        self._maker.add(job, found, event.result.pixels)

    def _chunks(self, event: Read) -> list[Chunk]:
        """The file's chunks; the small picture of a photograph lies with its like."""
        content_hash = event.source.content_hash
        folder = self._library.image_folder(content_hash)
        thumb = self._library.thumb(content_hash)
        found = chunks(event.result.reading, source=event.source, image_folder=folder, settings=self._settings.chunks)
        return [replace(chunk, image=thumb) if chunk.image == f"{folder}/{THUMB}" else chunk for chunk in found]

    def _spooled_picture(self, event: Read, chunk: Chunk) -> Path:
        """Where a chunk's picture lies until its rows are written."""
        is_thumb = chunk.image == self._library.thumb(event.source.content_hash)
        return event.result.folder / (THUMB if is_thumb else Path(chunk.image).name)

    def _written(self, event: Read, started: float, surplus: list[str]) -> None:
        """All rows of a file are in the store."""
        content_hash = event.source.content_hash
        self._store.delete(surplus)
        self._library.keep_pictures(event.result.folder, content_hash)
        self._changed = True
        reading, seconds = event.result.reading, time.monotonic() - started
        own = {
            **own_facts(reading.metadata),
            **confidence_facts(reading.blocks),
            **self._near(content_hash, reading.metadata),
        }
        self._indexed(event.seen, content_hash, seconds=seconds, notes=reading.notes, own=own)
        for other in self._prefetch.finished(content_hash):
            self._indexed(other, content_hash)

    def _near(self, content_hash: str, metadata: Mapping[str, str]) -> Facts:
        """What is kept of a picture, and which of those before are nearly the same."""
        kept = metadata.get(LIKENESS, "")
        if not kept:
            return {}
        if self._likenesses is None:
            self._likenesses = Likenesses(self._ledger.likenesses())
        return {LIKENESS: (kept,), NEAR_DUPLICATES: self._likenesses.add(content_hash, kept)}

    def _indexed(
        self,
        seen: Seen,
        content_hash: str,
        *,
        seconds: float = 0.0,
        notes: tuple[Note, ...] = (),
        own: Facts | None = None,
    ) -> None:
        before, said = self._ledger.file(seen.path), self._said.news_of(seen.path)
        self._ledger.finish(content_hash, seen, seconds=seconds, notes=notes, own=own, said=said)
        self._done("updated" if before is not None and before.content is not None else "added", seen.path)

    def _forget_gone(self, paths: Sequence[str]) -> None:
        """Files that the ledger has below the given paths and the disk has not. A path that is itself gone stays:
        it may be a drive that is not plugged in. Files that an earlier run has met in a linked folder go as well, when
        they are listed where they really lie."""
        roots = Roots(paths)
        for root in paths:
            if is_gone(root):
                continue
            for path in self._ledger.paths_below(printable(root)):
                gone = (is_gone(path) and not self._is_listed_link(path)) or is_sidecar(path)
                if gone or self._is_listed_elsewhere(path, roots):
                    self._forget(path)

    def _forget(self, path: str) -> None:
        self._ledger.forget(path)
        self._counts.counts["removed"] += 1

    def _is_listed_elsewhere(self, path: str, roots: Roots) -> bool:
        place = roots.real_place(path)
        return place is not None and place != path and self._ledger.file(printable(place)) is not None

    def _is_listed_link(self, path: str) -> bool:
        """A link that leads nowhere is there, and is listed as such; what was read through it is gone."""
        record = self._ledger.file(path)
        return record is not None and record.content is None and leads_nowhere(path)

    def _report(self, paths: Sequence[str], *, cancelled: bool) -> IndexReport:
        if tidy(self._library, self._store) or self._changed:
            self._store.ready()
        stored, expected = self._store.count(), self._ledger.rows()
        if stored != expected:
            problem = StoreError(f"the store holds {stored:,} rows where the ledger counts {expected:,}")
            problem.add_note("Run it again: what is missing is written again, what is left over is removed.")
            raise problem
        self._show_progress(always=True)
        counts = self._counts.counts
        return IndexReport(
            added=counts["added"],
            updated=counts["updated"],
            unchanged=counts["unchanged"],
            removed=counts["removed"],
            failed=counts["failed"],
            chunks=self._maker.written,
            seconds=time.monotonic() - self._counts.started,
            failures=tuple(self._counts.failures),
            noted=self._noted(paths),
            cancelled=cancelled,
            links_out=tuple(self._prefetch.links_out),
        )

    def _noted(self, roots: Sequence[str]) -> tuple[FileEntry, ...]:
        below = {path for root in roots for path in self._ledger.paths_below(printable(root))}
        return tuple(entry for entry in self._ledger.entries() if entry.notes and entry.path in below)

    def _done(self, outcome: str, path: str) -> None:
        self._counts.counts[outcome] += 1
        self._current = Path(path).name
        self._show_progress()

    def _show_progress(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._shown_at >= _PROGRESS_SECONDS:
            self._shown_at = now
            self._counts.found, self._counts.walked = self._prefetch.found, self._prefetch.walked
            self._counts.download = self._prefetch.download
            self._on_progress(self._counts.progress(self._current, self._prefetch.under_way()))
