"""Searches in memory find what Milvus Lite finds. Milvus itself, on the same rows, is the oracle."""

import logging
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from indexing.errors import StoreError
from indexing.records import KINDS, Channel, Chunk
from indexing.store import InMemorySearch, MilvusStore, Row
from indexing.store.protocol import EVERYTHING, Filter, Found

WIDTHS: dict[Channel, int] = {"clip": 8, "text": 6}
WORDS = [f"word{number}" for number in range(40)]
PATHS = [
    *(f"{folder}/{name}" for folder, name in product(("/d", "/d/in", "/d/in/deep", "/d/inside"), ("a.PDF", "b c.txt"))),
    '/d/we "ird/näme%.md',
]
FILTERS = [
    EVERYTHING,
    Filter(kinds=("image", "page")),
    Filter(kinds=("text",), where=(("kind", "table"),)),
    Filter(where=(("folder", "/d/in"),)),
    Filter(where=(("folder", "/"), ("page", "2"), ("page", "3"))),
    Filter(where=(("path", "/d/in/a.PDF"), ("path", "/nowhere"))),
    Filter(where=(("name", "b c.txt"), ("extension", ".TXT"))),
    Filter(where=(("name", "näme%.md"), ("title", "title 1"))),
    Filter(where=(("title", "title 1"), ("title", 'a "title"\\'))),
    Filter(contents=(f"{3:064x}", f"{5:064x}", "no such")),
    Filter(only=frozenset()),
    Filter(only=frozenset({f"{3:064x}", f"{5:064x}", "no such"})),
    Filter(where=(("extension", "pdf"),), only=frozenset(f"{number:064x}" for number in range(0, 5_000, 2))),
    Filter(where=(("folder", "/d/in"), ("extension", "pdf"), ("page", "1")), contents=(f"{3:064x}", f"{5:064x}")),
]


@pytest.fixture
def milvus(tmp_path: Path) -> Iterator[MilvusStore]:
    store = MilvusStore.open(tmp_path / "milvus.db", clip_dimensions=WIDTHS["clip"], text_dimensions=WIDTHS["text"])
    yield store
    store.close()


@pytest.fixture
def memory(milvus: MilvusStore) -> Iterator[InMemorySearch]:
    store = InMemorySearch(milvus)
    assert store.wait()
    yield store
    store.close()


class Library:
    """Draws rows and writes, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.draw, self.noise = random.Random(seed), np.random.default_rng(seed)

    def row(self, number: int) -> Row:
        chunk = Chunk(
            content_hash=f"{number // 4:064x}",
            path=self.draw.choice(PATHS),
            kind=KINDS[number % 5],
            ordinal=number % 4,
            page=self.draw.choice([None, 1, 2, 3]),
            title=self.draw.choice(["", "title 1", 'a "title"\\', "half \ud800"]),
            text=" ".join(self.draw.choices(WORDS, k=self.draw.choice([0, 3, 30]))),
        )
        return Row(chunk=chunk, clip=self.vector("clip"), text=self.vector("text"))

    def vector(self, channel: Channel) -> np.ndarray | None:
        return None if self.draw.random() < 0.3 else self.question(channel)

    def question(self, channel: Channel) -> np.ndarray:
        vector = self.noise.standard_normal(WIDTHS[channel]).astype(np.float32)
        return vector / np.linalg.norm(vector)

    def change(self, store: InMemorySearch, *, rows: int) -> None:
        """Write, replace, remove or move some of `rows` rows."""
        picked = [self.row(number) for number in self.draw.sample(range(rows), k=rows // 8)]
        ids = [row.chunk.id for row in picked]
        match self.draw.choice(["upsert", "upsert", "delete", "move", "ready"]):
            case "upsert":
                assert store.upsert(picked) == len(picked)
            case "delete":
                store.delete(ids)
            case "move":
                store.move(ids, self.draw.choice(PATHS))
            case "ready":
                store.ready()


def same(found: Found, expected: Found) -> None:
    """The same rows with the same scores; those whose scores are as good as equal may change places."""
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-5)
    assert len({chunk.id for chunk, _ in found}) == len(found)
    least = expected[-1][1] + 1e-5 if expected else 0.0
    certain = {chunk.id: chunk for chunk, score in expected if score > least}
    assert {chunk.id: chunk for chunk, _ in found if chunk.id in certain} == certain


def compare(memory: InMemorySearch, milvus: MilvusStore, library: Library, *, limits: tuple[int, ...]) -> None:
    for chosen, limit in product(FILTERS, limits):
        for channel in WIDTHS:
            vector = library.question(channel)
            found = memory.search_vector(channel, vector, limit=limit, filter=chosen)
            same(found, milvus.search_vector(channel, vector, limit=limit, filter=chosen))
        words = " ".join(library.draw.choices(WORDS, k=2))
        found = memory.search_words(words, limit=limit, filter=chosen)
        same(found, milvus.search_words(words, limit=limit, filter=chosen))


@pytest.mark.parametrize("seed", range(2))
def test_every_channel_and_filter_finds_what_milvus_finds_after_writes_in_any_order(
    milvus: MilvusStore, memory: InMemorySearch, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("indexing.store.row_arrays._BLOCK_ROWS", 64)
    library = Library(seed)
    memory.upsert([library.row(number) for number in range(200)])
    for _ in range(3):
        for _ in range(5):
            library.change(memory, rows=240)
        compare(memory, milvus, library, limits=(7, 500))
    assert memory.wait()


def test_a_store_that_holds_rows_is_read_and_then_searched_without_milvus(
    milvus: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexing.store.milvus._SLICE_ROWS", 30)
    library = Library(7)
    milvus.upsert([library.row(number) for number in range(200)])
    memory = InMemorySearch(milvus)
    assert memory.wait()
    compare(memory, milvus, library, limits=(5, 500))
    expected = milvus.search_vector("clip", np.eye(8, dtype=np.float32)[0], limit=4)
    monkeypatch.setattr(milvus, "_search", lambda *asked, **more: pytest.fail("Milvus searched"))
    same(memory.search_vector("clip", np.eye(8, dtype=np.float32)[0], limit=4), expected)
    memory.close()


class Paused:
    """Lets the filling read so many parts of about ten rows; it keeps the last of them and reads on when it is told."""

    def __init__(self, milvus: MilvusStore, monkeypatch: pytest.MonkeyPatch, *, parts: int) -> None:
        self.reached, self._told = threading.Event(), threading.Event()
        slices = milvus.slices

        def read() -> Iterator[list[dict[str, object]]]:
            for number, rows in enumerate(slices(), 1):
                if number == parts:
                    self.reached.set()
                    assert self._told.wait(120)
                yield rows

        monkeypatch.setattr("indexing.store.milvus._SLICE_ROWS", 10)
        monkeypatch.setattr(milvus, "slices", read)

    def go_on(self) -> None:
        self._told.set()


@pytest.mark.parametrize("seed", range(2))
def test_what_is_written_while_rows_are_read_is_neither_lost_nor_undone(
    milvus: MilvusStore, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    library = Library(seed)
    milvus.upsert([library.row(number) for number in range(100)])
    paused = Paused(milvus, monkeypatch, parts=4)
    memory = InMemorySearch(milvus)
    assert paused.reached.wait(60)
    for _ in range(6):
        library.change(memory, rows=120)
    compare(memory, milvus, library, limits=(500,))  # Milvus answers
    paused.go_on()
    assert memory.wait()
    compare(memory, milvus, library, limits=(500,))
    memory.close()


def test_a_row_that_was_read_and_is_changed_before_it_is_kept_stays_changed(
    milvus: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = np.eye(8, dtype=np.float32)
    removed, replaced, moved = (
        Chunk(content_hash=f"{number:064x}", path="/old", kind="text", ordinal=0, text="old") for number in range(3)
    )
    milvus.upsert([Row(chunk=chunk, clip=clip[0]) for chunk in (removed, replaced, moved)])
    paused = Paused(milvus, monkeypatch, parts=1)
    memory = InMemorySearch(milvus)
    assert paused.reached.wait(60)
    memory.delete([removed.id])
    memory.upsert([Row(chunk=replace(replaced, text="new"), clip=clip[1])])
    memory.move([moved.id], "/new")
    paused.go_on()
    assert memory.wait()
    found = memory.search_vector("clip", clip[0], limit=5)
    assert found == [(replace(moved, path="/new"), 1.0), (replace(replaced, text="new"), 0.0)]
    assert [chunk.id for chunk, _ in memory.search_words("old", limit=5)] == [moved.id]
    assert memory.search_words("old", limit=5, filter=Filter(where=(("path", "/old"),))) == []
    memory.close()


def test_searches_in_other_threads_see_every_write_whole(milvus: MilvusStore, memory: InMemorySearch) -> None:
    """Two rows are always written together; each has the vector that says how often they were written."""
    vectors = np.eye(8, dtype=np.float32)
    chunks = [Chunk(content_hash="a" * 64, path="/a", kind="text", ordinal=ordinal, text="twin") for ordinal in (0, 1)]
    memory.upsert([Row(chunk=chunk, clip=vectors[0]) for chunk in chunks])
    writing, wrong = threading.Event(), list[object]()

    def search() -> None:
        while not writing.is_set():
            found = memory.search_vector("clip", np.ones(8, dtype=np.float32), limit=9)
            words = memory.search_words("twin", limit=9)
            if len(found) != 2 or len(words) != 2:
                wrong.append((found, words))

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        memory.upsert([Row(chunk=chunk, clip=vectors[turn % 8]) for chunk in chunks])
    writing.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert memory.wait()


@pytest.mark.parametrize("call", ["upsert", "delete", "move"])
def test_a_write_that_milvus_refuses_changes_nothing(
    milvus: MilvusStore, memory: InMemorySearch, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    library = Library(3)
    rows = [library.row(number) for number in range(40)]
    memory.upsert(rows)

    def refuse(*asked: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(milvus, call, refuse)
        ids = [row.chunk.id for row in rows[:9]]
        asked = {"upsert": ([library.row(1), library.row(90)],), "delete": (ids,), "move": (ids, "/d/new")}[call]
        with pytest.raises(StoreError, match="full"):
            getattr(memory, call)(*asked)
    compare(memory, milvus, library, limits=(500,))
    assert memory.wait()


def test_rows_that_cannot_be_kept_are_searched_by_milvus(
    milvus: MilvusStore, memory: InMemorySearch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = Library(4)
    memory.upsert([library.row(number) for number in range(40)])

    def no_memory(*asked: object) -> None:
        raise MemoryError

    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING):
        broken.setattr("indexing.store.row_arrays.RowArrays.put", no_memory)
        assert memory.upsert([library.row(50)]) == 1
    assert "not kept in memory" in caplog.text
    assert not memory.wait()
    memory.upsert([library.row(51)])
    compare(memory, milvus, library, limits=(500,))


def test_a_store_that_cannot_be_read_is_searched_by_milvus(
    milvus: MilvusStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = Library(4)
    milvus.upsert([library.row(number) for number in range(40)])

    def damaged() -> None:
        raise StoreError("a row is damaged")

    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING):
        broken.setattr(milvus, "slices", damaged)
        memory = InMemorySearch(milvus)
        assert not memory.wait()
    assert "a row is damaged" in caplog.text
    compare(memory, milvus, library, limits=(500,))
    memory.close()


def test_rows_that_are_mostly_gone_are_read_anew(
    milvus: MilvusStore, memory: InMemorySearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexing.store.in_memory._FEWEST_GONE", 10)
    library = Library(5)
    for _ in range(4):
        memory.upsert([library.row(number) for number in range(20)])
    assert memory._rows.gone == 60
    memory.ready()
    assert memory.wait()
    assert (len(memory._rows), memory._rows.gone) == (20, 0)
    compare(memory, milvus, library, limits=(5, 500))


def test_equal_scores_come_in_the_order_of_their_ids(memory: InMemorySearch) -> None:
    chunks = [Chunk(content_hash=f"{n:064x}", path="/a", kind="text", ordinal=0, text="same") for n in range(20)]
    memory.upsert([Row(chunk=chunk, clip=np.eye(8, dtype=np.float32)[0]) for chunk in chunks])
    ids = sorted(chunk.id for chunk in chunks)
    for limit in (5, 20):
        assert [c.id for c, _ in memory.search_vector("clip", np.ones(8, dtype=np.float32), limit=limit)] == ids[:limit]
        assert [c.id for c, _ in memory.search_words("same", limit=limit)] == ids[:limit]


def test_closing_ends_the_filling(milvus: MilvusStore, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(6)
    milvus.upsert([library.row(number) for number in range(60)])
    paused = Paused(milvus, monkeypatch, parts=3)
    memory = InMemorySearch(milvus)
    assert paused.reached.wait(60)
    closing = threading.Thread(target=memory.close)
    closing.start()
    while not memory._closing.is_set():
        pass
    paused.go_on()
    closing.join()
    assert not memory.wait()
    assert not any(thread.name == "llavero-filling" for thread in threading.enumerate())
    assert len(memory._rows) < 60
