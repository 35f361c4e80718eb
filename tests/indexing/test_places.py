"""A file is found under each of its paths, whichever of them its rows show."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from indexing_doubles import PlainReader, TinyEmbedder, open_library

import indexing.places
import indexing.store.milvus
from indexing.discover import Seen
from indexing.errors import UnknownFieldError
from indexing.facts import FactCondition, parted
from indexing.library import Library
from indexing.pipeline import IndexReport, files, index, remove
from indexing.places import PlacedStore, files_where, resolved
from indexing.records import Line
from indexing.settings import IndexingSettings
from indexing.store import MilvusStore
from indexing.store.protocol import Filter, FilterValueError, Row


@dataclass
class Bench:
    folder: Path
    library: Library
    store: MilvusStore

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def index(self, **facts: str) -> IndexReport:
        return index(
            [self.folder],
            library=self.library,
            store=self.store,
            embedder=TinyEmbedder(),
            readers=lambda: PlainReader(self.library.spool),
            settings=IndexingSettings(picture_batch=4, text_batch=4, write_batch=8),
            facts={key: [value] for key, value in facts.items()},
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


# -- facts ---------------------------------------------------------------------------------------------------------


def by_facts(bench: Bench, *written: str, where: tuple[tuple[str, str], ...] = ()) -> list[str]:
    """Paths of the hits of a search by words."""
    parts = [parted(each) for each in written]
    facts = tuple(FactCondition(key=key, operator=operator, value=value) for key, operator, value in parts)
    chosen = Filter(kinds=("text",), where=where, facts=facts)
    hits = PlacedStore(bench.store, bench.library.ledger).search_words("pump", limit=10, filter=chosen)
    return sorted(str(Path(chunk.path).relative_to(bench.folder)) for chunk, _ in hits)


def test_a_search_is_limited_to_files_with_the_facts(bench: Bench) -> None:
    for number, name in enumerate(("a/one.txt", "a/two.txt", "b/three.txt")):
        bench.write(name, f"the pump number {number}")
    bench.write("a/folder.meta.toml", 'client = "ACME"')
    bench.write("a/two.txt.meta.json", '{"year": 2020}')
    bench.index(year="2019")
    assert by_facts(bench, "client=acme") == ["a/one.txt", "a/two.txt"]
    assert by_facts(bench, "client!=acme") == ["b/three.txt"]
    assert by_facts(bench, "year=2019", "client=acme") == ["a/one.txt", "a/two.txt"]  # the run's word counts first
    assert by_facts(bench, "client=Beta") == []
    assert by_facts(bench, "year=2019", where=(bench.below("b"),)) == ["b/three.txt"]
    assert by_facts(bench, "year=2019", where=(("name", "two.txt"), ("page", "1"))) == ["a/two.txt"]


def test_a_changed_word_beside_a_file_reads_and_embeds_nothing(bench: Bench) -> None:
    bench.write("a/one.txt", "the pump hums")
    assert bench.index().added == 1
    bench.write("a/one.txt.meta.toml", 'client = "ACME"')
    report = bench.index()
    assert (report.unchanged, report.updated, report.chunks, report.noted) == (1, 0, 0, ())
    assert by_facts(bench, "client=ACME") == ["a/one.txt"]
    bench.write("a/one.txt.meta.toml", "client = [")
    (noted,) = bench.index().noted
    assert "one.txt.meta.toml" in noted.notes[0] and noted.state == "indexed" and noted.read_in_part
    (bench.folder / "a/one.txt.meta.toml").unlink()
    assert bench.index().noted == () and bench.library.ledger.entries()[0].facts == {}


def test_a_file_that_is_about_another_one_leaves_the_library(bench: Bench) -> None:
    bench.write("one.txt.meta.json", '{"client": "ACME"}')
    bench.index()
    bench.write("one.txt", "the pump hums")
    bench.index()
    assert [Path(entry.path).name for entry in files(bench.library)] == ["one.txt"]
    assert by_facts(bench, "client=acme") == ["one.txt"]


def test_a_copy_is_found_by_its_own_facts_and_shown_where_they_hold(bench: Bench) -> None:
    bench.write("a/manual.txt", "the pump hums")
    bench.write("b/manual.txt", "the pump hums")
    bench.write("b/folder.meta.toml", 'client = "ACME"')
    bench.index()
    assert by_facts(bench, "client=acme") == ["b/manual.txt"]
    assert by_facts(bench, "client=acme", where=(bench.below("a"),)) == []
    assert by_facts(bench, "client!=acme") == ["a/manual.txt"]


def test_a_key_that_no_file_has_is_told_with_those_that_there_are(bench: Bench) -> None:
    bench.write("one.txt", "the pump hums")
    bench.index(client="ACME", project="X")
    with pytest.raises(UnknownFieldError, match="unknown field 'clint'") as caught:
        by_facts(bench, "clint=ACME")
    assert caught.value.__notes__[0].endswith("client, project")
    with pytest.raises(UnknownFieldError, match="'near'"):
        by_facts(bench, "near=1,2,3")
    with pytest.raises(FilterValueError, match="passages, not files"):
        files_where(Filter(where=(("page", "1"),)), bench.library.ledger)


def test_more_contents_than_one_expression_names_are_found_as_well(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        bench.write(f"{number:02}.txt", f"the pump number {number}")
        bench.write(f"{number:02}.txt.meta.toml", f"number = {number}")
    bench.index()
    expected = [f"{number:02}.txt" for number in range(6)]
    for most_hashes, most_rows in ((100, 100), (2, 100), (2, 3)):  # in one expression; out of all rows; in parts
        monkeypatch.setattr(indexing.store.milvus, "_MOST_HASHES", most_hashes)
        monkeypatch.setattr(indexing.store.milvus, "_MAX_LIMIT", most_rows)
        assert set(by_facts(bench, "number<=5")) <= set(expected)
        assert len(by_facts(bench, "number<=5")) == min(6, most_rows * 3)


def test_the_files_are_looked_through_once_for_a_question(bench: Bench) -> None:
    bench.write("one.txt", "the pump hums")
    bench.index(client="ACME")
    placed = PlacedStore(bench.store, bench.library.ledger)
    chosen = Filter(facts=(FactCondition(key="client", operator="=", value="acme"),))
    first = placed._resolved(chosen)
    assert placed._resolved(chosen) is first
    bench.index(client="Beta")
    assert placed._resolved(chosen).filters == ()
    assert placed.search_words("pump", limit=5, filter=chosen) == []


def test_of_a_file_the_passages_are_found_that_ocr_read_as_surely_as_was_asked(bench: Bench) -> None:
    bench.write("scan.txt", "pump sure")
    bench.write("bad.txt", "pump unsure")
    bench.write("typed.txt", "pump typed")
    bench.index()
    confidence = {"scan.txt": 0.95, "bad.txt": 0.55}
    for content in bench.library.ledger.contents():
        name = Path(content.shown_path).name
        if name in confidence:
            value = f"{confidence[name]:.2f}"
            seen = Seen(path=content.shown_path, size_bytes=1, modified_ns=1)
            bench.library.ledger.finish(content.hash, seen, own={"confidence": ("0.40", value, "0.97")})
            rows = [chunk for chunk in bench.store.get(content.ids()) if chunk.kind == "text"]
            lines = (Line(text="pump", box=(0, 0, 1, 1), confidence=confidence[name]),)
            vector = TinyEmbedder().embed_passages(["pump"])[0]
            bench.store.upsert([Row(chunk=replace(chunk, lines=lines), text=vector) for chunk in rows])
    assert by_facts(bench, "confidence>=0.8") == ["scan.txt"]
    assert by_facts(bench, "confidence<=0.6") == ["bad.txt"]
