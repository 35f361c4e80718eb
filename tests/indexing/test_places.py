"""A file is found under each of its paths, whichever of them its rows show."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from indexing_doubles import PlainReader, TinyEmbedder, open_library

import indexing.places
from indexing.library import Library
from indexing.pipeline import IndexReport, files, index, remove
from indexing.places import PlacedStore, resolved
from indexing.settings import IndexingSettings
from indexing.store import MilvusStore
from indexing.store.protocol import Filter


@dataclass
class Bench:
    folder: Path
    library: Library
    store: MilvusStore

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def index(self) -> IndexReport:
        return index(
            [self.folder],
            library=self.library,
            store=self.store,
            embedder=TinyEmbedder(),
            readers=lambda: PlainReader(self.library.spool),
            settings=IndexingSettings(picture_batch=4, text_batch=4, write_batch=8),
        )

    def found(self, words: str, *where: tuple[str, str], limit: int = 10) -> list[str]:
        """Paths of the hits of a search by words."""
        placed = PlacedStore(self.store, self.library.ledger)
        chosen = Filter(kinds=("text",), where=where)
        hits = placed.search_words(words, limit=limit, filter=chosen)
        vector = TinyEmbedder().embed_questions([words])[0]
        nearest = placed.search_vector("text", vector, limit=limit, filter=chosen)
        assert limit < 10 or {chunk.path for chunk, _ in hits} <= {chunk.path for chunk, _ in nearest}
        return [str(Path(chunk.path).relative_to(self.folder)) for chunk, _ in hits]

    def below(self, folder: str) -> tuple[str, str]:
        return "folder", str(self.folder / folder)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    library, store = open_library(tmp_path / "library", TinyEmbedder())
    (tmp_path / "files").mkdir()
    yield Bench(tmp_path / "files", library, store)
    store.close()
    library.close()


def test_a_copy_is_found_in_its_folder_and_the_hit_shows_it_there(bench: Bench) -> None:
    for name in ("a/manual.txt", "b/deep/manual.txt", "c/other.txt"):
        bench.write(name, "the pump hums" if "manual" in name else "the pump is loud")
    bench.index()
    assert bench.found("pump", bench.below("b")) == ["b/deep/manual.txt"]
    assert bench.found("pump", bench.below("a")) == ["a/manual.txt"]
    assert sorted(bench.found("pump", bench.below("b"), bench.below("c"))) == ["b/deep/manual.txt", "c/other.txt"]
    assert sorted(bench.found("pump")) == ["a/manual.txt", "c/other.txt"]


def test_all_conditions_hold_for_the_same_path(bench: Bench) -> None:
    bench.write("a/first.txt", "the pump hums")
    bench.write("b/second.md", "the pump hums")
    bench.index()
    assert bench.found("pump", bench.below("b"), ("name", "second.md")) == ["b/second.md"]
    assert bench.found("pump", bench.below("b"), ("extension", "MD")) == ["b/second.md"]
    assert bench.found("pump", ("path", str(bench.folder / "b/second.md"))) == ["b/second.md"]
    assert bench.found("pump", bench.below("b"), ("name", "first.txt")) == []
    assert bench.found("pump", bench.below("b"), ("page", "2")) == []


def test_a_copy_is_found_after_the_first_file_was_moved_or_removed(bench: Bench) -> None:
    bench.write("a/manual.txt", "the pump hums")
    bench.write("b/manual.txt", "the pump hums")
    bench.index()
    (bench.folder / "a/manual.txt").rename(bench.folder / "z.txt")
    bench.index()
    assert bench.found("pump", ("name", "z.txt")) == ["z.txt"]
    assert bench.found("pump", bench.below("b")) == ["b/manual.txt"]
    remove(bench.folder / "b", library=bench.library, store=bench.store)
    assert bench.found("pump", bench.below("b")) == []
    assert bench.found("pump", ("name", "z.txt")) == ["z.txt"]


def test_copies_of_a_whole_library_are_asked_for_in_several_searches(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing.places, "_MOST_HASHES", 2)
    for folder in ("a", "b"):
        for number in range(7):
            bench.write(f"{folder}/{number}.txt", f"the pump number {number}")
    bench.write("b/own.txt", "the pump of b alone")
    bench.index()
    assert len(resolved(Filter(where=(bench.below("b"),)), bench.library.ledger).filters) == 4
    assert sorted(bench.found("pump", bench.below("b"))) == [*(f"b/{number}.txt" for number in range(7)), "b/own.txt"]
    assert len(bench.found("pump", bench.below("b"), limit=3)) == 3


def test_a_search_without_conditions_on_paths_goes_to_the_store_as_it_is(bench: Bench) -> None:
    chosen = Filter(kinds=("text",), where=(("page", "1"),))
    search = resolved(chosen, bench.library.ledger)
    assert search.filters == (chosen,) and not search.places


@pytest.mark.parametrize(("stored", "typed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_may_be_written_in_either_way(bench: Bench, stored: str, typed: str) -> None:
    folder, name = (unicodedata.normalize(stored, each) for each in ("Müll", "Café.txt"))
    bench.write(f"Straße/{folder}/{name}", "the pump hums")
    bench.index()
    where = {
        "name": unicodedata.normalize(typed, "Café.txt"),
        "folder": str(bench.folder / "Straße" / unicodedata.normalize(typed, "Müll")),
        "path": str(bench.folder / "Straße" / unicodedata.normalize(typed, "Müll/Café.txt")),
    }
    for each in where.items():
        assert bench.found("pump", each) == [f"Straße/{folder}/{name}"]
    assert remove(where["folder"], library=bench.library, store=bench.store).files == 1
    assert files(bench.library) == ()
