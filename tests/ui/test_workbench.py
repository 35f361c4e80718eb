import threading
from dataclasses import replace
from pathlib import Path

import pytest

from indexing.store import InMemorySearch, MilvusStore
from indexing.store.protocol import Row
from rag.retrieve import SearchRequest
from ui.settings import Settings
from ui.workbench import Workbench


def test_parts_asked_for_by_many_threads_at_once_are_made_once_and_nobody_waits_forever(tmp_path: Path) -> None:
    bench = Workbench.open(Settings.load(tmp_path / "library", environ={}), create=True)
    got: dict[str, list[object]] = {"embedder": [], "answerer": [], "retriever": [], "store": []}
    threads = [
        threading.Thread(target=lambda name=name: got[name].append(getattr(bench, name)), daemon=True)
        for name in list(got) * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    bench.close()
    assert all(len(made) == 3 and len(set(map(id, made))) == 1 for made in got.values())
    assert got["retriever"][0] is got["answerer"][0].retriever


def test_a_picture_outside_the_library_is_never_opened(tmp_path: Path) -> None:
    from PIL import Image

    from indexing.records import Chunk

    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    bench = Workbench.open(Settings.load(tmp_path / "library", environ={}), create=True)
    chunk = Chunk(content_hash="0" * 64, path="/x", kind="image", ordinal=0, image="../secret.png")
    assert bench.picture(chunk) is None
    bench.close()


def test_what_the_library_holds_is_counted_only_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "note.txt").write_text("The ferry leaves at 17:45.")
    bench = Workbench.open(Settings.load(tmp_path / "library", environ={}), create=True)
    counted: list[int] = []
    count = bench.store.counts
    monkeypatch.setattr(bench.store, "counts", lambda: counted.append(1) or count())
    assert [bench.stats().files, bench.stats().files] == [0, 0] and len(counted) == 1
    bench.index([tmp_path / "note.txt"])
    assert [(bench.stats().files, bench.stats().chunks) for _ in range(3)] == [(1, 1)] * 3 and len(counted) == 2
    bench.remove(str(tmp_path / "note.txt"))
    assert (bench.stats().files, bench.stats().chunks) == (0, 0)
    bench.close()


def test_rows_dropped_by_a_repair_are_not_counted_any_more(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("The ferry leaves at 17:45.")
    bench = Workbench.open(Settings.load(tmp_path / "library", environ={}), create=True)
    bench.index([tmp_path / "note.txt"])
    (chunk,) = bench.chunks(str(tmp_path / "note.txt"))
    stray = replace(chunk, content_hash="f" * 64)
    bench.store.upsert([Row(chunk=stray, text=bench.embedder.embed_passages([chunk.text])[0])])
    bench.store.ready()
    assert bench.stats().chunks == 2
    assert bench.verify(repair=True).orphaned == 1
    assert bench.stats().chunks == 1
    bench.close()


def test_a_process_that_serves_searches_in_memory_and_finds_what_is_indexed_later(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("The ferry leaves at 17:45.")
    bench = Workbench.open(Settings.load(tmp_path / "library", environ={}), create=True, serves=True)
    assert isinstance(bench.store, InMemorySearch) and bench.store.wait()
    bench.index([tmp_path / "note.txt"])
    assert [hit.chunk.path for hit in bench.search(SearchRequest(text="ferry")).hits] == [str(tmp_path / "note.txt")]
    bench.remove(str(tmp_path / "note.txt"))
    assert bench.search(SearchRequest(text="ferry")).hits == ()
    assert bench.store.wait()
    bench.close()


@pytest.mark.parametrize("serves", [False, True])
def test_one_question_alone_or_little_memory_leave_the_search_to_milvus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, serves: bool
) -> None:
    monkeypatch.setattr("ui.opening.available_memory", lambda: 0)
    bench = Workbench.open(Settings.load(tmp_path / "library", environ={}), create=True, serves=serves)
    assert isinstance(bench.store, MilvusStore)
    assert ("take longer" in caplog.text) == serves
    bench.close()
