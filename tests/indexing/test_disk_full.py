"""A disk that is full stops the run, blames no file, and the next run with room makes the library whole."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import cv2
import docx
import pytest
from full_disk_run import run
from indexing_doubles import TinyEmbedder, open_library
from library_state import assert_same, state
from PIL import Image
from reading_doubles import make_pdf, read_here, text_at

import indexing
from indexing.embedding.protocol import Preprocess
from indexing.errors import (
    ADVICE,
    DamagedFileError,
    DiskError,
    FileTooLargeError,
    StoreError,
    UnreadableFileError,
    disk_error,
    disk_fault,
    pass_on,
)
from indexing.pipeline import files
from indexing.readers.output import LeftOut, ReaderOutput
from indexing.settings import ReadLimits
from indexing.workers import worker
from indexing.workers.libreoffice import LibreOffice

SCRIPT = Path(__file__).with_name("full_disk_run.py")
FAULTS = [errno.ENOSPC, errno.EDQUOT, errno.EIO]


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _failing(number: int) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise system_error(number)

    return fail


def wrapped(error: Exception) -> Exception:
    """As libraries do it: an error of their own, raised while the system's is handled."""
    try:
        try:
            raise error
        except (OSError, MemoryError, ValueError):
            raise ValueError("encoder error -2") from None
    except ValueError as outer:
        return outer


@pytest.mark.parametrize("number", FAULTS)
def test_a_fault_of_the_disk_is_found_however_it_is_wrapped(number: int) -> None:
    error = wrapped(wrapped(system_error(number)))
    found = disk_fault(error)
    assert found is not None
    assert found.errno == number
    with pytest.raises(OSError, match=os.strerror(number)):
        pass_on(error)


@pytest.mark.parametrize("error", [system_error(errno.EFBIG), system_error(errno.EACCES), ValueError("no space left")])
def test_other_faults_are_the_files(error: Exception) -> None:
    assert disk_fault(wrapped(error)) is None
    pass_on(error)


def pages(count: int, *, lines: int = 1) -> bytes:
    """Many lines make a page's picture large: about 300 kB for 60 of them."""
    return make_pdf(
        ["".join(text_at(40, 760 - 12 * line, _line(number, line)) for line in range(lines)) for number in range(count)]
    )


def _line(page: int, line: int) -> str:
    return f"Line {line} of page {page} has words enough to fill the page from one edge to the other edge {line * page}"


def failing_at(page: int, error: Exception) -> Callable[..., Path]:
    """The output's `page` that keeps some pages and then fails."""
    kept = ReaderOutput.page

    def keep(self: ReaderOutput, image: Image.Image, number: int, **more: bool) -> Path:
        if number >= page:
            raise error
        return kept(self, image, number, **more)

    return keep


@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize("number", FAULTS)
def test_no_page_counts_as_damaged_because_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int, number: int
) -> None:
    (tmp_path / "a.pdf").write_bytes(pages(4))
    monkeypatch.setattr(ReaderOutput, "page", failing_at(page, system_error(number)))
    with pytest.raises(OSError, match=os.strerror(number)):
        read_here(tmp_path / "a.pdf", tmp_path / "out")


@pytest.mark.parametrize("error", [MemoryError(), wrapped(MemoryError())])
def test_no_page_counts_as_damaged_because_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    (tmp_path / "a.pdf").write_bytes(pages(4))
    monkeypatch.setattr(ReaderOutput, "page", failing_at(3, error))
    with pytest.raises(MemoryError):
        read_here(tmp_path / "a.pdf", tmp_path / "out")


def test_a_file_that_writes_more_than_it_may_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pdf").write_bytes(pages(2))
    monkeypatch.setattr("pathlib.Path.open", _refusing(Path.open, errno.EFBIG))
    with pytest.raises(FileTooLargeError, match="pages and figures take more than"):
        read_here(tmp_path / "a.pdf", tmp_path / "out")


def _refusing(real: Callable[..., Any], number: int) -> Callable[..., Any]:
    def refuse(self: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        if self.name.startswith(("page-", "pixels")):
            raise system_error(number)
        return real(self, mode, *more, **named)

    return refuse


def test_what_a_disk_kept_only_in_part_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = ReaderOutput(tmp_path, preprocess=Preprocess(size=8, resize_to=8), limits=ReadLimits())
    real = Path.open

    def forgetful(self: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        if self.name == "page-0001.jpg" and mode == "wb":
            real(self, mode).close()  # made, and then nothing of it kept
            return io.BytesIO()
        return real(self, mode, *more, **named)

    monkeypatch.setattr("pathlib.Path.open", forgetful)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        output.page(Image.new("RGB", (9, 9)), 1)


@pytest.mark.parametrize("number", FAULTS)
@pytest.mark.parametrize("how", [lambda error: error, wrapped, lambda error: caused(error)])
def test_a_worker_answers_with_an_error_of_its_own_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, how: Callable[[Exception], Exception]
) -> None:
    def fail(path: Path, output: ReaderOutput) -> None:
        raise how(system_error(number))

    monkeypatch.setattr("indexing.readers.registry.read", fail)
    request = {"path": str(tmp_path / "a.txt"), "folder": str(tmp_path), "left_out": LeftOut().to_json()}
    answer = worker._answer(
        request,
        limits=ReadLimits(),
        preprocess=Preprocess(size=8, resize_to=8),
        answers=io.BytesIO(),
        office=LibreOffice(ReadLimits()),
    )
    assert answer == {"error": DiskError.__name__, "reason": os.strerror(number)}


def caused(error: Exception) -> UnreadableFileError:
    """A reader that took the disk's fault for the file's."""
    try:
        raise DamagedFileError("the picture is damaged") from error
    except DamagedFileError as damaged:
        return damaged


@pytest.mark.parametrize("error", [MemoryError(), wrapped(MemoryError()), cv2.error("Insufficient memory")])
def test_a_worker_that_runs_out_of_memory_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(path: Path, output: ReaderOutput) -> None:
        raise error

    monkeypatch.setattr("indexing.readers.registry.read", fail)
    request = {"path": str(tmp_path / "a.txt"), "folder": str(tmp_path), "left_out": LeftOut().to_json()}
    answer = worker._answer(
        request,
        limits=ReadLimits(),
        preprocess=Preprocess(size=8, resize_to=8),
        answers=io.BytesIO(),
        office=LibreOffice(ReadLimits()),
    )
    assert answer == {"error": "ReaderStoppedError", "reason": "reading it takes more than 1500 MB of memory"}


@pytest.mark.parametrize("number", FAULTS)
def test_a_disk_that_fails_while_an_answer_is_taken_blames_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The reader has written its prepared pixels, and the parent's own look at them fails."""

    def fail(folder: Path, names: object, size: int) -> None:
        raise system_error(number)

    picture(tmp_path / "a.png")
    monkeypatch.setattr("indexing.workers.messages._load_pixels", fail)
    with pytest.raises(StoreError, match=f"cannot write into the library: {os.strerror(number).lower()}") as caught:
        run(tmp_path / "a.png", tmp_path / "library")
    assert caught.value.__notes__ == [ADVICE]
    monkeypatch.undo()
    assert blamed(tmp_path / "library") == []
    run(tmp_path / "a.png", tmp_path / "library")
    assert len(state(tmp_path / "library")["rows"]) == 1


@pytest.mark.parametrize("pread", [lambda *_: b"", _failing(errno.EIO)])
def test_prepared_pixels_that_the_disk_does_not_give_back_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pread: Callable[..., bytes]
) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.setattr("indexing.workers.messages.os.pread", pread)
    with pytest.raises(StoreError, match=f"the library: {os.strerror(errno.EIO).lower()}"):
        run(tmp_path / "a.png", tmp_path / "library")
    monkeypatch.undo()
    assert blamed(tmp_path / "library") == []


def picture(path: Path) -> None:
    Image.new("RGB", (40, 30), "red").save(path)


# ── on a small disk ─────────────────────────────────────────────


@contextmanager
def small_disk(folder: Path, size_kilobytes: int) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    options = f"size={size_kilobytes}k,mode=755"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def enlarge(folder: Path, size_kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size_kilobytes}k", str(folder)], check=True)


def collection(folder: Path) -> Path:
    """One file of every kind that writes something while it is read."""
    folder.mkdir()
    noise = os.urandom(300 * 300 * 3)
    picture = io.BytesIO()
    Image.frombytes("RGB", (300, 300), noise).save(picture, "PNG")
    (folder / "a.png").write_bytes(picture.getvalue())
    (folder / "b.pdf").write_bytes(pages(6, lines=60))
    message = EmailMessage()
    message["From"], message["Subject"] = "a@b.c", "With a document"
    message.set_content("The letter.")
    message.add_attachment(pages(3), maintype="application", subtype="pdf", filename="c.pdf")
    (folder / "c.eml").write_bytes(message.as_bytes())
    document = docx.Document()
    document.add_paragraph("Words beside a picture.")
    document.add_picture(io.BytesIO(picture.getvalue()))
    document.save(str(folder / "d.docx"))
    (folder / "e.txt").write_text("\n".join(f"line {number} of many" for number in range(3_000)))
    return folder


def run_on_full_disk(source: Path, folder: Path) -> str:
    """The sentence that it ends with; "" when there was room after all."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(source), str(folder)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(indexing.__file__).parent.parent)},
    )
    sentence, notes = json.loads(done.stdout.splitlines()[-1])
    assert not sentence or notes == [ADVICE], (sentence, notes)
    return str(sentence)


def blamed(folder: Path) -> list[tuple[str, str]]:
    library, store = open_library(folder, TinyEmbedder())
    try:
        return [(entry.path, entry.reason) for entry in files(library) if entry.state == "failed" or entry.notes]
    finally:
        store.close()
        library.close()


def check_size(tmp_path: Path, source: Path, kilobytes: int, expected: dict[str, Any]) -> str:
    disk = tmp_path / f"disk-{kilobytes}"
    with small_disk(disk, kilobytes):
        sentence = run_on_full_disk(source, disk / "library")
        enlarge(disk, 200_000)
        assert blamed(disk / "library") == []
        run(source, disk / "library")
        assert_same(state(disk / "library"), expected)
    return sentence


def undisturbed(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    source = collection(tmp_path / "files")
    run(source, tmp_path / "whole")
    return source, state(tmp_path / "whole")


def test_a_full_disk_blames_no_file_and_the_next_run_with_room_reads_everything(tmp_path: Path) -> None:
    """While the first page of a document is written, and when nearly everything is."""
    source, expected = undisturbed(tmp_path)
    sentences = [check_size(tmp_path, source, kilobytes, expected) for kilobytes in (200, 3_000)]
    assert "" not in sentences


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_same_holds_for_every_size_at_which_some_stage_meets_it_first(tmp_path: Path) -> None:
    source, expected = undisturbed(tmp_path)
    sentences = [check_size(tmp_path, source, size, expected) for size in [*range(40, 3_600, 120), 5_000]]
    assert sentences[-1] == ""
    assert len({sentence.partition(":")[0] for sentence in sentences}) >= 4


@pytest.mark.parametrize("number", FAULTS)
def test_a_run_stops_with_one_sentence_that_says_what_to_do(number: int) -> None:
    problem = disk_error(os.strerror(number))
    assert str(problem) == f"the readers cannot write into the library: {os.strerror(number).lower()}"
    assert problem.__notes__ == [ADVICE]
