import shutil
from pathlib import Path

import numpy as np
import pytest

from indexing.records import Chunk
from indexing.store import MilvusStore, Row
from indexing.store.lite_leftovers import drop_leftovers


def _open(folder: Path) -> MilvusStore:
    return MilvusStore.open(folder / "milvus.db", collection="llavero", clip_dimensions=4, text_dimensions=4)


def _rows(count: int) -> list[Row]:
    vector = np.array([1, 0, 0, 0], np.float32)
    return [
        Row(chunk=Chunk(content_hash="a" * 64, path="/a", kind="text", ordinal=each, text="words"), text=vector)
        for each in range(count)
    ]


def test_a_log_that_a_killed_flush_left_behind_does_not_keep_the_store_from_flushing(tmp_path: Path) -> None:
    store = _open(tmp_path)
    store.upsert(_rows(3))
    (log,) = tmp_path.glob("milvus.db/**/wal_data_*.arrow")
    shutil.copy(log, tmp_path / "kept")
    store.upsert(_rows(6))
    store.ready()
    store.close()
    shutil.copy(tmp_path / "kept", log)  # as if the process had died before it was deleted
    again = _open(tmp_path)
    again.ready()
    assert again.count() == 6
    again.close()


def test_a_log_that_is_in_use_stays(tmp_path: Path) -> None:
    store = _open(tmp_path)
    store.upsert(_rows(3))
    shutil.copytree(tmp_path / "milvus.db", tmp_path / "killed.db")
    store.close()
    before = sorted((tmp_path / "killed.db").glob("**/wal_data_*.arrow"))
    drop_leftovers(tmp_path / "killed.db")
    assert before and sorted((tmp_path / "killed.db").glob("**/wal_data_*.arrow")) == before


@pytest.mark.parametrize("words", ["", "[]", "{}", '{"active_wal_number": null}'])
def test_a_manifest_that_does_not_say_deletes_nothing(tmp_path: Path, words: str) -> None:
    folder = tmp_path / "milvus.db" / "collections" / "a"
    (folder / "wal").mkdir(parents=True)
    (folder / "schema.json").write_text("{}")
    (folder / "manifest.json").write_text(words)
    (folder / "wal" / "wal_data_000001.arrow").write_bytes(b"rows")
    drop_leftovers(tmp_path / "milvus.db")
    assert (folder / "wal" / "wal_data_000001.arrow").exists()


def test_a_plain_file_among_the_collections_does_not_keep_the_store_from_opening(tmp_path: Path) -> None:
    file = tmp_path / "milvus.db" / "collections" / ".DS_Store"
    file.parent.mkdir(parents=True)
    file.write_text("of a file manager")
    store = _open(tmp_path)
    store.upsert(_rows(2))
    assert store.count() == 2
    store.close()
    assert file.exists()


@pytest.mark.parametrize("left", ["schema.json.tmp", "wal/wal_data_000001.arrow"])
def test_a_collection_that_a_kill_left_half_made_or_half_dropped_does_not_keep_the_store_from_opening(
    tmp_path: Path, left: str
) -> None:
    file = tmp_path / "milvus.db" / "collections" / "llavero" / left
    file.parent.mkdir(parents=True)
    file.write_text("{")
    store = _open(tmp_path)
    assert store.count() == 0
    store.close()
