"""A whole library with its rows on Milvus: Lite in the suite, a server for whoever has one:

    make contract MILVUS=http://localhost:19530        # LLAVERO_TEST_MILVUS_TOKEN=root:… where it wants one

Each test makes collections of its own and drops them.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from indexing.errors import StoreError
from indexing.store.milvus import connect
from indexing.store.protocol import Filter
from rag.retrieve import SearchRequest
from ui.settings import Settings
from ui.wording import attempt
from ui.workbench import Workbench

pytestmark = pytest.mark.milvus

SAMPLE = Path(__file__).parents[2] / "examples" / "sample" / "collection" / "photos"
SERVER = os.environ.get("LLAVERO_TEST_MILVUS_URI", "")
TOKEN = os.environ.get("LLAVERO_TEST_MILVUS_TOKEN", "")
PATIENCE_SECONDS = 120
"""A client waits longer between two tries the more of them failed."""
needs_server = pytest.mark.skipif(not SERVER, reason="LLAVERO_TEST_MILVUS_URI names no server")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    shutil.copy(SAMPLE / "museum" / "night-watch-dog.jpg", folder / "dog.jpg")
    shutil.copy(SAMPLE / "shore" / "on-the-slipway.jpg", folder / "boat.jpg")
    (folder / "pump.txt").write_text("The bilge pump needs 4.2 litres of oil every spring.\n")
    return folder


def opened(folder: Path, uri: str) -> Workbench:
    where = {"milvus_uri": uri, "milvus_token": TOKEN} if uri else {}
    return Workbench.open(Settings.load(folder, environ={}, **where), create=True)


def drop(bench: Workbench) -> None:
    store: Any = bench.store
    client = connect(SERVER, TOKEN)
    client.drop_collection(store._collection)
    client.close()


@pytest.fixture(params=["lite", pytest.param("server", marks=needs_server)])
def uri(request: pytest.FixtureRequest) -> str:
    return SERVER if request.param == "server" else ""


@pytest.fixture
def bench(uri: str, tmp_path: Path) -> Iterator[Workbench]:
    made = opened(tmp_path / "library", uri)
    yield made
    if uri:
        drop(made)
    made.close()


def by_picture(bench: Workbench, file: Path, **chosen: Any) -> list[str]:
    with Image.open(file, formats=["JPEG"]) as picture:
        found = bench.search(SearchRequest(image=picture.convert("RGB"), k=5, filter=Filter(**chosen)))
    return [Path(hit.chunk.path).name for hit in found.hits]


def by_words(bench: Workbench, words: str) -> list[str]:
    return [Path(hit.chunk.path).name for hit in bench.search(SearchRequest(text=words, k=5)).hits]


def test_what_is_indexed_is_found_in_every_channel_and_what_is_removed_is_not(bench: Workbench, files: Path) -> None:
    report = bench.index([files])
    assert (report.added, report.failed) == (3, 0) and bench.stats().chunks == report.chunks
    assert by_picture(bench, files / "dog.jpg")[0] == "dog.jpg"
    assert "dog.jpg" not in by_picture(bench, files / "dog.jpg", where=(("name", "boat.jpg"),))
    if "text" in bench.store.channels:
        assert by_words(bench, "How much oil does the bilge pump need?")[0] == "pump.txt"
    assert bench.index([files]).unchanged == 3
    bench.remove(str(files / "dog.jpg"))
    assert "dog.jpg" not in by_picture(bench, files / "dog.jpg")


def test_a_library_that_is_opened_again_finds_the_same(bench: Workbench, files: Path, uri: str) -> None:
    bench.index([files])
    before = by_picture(bench, files / "boat.jpg")
    bench.close()
    again = opened(bench.library_folder, uri)
    try:
        assert by_picture(again, files / "boat.jpg") == before
        assert again.verify(repair=False).missing == 0
    finally:
        again.close()
        bench._parts.clear()  # its store is closed; what comes after opens another one


def test_rows_that_are_lost_behind_our_back_are_noticed_and_written_again(bench: Workbench, files: Path) -> None:
    bench.index([files])
    (lost,) = [chunk.id for chunk in bench.chunks(str(files / "dog.jpg"))]
    bench.store.delete([lost])
    bench.store.ready()
    assert bench.verify(repair=False).missing == 1
    assert bench.verify(repair=True).repaired
    assert bench.verify(repair=False).missing == 0 and by_picture(bench, files / "dog.jpg")[0] == "dog.jpg"


def test_two_libraries_see_nothing_of_each_other(bench: Workbench, files: Path, uri: str, tmp_path: Path) -> None:
    bench.index([files])
    other = opened(tmp_path / "other", uri)
    try:
        other.index([files / "boat.jpg"])
        assert by_picture(other, files / "dog.jpg") == ["boat.jpg"] and other.stats().chunks == 1
    finally:
        if uri:
            drop(other)
        other.close()
    assert "dog.jpg" in by_picture(bench, files / "dog.jpg")


class _Line:
    """A line to the server that can be cut and mended."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target, self._whole = target, threading.Event()
        self._whole.set()
        self._sockets: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole.clear()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._sockets.clear()

    def mend(self) -> None:
        self._whole.set()

    def close(self) -> None:
        self.cut()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                if not self._whole.is_set():
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)


@contextmanager
def line_to_server() -> Iterator[_Line]:
    parts = urlsplit(SERVER)
    line = _Line((parts.hostname or "localhost", parts.port or 19530))
    try:
        yield line
    finally:
        line.close()


@needs_server
def test_a_server_that_goes_away_is_told_in_a_sentence_and_searched_again_when_it_is_back(
    files: Path, tmp_path: Path
) -> None:
    with line_to_server() as line:
        bench = opened(tmp_path / "library", f"http://127.0.0.1:{line.port}")
        store: Any = bench.store
        store._timeout = 5.0
        try:
            bench.index([files / "boat.jpg"])
            line.cut()
            with pytest.raises(StoreError) as told:
                by_picture(bench, files / "boat.jpg")
            assert "Traceback" not in str(told.value)
            line.mend()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while isinstance(found := attempt(lambda: by_picture(bench, files / "boat.jpg")), Exception):
                assert isinstance(found, StoreError) and time.monotonic() < deadline, found
                time.sleep(1)
            assert found == ["boat.jpg"]
        finally:
            drop(bench)
            bench.close()


@needs_server
def test_a_server_of_the_release_that_is_asked_for_has_every_channel(tmp_path: Path) -> None:
    bench = opened(tmp_path / "library", SERVER)
    try:
        store: Any = bench.store
        version = store._client.get_server_version()
        if tuple(map(int, version.lstrip("v").split("-")[0].split(".")[:2])) < (2, 6):
            pytest.skip(f"{version} is older than 2.6")
        assert set(bench.store.channels) == {"clip", "text", "bm25"}
    finally:
        drop(bench)
        bench.close()


@needs_server
def test_a_wrong_password_is_told_before_any_work(tmp_path: Path) -> None:
    if not TOKEN:
        pytest.skip("this server asks for no password")
    settings = replace(Settings.load(tmp_path / "library", environ={}), milvus_uri=SERVER, milvus_token="root:wrong")
    with pytest.raises(StoreError):
        bench = Workbench.open(settings, create=True)
        bench.index([SAMPLE / "shore"])
