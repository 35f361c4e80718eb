import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexing import ledger_schema
from indexing.discover import Seen
from indexing.facts import LIKENESS, NEAR_DUPLICATES, Said
from indexing.ledger import Content, Ledger, LedgerError
from indexing.records import Chunk, Note


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
    with pytest.raises(LedgerError, match="version 99, this program knows 3"):
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


def facts(ledger: Ledger) -> dict[str, dict[str, tuple[str, ...]]]:
    return {entry.path: dict(entry.facts) for entry in ledger.entries()}


def test_what_a_person_says_counts_before_what_the_file_says(ledger: Ledger) -> None:
    ledger.begin(content("h"))
    said = Said(given={"client": ("b", "a")}, beside={"client": ("c",), "year": ("1999",)})
    ledger.finish("h", seen("/a"), own={"year": ("2019",), "camera": ("Canon",)}, said=said)
    assert facts(ledger) == {"/a": {"client": ("a", "b"), "year": ("1999",), "camera": ("Canon",)}}
    ledger.say("/a", Said(notes=(Note("odd", unread=True),)))
    assert facts(ledger) == {"/a": {"year": ("2019",), "camera": ("Canon",)}}
    (entry,) = ledger.entries()
    assert entry.notes == ("odd",) and entry.read_in_part
    assert ledger.said() == {"/a": Said(notes=(Note("odd"),))}


def test_copies_share_what_the_bytes_say_and_not_what_persons_say(ledger: Ledger) -> None:
    ledger.begin(content("h"))
    ledger.finish("h", seen("/a"), own={"year": ("2019",)}, said=Said(given={"client": ("ACME",)}))
    ledger.finish("h", seen("/b"))
    assert facts(ledger) == {"/a": {"year": ("2019",), "client": ("ACME",)}, "/b": {"year": ("2019",)}}


def test_facts_stay_with_a_changed_or_failed_file_and_go_with_a_forgotten_one(ledger: Ledger) -> None:
    ledger.begin(content("old"))
    ledger.finish("old", seen("/a"), own={"year": ("2019",)}, said=Said(given={"client": ("ACME",)}))
    ledger.fail(seen("/a", at=2), "damaged")
    assert facts(ledger)["/a"] == {"year": ("2019",), "client": ("ACME",)}
    ledger.begin(content("new"))
    ledger.finish("new", seen("/a", at=3), own={})
    assert facts(ledger) == {"/a": {"client": ("ACME",)}}
    ledger.forget("/a")
    ledger.say("/a", Said(given={"client": ("ACME",)}))  # nobody is there to say it of
    indexed(ledger, "/a", "new")
    assert facts(ledger) == {"/a": {}} and ledger.said() == {}
    for released in ledger.release():
        ledger.drop(released.hash)
    assert ledger._connection.execute("SELECT count(*) FROM own_facts").fetchone() == (0,)


def test_a_ledger_of_before_gets_facts_and_loses_nothing(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "l")
    connection.executescript(f"{ledger_schema.SCHEMA}PRAGMA user_version = 1;")
    row = ("h", "indexed", "/a", "document", '{"text": 2}', 1, '[["2 pages", "page", "", 2, true]]', 1.0, "x")
    connection.execute("INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("INSERT INTO files VALUES ('/a', 1, 1, 'h', 'h', '', 0, 1)")
    connection.commit()
    connection.close()
    for _ in range(2):
        ledger = Ledger.open(tmp_path / "l", content_format=1)
        (entry,) = ledger.entries()
        assert (entry.path, entry.chunks, entry.notes, entry.facts) == ("/a", 2, ("2 pages",), {})
        record = ledger.file("/a")
        assert record is not None and record.is_same(seen("/a")) and ledger.is_current(record)
        ledger.close()


def test_the_version_of_a_file_elsewhere_counts_before_its_time_of_change(ledger: Ledger) -> None:
    ledger.fail(Seen(path="s3://a/b", size_bytes=1, modified_ns=1, etag="x"), "for a test")
    record = ledger.file("s3://a/b")
    assert record is not None and record.etag == "x"
    assert record.is_same(Seen(path="s3://a/b", size_bytes=1, modified_ns=2, etag="x"))
    assert not record.is_same(Seen(path="s3://a/b", size_bytes=1, modified_ns=1, etag="y"))
    assert not record.is_same(Seen(path="s3://a/b", size_bytes=2, modified_ns=1, etag="x"))
    ledger.touch(Seen(path="s3://a/b", size_bytes=1, modified_ns=2, etag="y"))
    touched = ledger.file("s3://a/b")
    assert touched is not None and (touched.etag, touched.modified_ns) == ("y", 2)


@pytest.mark.parametrize("version", [1, 2])
def test_a_ledger_of_before_keeps_what_it_knows_of_files(tmp_path: Path, version: int) -> None:
    connection = sqlite3.connect(tmp_path / "l")
    before = ledger_schema.SCHEMA + (ledger_schema.FACTS if version == 2 else "")
    connection.executescript(f"{before}PRAGMA user_version = {version};")
    connection.execute(
        "INSERT INTO files (path, size, modified_ns, seen_hash, reason, format) VALUES ('/a', 1, 1, '', 'why', 1)"
    )
    connection.commit()
    connection.close()
    ledger = Ledger.open(tmp_path / "l", content_format=1)
    record = ledger.file("/a")
    assert record is not None and record.is_same(seen("/a")) and record.etag == ""
    ledger.close()


def test_two_threads_say_things_at_once(ledger: Ledger) -> None:
    for number in range(20):
        indexed(ledger, f"/{number}", "h")

    def say(who: str) -> None:
        for number in range(20):
            ledger.say(f"/{number}", Said(given={"by": (who,), "too": (who,)}))
            ledger.entries()

    with ThreadPoolExecutor() as threads:
        list(threads.map(say, ["a", "b", "c"]))
    for entry in ledger.entries():
        assert entry.facts["by"] == entry.facts["too"] and entry.facts["by"][0] in "abc"


def test_pictures_that_are_nearly_the_same_name_each_other_whichever_came_first(ledger: Ledger) -> None:
    for name in ("h1", "h2"):
        ledger.begin(content(name))
    ledger.finish("h1", seen("/1"), own={LIKENESS: ("kept 1",), NEAR_DUPLICATES: (), "year": ("2019",)})
    ledger.finish("h2", seen("/2"), own={LIKENESS: ("kept 2",), NEAR_DUPLICATES: ("h1",)})
    ledger.finish("h2", seen("/copy of 2"))
    near = {entry.path: entry.near for entry in ledger.entries()}
    assert near == {"/1": ("/2", "/copy of 2"), "/2": ("/1",), "/copy of 2": ("/1",)}
    assert ledger.likenesses() == {"h1": "kept 1", "h2": "kept 2"}


def test_what_is_kept_of_a_picture_is_no_fact_of_it(ledger: Ledger) -> None:
    ledger.begin(content("h"))
    ledger.finish("h", seen("/1"), own={LIKENESS: ("kept",), "year": ("2019",)})
    assert [dict(entry.facts) for entry in ledger.entries()] == [{"year": ("2019",)}]
    assert ledger.fact_keys() == {"year"}


def test_a_picture_that_was_removed_is_near_nothing(ledger: Ledger) -> None:
    for name in ("h1", "h2"):
        ledger.begin(content(name))
    ledger.finish("h1", seen("/1"), own={LIKENESS: ("kept 1",)})
    ledger.finish("h2", seen("/2"), own={LIKENESS: ("kept 2",), NEAR_DUPLICATES: ("h1",)})
    ledger.forget("/1")
    ledger.release()
    assert [entry.near for entry in ledger.entries()] == [()]
    ledger.drop("h1")
    assert ledger.near() == {}
