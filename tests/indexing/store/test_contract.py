"""What every store must do. Runs on Milvus Lite, over it in memory, and on a server when LLAVERO_TEST_MILVUS_URI names
one."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from indexing.errors import DimensionMismatchError, StoreError
from indexing.records import Chunk, Kind, Line
from indexing.store import InMemorySearch, MilvusStore, Row, Store, StoreCounts
from indexing.store.protocol import Filter

pytestmark = pytest.mark.milvus

CLIP, TEXT = 8, 6
SERVER = os.environ.get("LLAVERO_TEST_MILVUS_URI")
TOKEN = os.environ.get("LLAVERO_TEST_MILVUS_TOKEN")


@pytest.fixture(
    params=["lite", "in memory", pytest.param("server", marks=pytest.mark.skipif(not SERVER, reason="no server"))]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    uri = SERVER if request.param == "server" else str(tmp_path / "milvus.db")
    assert uri is not None
    token = TOKEN if request.param == "server" else None
    opened = MilvusStore.open(
        uri, token=token, collection=f"t{uuid.uuid4().hex}", clip_dimensions=CLIP, text_dimensions=TEXT
    )
    if request.param == "in memory":
        in_memory = InMemorySearch(opened)
        assert in_memory.wait()
        yield in_memory
        assert in_memory.wait()  # or Milvus has answered
        in_memory.close()
        return
    yield opened
    if request.param == "server":
        opened._client.drop_collection(opened._collection)
    opened.close()


def needs(store: Store, *channels: str) -> None:
    missing = [channel for channel in channels if channel not in store.channels]
    if missing:
        pytest.skip(f"this engine has no channel {', '.join(missing)}")


def unit(*values: float, width: int = CLIP) -> np.ndarray:
    vector = np.zeros(width, dtype=np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def chunk(ordinal: int, *, kind: Kind = "text", text: str = "", path: str = "/data/a.pdf", **more: object) -> Chunk:
    return Chunk(content_hash=path.encode().hex(), path=path, kind=kind, ordinal=ordinal, text=text, **more)


def ordinals(found: list[tuple[Chunk, float]]) -> list[int]:
    return [each.ordinal for each, _ in found]


def test_an_empty_store_finds_nothing_and_does_not_complain(store: Store) -> None:
    needs(store, "bm25")
    store.ready()
    assert store.search_vector("clip", unit(1), limit=5) == []
    assert store.search_words("anything", limit=5) == []
    assert store.counts() == StoreCounts(files=0, chunks=0, kinds={})
    assert list(store.ids()) == []


def test_a_chunk_comes_back_as_it_was_written(store: Store) -> None:
    whole = chunk(
        0,
        kind="figure",
        text="Größe „x“ \\ \n\t\x00 emoji 🦙 עברית 100%_",
        page=3,
        box=(0.1, 0.2, 0.30001, 1.0),
        lines=(Line(text='a "line"', box=(0.0, 0.1, 1.0, 0.2)), Line(text="no box")),
        title="A ‹title›",
        heading="1. Héading",
        image="pages/x/figure-0001.jpg",
        path='/data/we ird/näme "q"\n.PDF',
    )
    assert store.upsert([Row(chunk=whole, clip=unit(1))]) == 1
    assert store.get([whole.id, "0" * 32]) == [whole]
    store.ready()
    assert store.search_vector("clip", unit(1), limit=1)[0][0] == whole


def test_nearest_rows_come_first_and_higher_is_better(store: Store) -> None:
    store.upsert([Row(chunk=chunk(i), clip=unit(1, i / 4)) for i in range(5)])
    store.ready()
    found = store.search_vector("clip", unit(1), limit=3)
    assert ordinals(found) == [0, 1, 2]
    expected = [float(unit(1) @ unit(1, i / 4)) for i in range(3)]
    assert [score for _, score in found] == pytest.approx(expected, abs=1e-6)


def test_a_row_without_a_vector_never_shows_up_even_behind_opposite_ones(store: Store) -> None:
    needs(store, "text")
    store.upsert([Row(chunk=chunk(0), clip=unit(-1), text=None), Row(chunk=chunk(1), text=unit(1, width=TEXT))])
    store.ready()
    assert ordinals(store.search_vector("clip", unit(1), limit=9)) == [0]
    assert ordinals(store.search_vector("text", unit(-1, width=TEXT), limit=9)) == [1]


def test_rows_are_found_before_and_after_the_index_is_made(store: Store) -> None:
    needs(store, "bm25")
    store.upsert([Row(chunk=chunk(0, text="lighthouse keeper"), clip=unit(1))])
    assert ordinals(store.search_vector("clip", unit(1), limit=2)) == [0]
    store.ready()
    store.upsert([Row(chunk=chunk(1, text="lighthouse"), clip=unit(1, 1))])
    assert ordinals(store.search_vector("clip", unit(1), limit=2)) == [0, 1]
    assert set(ordinals(store.search_words("lighthouse", limit=5))) == {0, 1}


def test_writing_an_id_again_replaces_the_row(store: Store) -> None:
    needs(store, "bm25")
    store.upsert([Row(chunk=chunk(0, text="old words"), clip=unit(1))])
    store.ready()
    store.upsert([Row(chunk=chunk(0, text="new words"), clip=unit(0, 1))])
    store.ready()
    assert store.count() == 1
    assert [each.text for each, _ in store.search_vector("clip", unit(0, 1), limit=9)] == ["new words"]
    assert store.search_words("old", limit=9) == []


def test_deleted_rows_are_gone_from_every_channel(store: Store) -> None:
    needs(store, "text", "bm25")
    rows = [Row(chunk=chunk(i, text=f"word{i} all"), clip=unit(1), text=unit(1, width=TEXT)) for i in range(3)]
    store.upsert(rows)
    store.ready()
    store.delete([rows[1].chunk.id, "f" * 32])
    assert store.count() == 2
    assert {each for each, _ in store.ids()} == {rows[0].chunk.id, rows[2].chunk.id}
    assert set(ordinals(store.search_vector("text", unit(1, width=TEXT), limit=9))) == {0, 2}
    assert set(ordinals(store.search_words("all", limit=9))) == {0, 2}


@pytest.mark.parametrize("text", ["') or (id != '", "x", "", "' or id != '"])
def test_a_text_that_is_no_id_names_no_row(store: Store, text: str) -> None:
    row = Row(chunk=chunk(0), clip=unit(1))
    store.upsert([row])
    assert store.get([text]) == []
    store.delete([text])
    store.move([text], "/elsewhere")
    assert store.get([row.chunk.id]) == [row.chunk]


def test_limits_from_nothing_to_more_than_there_is(store: Store) -> None:
    needs(store, "bm25")
    store.upsert([Row(chunk=chunk(i, text="all"), clip=unit(1, i)) for i in range(4)])
    store.ready()
    assert store.search_vector("clip", unit(1), limit=0) == []
    assert store.search_vector("clip", unit(1), limit=-3) == []
    assert ordinals(store.search_vector("clip", unit(1), limit=99_999)) == [0, 1, 2, 3]
    assert len(store.search_words("all", limit=99_999)) == 4


def test_words_rank_a_row_that_has_more_of_the_rare_ones_first(store: Store) -> None:
    needs(store, "bm25")
    texts = ["the invoice INV-2041 of May", "an invoice INV-2042 of May", "invoice for a boat", "a boat in May"]
    store.upsert([Row(chunk=chunk(i, text=text)) for i, text in enumerate(texts)])
    store.ready()
    found = store.search_words("invoice INV-2041", limit=9)
    assert ordinals(found)[:2] == [0, 1]
    assert all(a[1] >= b[1] for a, b in pairwise(found))
    assert all(score > 0 for _, score in found)


def test_a_row_added_later_is_weighed_like_the_old_ones(store: Store) -> None:
    needs(store, "bm25")
    store.upsert([Row(chunk=chunk(i, text=f"common text number {i}")) for i in range(300)])
    store.upsert([Row(chunk=chunk(300, text="common zeppelin"))])
    store.ready()
    store.upsert([Row(chunk=chunk(301, text="common zeppelin"))])
    store.ready()
    (_, first), (_, second) = store.search_words("zeppelin", limit=2)
    assert first == pytest.approx(second)


def test_words_nobody_wrote_and_questions_without_words_find_nothing(store: Store) -> None:
    needs(store, "bm25")
    store.upsert([Row(chunk=chunk(0, text="a boat")), Row(chunk=chunk(1, kind="image"), clip=unit(1))])
    store.ready()
    assert store.search_words("zeppelin", limit=5) == []
    assert store.search_words("", limit=5) == []
    assert store.search_words("?! … the", limit=5) == []


def test_filters_hold_in_every_channel(store: Store) -> None:
    needs(store, "text", "bm25")
    rows = [
        Row(chunk=chunk(i, text="all", path=path, page=page, kind=kind), clip=unit(1), text=unit(1, width=TEXT))
        for i, (path, page, kind) in enumerate(
            [("/d/in/a.PDF", 1, "page"), ("/d/in/deep/b.pdf", 2, "text"), ("/d/inside/c.txt", 1, "text")]
        )
    ]
    store.upsert(rows)
    store.ready()

    def found(**chosen: object) -> list[set[int]]:
        wanted = Filter(**chosen)
        return [
            set(ordinals(store.search_vector("clip", unit(1), limit=9, filter=wanted))),
            set(ordinals(store.search_vector("text", unit(1, width=TEXT), limit=9, filter=wanted))),
            set(ordinals(store.search_words("all", limit=9, filter=wanted))),
        ]

    assert found(where=(("folder", "/d/in"),)) == [{0, 1}] * 3
    assert found(where=(("folder", "/d/in/"),)) == [{0, 1}] * 3
    assert found(where=(("folder", "/"),)) == [{0, 1, 2}] * 3
    assert found(where=(("folder", "/d/i_"),)) == [set()] * 3
    assert found(where=(("folder", "/d/in%"),)) == [set()] * 3
    assert found(where=(("extension", ".pdf"),)) == [{0, 1}] * 3
    assert found(where=(("page", "1"),)) == [{0, 2}] * 3
    assert found(where=(("name", "b.pdf"), ("name", "c.txt"))) == [{1, 2}] * 3
    assert found(where=(("name", "b.pdf"), ("page", "1"))) == [set()] * 3
    assert found(kinds=("page",)) == [{0}] * 3
    assert found(kinds=("page", "text"), where=(("path", "/d/inside/c.txt"),)) == [{2}] * 3


def test_moved_rows_keep_vectors_and_words_and_are_found_under_the_new_path(store: Store) -> None:
    needs(store, "text", "bm25")
    row = Row(chunk=chunk(0, text="boat", path="/old/a.txt"), clip=unit(1, 2), text=unit(3, 1, width=TEXT))
    store.upsert([row])
    store.ready()
    store.move([row.chunk.id], "/new/b.md")
    moved = replace(row.chunk, path="/new/b.md")
    assert store.get([row.chunk.id]) == [moved]
    new = Filter(where=(("folder", "/new"), ("extension", "md")))
    assert store.search_vector("clip", unit(1, 2), limit=9, filter=new) == [(moved, pytest.approx(1, abs=1e-6))]
    assert store.search_vector("text", unit(3, 1, width=TEXT), limit=9)[0][1] == pytest.approx(1, abs=1e-6)
    assert store.search_words("boat", limit=9, filter=new)[0][0] == moved


def test_counts_are_those_of_the_rows_there_are(store: Store) -> None:
    rows = [Row(chunk=chunk(i, kind="page", path="/a")) for i in range(3)]
    rows += [Row(chunk=chunk(i, kind="image", path="/b")) for i in range(2)]
    store.upsert(rows)
    store.upsert(rows[:2])
    store.delete([rows[0].chunk.id])
    assert store.counts() == StoreCounts(files=2, chunks=4, kinds={"page": 2, "image": 2})
    assert store.count() == 4
    assert dict(store.ids()) == {row.chunk.id: row.chunk.content_hash for row in rows[1:]}


def test_reading_all_rows_in_slices_misses_and_doubles_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexing.store.milvus._SLICE_ROWS", 7)
    rows = [Row(chunk=chunk(i)) for i in range(100)]
    store.upsert(rows)
    seen = [each for each, _ in store.ids()]
    assert sorted(seen) == sorted(row.chunk.id for row in rows)


def test_a_vector_of_another_width_is_refused_with_both_numbers(store: Store) -> None:
    with pytest.raises(DimensionMismatchError, match=r"8-d.*5-d"):
        store.upsert([Row(chunk=chunk(0), clip=unit(1, width=5))])
    with pytest.raises(DimensionMismatchError, match=r"8-d.*5-d"):
        store.search_vector("clip", unit(1, width=5), limit=1)


def test_the_word_channel_takes_no_vectors(store: Store) -> None:
    with pytest.raises(StoreError, match="bm25"):
        store.search_vector("bm25", unit(1), limit=1)
