import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from indexing_doubles import PlainReader, TinyEmbedder, make_files, open_library
from PIL import Image

from indexing.errors import DamagedFileError, DiskError, LibraryMismatchError, StoreError
from indexing.library import CONTENT_FORMAT, Library, compare, recover
from indexing.pipeline import IndexReport, NotInLibraryError, Progress, files, index, remove
from indexing.records import Chunk
from indexing.settings import IndexingSettings
from indexing.store import MilvusStore, Row


@dataclass
class Bench:
    """A library on real Milvus Lite, and a folder of files that belongs to the test."""

    folder: Path
    library: Library
    store: MilvusStore
    embedder: TinyEmbedder
    reader: PlainReader

    def index(self, *paths: Path, **more: object) -> IndexReport:
        return index(
            paths or [self.folder],
            library=self.library,
            store=self.store,
            embedder=more.pop("embedder", self.embedder),
            readers=lambda: self.reader,
            settings=IndexingSettings(picture_batch=4, text_batch=4, write_batch=8),
            **more,
        )

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def texts(self) -> list[tuple[str, str]]:
        """What is searchable: file name and words of every text chunk."""
        chunks = self.store.get([each for each, _ in self.store.ids()])
        return sorted((Path(chunk.path).name, chunk.text) for chunk in chunks if chunk.kind == "text")

    def agrees(self) -> bool:
        return compare(self.library, self.store).agrees


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("indexing.pipeline._PROGRESS_SECONDS", 0.0)
    embedder = TinyEmbedder()
    library, store = open_library(tmp_path / "library", embedder)
    folder = tmp_path / "files"
    folder.mkdir()
    yield Bench(folder, library, store, embedder, PlainReader(library.spool))
    store.close()
    library.close()


def numbers(report: IndexReport) -> tuple[int, int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.removed, report.failed


def test_a_folder_becomes_searchable_rows_and_pictures(bench: Bench) -> None:
    make_files(bench.folder, pictures=5, texts=4)
    report = bench.index()
    assert numbers(report) == (5 + 4 + 1, 0, 0, 0, 1)
    assert report.chunks == bench.store.count() == 5 + 2 * (1 + 2 + 3 + 1)
    assert report.failures[0].path.endswith("broken.txt")
    assert report.failures[0].reason == "it says so itself"
    red = bench.embedder.embed_image_queries(["red"])[0]
    chunk, _ = bench.store.search_vector("clip", red, limit=1)[0]
    assert (bench.library.folder / chunk.image).exists()
    assert bench.store.search_words("document 2 page", limit=1)[0][0].path.endswith("text 002.txt")
    assert not list(bench.library.spool.iterdir())
    assert bench.agrees()


def test_pictures_are_found_by_the_words_of_their_labels_in_both_text_channels(bench: Bench) -> None:
    Image.new("RGB", (9, 9), (250, 0, 0)).save(bench.folder / "a.png")
    Image.new("RGB", (9, 9), (0, 0, 250)).save(bench.folder / "b.png")
    bench.index()
    assert [Path(c.path).name for c, _ in bench.store.search_words("blue", limit=5)] == ["b.png"]
    question = bench.embedder.embed_questions(["red"])[0]
    assert Path(bench.store.search_vector("text", question, limit=1)[0][0].path).name == "a.png"


def test_label_vectors_are_made_once_for_each_label_and_not_for_each_picture(bench: Bench) -> None:
    make_files(bench.folder, pictures=20, texts=1)
    (bench.folder / "text 000.txt").unlink()
    (bench.folder / "copy.txt").unlink()
    bench.index()
    assert bench.embedder.pictures == 20
    assert bench.embedder.texts == 3


def test_a_second_run_reads_and_embeds_nothing(bench: Bench) -> None:
    make_files(bench.folder, pictures=5, texts=4)
    bench.index()
    bench.reader.read_paths.clear()
    bench.embedder.pictures = bench.embedder.texts = 0
    report = bench.index()
    assert numbers(report) == (0, 0, 10, 0, 1)
    assert report.chunks == 0
    assert (bench.reader.read_paths, bench.embedder.pictures, bench.embedder.texts) == ([], 0, 0)


def test_a_run_that_finds_nothing_new_loads_no_embedder(bench: Bench) -> None:
    bench.write("a.txt", "words")
    bench.write("b.txt", "BROKEN")
    bench.index()

    def load() -> TinyEmbedder:
        raise AssertionError("nothing is to be embedded")

    assert numbers(bench.index(embedder=load)) == (0, 0, 1, 0, 1)


def test_another_embedder_than_the_first_is_refused_before_it_embeds(bench: Bench) -> None:
    bench.write("a.txt", "words")
    bench.index()
    bench.write("b.txt", "more words")
    other = TinyEmbedder()
    other.name = "tiny-2"
    with pytest.raises(LibraryMismatchError, match=r"tiny-1.*tiny-2"):
        bench.index(embedder=other)
    assert other.texts == 0
    assert bench.texts() == [("a.txt", "words")]


def test_a_touched_file_is_not_indexed_again(bench: Bench) -> None:
    path = bench.write("a.txt", "words")
    bench.index()
    os.utime(path, ns=(1, 1))
    bench.reader.read_paths.clear()
    assert numbers(bench.index()) == (0, 0, 1, 0, 0)
    assert bench.reader.read_paths == []


def test_a_changed_file_replaces_its_rows_and_pictures(bench: Bench) -> None:
    path = bench.write("a.txt", "old one\fold two\fold three")
    bench.index()
    path.write_text("new one")
    assert numbers(bench.index()) == (0, 1, 0, 0, 0)
    assert bench.texts() == [("a.txt", "new one")]
    assert len(list(bench.library.pages.iterdir())) == 1
    assert bench.agrees()


def test_a_file_that_is_gone_from_disk_is_removed(bench: Bench) -> None:
    bench.write("a.txt", "a")
    bench.write("sub/b.txt", "b")
    bench.index()
    (bench.folder / "sub/b.txt").unlink()
    (bench.folder / "sub").rmdir()
    assert numbers(bench.index()) == (0, 0, 1, 1, 0)
    assert bench.texts() == [("a.txt", "a")]
    assert len(list(bench.library.pages.iterdir())) == 1


def test_files_elsewhere_are_left_alone(bench: Bench) -> None:
    bench.write("one/a.txt", "a")
    gone = bench.write("two/b.txt", "b")
    bench.index()
    gone.unlink()
    assert numbers(bench.index(bench.folder / "one")) == (0, 0, 1, 0, 0)
    assert len(bench.texts()) == 2


def test_a_folder_that_is_gone_itself_is_a_failure_and_keeps_its_rows(bench: Bench) -> None:
    bench.write("drive/a.txt", "a")
    bench.index()
    (bench.folder / "drive").rename(bench.folder / "unplugged")
    report = bench.index(bench.folder / "drive")
    assert [failure.reason for failure in report.failures] == ["there is no such file or folder"]
    assert report.removed == 0
    assert len(bench.texts()) == 1


def test_a_moved_file_embeds_nothing_and_is_found_under_its_new_path(bench: Bench) -> None:
    path = bench.write("old/a.txt", "words")
    bench.index()
    bench.embedder.texts = bench.embedder.pictures = 0
    (bench.folder / "new").mkdir()
    path.rename(bench.folder / "new/b.txt")
    assert numbers(bench.index()) == (1, 0, 0, 1, 0)
    assert bench.embedder.texts + bench.embedder.pictures == 0
    assert bench.texts() == [("b.txt", "words")]
    assert bench.agrees()


def test_two_files_that_swap_their_names_embed_nothing(bench: Bench) -> None:
    first, second = bench.write("a.txt", "words of one"), bench.write("b.txt", "words of two")
    bench.index()
    bench.embedder.texts = bench.embedder.pictures = 0
    first.rename(bench.folder / "c.txt")
    second.rename(first)
    (bench.folder / "c.txt").rename(second)
    assert numbers(bench.index()) == (0, 2, 0, 0, 0)
    assert bench.embedder.texts + bench.embedder.pictures == 0
    assert bench.texts() == [("a.txt", "words of two"), ("b.txt", "words of one")]
    assert bench.agrees()


def test_a_file_moved_aside_for_a_new_one_of_its_name_embeds_only_the_new_one(bench: Bench) -> None:
    path = bench.write("a.txt", "old words")
    bench.index()
    path.rename(bench.folder / "z old.txt")
    bench.write("a.txt", "new words")
    bench.embedder.texts = 0
    assert numbers(bench.index()) == (1, 1, 0, 0, 0)
    assert bench.embedder.texts == 1
    assert bench.texts() == [("a.txt", "new words"), ("z old.txt", "old words")]


def test_the_same_bytes_at_two_paths_are_embedded_once(bench: Bench) -> None:
    bench.write("a.txt", "same")
    bench.write("b.txt", "same")
    assert numbers(bench.index()) == (2, 0, 0, 0, 0)
    assert len(bench.reader.read_paths) == 1
    assert bench.texts() == [("a.txt", "same")]
    assert [entry.state for entry in files(bench.library)] == ["indexed", "indexed"]


def test_removing_one_of_two_copies_keeps_the_rows_and_shows_the_other_path(bench: Bench) -> None:
    first = bench.write("a.txt", "same")
    bench.write("b.txt", "same")
    bench.index()
    report = remove(first, library=bench.library, store=bench.store)
    assert (report.files, report.chunks) == (1, 0)
    assert bench.texts() == [("b.txt", "same")]
    assert [Path(entry.path).name for entry in files(bench.library)] == ["b.txt"]


def test_two_broken_copies_both_fail_with_the_reason(bench: Bench) -> None:
    bench.write("a.txt", "BROKEN")
    bench.write("b.txt", "BROKEN")
    report = bench.index()
    assert [(Path(failure.path).name, failure.reason) for failure in report.failures] == [
        ("a.txt", "it says so itself"),
        ("b.txt", "it says so itself"),
    ]
    assert [entry.state for entry in files(bench.library)] == ["failed", "failed"]


def test_a_failed_file_is_reported_again_without_being_read_until_it_changes(bench: Bench) -> None:
    path = bench.write("a.txt", "BROKEN")
    bench.index()
    bench.reader.read_paths.clear()
    report = bench.index()
    assert (report.failed, report.failures[0].reason) == (1, "it says so itself")
    assert bench.reader.read_paths == []
    path.write_text("whole again")
    assert numbers(bench.index()) == (1, 0, 0, 0, 0)


def test_a_failed_file_is_read_again_when_asked(bench: Bench) -> None:
    bench.write("a.txt", "BROKEN")
    bench.index()
    bench.reader.read_paths.clear()
    assert bench.index(retry_failed=True).failed == 1
    assert len(bench.reader.read_paths) == 1


def test_a_file_that_waits_for_a_program_is_tried_again_with_every_run(bench: Bench) -> None:
    bench.write("a.txt", "FOREIGN words")
    assert bench.index().failed == 1
    assert bench.index().failed == 1
    bench.reader.has_program = True
    assert numbers(bench.index()) == (1, 0, 0, 0, 0)


def test_a_new_version_that_cannot_be_read_leaves_the_old_one_searchable(bench: Bench) -> None:
    path = bench.write("a.txt", "good")
    bench.index()
    path.write_text("BROKEN")
    assert numbers(bench.index()) == (0, 0, 0, 0, 1)
    assert bench.texts() == [("a.txt", "good")]
    (entry,) = files(bench.library)
    assert (entry.state, entry.reason, entry.chunks) == ("failed", "it says so itself", 2)
    path.write_text("better")
    assert numbers(bench.index()) == (0, 1, 0, 0, 0)
    assert bench.texts() == [("a.txt", "better")]
    assert bench.agrees()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_tried_again_by_the_next_run(bench: Bench) -> None:
    path = bench.write("a.txt", "words")
    path.chmod(0)
    assert bench.index().failures[0].reason == "permission denied"
    path.chmod(0o600)
    assert numbers(bench.index()) == (1, 0, 0, 0, 0)


def test_a_refusal_by_the_system_is_tried_again_by_the_next_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("a.txt", "words")
    with monkeypatch.context() as patch:
        patch.setattr(
            "indexing.prefetch.source_of", lambda seen: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
        )
        assert bench.index().failures[0].reason == "permission denied"
    assert numbers(bench.index()) == (1, 0, 0, 0, 0)


class Meddling(PlainReader):
    """Does something to the file while it is being read."""

    def __init__(self, spool: Path, meddle: Callable[[Path], object]) -> None:
        super().__init__(spool)
        self._meddle = meddle

    def _one(self, source):
        result = super()._one(source)
        self._meddle(source.path)
        return result


def test_a_file_that_vanishes_during_the_run_is_reported_and_forgotten(bench: Bench) -> None:
    bench.write("a.txt", "words")
    bench.reader = Meddling(bench.library.spool, lambda path: path.unlink())
    report = bench.index()
    assert [failure.reason for failure in report.failures] == ["it vanished while it was being indexed"]
    assert files(bench.library) == ()
    assert bench.store.count() == 0


def test_a_file_that_changes_while_it_is_read_is_left_to_the_next_run(bench: Bench) -> None:
    bench.write("a.txt", "words")
    bench.reader = Meddling(bench.library.spool, lambda path: path.write_text("other words now"))
    report = bench.index()
    assert report.failures[0].reason == "it changed while it was being read; the next run takes it"
    bench.reader = PlainReader(bench.library.spool)
    assert numbers(bench.index()) == (1, 0, 0, 0, 0)
    assert bench.texts() == [("a.txt", "other words now")]


def test_an_empty_folder_is_a_run_that_finds_nothing(bench: Bench) -> None:
    assert numbers(bench.index()) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("name", ['it\'s "q".txt', "line\nbreak.txt", "ñandú שלום 東京.txt", "100%_a\\b.txt"])
def test_a_name_is_only_a_name(bench: Bench, name: str) -> None:
    path = bench.write(name, "words")
    assert numbers(bench.index()) == (1, 0, 0, 0, 0)
    assert bench.texts() == [(name, "words")]
    assert remove(path, library=bench.library, store=bench.store).files == 1
    assert bench.store.count() == 0


def badly_named(folder: Path, name: bytes = b"caf\xe9.txt") -> Path:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    path.parent.mkdir(exist_ok=True)
    path.write_text("words")
    return path


def test_a_name_that_is_no_utf_8_is_a_failure_with_a_way_out(bench: Bench) -> None:
    badly_named(bench.folder)
    report = bench.index()
    assert report.failures[0].path.endswith("caf\\xe9.txt")
    assert "not valid UTF-8" in report.failures[0].reason


@pytest.mark.parametrize("name", [b"caf\xe9.txt", b"caf\xe9/inside.txt"])
def test_a_name_that_is_no_utf_8_stays_listed_until_it_is_renamed_or_removed(bench: Bench, name: bytes) -> None:
    path = badly_named(bench.folder, name)
    for _ in range(2):
        report = bench.index()
        assert numbers(report) == (0, 0, 0, 0, 1)
        (entry,) = files(bench.library)
        assert (entry.path, entry.state) == (report.failures[0].path, "failed")
        assert json.loads(json.dumps(entry.path)) == entry.path.encode().decode()
    path.rename(bench.folder / "coffee.txt")
    assert numbers(bench.index()) == (1, 0, 0, 1, 0)
    assert [Path(entry.path).name for entry in files(bench.library)] == ["coffee.txt"]


@pytest.mark.parametrize("as_listed", [True, False])
def test_a_name_that_is_no_utf_8_is_removed_by_either_spelling(bench: Bench, as_listed: bool) -> None:
    path = badly_named(bench.folder)
    bench.index()
    what = files(bench.library)[0].path if as_listed else path
    assert remove(what, library=bench.library, store=bench.store).files == 1
    assert files(bench.library) == ()
    with pytest.raises(NotInLibraryError, match=r"caf\\xe9"):
        remove(path, library=bench.library, store=bench.store)


def test_a_folder_of_such_a_name_can_be_indexed_itself(bench: Bench) -> None:
    path = badly_named(bench.folder, b"caf\xe9/inside.txt")
    assert numbers(bench.index(path.parent)) == (0, 0, 0, 0, 1)
    path.unlink()
    assert numbers(bench.index(path.parent)) == (0, 0, 0, 1, 0)


def test_a_file_that_bears_the_name_which_stands_for_another_is_indexed(bench: Bench) -> None:
    badly_named(bench.folder)
    bench.write("caf\\xe9.txt", "plain words")
    for expected in ((1, 0, 0, 0, 1), (0, 0, 1, 0, 1)):
        assert numbers(bench.index()) == expected
    assert bench.texts() == [("caf\\xe9.txt", "plain words")]


def test_the_library_itself_is_never_indexed_but_uploads_named_outright_are(bench: Bench, tmp_path: Path) -> None:
    upload = bench.library.folder / "uploads" / "a.txt"
    upload.parent.mkdir()
    upload.write_text("uploaded")
    assert numbers(bench.index(upload)) == (1, 0, 0, 0, 0)
    assert numbers(bench.index(tmp_path)) == (0, 0, 0, 0, 0)
    assert bench.texts() == [("a.txt", "uploaded")]


def test_cancelling_keeps_what_is_done_and_the_next_run_does_the_rest(bench: Bench) -> None:
    make_files(bench.folder, pictures=40, texts=10)
    seen: list[Progress] = []
    report = bench.index(on_progress=seen.append, cancelled=lambda: bool(seen) and seen[-1].done >= 5)
    assert report.cancelled
    assert 0 < report.added < 51
    assert bench.agrees()
    again = bench.index()
    assert again.unchanged == report.added
    assert again.added + report.added == 51


def test_an_interrupt_leaves_a_library_that_goes_on(bench: Bench) -> None:
    make_files(bench.folder, pictures=20, texts=10)
    calls = 0

    def interrupt(progress: Progress) -> None:
        nonlocal calls
        calls += 1
        if progress.done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.index(on_progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name == "feed"]
    bench.index()
    assert bench.agrees()
    assert sum(entry.state == "indexed" for entry in files(bench.library)) == 31


def test_progress_ends_at_everything_found(bench: Bench) -> None:
    make_files(bench.folder, pictures=5, texts=5)
    seen: list[Progress] = []
    bench.index(on_progress=seen.append)
    assert (seen[-1].done, seen[-1].found, seen[-1].walked) == (12, 12, True)
    assert all(a.done <= b.done for a, b in pairwise(seen))


def test_a_long_document_shows_that_it_goes_on(bench: Bench) -> None:
    bench.write("long.txt", "\n\n".join("many words " * 150 for _ in range(40)))
    seen: list[Progress] = []
    bench.index(on_progress=seen.append)
    assert sum(progress.current == "long.txt" and progress.done == 0 for progress in seen) >= 5


def test_a_store_that_fails_stops_the_run_and_loses_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(bench.folder, pictures=10, texts=5)
    upsert, calls = MilvusStore.upsert, []

    def full(self: MilvusStore, rows):
        calls.append(rows)
        if len(calls) == 2:
            raise StoreError("Milvus could not write: No space left on device")
        return upsert(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(MilvusStore, "upsert", full)
        with pytest.raises(StoreError, match="No space left"):
            bench.index()
    report = bench.index()
    assert report.failed == 1
    assert bench.agrees()
    assert sum(entry.state == "indexed" for entry in files(bench.library)) == 16


def test_a_disk_that_fills_up_while_reading_stops_the_run_and_blames_no_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(bench.folder, pictures=3, texts=2)

    def full(self: PlainReader, source: object) -> None:
        raise DiskError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(PlainReader, "_one", full)
        with pytest.raises(StoreError, match="the readers cannot write into the library: no space left") as caught:
            bench.index()
    assert "Free some space" in caught.value.__notes__[0]
    assert files(bench.library) == ()
    assert bench.index().added == 6


def test_words_about_a_full_disk_in_a_file_stop_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("a.txt", "words")

    def damaged(self: PlainReader, source: object) -> None:
        raise DamagedFileError("the parser gave up: No space left on device")

    monkeypatch.setattr(PlainReader, "_one", damaged)
    assert bench.index().failed == 1
    assert [entry.state for entry in files(bench.library)] == ["failed"]


def test_rows_lost_from_the_store_are_noticed_and_written_again(bench: Bench) -> None:
    make_files(bench.folder, pictures=6, texts=6)
    bench.index()
    before = dict(bench.store.ids())
    bench.store.delete(list(before)[:3])
    found = compare(bench.library, bench.store)
    assert (found.missing, found.orphans) == (3, ())
    affected = sum(len(bench.library.ledger.paths_of(content.hash)) for content in found.incomplete)
    assert bench.index().added == affected
    assert dict(bench.store.ids()) == before


def test_rows_that_nothing_explains_are_taken_out(bench: Bench) -> None:
    bench.write("a.txt", "words")
    bench.index()
    stray = Chunk(content_hash="f" * 64, path="/x", kind="text", ordinal=0, text="stray")
    bench.store.upsert([Row(chunk=stray)])
    assert compare(bench.library, bench.store).orphans == (stray.id,)
    assert recover(bench.library, bench.store)
    assert bench.agrees()
    assert bench.texts() == [("a.txt", "words")]


def test_leftover_pictures_and_spool_are_cleaned_at_the_start(bench: Bench) -> None:
    bench.write("a.txt", "words")
    bench.index()
    (bench.library.pages / ("e" * 64)).mkdir()
    (bench.library.thumbs / f"{'e' * 64}.jpg").write_bytes(b"x")
    bench.library.spool.mkdir(exist_ok=True)
    (bench.library.spool / "half").mkdir()
    bench.index()
    assert len(list(bench.library.pages.iterdir())) == 1
    assert list(bench.library.thumbs.iterdir()) == []
    assert not bench.library.spool.exists() or not list(bench.library.spool.iterdir())


def test_a_file_indexed_by_an_older_program_is_indexed_again_without_leftovers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("a.txt", "one\ftwo\fthree")
    bench.index()
    monkeypatch.setattr(bench.library.ledger, "_format", CONTENT_FORMAT + 1)
    monkeypatch.setattr(
        PlainReader, "_document", lambda self, text, folder, title: _DOCUMENT(self, "one", folder, title)
    )
    assert numbers(bench.index()) == (0, 1, 0, 0, 0)
    assert bench.texts() == [("a.txt", "one")]
    assert bench.agrees()


_DOCUMENT = PlainReader._document


def test_a_folder_is_removed_with_everything_below_it(bench: Bench) -> None:
    bench.write("in/a.txt", "a")
    bench.write("in/deep/b.txt", "b")
    bench.write("inside.txt", "c")
    bench.index()
    assert remove(f"{bench.folder}/in/", library=bench.library, store=bench.store).files == 2
    assert bench.texts() == [("inside.txt", "c")]


def test_the_id_of_a_hit_or_of_a_content_removes_the_file(bench: Bench) -> None:
    bench.write("a.txt", "a")
    bench.write("b.txt", "b")
    bench.index()
    chunk, _ = bench.store.search_words("b", limit=1)[0]
    assert remove(chunk.id, library=bench.library, store=bench.store).files == 1
    (other, content_hash) = next(bench.store.ids())
    assert other != chunk.id
    assert remove(content_hash[:8].upper(), library=bench.library, store=bench.store).chunks == 2
    assert bench.store.count() == 0


@pytest.mark.parametrize("what", ["nothing", "", "x' or 1 == 1 or '", "') or (id != '", "%", "f" * 32])
def test_what_is_not_in_the_library_cannot_be_removed(bench: Bench, what: str) -> None:
    bench.write("a.txt", "a")
    bench.index()
    with pytest.raises(NotInLibraryError):
        remove(what, library=bench.library, store=bench.store)
    assert bench.store.count() == 2


def test_every_row_carries_the_vectors_of_its_kind(bench: Bench) -> None:
    make_files(bench.folder, pictures=2, texts=2)
    bench.index()
    clip = bench.store.search_vector("clip", np.eye(6, dtype=np.float32)[0], limit=99)
    text = bench.store.search_vector("text", np.eye(16, dtype=np.float32)[0], limit=99)
    assert {chunk.kind for chunk, _ in clip} == {"image", "page"}
    assert {chunk.kind for chunk, _ in text} == {"image", "text"}


def test_a_run_that_follows_the_opening_does_not_look_for_leftovers_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    real = bench.library.ledger.unfinished
    monkeypatch.setattr(bench.library.ledger, "unfinished", lambda: looked.append("") or real())
    bench.write("a.txt", "first words")
    recover(bench.library, bench.store)
    bench.index()
    assert len(looked) == 1
    bench.index()
    assert len(looked) == 2


def test_a_run_that_failed_leaves_nothing_that_the_next_one_does_not_mend(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(rows: object) -> int:
        raise StoreError("the store is out of order")

    bench.write("a.txt", "first words")
    bench.index()
    bench.write("b.txt", "other words")
    monkeypatch.setattr(bench.store, "upsert", refused)
    with pytest.raises(StoreError):
        bench.index()
    monkeypatch.undo()
    assert bench.index().added == 1
    assert bench.agrees()


def test_links_that_lead_nowhere_are_listed_in_every_run_until_they_are_gone(bench: Bench) -> None:
    bench.write("a.txt", "words")
    (bench.folder / "dangling").symlink_to(bench.folder / "nobody")
    (bench.folder / "itself").symlink_to(bench.folder / "itself")
    for _ in range(2):
        report = bench.index()
        assert {Path(failure.path).name for failure in report.failures} == {"dangling", "itself"}
        states = {Path(entry.path).name: entry.state for entry in files(bench.library)}
        assert states == {"a.txt": "indexed", "dangling": "failed", "itself": "failed"}
        assert report.removed == 0
    (bench.folder / "dangling").unlink()
    (bench.folder / "itself").unlink()
    assert bench.index().removed == 2


def test_what_was_read_through_a_link_goes_with_its_file(bench: Bench, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("words from elsewhere")
    (bench.folder / "link.txt").symlink_to(elsewhere)
    report = bench.index()
    assert (report.added, report.links_out) == (0, (str(bench.folder / "link.txt"),))
    assert bench.index(follow_links=True).added == 1
    report = bench.index()
    assert (report.removed, bench.texts()) == (0, [("link.txt", "words from elsewhere")])
    elsewhere.unlink()
    bench.index()
    assert bench.texts() == []
    bench.index()
    assert [entry.state for entry in files(bench.library)] == ["failed"]


def test_what_an_earlier_run_met_in_a_linked_folder_is_listed_where_it_really_lies(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("2024/gate.txt", "the gate is green")
    (bench.folder / "1-favourites").symlink_to("2024")
    with monkeypatch.context() as before:
        before.setattr("indexing.pipeline.Roots.real_place", lambda self, path: None)
        bench.index(bench.folder / "1-favourites")
    bench.index()
    assert [Path(entry.path).parent.name for entry in files(bench.library)] == ["2024"]
    (chunk,) = [chunk for chunk in bench.store.get([each for each, _ in bench.store.ids()]) if chunk.kind == "text"]
    assert chunk.path == str(bench.folder / "2024/gate.txt")
    assert bench.embedder.texts == 1
