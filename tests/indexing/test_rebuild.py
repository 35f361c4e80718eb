from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from indexing_doubles import PlainReader, TinyEmbedder, WiderEmbedder, make_files

from indexing import pipeline
from indexing.embedding.protocol import Vectors
from indexing.library import Library, LibraryRecord, compare
from indexing.pipeline import index
from indexing.rebuild import FILE_NAME, RebuildError, finish_switch, rebuild
from indexing.settings import IndexingSettings
from indexing.store import MilvusStore

SETTINGS = IndexingSettings()


class StopError(Exception):
    pass


class StoppingEmbedder(WiderEmbedder):
    """The same, which fails when most passages are done."""

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        vectors = super().embed_passages(texts)
        if self.texts > 14:
            raise StopError
        return vectors


def open_store(library: Library, record: LibraryRecord) -> MilvusStore:
    return MilvusStore.open(
        library.milvus, collection=record.collection, clip_dimensions=record.clip_dimensions,
        text_dimensions=record.text_dimensions,
    )  # fmt: skip


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    embedder = TinyEmbedder()
    make_files(tmp_path / "files", pictures=4, texts=6)
    with Library.open(tmp_path / "library", kit="tests", create=True) as library:
        library.settle(embedder)
        store = open_store(library, library.record)
        index(
            [tmp_path / "files"], library=library, store=store, embedder=embedder, settings=SETTINGS,
            readers=lambda: PlainReader(library.spool),
        )  # fmt: skip
        store.close()
        yield library


def test_another_embedder_gets_the_same_rows_and_reads_no_file(library: Library, tmp_path: Path) -> None:
    old = open_store(library, library.record)
    before = {each: old.get([each])[0] for each, _ in old.ids()}
    old.close()
    for file in (tmp_path / "files").iterdir():
        file.unlink()
    wider = WiderEmbedder()
    told: list[tuple[int, int]] = []
    report = rebuild(
        library, kit="others", embedder=wider, open_store=lambda record: open_store(library, record),
        settings=SETTINGS, on_progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert report.chunks == len(before) and report.kept == 0 and told[-1][0] == told[-1][1]
    again = LibraryRecord.read(library.folder)
    assert again is not None and (again.kit, again.embedder, again.text_dimensions) == ("others", "wider-1", 24)
    new = open_store(library, again)
    assert {each: new.get([each])[0] for each, _ in new.ids()} == before
    assert compare(library, new).agrees
    ((found, _), *_) = new.search_vector("text", wider.embed_questions(["page 1"])[0], limit=1)
    assert found.id in before
    new.close()
    assert not (library.folder / FILE_NAME).exists()


def test_a_stopped_rebuild_leaves_the_old_library_and_goes_on(library: Library) -> None:
    before = library.record
    settings = IndexingSettings(text_batch=2, write_batch=1, picture_batch=1)
    with pytest.raises(StopError):
        rebuild(
            library, kit="others", embedder=StoppingEmbedder(), open_store=lambda record: open_store(library, record),
            settings=settings,
        )  # fmt: skip
    assert LibraryRecord.read(library.folder) == before and (library.folder / FILE_NAME).exists()
    store = open_store(library, before)
    assert compare(library, store).agrees
    store.close()
    other = WiderEmbedder()
    other.name = "third-1"
    with pytest.raises(RebuildError, match="'others' was stopped half way"):
        rebuild(
            library, kit="third", embedder=other, open_store=lambda record: open_store(library, record),
            settings=settings,
        )  # fmt: skip
    wider = WiderEmbedder()
    report = rebuild(
        library, kit="others", embedder=wider, open_store=lambda record: open_store(library, record), settings=settings
    )
    assert report.kept > 0 and wider.texts < report.chunks + 10
    store = open_store(library, library.record)
    assert compare(library, store).agrees and library.record.kit == "others"
    store.close()


def test_rows_that_a_stopped_rebuild_wrote_before_their_files_moved_are_written_again(library: Library) -> None:
    settings = IndexingSettings(text_batch=2, write_batch=1, picture_batch=1)
    with pytest.raises(StopError):
        rebuild(
            library, kit="others", embedder=StoppingEmbedder(), open_store=lambda record: open_store(library, record),
            settings=settings,
        )  # fmt: skip
    store = open_store(library, library.record)
    store.move([each for each, _ in store.ids()], "/moved/elsewhere.pdf")
    store.close()
    rebuild(
        library, kit="others", embedder=WiderEmbedder(), open_store=lambda record: open_store(library, record),
        settings=settings,
    )  # fmt: skip
    store = open_store(library, library.record)
    assert {chunk.path for chunk in store.get([each for each, _ in store.ids()])} == {"/moved/elsewhere.pdf"}
    store.close()


def test_the_same_embedder_has_nothing_to_do(library: Library) -> None:
    with pytest.raises(RebuildError, match="already"):
        rebuild(
            library, kit="tests", embedder=TinyEmbedder(), open_store=lambda record: open_store(library, record),
            settings=SETTINGS,
        )  # fmt: skip
    assert np.isfinite(library.ledger.rows())


def test_a_rebuild_that_died_after_its_switch_drops_the_old_collection_when_the_library_is_opened_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(store: MilvusStore) -> None:
        raise StopError

    open_it = partial(open_store, library)
    with monkeypatch.context() as patched:
        patched.setattr(MilvusStore, "drop", die)
        with pytest.raises(StopError):
            rebuild(library, kit="others", embedder=WiderEmbedder(), open_store=open_it, settings=SETTINGS)
    assert library.record.kit == "others" and (library.folder / FILE_NAME).exists()
    assert finish_switch(library, open_it) and not finish_switch(library, open_it)
    store = open_it(library.record)
    assert store._client.list_collections() == [library.record.collection] and compare(library, store).agrees
    store.close()


def test_rows_of_a_file_that_was_removed_between_two_halves_of_a_rebuild_do_not_come_back(library: Library) -> None:
    open_it = partial(open_store, library)
    settings = IndexingSettings(text_batch=2, write_batch=1, picture_batch=1)
    with pytest.raises(StopError):
        rebuild(library, kit="others", embedder=StoppingEmbedder(), open_store=open_it, settings=settings)
    store = open_it(library.record)
    pipeline.remove(
        library.ledger.entries()[0].path.rpartition("/")[0] + "/picture 000.png", library=library, store=store
    )
    store.close()
    rebuild(library, kit="others", embedder=WiderEmbedder(), open_store=open_it, settings=settings)
    store = open_it(library.record)
    assert compare(library, store).agrees
    store.close()
