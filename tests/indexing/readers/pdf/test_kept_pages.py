"""A long PDF goes on at the page where a run was stopped, and comes out as if nothing had happened."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pdf_doubles import PdfFile
from PIL import Image
from reading_doubles import SMALL, text_at

from indexing.errors import FileTooLargeError
from indexing.readers.output import KEPT_PAGES, PIXELS_FILE, ReaderOutput
from indexing.readers.pdf import reader
from indexing.readers.pdf.kept_pages import FEWEST_PAGES
from indexing.records import Reading
from indexing.settings import ReadLimits

PAGES = FEWEST_PAGES + 5


class StopError(Exception):
    pass


def stopping_at(page: int) -> Callable[[int], None]:
    done = 0

    def on_page(of: int) -> None:
        nonlocal done
        done += 1
        if done == page:
            raise StopError

    return on_page


def book(path: Path) -> Path:
    """Pages with headings, a figure on every tenth, two pages that look alike, tables that go on, and comments."""
    pdf = PdfFile()
    picture = pdf.picture(Image.effect_noise((200, 200), 80).convert("RGB"))
    for number in range(1, PAGES + 1):
        if number in (30, 70):
            pdf.page(text_at(72, 700, "this page stands here twice"))
            continue
        words = text_at(72, 740, f"Chapter {number}", size=18) + text_at(72, 700, f"Words of page {number} are these")
        if number in (50, 51):
            words = "".join(text_at(72 + 150 * x, 700 - 20 * y, f"{number}{y}{x}") for y in range(30) for x in range(3))
        if number % 10 == 0:
            words += "q 200 0 0 200 100 300 cm /Im1 Do Q\n"
        resources = f"/Font << /F1 3 0 R >> /XObject << /Im1 {picture} >>"
        note = pdf.add("<< /Type /Annot /Subtype /Text /Rect [10 10 30 30] /Contents (a comment) /T (Ana) >>")
        pdf.page(words, resources=resources, annotations=note if number % 20 == 0 else "")
    path.write_bytes(pdf.data())
    return path


def read(
    path: Path, folder: Path, on_page: Callable[[int], None] = lambda of: None, **limits: int
) -> tuple[Reading, ReaderOutput]:
    folder.mkdir(exist_ok=True)
    output = ReaderOutput(folder, preprocess=SMALL, limits=ReadLimits(**limits), on_page=on_page)
    return reader.read_pdf(path, output), output


def files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name != KEPT_PAGES}


def test_a_page_that_cannot_be_read_is_passed_over_by_the_next_run_as_well(tmp_path: Path) -> None:
    pdf = PdfFile()
    for number in range(PAGES):
        pdf.page(text_at(72, 700, f"Words of page {number} are these"))
    pdf._pages[4] = 9_999  # there is no such object
    path = tmp_path / "book.pdf"
    path.write_bytes(pdf.data())
    whole, _ = read(path, tmp_path / "whole")
    assert any("could not be read: 5" in note for note in whole.notes)
    with pytest.raises(StopError):
        read(path, tmp_path / "kept", stopping_at(10))
    again, _ = read(path, tmp_path / "kept")
    assert again.notes == whole.notes
    assert [block.text for block in again.blocks] == [block.text for block in whole.blocks]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return book(tmp_path_factory.mktemp("book") / "book.pdf")


@pytest.fixture(scope="module")
def undisturbed(path: Path) -> tuple[Reading, ReaderOutput]:
    return read(path, path.parent / "out")


def moved(reading: Reading, folder: Path, to: Path) -> str:
    return repr(reading).replace(str(folder), str(to))


def test_a_reading_that_is_stopped_twice_goes_on_and_is_the_same_as_an_undisturbed_one(
    path: Path, undisturbed: tuple[Reading, ReaderOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for page in (40, 71):
        with pytest.raises(StopError):
            read(path, tmp_path / "out", stopping_at(page))
    with (tmp_path / "out" / KEPT_PAGES).open("ab") as kept:
        kept.write(b'{"number": 72, "page"')  # the line that the kill has cut
    with (tmp_path / "out" / PIXELS_FILE).open("ab") as pixels:
        pixels.write(b"half a square")
    read_now: list[int] = []
    one = reader.PageReader.read
    monkeypatch.setattr(
        reader.PageReader, "read", lambda self, page, number: read_now.append(number) or one(self, page, number)
    )
    again, output = read(path, tmp_path / "out")
    assert read_now[0] > 71 and len(read_now) < 40
    expected, whole = undisturbed
    assert moved(again, tmp_path / "out", whole.folder) == repr(expected)
    assert output.names == whole.names
    assert files(tmp_path / "out") == files(whole.folder)
    assert any("stands 2 times" in note for note in again.notes) and any(
        "comment" in each.text for each in again.blocks
    )


def test_a_whole_reading_is_taken_as_it_is(
    path: Path, undisturbed: tuple[Reading, ReaderOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, whole = undisturbed
    shutil.copytree(whole.folder, tmp_path / "out")
    monkeypatch.setattr(reader.PageReader, "read", lambda *_: pytest.fail("it is read again"))
    again, output = read(path, tmp_path / "out")
    assert moved(again, tmp_path / "out", whole.folder) == repr(expected) and output.names == whole.names


@pytest.mark.parametrize("damage", ["a page's picture is gone", "its squares are gone", "other limits"])
def test_pages_that_are_not_whole_on_disk_are_read_again(
    path: Path, undisturbed: tuple[Reading, ReaderOutput], tmp_path: Path, damage: str
) -> None:
    with pytest.raises(StopError):
        read(path, tmp_path / "out", stopping_at(20))
    limits = {}
    if damage == "a page's picture is gone":
        (tmp_path / "out" / "page-0004.jpg").write_bytes(b"")
    elif damage == "its squares are gone":
        (tmp_path / "out" / PIXELS_FILE).unlink()
    else:
        limits = {"max_figures": 300}
    again, _ = read(path, tmp_path / "out", **limits)
    expected, whole = undisturbed
    assert moved(again, tmp_path / "out", whole.folder) == repr(expected)
    assert files(tmp_path / "out") == files(whole.folder)


def test_pages_of_an_earlier_run_count_for_the_limit_of_what_a_file_may_write(
    path: Path, undisturbed: tuple[Reading, ReaderOutput], tmp_path: Path
) -> None:
    limit = undisturbed[1].written_bytes - 1
    with pytest.raises(StopError):
        read(path, tmp_path / "out", stopping_at(60), max_spool_bytes=limit)
    with pytest.raises(FileTooLargeError):
        read(path, tmp_path / "out", max_spool_bytes=limit)
