"""The feed's end: whoever closes it never waits for a parser."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from indexing.errors import UnreadableFileError
from indexing.ledger import Ledger
from indexing.prefetch import Feed
from indexing.records import SourceFile
from indexing.workers.pool import ReadResult


class LateReaders:
    """Readers that are ready only after the feed was closed."""

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


def test_a_feed_that_is_closed_while_its_readers_start_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    readers = LateReaders()
    with closing(Ledger.open(tmp_path / "ledger.sqlite", content_format=1)) as ledger:
        feed = Feed(
            [str(tmp_path / "a.txt")],
            skip=[],
            ledger=ledger,
            readers=lambda: readers,
            max_file_bytes=1_000,
            retry_failed=False,
            capacity=1,
        )
        feed.start()
        assert readers.asked.wait(60)
        end = threading.Thread(target=feed.close)
        end.start()
        feed._closed.wait(60)
        readers.closing.set()
        end.join(60)
    assert not end.is_alive()
    assert not readers.read_anything
