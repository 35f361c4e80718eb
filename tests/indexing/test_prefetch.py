"""Prefetching: one walk, and an end for which nobody waits."""

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from indexing.addresses import Address
from indexing.discover import discover
from indexing.errors import UnreadableFileError
from indexing.ledger import Ledger
from indexing.prefetch import Prefetch
from indexing.records import SourceFile
from indexing.sources.access import Accesses
from indexing.sources.protocol import RemoteEntry
from indexing.sources.remote import RemoteFiles
from indexing.workers.pool import ReadResult


class LateReaders:
    """Readers that are ready only after the prefetch was closed."""

    def __init__(self) -> None:
        self.asked, self.closing = threading.Event(), threading.Event()
        self.read_anything = False

    def __enter__(self) -> "LateReaders":
        self.asked.set()
        assert self.closing.wait(60)
        return self

    def __exit__(self, *fault: object) -> None:
        pass

    def read(self, sources: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, ReadResult | UnreadableFileError]]:
        self.read_anything = True
        yield from ()

    def cancel(self) -> None:
        pass

    def under_way(self) -> tuple[str, int, int]:
        return "", 0, 0


def test_a_prefetch_that_is_closed_while_its_readers_start_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    readers = LateReaders()
    with closing(Ledger.open(tmp_path / "ledger.sqlite", content_format=1)) as ledger:
        prefetch = Prefetch(
            [str(tmp_path / "a.txt")],
            skip=[],
            ledger=ledger,
            readers=lambda: readers,
            max_file_bytes=1_000,
            retry_failed=False,
            capacity=1,
        )
        prefetch.start()
        assert readers.asked.wait(60)
        end = threading.Thread(target=prefetch.close)
        end.start()
        prefetch._closed.wait(60)
        readers.closing.set()
        end.join(60)
    assert not end.is_alive()
    assert not readers.read_anything


class Silent:
    """A server that stops answering, in the list or in a file, until it is let go."""

    def __init__(self, *, lists: bool) -> None:
        self.lists, self.asked, self.let_go = lists, threading.Event(), threading.Event()

    def entries(self, address: Address) -> Iterator[RemoteEntry]:
        if not self.lists:
            self.wait()
        yield RemoteEntry(path="a.txt", size_bytes=5, etag="1")

    def read(self, entry: RemoteEntry) -> Generator[bytes, None, None]:
        self.wait()
        yield b"words"

    def wait(self) -> None:
        self.asked.set()
        self.let_go.wait(60)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("lists", [True, False])
def test_closing_waits_for_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lists: bool) -> None:
    monkeypatch.setattr("indexing.prefetch._LONGEST_WAIT_SECONDS", 0.3)
    monkeypatch.setattr("indexing.walk._LONGEST_WAIT_SECONDS", 0.3)
    server = Silent(lists=lists)
    remote = RemoteFiles(["s3://shelf"], Accesses(), tmp_path / "downloads", opens=lambda *_: server)
    with closing(Ledger.open(tmp_path / "ledger.sqlite", content_format=1)) as ledger:
        prefetch = Prefetch(
            ["s3://shelf"],
            skip=[],
            ledger=ledger,
            readers=LateReaders,
            max_file_bytes=1_000,
            retry_failed=False,
            capacity=1,
            remote=remote,
        )
        prefetch.start()
        assert server.asked.wait(60)
        end = threading.Thread(target=lambda: (prefetch.close(), remote.close()), daemon=True)
        end.start()
        end.join(10)
        was_closed = not end.is_alive()
        server.let_go.set()
        prefetch._thread.join(60)
    assert was_closed
    assert not prefetch._thread.is_alive() and not (tmp_path / "downloads").exists()


def test_the_folders_are_walked_once_and_counted_before_a_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02d}.txt").write_text("words")
    walks: list[object] = []
    real = discover
    monkeypatch.setattr("indexing.walk.discover", lambda *a, **k: walks.append(a) or real(*a, **k))
    readers = LateReaders()
    with closing(Ledger.open(tmp_path / "ledger.sqlite", content_format=1)) as ledger:
        prefetch = Prefetch(
            [str(folder)],
            skip=[],
            ledger=ledger,
            readers=lambda: readers,
            max_file_bytes=1_000,
            retry_failed=False,
            capacity=1,
        )
        prefetch.start()
        assert readers.asked.wait(60)  # nothing is read yet: the readers are held
        prefetch._walk._thread.join(60)
        assert (prefetch.found, prefetch.walked) == (20, True)
        readers.closing.set()
        prefetch.close()
    assert len(walks) == 1
