"""New vectors for all that is indexed, from the words and pictures that the library keeps; nothing is read again.

A second collection is filled beside the first, content by content, and what is in it whole is not embedded again by a
run that goes on after a stop. Until the switch, which is one rename, the library is the old one; after it the old
collection is dropped, by `finish_switch` where the process died between the two.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from indexing.chunking import without_labels
from indexing.embed_and_write import Job, RowMaker
from indexing.embedding.protocol import Embedder, Pixels
from indexing.errors import IndexingError, StoreError
from indexing.ledger import Content
from indexing.library import Library, LibraryRecord
from indexing.readers.decoding import open_kept
from indexing.records import Chunk
from indexing.settings import IndexingSettings
from indexing.store import MilvusStore

FILE_NAME = "rebuild.json"
OpenStore = Callable[[LibraryRecord], MilvusStore]
"""Opens the collection that a record names, and makes it where it is new."""


class RebuildError(IndexingError):
    """There is nothing to rebuild, or another rebuild is half done."""


@dataclass(frozen=True, kw_only=True)
class RebuildReport:
    """What was done; `kept` contents were there from a run before."""

    contents: int
    kept: int
    chunks: int


def rebuild(
    library: Library,
    *,
    kit: str,
    embedder: Embedder,
    open_store: OpenStore,
    settings: IndexingSettings,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> RebuildReport:
    """Embed everything with another embedder, then switch. Nothing else may write to the library meanwhile.

    Raises RebuildError, StoreError, what the disk says. The caller closes and opens the library again afterwards.
    """
    was_switched = finish_switch(library, open_store)
    if library.record.embedder == embedder.name:
        if was_switched:
            contents = len(library.ledger.contents())
            return RebuildReport(contents=contents, kept=contents, chunks=0)
        raise RebuildError(f"the library's vectors are those of '{embedder.name}' already")
    target = _target(library, kit, embedder)
    old, new = open_store(library.record), open_store(target)
    try:
        report = _fill(library, old, new, embedder, settings, on_progress)
        _drop_what_is_gone(library, new)
        new.ready()
        if new.count() != library.ledger.rows():
            raise StoreError(f"the new collection holds {new.count():,} rows, {library.ledger.rows():,} were expected")
        library.switch(target)
        old.drop()
    finally:
        old.close()
        new.close()
    (library.folder / FILE_NAME).unlink(missing_ok=True)
    return report


def finish_switch(library: Library, open_store: OpenStore) -> bool:
    """Drop the old collection where a rebuild was stopped after its switch → whether one was. Whoever opens a library
    does it."""
    noted = _noted(library)
    if noted is None or noted.target.collection != library.record.collection:
        return False
    old = open_store(noted.replaces)
    try:
        old.drop()
    finally:
        old.close()
    (library.folder / FILE_NAME).unlink()
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Noted:
    """A rebuild that was begun and has not ended."""

    target: LibraryRecord
    replaces: LibraryRecord


def _target(library: Library, kit: str, embedder: Embedder) -> LibraryRecord:
    """What the library will be: that of a rebuild that was stopped, if it is the same one."""
    wanted = replace(
        library.record,
        kit=kit,
        embedder=embedder.name,
        collection=f"llavero_{secrets.token_hex(4)}",
        clip_dimensions=embedder.clip_dimensions,
        text_dimensions=embedder.text_dimensions,
    )
    noted = _noted(library)
    if noted is not None:
        if replace(noted.target, collection="") == replace(wanted, collection=""):
            return noted.target
        problem = RebuildError(f"a rebuild with the kit '{noted.target.kit}' was stopped half way")
        problem.add_note(f"End it first: llavero rebuild --kit {noted.target.kit}")
        raise problem
    fresh = library.folder / f".{FILE_NAME}.new"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({"target": asdict(wanted), "replaces": asdict(library.record)}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(library.folder / FILE_NAME)
    return wanted


def _noted(library: Library) -> _Noted | None:
    file = library.folder / FILE_NAME
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return _Noted(target=LibraryRecord(**told["target"]), replaces=LibraryRecord(**told["replaces"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        problem = RebuildError(f"'{file}' makes no sense: {error}")
        problem.add_note("Delete it, and rebuild again; the library itself is whole.")
        raise problem from error


def _drop_what_is_gone(library: Library, new: MilvusStore) -> None:
    """Files may have been removed or changed since a rebuild that was stopped has written their rows."""
    if new.count() == library.ledger.rows():
        return
    known = {each for content in library.ledger.contents() for each in content.ids()}
    new.delete([each for each, _ in new.ids() if each not in known])


def _fill(
    library: Library,
    old: MilvusStore,
    new: MilvusStore,
    embedder: Embedder,
    settings: IndexingSettings,
    on_progress: Callable[[int, int], None],
) -> RebuildReport:
    contents = library.ledger.contents()
    maker = RowMaker(embedder=lambda: embedder, store=new, settings=settings)
    kept = chunks = 0
    try:
        for done, content in enumerate(contents):
            on_progress(done, len(contents))
            ids = content.ids()
            found, there = old.get(ids), new.get(ids)
            if len(there) == len(ids) and list(map(without_labels, there)) == list(map(without_labels, found)):
                kept += 1
                continue
            if len(found) != len(ids):
                missing = len(ids) - len(found)
                raise StoreError(f"{missing} rows of '{content.shown_path}' are missing: llavero verify --repair")
            chunks += len(found)
            maker.add(
                _job(content, library), [without_labels(chunk) for chunk in found], _Pictures(library, embedder, found)
            )
        maker.flush()
    finally:
        maker.close()
    on_progress(len(contents), len(contents))
    return RebuildReport(contents=len(contents), kept=kept, chunks=chunks)


def _job(content: Content, library: Library) -> Job:
    return Job(
        content=content,
        missing=content.rows,
        is_written=lambda: None,
        picture=lambda chunk: library.folder / chunk.image,
    )


class _Pictures(Mapping[str, Pixels]):
    """The squares of one content's kept pictures, by the names that chunks have; each is made when it is asked for."""

    def __init__(self, library: Library, embedder: Embedder, chunks: Sequence[Chunk]) -> None:
        self._library, self._preprocess = library, embedder.preprocess
        self._files = {Path(chunk.image).name: library.folder / chunk.image for chunk in chunks if chunk.image}

    def __getitem__(self, name: str) -> Pixels:
        file = self._files[name]
        try:
            return self._preprocess.crop(open_kept(file))
        except OSError as error:
            raise StoreError(f"the kept picture '{file}' cannot be read: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
