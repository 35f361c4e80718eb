"""What is particular to the embedded engine: its folder, its lock, its failures, its literals."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexing.errors import DimensionMismatchError, LibraryInUseError, StoreError
from indexing.records import Chunk, Line
from indexing.store import MilvusStore, Row, RowTooLongError, fitting
from indexing.store.protocol import Filter


def open_store(folder: Path, *, clip: int = 4, text: int = 4) -> MilvusStore:
    return MilvusStore.open(folder / "milvus.db", clip_dimensions=clip, text_dimensions=text)


def titled(ordinal: int, title: str) -> Row:
    chunk = Chunk(content_hash="a" * 64, path="/a", kind="text", ordinal=ordinal, title=title, text="common")
    return Row(chunk=chunk, clip=np.array([1, 0, 0, 0], dtype=np.float32))


def test_rows_and_all_channels_are_there_after_closing_and_opening(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.upsert([titled(0, "boat")])
    store.ready()
    store.close()
    again = open_store(tmp_path)
    assert again.channels == ("clip", "text", "bm25")
    assert len(again.search_vector("clip", np.eye(4, dtype=np.float32)[0], limit=3)) == 1
    assert len(again.search_words("boat", limit=3)) == 1
    again.close()


def test_rows_written_without_ready_survive_a_close(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.upsert([titled(0, "boat")])
    store.close()
    again = open_store(tmp_path)
    assert again.count() == 1
    assert len(again.search_words("boat", limit=3)) == 1
    again.close()


def test_a_folder_with_an_odd_name_is_only_a_folder(tmp_path: Path) -> None:
    odd = tmp_path / "we ird#ü%20?x'\"\n"
    store = open_store(odd)
    store.upsert([titled(0, "boat")])
    store.close()
    assert (odd / "milvus.db").is_dir()


def test_another_width_is_refused_and_named(tmp_path: Path) -> None:
    open_store(tmp_path, clip=4).close()
    with pytest.raises(DimensionMismatchError, match="4-d vectors, the embedder makes 5-d"):
        open_store(tmp_path, clip=5)
    open_store(tmp_path, clip=4).close()  # the refusal left nothing open


def test_a_store_that_another_process_has_open_says_so(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom indexing.store import MilvusStore\n"
        "MilvusStore.open(sys.argv[1], clip_dimensions=4, text_dimensions=4)\n"
        "print('open', flush=True)\nsys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "milvus.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(LibraryInUseError):
            open_store(tmp_path)


def test_a_damaged_store_is_one_sentence_without_a_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = open_store(tmp_path)
    store.upsert([titled(0, "boat")])
    store.close()
    for file in (tmp_path / "milvus.db").rglob("schema.json*"):
        file.write_text("{")
    with pytest.raises(StoreError, match=r"schema\.json' is not valid JSON"):
        open_store(tmp_path)
    assert "Traceback" not in capfd.readouterr().err


def test_a_file_in_the_place_of_the_store_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "milvus.db").write_text("hello")
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(tmp_path)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_an_idle_store_stays_connected_and_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """pymilvus's pings every ten seconds would end the connection after about a minute."""
    store = open_store(tmp_path)
    store.upsert([titled(0, "boat")])
    time.sleep(75)
    assert store.count() == 1
    store.close()
    assert capfd.readouterr().err == ""


def test_a_server_nobody_runs_is_one_sentence_with_its_address(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoreError, match=r"no Milvus server answers at http://127\.0\.0\.1:9"):
        MilvusStore.open("http://127.0.0.1:9", clip_dimensions=4, text_dimensions=4)
    assert "Traceback" not in capfd.readouterr().err


def test_a_title_is_measured_in_bytes(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(RowTooLongError, match="title of text 0 is 1,026 bytes long, a row holds 1,024"):
        store.upsert([titled(0, "é" * 513)])
    assert store.upsert([titled(0, "é" * 512)]) == 1
    store.close()


def test_an_overlong_chunk_is_made_to_fit_and_says_where_it_was_cut(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    words = "\n".join(f'row {i} "é"' for i in range(9_000))
    lines = tuple(Line(text=line, box=(0, 0, 1, 1)) for line in words.splitlines())
    long = Chunk(content_hash="a", path="/a", kind="table", ordinal=0, text=words, lines=lines, title="t" * 2_000)
    with pytest.raises(RowTooLongError):
        store.upsert([Row(chunk=long)])
    fitted = fitting(long)
    store.upsert([Row(chunk=fitted)])
    (stored,) = store.get([long.id])
    assert stored == fitted
    assert stored.text.endswith("…")
    assert stored.text[:-1] == words[: len(stored.text) - 1]
    assert len(stored.text) > 40_000  # of 65,535 bytes, quotes and line ends taking two each
    store.close()


def test_a_usual_chunk_fits_as_it_is() -> None:
    chunk = titled(0, "boat").chunk
    assert fitting(chunk) is chunk


AWKWARD = [
    'a "quoted" one', "it's", "back\\slash", "trailing\\", '\\"', "line\nbreak", "tab\tand\rreturn", "nul\x00byte",
    "🦙 emoji", "100% sure", "under_score", "שלום עולם", "‮rtl", '" or id != "', "\u2028", "", "' or 1 == 1 or '",
    "{x}", "$meta", "\\n", "\x1b[31m", "é" * 500,
]  # fmt: skip


def test_awkward_titles_are_found_by_exactly_themselves(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.upsert([titled(i, title) for i, title in enumerate(AWKWARD)])
    store.ready()
    for ordinal, title in enumerate(AWKWARD):
        found = store.search_words("common", limit=99, filter=Filter(where=(("title", title),)))
        assert [chunk.ordinal for chunk, _ in found] == [ordinal], title
    store.close()


@pytest.fixture(scope="module")
def two_rows(tmp_path_factory: pytest.TempPathFactory) -> MilvusStore:
    return open_store(tmp_path_factory.mktemp("library"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    title=st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("\"\\\n\r\t'%_"), max_size=40),
    other=st.text(alphabet='"\\ or=!1', max_size=20),
)
def test_any_title_finds_its_row_and_no_other(two_rows: MilvusStore, title: str, other: str) -> None:
    two_rows.upsert([titled(0, title), titled(1, other)])
    found = two_rows.search_vector(
        "clip", np.eye(4, dtype=np.float32)[0], limit=9, filter=Filter(where=(("title", title),))
    )
    assert {chunk.ordinal for chunk, _ in found} == ({0, 1} if title == other else {0})
