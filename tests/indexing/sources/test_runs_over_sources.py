"""A run over addresses keeps the promises that a run over folders keeps, whatever the source does."""

import errno
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.addresses import Address
from indexing.errors import StoreError
from indexing.pipeline import IndexReport, remove
from indexing.settings import ReadLimits
from indexing.sources.access import Accesses
from indexing.sources.protocol import (
    DENIED,
    GONE,
    ItemError,
    RemoteEntry,
    RemoteError,
    RemoteMissingError,
    RemoteSource,
    Unlisted,
)
from indexing.sources.remote import _file_name
from indexing.store.protocol import Filter


@dataclass
class Shelf:
    """A source in memory that fails where a test says so."""

    files: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int | None] = field(default_factory=dict)
    unreachable: bool = False
    breaks_after: int | None = None  # so many names are listed
    denied_folders: tuple[str, ...] = ()
    broken: dict[str, Exception] = field(default_factory=dict)  # raised in the middle of a file
    reads: list[str] = field(default_factory=list)
    slow: tuple[str, ...] = ()
    opened: int = 0

    def put(self, path: str, words: str, version: str = "1") -> None:
        self.files[path], self.versions[path] = words.encode(), version

    def open(self, address: Address, accesses: Accesses) -> RemoteSource:
        self.opened += 1
        if self.unreachable:
            raise RemoteError(address.root, "the server cannot be reached", "Look at the cable.")
        return self

    def entries(self, address: Address) -> Iterator[RemoteEntry | Unlisted]:
        below = f"{address.path}/" if address.path else ""
        found = [path for path in sorted(self.files) if path.startswith(below) or path == address.path]
        if not found:
            raise RemoteMissingError(str(address), "there is no such folder")
        for number, path in enumerate(found):
            if number == self.breaks_after:
                raise RemoteError(address.root, "the list broke off")
            denied = next((each for each in self.denied_folders if path.startswith(f"{each}/")), None)
            if denied:
                yield Unlisted(path=denied, reason=DENIED)
                continue
            size = self.sizes.get(path, len(self.files[path]))
            yield RemoteEntry(path=path, size_bytes=size, etag=self.versions[path])

    def read(self, entry: RemoteEntry) -> Generator[bytes, None, None]:
        self.reads.append(entry.path)
        data = self.files[entry.path]
        if entry.path in self.slow:
            time.sleep(0.4)
        yield data[: len(data) // 2]
        if entry.path in self.broken:
            raise self.broken[entry.path]
        yield data[len(data) // 2 :]

    def close(self) -> None:
        pass


@pytest.fixture
def shelf(reads_from: Callable[[Any], None]) -> Shelf:
    shelf = Shelf()
    shelf.put("a.txt", "words of a")
    shelf.put("more/b.txt", "words of b")
    shelf.put("more/deep/c.txt", "words of c")
    reads_from(shelf.open)
    return shelf


ALL = "s3://shelf"
A, B, C = f"{ALL}/a.txt", f"{ALL}/more/b.txt", f"{ALL}/more/deep/c.txt"


def numbers(report: IndexReport) -> tuple[int, int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.removed, report.failed


def test_files_elsewhere_are_found_under_their_addresses(bench: Any, shelf: Shelf) -> None:
    assert numbers(bench.index(ALL)) == (3, 0, 0, 0, 0)
    assert bench.texts() == {A: "words of a", B: "words of b", C: "words of c"}
    below = Filter(where=(("folder", f"{ALL}/more"),))
    question = bench.embedder.embed_questions(["words"])[0]
    found = {chunk.path for chunk, _ in bench.store.search_vector("text", question, limit=9, filter=below)}
    assert found == {B, C}


def test_a_second_run_downloads_nothing_and_embeds_nothing(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    embedded = bench.embedded()
    shelf.reads.clear()
    assert numbers(bench.index(ALL)) == (0, 0, 3, 0, 0)
    assert (bench.embedded(), shelf.reads) == (embedded, [])


def test_a_new_version_replaces_the_old_one(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    shelf.put("a.txt", "words of z", version="2")  # of the same length
    assert numbers(bench.index(ALL)) == (0, 1, 2, 0, 0)
    assert bench.texts()[A] == "words of z"
    assert bench.agrees()


def test_a_new_version_with_the_same_bytes_embeds_nothing(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    embedded = bench.embedded()
    shelf.put("a.txt", "words of a", version="2")
    assert numbers(bench.index(ALL)) == (0, 0, 3, 0, 0)
    shelf.reads.clear()
    bench.index(ALL)
    assert (bench.embedded(), shelf.reads) == (embedded, [])


def test_a_source_without_versions_is_read_again_and_not_embedded_again(bench: Any, shelf: Shelf) -> None:
    shelf.put("a.txt", "words of a", version="")
    bench.index(ALL)
    embedded = bench.embedded()
    shelf.reads.clear()
    assert numbers(bench.index(ALL)) == (0, 0, 3, 0, 0)
    assert (shelf.reads, bench.embedded()) == (["a.txt"], embedded)
    shelf.files["a.txt"] = b"words of z"  # of the same length
    assert numbers(bench.index(ALL)) == (0, 1, 2, 0, 0)


def test_what_vanished_is_removed(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    del shelf.files["more/b.txt"]
    assert numbers(bench.index(ALL)) == (0, 0, 2, 1, 0)
    assert set(bench.texts()) == {A, C}


def test_a_run_over_one_folder_removes_nothing_of_another(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    del shelf.files["a.txt"], shelf.files["more/deep/c.txt"]
    assert numbers(bench.index(f"{ALL}/more")) == (0, 0, 1, 1, 0)
    assert set(bench.texts()) == {A, B}


def test_a_run_over_a_folder_removes_no_hidden_file_that_was_named_by_itself(bench: Any, shelf: Shelf) -> None:
    shelf.put("more/.notes/d.txt", "words of d")
    bench.index(f"{ALL}/more/.notes")
    assert bench.index(ALL).removed == 0
    assert f"{ALL}/more/.notes/d.txt" in bench.texts()


def test_a_file_that_comes_too_slowly_does_not_keep_from_the_others(
    bench: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexing.sources.protocol._FIRST_SECONDS", 0.3)
    shelf.slow = ("more/b.txt",)
    report = bench.index(ALL)
    assert (report.added, report.failed) == (2, 1)
    assert "too slowly" in report.failures[0].reason
    shelf.slow = ()
    assert numbers(bench.index(ALL)) == (1, 0, 2, 0, 0)


def test_a_source_that_cannot_be_reached_loses_nothing(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    shelf.unreachable = True
    with pytest.raises(RemoteError, match="cannot be reached"):
        bench.index(ALL)
    assert set(bench.texts()) == {A, B, C}
    assert bench.agrees()


def test_beside_others_it_is_one_failure_with_what_to_do(bench: Any, shelf: Shelf, tmp_path: Path) -> None:
    bench.index(ALL)
    shelf.unreachable = True
    (tmp_path / "here.txt").write_text("words here")
    report = bench.index(ALL, str(tmp_path / "here.txt"))
    assert numbers(report) == (1, 0, 0, 0, 1)
    assert (report.failures[0].path, report.failures[0].reason) == (
        ALL,
        "the server cannot be reached. Look at the cable.",
    )
    assert len(bench.texts()) == 4


def test_an_address_at_which_nothing_lies_any_more_loses_nothing(bench: Any, shelf: Shelf) -> None:
    bench.index(f"{ALL}/more")
    shelf.files.clear()
    with pytest.raises(RemoteMissingError):
        bench.index(f"{ALL}/more")
    assert set(bench.texts()) == {B, C}


def test_a_list_that_breaks_off_makes_nothing_look_gone(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    shelf.put("a.txt", "other words", version="2")
    shelf.breaks_after = 1
    report = bench.index(ALL)
    assert numbers(report) == (0, 1, 0, 0, 1)
    assert report.failures[0].path == ALL
    assert bench.texts() == {A: "other words", B: "words of b", C: "words of c"}


def test_a_folder_that_is_refused_keeps_its_files_and_the_others_go_on(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    del shelf.files["a.txt"]
    shelf.denied_folders = ("more/deep",)
    report = bench.index(ALL)
    assert numbers(report) == (0, 0, 1, 1, 1)
    assert report.failures[0].path == f"{ALL}/more/deep"
    assert set(bench.texts()) == {B, C}


def test_a_file_that_breaks_off_leaves_nothing_half_and_its_old_version_stays(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    shelf.put("a.txt", "other words", version="2")
    shelf.broken["a.txt"] = ItemError(GONE)
    report = bench.index(ALL)
    assert numbers(report) == (0, 0, 2, 0, 1)
    assert bench.texts()[A] == "words of a"
    assert bench.left_over() == []
    shelf.broken.clear()
    assert numbers(bench.index(ALL)) == (0, 1, 2, 0, 0)


def test_fewer_bytes_than_were_listed_are_no_file(bench: Any, shelf: Shelf) -> None:
    shelf.sizes["a.txt"] = 1_000
    report = bench.index(ALL)
    assert numbers(report) == (2, 0, 0, 0, 1)
    assert report.failures[0].reason == "10 of 1,000 bytes arrived; the next run tries again"


def test_a_source_that_dies_is_asked_twice_and_then_given_up(bench: Any, shelf: Shelf) -> None:
    for path in shelf.files:
        shelf.broken[path] = RemoteError("s3://shelf", "the server does not answer")
    report = bench.index(ALL)
    assert shelf.reads == ["a.txt", "a.txt"]
    assert [(each.path, each.reason) for each in report.failures] == [
        (ALL, "the server does not answer; 3 files were not read: run it again")
    ]
    shelf.broken.clear()
    assert numbers(bench.index(ALL)) == (3, 0, 0, 0, 0)


def test_a_file_over_the_limit_is_not_asked_for(bench: Any, shelf: Shelf) -> None:
    bench.limits = ReadLimits(max_file_bytes=1_000_000)
    shelf.sizes["a.txt"] = 2_000_000
    report = bench.index(ALL)
    assert report.failures[0].reason == "the file is 2 MB, the limit is 1 MB"
    assert "a.txt" not in shelf.reads


def test_a_file_that_is_longer_than_its_source_says_is_stopped_at_the_limit(bench: Any, shelf: Shelf) -> None:
    bench.limits = ReadLimits(max_file_bytes=1_000_000)
    shelf.put("a.txt", "x" * 3_000_000)
    shelf.sizes["a.txt"] = 10
    report = bench.index(ALL)
    assert report.failures[0].reason == "the file goes on beyond the limit of 1 MB"
    assert bench.left_over() == []


def test_copies_are_private_while_they_are_read_and_gone_afterwards(bench: Any, shelf: Shelf) -> None:
    rights: list[tuple[int, int]] = []
    read = bench.reader._one

    def look(source: Any) -> Any:
        assert len(list((bench.library.spool / "downloads").iterdir())) == 1  # those before it are gone already
        rights.append(tuple(stat.S_IMODE(each.stat().st_mode) for each in (source.path, source.path.parent)))
        return read(source)

    bench.reader._one = look
    bench.index(ALL)
    assert set(rights) == {(0o600, 0o700)}
    assert not any(path.exists() for path in bench.reader.read_paths)


def test_the_same_bytes_at_two_places_are_embedded_once(bench: Any, shelf: Shelf, tmp_path: Path) -> None:
    shelf.put("copy.txt", "words of a")
    (tmp_path / "here.txt").write_text("words of a")
    assert numbers(bench.index(ALL, str(tmp_path / "here.txt"))) == (5, 0, 0, 0, 0)
    assert len(bench.texts()) == 3


def test_hidden_files_are_left_out_as_in_folders_of_this_machine(bench: Any, shelf: Shelf) -> None:
    shelf.put(".git/config.txt", "hidden")
    shelf.put("more/.b.txt", "hidden")
    assert numbers(bench.index(ALL)) == (3, 0, 0, 0, 0)
    assert numbers(bench.index(f"{ALL}/.git")) == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "key", ["../../outside.txt", "/etc/outside.txt", "a/../../outside.txt", "a\\..\\outside.txt", "x/" + "é" * 120]
)
def test_a_key_cannot_write_outside_of_its_folder(bench: Any, shelf: Shelf, tmp_path: Path, key: str) -> None:
    shelf.put(key, "from outside")
    before = {path for path in tmp_path.rglob("*") if bench.library.folder not in path.parents}
    assert bench.index(ALL).added == 4
    assert {path for path in tmp_path.rglob("*") if bench.library.folder not in path.parents} == before
    inside = [path for path in bench.reader.read_paths if path.parents[1] != bench.library.spool / "downloads"]
    assert inside == []
    assert bench.texts()[f"{ALL}/{key}"] == "from outside"


@pytest.mark.parametrize("key", ["a\0b.txt", "folder/", "z/" * 2_500 + "a.txt", "z" * 300])
def test_a_key_that_no_file_can_have_is_told_and_not_read(bench: Any, shelf: Shelf, key: str) -> None:
    shelf.put(key, "from outside")
    report = bench.index(ALL)
    assert numbers(report) == (3, 0, 0, 0, 1)
    assert key not in shelf.reads


@given(st.text())
def test_a_copy_has_a_plain_name_whatever_its_source_calls_it(name: str) -> None:
    made = _file_name(Address(scheme="s3", host="scans", path=name))
    assert made not in ("", ".", "..") and not made.startswith(".")
    assert not set(made) & set("/\\\0\n") and len(made.encode()) <= 255


def test_a_full_disk_stops_the_run_and_blames_no_file(
    bench: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def full(path: Any, flags: int, *rest: Any) -> int:
        if flags & os.O_EXCL:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, flags, *rest)

    monkeypatch.setattr("indexing.sources.remote.os.open", full)
    with pytest.raises(StoreError, match="no space left"):
        bench.index(ALL)
    monkeypatch.undo()
    assert bench.library.ledger.entries() == ()


def test_progress_tells_what_is_on_its_way(bench: Any, shelf: Shelf) -> None:
    told = []
    read = shelf.read

    def slow(entry: RemoteEntry) -> Generator[bytes, None, None]:
        for piece in read(entry):
            yield piece
            while not any(each.download and each.download.name == "a.txt" for each in told):
                pass

    vars(shelf)["read"] = slow
    bench.index(ALL, on_progress=told.append)
    halfway = next(each.download for each in told if each.download)
    assert (halfway.name, halfway.total_bytes) == ("a.txt", 10) and halfway.done_bytes in (5, 10)


def test_a_run_that_is_stopped_in_the_middle_of_a_file_keeps_nothing_of_it(bench: Any, shelf: Shelf) -> None:
    reached = []
    read = shelf.read

    def slow(entry: RemoteEntry) -> Generator[bytes, None, None]:
        for piece in read(entry):
            yield piece
            if entry.path == "more/b.txt":
                reached.append(entry.path)
                while bench_run._no_more.is_set() is False:
                    pass

    from indexing.prefetch import Prefetch

    real = Prefetch.start

    def start(self: Prefetch) -> None:
        nonlocal bench_run
        bench_run = self
        real(self)

    bench_run: Any = None
    vars(shelf)["read"] = slow
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Prefetch, "start", start)
        report = bench.index(ALL, cancelled=lambda: bool(reached))
    assert report.cancelled
    assert B not in bench.texts() and bench.left_over() == []
    vars(shelf)["read"] = read
    bench.index(ALL)
    assert set(bench.texts()) == {A, B, C} and bench.agrees()


def test_a_folder_elsewhere_is_removed_by_its_address(bench: Any, shelf: Shelf) -> None:
    bench.index(ALL)
    assert remove(f"{ALL}/more/", library=bench.library, store=bench.store).files == 2
    assert set(bench.texts()) == {A}


def test_what_is_said_beside_files_of_this_machine_says_nothing_of_others(
    bench: Any, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trap = tmp_path / "s3:" / "shelf"
    trap.mkdir(parents=True)
    (trap / "folder.meta.toml").write_text('client = "wrong"')
    bench.index(ALL, facts={"year": ["2024"]})
    assert {tuple(entry.facts.items()) for entry in bench.library.ledger.entries()} == {(("year", ("2024",)),)}
