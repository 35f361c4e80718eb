"""The whole way from paths to rows, and back out again.

index: feed (walk, look up, read; its own thread) → chunks → rows (embed, write) → ledger, put together in `run`.
remove: ledger → store and pictures.

NotInLibraryError   `remove` was given something that the library does not have
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from indexing.discover import Failure, absolute, printable
from indexing.embedding.protocol import Embedder
from indexing.errors import IndexingError
from indexing.feed import ReaderFactory
from indexing.library import Library
from indexing.progress import IndexReport, Progress
from indexing.recovery import recover, tidy
from indexing.run import Run
from indexing.sandbox import ReaderPool
from indexing.settings import IndexingSettings
from indexing.states import FileEntry
from indexing.store import Store

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

_FEWEST_HASH_DIGITS = 8


class NotInLibraryError(IndexingError):
    """Neither a path nor an id of anything indexed."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"'{wanted}' is not in the library")
        self.add_note("llavero list shows what is; ids are those that search --json prints.")
        self.wanted = wanted


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoveReport:
    """What was taken out; a file whose bytes live on under another path takes no chunks with it."""

    files: int
    chunks: int


def index(
    paths: Sequence[str | Path],
    *,
    library: Library,
    store: Store,
    embedder: Embedder | Callable[[], Embedder],
    settings: IndexingSettings | None = None,
    readers: ReaderFactory | None = None,
    retry_failed: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Bring the library up to date with these files and folders.

    New files are added, changed ones replace their rows, files that are gone from disk below the given folders are
    removed; a file whose bytes are known embeds nothing. A file that failed and did not change is reported with its
    reason again without being read, unless `retry_failed`. `cancelled` is asked between files: what was read by then
    is still written.

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

    run = Run(library, store, load, chosen, on_progress)
    return run.all([absolute(path) for path in paths], readers or pool, retry_failed, cancelled)


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


def remove(what: str | Path, *, library: Library, store: Store) -> RemoveReport:
    """Take a file, everything below a folder, or the file that an id belongs to, out of the library.

    An id is a hit's, or at least the first eight digits of a content's. Files on disk stay where they are.
    """
    recover(library, store)
    paths = _paths_meant(str(what), library, store)
    if not paths:
        raise NotInLibraryError(printable(str(what)))
    for path in paths:
        library.ledger.forget(path)
    return RemoveReport(files=len(paths), chunks=tidy(library, store))


def files(library: Library) -> tuple[FileEntry, ...]:
    """Every file the library knows, with its state, in order of path."""
    return library.ledger.entries()


def _paths_meant(what: str, library: Library, store: Store) -> list[str]:
    below = library.ledger.paths_below(printable(absolute(what)))
    if below:
        return below
    what = printable(what)
    hashes = [chunk.content_hash for chunk in store.get([what])]
    if not hashes and len(what) >= _FEWEST_HASH_DIGITS:
        hashes = library.ledger.hashes_beginning(what.lower())
    return [path for content_hash in hashes for path in library.ledger.paths_of(content_hash)]
