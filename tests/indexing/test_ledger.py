import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexing.discover import Seen
from indexing.ledger import Content, Ledger, LedgerError
from indexing.records import Chunk


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.sqlite", content_format=1)
    yield opened
    opened.close()


def seen(path: str, *, size: int = 1, at: int = 1) -> Seen:
    return Seen(path=path, size_bytes=size, modified_ns=at)


def content(content_hash: str, path: str = "/a", **chunks: int) -> Content:
    return Content(hash=content_hash, state="writing", shown_path=path, kind="document", chunks=chunks or {"text": 2})


def indexed(ledger: Ledger, path: str, content_hash: str) -> None:
    if ledger.content(content_hash) is None:
        ledger.begin(content(content_hash, path))
    ledger.finish(content_hash, seen(path))


def test_a_content_is_there_only_once_it_is_finished(ledger: Ledger) -> None:
    ledger.begin(content("h"))
    assert ledger.content("h") is None
    assert [each.hash for each in ledger.unfinished()] == ["h"]
    assert ledger.rows() == 0
    ledger.finish("h", seen("/a"))
    assert ledger.content("h") is not None
    assert ledger.unfinished() == []
    assert ledger.rows() == 2


def test_ids_follow_from_hash_and_counts(ledger: Ledger) -> None:
    made = content("h", page=1, text=2)
    expected = [Chunk(content_hash="h", path="", kind="page", ordinal=0).id]
    expected += [Chunk(content_hash="h", path="", kind="text", ordinal=i).id for i in range(2)]
    assert made.ids() == expected


def test_an_old_version_is_released_when_nothing_holds_it(ledger: Ledger) -> None:
    indexed(ledger, "/a", "old")
    assert ledger.release() == []
    indexed(ledger, "/a", "new")
    assert ledger.content("old") is not None
    assert [each.hash for each in ledger.release()] == ["old"]
    assert ledger.content("old") is None
    assert [(each.hash, each.state) for each in ledger.unfinished()] == [("old", "removing")]
    ledger.drop("old")
    assert ledger.unfinished() == []


def test_a_content_with_two_paths_is_released_with_the_second(ledger: Ledger) -> None:
    indexed(ledger, "/a", "h")
    indexed(ledger, "/b", "h")
    assert ledger.paths_of("h") == ["/a", "/b"]
    ledger.forget("/a")
    assert ledger.release() == []
    assert [(each.hash, path) for each, path in ledger.misplaced()] == [("h", "/b")]
    ledger.show("h", "/b")
    assert ledger.misplaced() == []
    ledger.forget("/b")
    assert [each.hash for each in ledger.release()] == ["h"]


def test_a_failure_keeps_what_was_indexed_before(ledger: Ledger) -> None:
    indexed(ledger, "/a", "h")
    ledger.fail(seen("/a", size=9, at=9), "damaged", seen_hash="bad")
    record = ledger.file("/a")
    assert record is not None
    assert (record.content, record.seen_hash, record.reason) == ("h", "bad", "damaged")
    assert record.is_same(seen("/a", size=9, at=9))
    (entry,) = ledger.entries()
    assert (entry.state, entry.reason, entry.chunks, entry.size_bytes) == ("failed", "damaged", 2, 9)


def test_a_dropped_content_makes_its_files_pending(ledger: Ledger) -> None:
    indexed(ledger, "/a", "h")
    ledger.drop("h")
    (entry,) = ledger.entries()
    assert (entry.state, entry.chunks, entry.indexed_at) == ("pending", 0, "")
    record = ledger.file("/a")
    assert record is not None
    assert not record.is_same(seen("/a"))


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/d", ["/d/a", "/d/sub/b"]),
        ("/d/", ["/d/a", "/d/sub/b"]),
        ("/d/a", ["/d/a"]),
        ("/", ["/d/a", "/d/sub/b", "/d0", "/dé/c"]),
        ("/d%", []),
        ("/nowhere", []),
    ],
)
def test_below_a_folder_is_what_lies_in_it_and_not_what_begins_like_it(
    ledger: Ledger, folder: str, expected: list[str]
) -> None:
    for number, path in enumerate(["/d/a", "/d/sub/b", "/d0", "/dé/c"]):
        indexed(ledger, path, f"h{number}")
    assert ledger.paths_below(folder) == expected


def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    first = Ledger.open(tmp_path / "l", content_format=1)
    indexed(first, "/a", "h")
    first.close()
    again = Ledger.open(tmp_path / "l", content_format=1)
    assert [entry.path for entry in again.entries()] == ["/a"]
    again.close()


def test_a_content_of_another_format_does_not_count(tmp_path: Path) -> None:
    first = Ledger.open(tmp_path / "l", content_format=1)
    indexed(first, "/a", "h")
    first.close()
    newer = Ledger.open(tmp_path / "l", content_format=2)
    record = newer.file("/a")
    assert record is not None
    assert not newer.is_current(record)
    assert newer.content("h") is None
    newer.close()


def test_a_file_that_is_no_ledger_is_one_sentence_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("hello " * 1000)
    with pytest.raises(LedgerError, match="file is not a database") as caught:
        Ledger.open(tmp_path / "ledger.sqlite", content_format=1)
    assert "Move ledger.sqlite away" in caught.value.__notes__[0]


def test_a_ledger_of_a_later_program_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "l")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LedgerError, match="version 99, this program knows 2"):
        Ledger.open(tmp_path / "l", content_format=1)


def test_a_full_disk_is_said_and_nothing_is_lost(ledger: Ledger) -> None:
    indexed(ledger, "/a", "h")
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="full") as caught:
        for number in range(1000):
            ledger.fail(seen(f"/{number}" + "x" * 500), "y" * 500)
    assert "Free some space" in caught.value.__notes__[0]
    ledger._connection.execute("PRAGMA max_page_count = 100000")
    assert ledger.content("h") is not None
    ledger.touch(seen("/a", at=2))


def test_the_list_of_files_is_read_again_only_after_a_change(ledger: Ledger) -> None:
    indexed(ledger, "/a", "h")
    first = ledger.entries()
    assert ledger.entries() is first
    ledger.fail(seen("/b"), "it is damaged", seen_hash="k", retry=False)
    assert [entry.path for entry in ledger.entries()] == ["/a", "/b"]
    ledger.forget("/a")
    assert [entry.path for entry in ledger.entries()] == ["/b"]
