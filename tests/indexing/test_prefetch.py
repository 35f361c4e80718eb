"""Prefetching: one walk, and an end for which nobody waits."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from indexing.discover import discover
from indexing.errors import UnreadableFileError
from indexing.ledger import Ledger
from indexing.prefetch import Prefetch
from indexing.records import SourceFile
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
