"""Readers are found by what they say of themselves; docs/howto/add-a-file-format.md, followed to the letter."""

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from reading_doubles import SMALL, read_here, source_of, words_of

import indexing.readers
from indexing.errors import DamagedFileError, UnsupportedFileError
from indexing.readers import registry
from indexing.settings import ReadLimits
from indexing.workers.pool import ReaderPool, ReadResult

STEPS = (Path(__file__).parents[3] / "docs" / "howto" / "add-a-file-format.md").read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", STEPS, re.DOTALL)


@pytest.fixture
def subtitles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's reader in a folder of its own, where the package looks as well."""
    folder = tmp_path / "more readers"
    folder.mkdir()
    (folder / "subtitles.py").write_text(CODE[0])
    monkeypatch.setattr(indexing.readers, "__path__", [*indexing.readers.__path__, str(folder)])
    registry.all_readers.cache_clear()
    yield
    registry.all_readers.cache_clear()
    sys.modules.pop("indexing.readers.subtitles", None)
    vars(indexing.readers).pop("subtitles", None)


@pytest.mark.usefixtures("subtitles")
def test_a_new_format_is_read_by_the_workers(tmp_path: Path) -> None:
    subtitles = runpy.run_path(str(_saved(tmp_path / "test_subtitles.py", CODE[1])))["SUBTITLES"]
    source = source_of(_saved(tmp_path / "film.srt", subtitles))
    with ReaderPool(limits=ReadLimits(), preprocess=SMALL, spool=tmp_path / "spool", workers=1) as pool:
        ((_, outcome),) = pool.read([source])
    assert isinstance(outcome, ReadResult)
    assert "The boiler is cold." in words_of(outcome.reading.blocks) and outcome.reading.notes == ()


@pytest.mark.usefixtures("subtitles")
def test_the_test_that_goes_with_a_new_format_passes(tmp_path: Path) -> None:
    names = runpy.run_path(str(_saved(tmp_path / "test_subtitles.py", CODE[1])))
    names["test_a_subtitle_is_a_paragraph_under_its_time"](tmp_path)


def test_without_its_reader_the_same_file_is_plain_text(tmp_path: Path) -> None:
    path = _saved(tmp_path / "film.srt", "1\n00:00:01,000 --> 00:00:02,000\nInspection\n")
    assert registry.recognise(path).reader.type == "text"


def _saved(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_readers_are_asked_in_a_fixed_order() -> None:
    assert [reader.type for reader in registry.all_readers()] == [
        *("png", "jpeg", "webp", "gif", "tiff", "bmp", "avif", "heic", "jpeg2000"), "signed", "tnef", "msg", "zip",
        *("pdf", "epub", "docx", "pptx", "xlsx", "opendocument", "ods", "rtf", "xls", "doc", "ppt"),
        *("mailbox", "svg", "mail", "html"),
        *("calendar", "contacts", "notebook", "markdown", "csv", "json", "text"),
    ]  # fmt: skip


def test_no_two_readers_claim_one_extension() -> None:
    extensions = [extension for reader in registry.all_readers() for extension in reader.extensions]
    assert len(set(extensions)) == len(extensions)


def test_asking_all_readers_imports_no_parser() -> None:
    parsers = (
        "lxml",
        "pypdfium2",
        "unstructured",
        "markdown_it",
        "docx",
        "pptx",
        "pandas",
        "openpyxl",
        "xlrd",
        "striprtf",
        "onnxruntime",
        "rapidocr",
    )
    script = "import sys; from indexing.readers.registry import all_readers; all_readers()\n"
    script += f"print([name for name in {parsers} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "data", "type"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n", "png"),
        ("a.pdf", b"PK\x03\x04 a zip that begins with %PDF-1.4", "pdf"),
        ("a.md", b"<!-- words --> <!doctype html><p>words", "html"),
        ("a.html", b"From: a@b.c\nTo: d@e.f\nSubject: s\n\nwords", "mail"),
        ("a.eml", b"words", "mail"),
        ("a.htm", b"words", "html"),
        ("a.markdown", b"words", "markdown"),
        ("a.csv", b"a,b\n1,2\n", "csv"),
        ("a.log", b"a,b\n1,2\n", "text"),
    ],
)
def test_the_bytes_decide_and_the_name_only_between_kinds_of_text(
    tmp_path: Path, name: str, data: bytes, type: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert registry.recognise(path).reader.type == type


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"%!PS-Adobe-3.0", UnsupportedFileError, "a PostScript file"),
        (b"PK\x03\x04 cut off", DamagedFileError, "ends early"),
        (bytes(range(256)) * 40, UnsupportedFileError, "binary data of an unknown kind"),
    ],
)
def test_what_no_reader_takes_is_refused_with_its_kind(
    tmp_path: Path, data: bytes, error: type[Exception], words: str
) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(data)
    with pytest.raises(error, match=words):
        read_here(path, tmp_path / "out")
