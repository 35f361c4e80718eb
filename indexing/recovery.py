"""Ledger, store and pictures compared, and brought together again after a run that was killed.

A content is searchable if and only if the ledger says `indexed`; everything else that is found is a leftover.
"""

import shutil
from dataclasses import dataclass

from indexing.library import Library
from indexing.states import Content
from indexing.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Where ledger and store disagree."""

    incomplete: tuple[Content, ...]  # the ledger says indexed, rows are missing
    missing: int  # so many rows
    orphans: tuple[str, ...]  # ids of rows that nothing in the ledger explains

    @property
    def agrees(self) -> bool:
        """Nothing is missing and nothing is left over."""
        return not self.missing and not self.orphans


def compare(library: Library, store: Store) -> Comparison:
    """Every id of the ledger against every id in the store; reads all keys."""
    stored = {row_id for row_id, _ in store.ids()}
    incomplete: list[Content] = []
    missing = 0
    for content in library.ledger.contents():
        ids = set(content.ids())
        absent = len(ids - stored)
        if absent:
            incomplete.append(content)
            missing += absent
        stored -= ids
    for content in library.ledger.unfinished():
        stored -= set(content.ids())
    return Comparison(incomplete=tuple(incomplete), missing=missing, orphans=tuple(sorted(stored)))


def repair(library: Library, store: Store, found: Comparison) -> None:
    """Remove what is left over. Files with missing rows become pending: the next run indexes them again."""
    store.delete(found.orphans)
    for content in found.incomplete:
        remove_content(library, store, content)


def recover(library: Library, store: Store) -> bool:
    """What every run begins with; cheap when the last one ended well. Returns whether rows were touched."""
    shutil.rmtree(library.spool, ignore_errors=True)
    library.ledger.release()
    unfinished = library.ledger.unfinished()
    for content in unfinished:
        remove_content(library, store, content)
    torn = store.count() != library.ledger.rows()
    if torn:
        repair(library, store, compare(library, store))
    kept = {content.hash for content in library.ledger.contents()}
    for content_hash in library.pictured() - kept:
        library.drop_pictures(content_hash)
    return show_right_paths(library, store) or bool(unfinished) or torn


def tidy(library: Library, store: Store) -> int:
    """After paths were forgotten or changed: remove what none of them holds any more. Returns the rows removed."""
    released = library.ledger.release()
    for content in released:
        remove_content(library, store, content)
    show_right_paths(library, store)
    return sum(content.rows for content in released)


def show_right_paths(library: Library, store: Store) -> bool:
    """Rows whose file was moved or removed, while its bytes live on elsewhere, show the first path that is left."""
    misplaced = library.ledger.misplaced()
    for content, path in misplaced:
        store.move(content.ids(), path)
        library.ledger.show(content.hash, path)
    return bool(misplaced)


def remove_content(library: Library, store: Store, content: Content) -> None:
    """Rows first and the ledger last, so that a crash in between is only done again."""
    store.delete(content.ids())
    library.drop_pictures(content.hash)
    library.ledger.drop(content.hash)
