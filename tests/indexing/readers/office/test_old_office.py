"""Files that take another program: what the readers ask it for, and what they say where it is missing.

letter.doc, charts.xls and slides.ppt.gz were made by LibreOffice from documents written for these tests.
"""

import gzip
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from office_doubles import pairs
from openpyxl import Workbook
from reading_doubles import SMALL

from indexing.errors import DamagedFileError, EncryptedFileError, MissingProgramError, ReaderStoppedError
from indexing.readers.conversion import Converted, Converter, NewFormat, no_converter
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import read as read_file
from indexing.records import Reading
from indexing.settings import ReadLimits

FILES = Path(__file__).parent / "files"


class Converting:
    """Gives out a file that lies ready, or fails."""

    def __init__(self, answer: Path | Exception) -> None:
        self.answer, self.asked = answer, list[tuple[str, NewFormat]]()

    @contextmanager
    def __call__(self, path: Path, wanted: NewFormat) -> Iterator[Converted]:
        self.asked.append((path.name, wanted))
        if isinstance(self.answer, Exception):
            raise self.answer
        kept = self.answer.with_name(f"converted.{wanted}")
        shutil.copy(self.answer, kept)
        yield Converted(path=kept, program="Office 1.0")


def read(path: Path, converter: Converter = no_converter) -> Reading:
    folder = path.parent / "out"
    folder.mkdir(exist_ok=True)
    return read_file(path, ReaderOutput(folder, preprocess=SMALL, limits=ReadLimits(), converter=converter))


def fixture(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name.removesuffix(".gz")
    data = (FILES / name).read_bytes()
    path.write_bytes(gzip.decompress(data) if name.endswith(".gz") else data)
    return path


def changed(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    return path


def workbook(path: Path, *rows: tuple[object, ...]) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(str(path))
    return path


@pytest.mark.parametrize(("name", "wanted"), [("letter.doc", "DOCX"), ("slides.ppt.gz", "PPTX")])
def test_an_old_file_without_a_program_says_what_to_do(tmp_path: Path, name: str, wanted: str) -> None:
    with pytest.raises(MissingProgramError, match=rf"install it, or save the file as {wanted}"):
        read(fixture(tmp_path, name))


def test_an_old_file_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    path = fixture(tmp_path, "letter.doc").rename(tmp_path / "letter.ppt")
    converting = Converting(MissingProgramError("none"))
    with pytest.raises(MissingProgramError):
        read(path, converting)
    assert converting.asked == [("letter.ppt", "docx")]


def test_a_locked_word_document_is_told_before_a_program_is_started(tmp_path: Path) -> None:
    path = fixture(tmp_path, "letter.doc")
    at = path.read_bytes().index(b"\xec\xa5")  # the beginning of Word's stream
    start = path.read_bytes()[at : at + 12]
    changed(path, start, start[:11] + bytes([start[11] | 1]))
    converting = Converting(MissingProgramError("none"))
    with pytest.raises(EncryptedFileError):
        read(path, converting)
    assert converting.asked == []


def test_locked_slides_are_told_before_a_program_is_started(tmp_path: Path) -> None:
    path = changed(fixture(tmp_path, "slides.ppt.gz"), b"\x5f\xc0\x91\xe3", b"\xdf\xc4\xd1\xf3")
    converting = Converting(MissingProgramError("none"))
    with pytest.raises(EncryptedFileError):
        read(path, converting)
    assert converting.asked == []


def test_a_chart_of_an_old_workbook_is_told_where_no_program_can_read_it(tmp_path: Path) -> None:
    reading = read(fixture(tmp_path, "charts.xls"))
    assert pairs(reading)[1:] == [("table", "| Pump | Litres |\n| --- | --- |\n| three | 120 |\n| four | 95 |")]
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("chart", 1, True)]


@pytest.mark.parametrize("error", [ReaderStoppedError("it hung"), DamagedFileError("it gave up")])
def test_a_program_that_fails_costs_the_chart_and_not_the_cells(tmp_path: Path, error: Exception) -> None:
    reading = read(fixture(tmp_path, "charts.xls"), Converting(error))
    assert "| three | 120 |" in reading.blocks[1].text
    assert [note.kind for note in reading.notes] == ["chart"]


def test_an_old_workbook_without_drawings_takes_no_program(tmp_path: Path) -> None:
    converting = Converting(MissingProgramError("none"))
    read(fixture(tmp_path, "wells.xls"), converting)
    assert converting.asked == []


def test_a_binary_workbook_comes_as_an_ordinary_one(tmp_path: Path) -> None:
    """All that is looked at here is that the workbook's part is no XML."""
    ordinary = workbook(tmp_path / "ready.xlsx", ("Pump", "Litres"), ("three", 120))
    path = tmp_path / "pumps.xlsb"
    with zipfile.ZipFile(ordinary) as archive, zipfile.ZipFile(path, "w") as binary:
        for name in archive.namelist():
            binary.writestr(
                name.replace("workbook.xml", "workbook.bin"),
                archive.read(name).replace(b"workbook.xml", b"workbook.bin"),
            )
    converting = Converting(ordinary)
    reading = read(path, converting)
    assert converting.asked == [("pumps.xlsb", "xlsx")]
    assert reading.blocks[-1].text == "| Pump | Litres |\n| --- | --- |\n| three | 120 |"
    assert [str(note) for note in reading.notes] == ["read through Office 1.0, as XLSX"]


def test_values_are_taken_for_formulas_that_have_none_and_for_nothing_else(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ("Item", "Price"), ("oil", 3), ("all", "=B2*2"), ("odd", "=NOSUCH()"))
    ready = workbook(tmp_path / "ready.xlsx", ("changed", "x"), ("oil", 99), ("all", 6), ("odd", "#NAME?"))
    reading = read(path, Converting(ready))
    assert reading.blocks[-1].text == "| Item | Price |\n| --- | --- |\n| oil | 3 |\n| all | 6 |\n| odd | =NOSUCH() |"
    assert [(str(note), note.unread) for note in reading.notes] == [
        ("1 formulas of sheet 'Sheet' had no value in the file; Office 1.0 calculated them", False),
        ("1 formulas of sheet 'Sheet' have no value in the file and were read as formulas", True),
    ]


def test_a_program_that_hangs_leaves_the_formulas(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ("Item", "Price"), ("oil", 3), ("all", "=B2*2"))
    reading = read(path, Converting(ReaderStoppedError("it hung")))
    assert reading.blocks[-1].text.endswith("| all | =B2*2 |")
    assert [note.unread for note in reading.notes] == [True]


def test_a_workbook_with_all_its_values_takes_no_program(tmp_path: Path) -> None:
    converting = Converting(MissingProgramError("none"))
    read(workbook(tmp_path / "a.xlsx", ("Item", "Price"), ("oil", 3)), converting)
    assert converting.asked == []


def test_the_converted_file_s_name_is_no_title(tmp_path: Path) -> None:
    import docx

    document = docx.Document()
    document.add_paragraph("The valve is shut.")
    document.save(str(tmp_path / "ready.docx"))
    assert read(fixture(tmp_path, "letter.doc"), Converting(tmp_path / "ready.docx")).title == "letter"
