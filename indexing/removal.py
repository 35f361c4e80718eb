"""Taking files out of a library; the files themselves stay where they are."""

from dataclasses import dataclass
from pathlib import Path

from indexing.discover import absolute, printable
from indexing.errors import IndexingError
from indexing.library import Library, recover, tidy
from indexing.places import spellings
from indexing.store import Store

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


def remove(what: str | Path, *, library: Library, store: Store) -> RemoveReport:
    """Take a file, everything below a folder, or the file that an id belongs to, out of the library.

    An id is a hit's, or at least the first eight digits of a content's. Files on disk stay where they are.
    """
    recover(library, store)
    paths = _paths_meant(str(what), library, store)
    if not paths:
        raise NotInLibraryError(printable(str(what)))
    library.is_clean = False
    for path in paths:
        library.ledger.forget(path)
    return RemoveReport(files=len(paths), chunks=tidy(library, store))


def _paths_meant(what: str, library: Library, store: Store) -> list[str]:
    place = printable(absolute(what))
    written = [place, *(() if place.isascii() else spellings(place, library.ledger))]
    below = dict.fromkeys(path for each in written for path in library.ledger.paths_below(each))
    if below:
        return list(below)
    what = printable(what)
    hashes = [chunk.content_hash for chunk in store.get([what])]
    if not hashes and len(what) >= _FEWEST_HASH_DIGITS:
        hashes = library.ledger.hashes_beginning(what.lower())
    return [path for content_hash in hashes for path in library.ledger.paths_of(content_hash)]
