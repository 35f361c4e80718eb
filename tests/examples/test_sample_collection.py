"""The sample collection keeps its promises: small, free, varied, and every question has its answer where it says."""

import email
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from email.policy import default as modern_mail
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from docx import Document
from openpyxl import load_workbook
from PIL import Image
from pptx import Presentation

EXAMPLES = Path(__file__).parents[2] / "examples"
SAMPLE = EXAMPLES / "sample"
COLLECTION = SAMPLE / "collection"
PICTURES = {".jpg", ".png", ".webp", ".gif", ".tif", ".bmp"}
KINDS = {"photo", "manual", "table", "scan", "receipt", "slides", "sheet", "web", "mail", "minutes"}
WITHOUT_TEXT = {"photo", "scan", "receipt"}  # what only eyes, a model or OCR can read


def files() -> list[Path]:
    return sorted(path for path in COLLECTION.rglob("*") if path.is_file())


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


QUESTIONS = lines("questions.jsonl")


def pdf_pages(path: Path) -> list[str]:
    with pypdfium2.PdfDocument(path) as document:
        texts = []
        for number in range(len(document)):
            page = document[number]
            words = page.get_textpage()
            texts.append(words.get_text_range().replace("\r\n", " "))
            words.close()
            page.close()
        return texts


def slide_texts(path: Path) -> list[str]:
    texts = []
    for slide in Presentation(str(path)).slides:
        parts = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
        for shape in slide.shapes:
            if shape.has_table:
                parts += [cell.text for row in shape.table.rows for cell in row.cells]
        parts.append(slide.notes_slide.notes_text_frame.text)
        texts.append(" ".join(parts))
    return texts


def sheet_text(path: Path) -> str:
    book = load_workbook(path)
    values = [cell for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row]
    return " ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in values)


def texts_of(path: Path) -> list[str]:
    """The words of a file page by page, read with a library that the project's readers do not share."""
    match path.suffix:
        case ".pdf":
            return pdf_pages(path)
        case ".pptx":
            return slide_texts(path)
        case ".xlsx":
            return [sheet_text(path)]
        case ".docx":
            return [" ".join(paragraph.text for paragraph in Document(str(path)).paragraphs)]
        case ".eml":
            message = email.message_from_bytes(path.read_bytes(), policy=modern_mail)
            body = message.get_body(("plain",))
            assert body is not None
            return [f"{message['subject']} {body.get_content()}"]
        case _:
            return [path.read_text(encoding="utf-8")]


def page_count(path: Path) -> int:
    if path.suffix == ".tif":
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1))
    return len(texts_of(path))


def test_the_whole_collection_is_under_six_megabytes() -> None:
    assert sum(path.stat().st_size for path in files()) <= 6_000_000


def test_there_are_twenty_pictures_and_eight_photographs_in_six_formats() -> None:
    pictures = [path for path in files() if path.suffix in PICTURES and path.parts[-2] != "scans"]
    photographs = [path for path in pictures if "photos" in path.parts]
    assert len(pictures) >= 20
    assert len(photographs) >= 8
    assert {path.suffix for path in pictures} == PICTURES


@pytest.mark.parametrize("path", [path for path in files() if path.suffix in PICTURES], ids=lambda path: path.name)
def test_a_picture_opens_as_what_its_name_says_and_is_small_enough_to_ship(path: Path) -> None:
    formats = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".tif": "TIFF", ".bmp": "BMP"}
    with Image.open(path) as image:
        image.load()
        assert image.format == formats[path.suffix]
        assert max(image.size) <= 2400
    assert path.stat().st_size <= 135_000


def test_one_photograph_lies_on_its_side_and_says_so_in_its_exif() -> None:
    orientation = 0x0112
    turned = []
    for path in files():
        if path.suffix == ".jpg":
            with Image.open(path) as image:
                if image.getexif().get(orientation, 1) != 1:
                    turned.append(path.name)
    assert turned == ["far-shores-02.jpg"]


def test_there_is_a_document_of_every_kind_that_an_office_has() -> None:
    kinds = Counter(path.suffix for path in files())
    assert all(kinds[suffix] for suffix in (".pdf", ".docx", ".pptx", ".xlsx", ".html", ".eml", ".md", ".txt"))


def test_sources_lists_every_file_once_and_nothing_else() -> None:
    listed = re.findall(r"^\| `([^`]+)` \|", (SAMPLE / "SOURCES.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == [path.relative_to(COLLECTION).as_posix() for path in files()]


def test_every_picture_by_others_is_free_and_names_its_origin() -> None:
    sources = (SAMPLE / "SOURCES.md").read_text(encoding="utf-8")
    by_others = re.findall(r"^\| `(?:photos|drawings)/.*$", sources, re.MULTILINE)
    assert len(by_others) >= 20
    for row in by_others:
        _, _, shows, author, licence, package, original, _ = (cell.strip() for cell in row.split("|"))
        assert licence in {"CC0 1.0", "public domain"}, row
        assert all((shows, author, package, original)), row


def test_the_manual_has_a_text_layer_in_two_columns_and_numbered_pages() -> None:
    with pypdfium2.PdfDocument(COLLECTION / "documents/zefira-duo-manual.pdf") as document:
        assert 6 <= len(document) <= 8
        for number in range(1, len(document) - 1):  # the first is a title page, the last has room for notes
            page = document[number]
            width, words = page.get_width(), page.get_textpage()
            boxes = [words.get_rect(index) for index in range(words.count_rects())]
            body = [box for box in boxes if 60 < box[1] < 780]
            across_the_gutter = [box for box in body if box[0] < width / 2 < box[2]]
            assert not across_the_gutter
            assert any(box[2] < width / 2 for box in body)
            assert any(box[0] > width / 2 for box in body)
            assert words.get_text_bounded(left=0, bottom=0, right=width, top=50).strip() == str(number + 1)
            words.close()
            page.close()


def test_the_letter_is_a_scan_without_any_text() -> None:
    assert [text.strip() for text in pdf_pages(COLLECTION / "scans/letter-1927-11-03.pdf")] == [""]


def test_the_totals_in_the_workbook_add_up() -> None:
    book = load_workbook(COLLECTION / "office/museum-workbook-2025.xlsx")
    budget = list(book["Budget"].iter_rows(min_row=2, values_only=True))
    for side in ("Income", "Expenses"):
        lines = [row for row in budget if row[0] == side and not str(row[1]).startswith("Total")]
        total = next(row for row in budget if row[1] == f"Total {side.lower()}")
        assert total[2:] == tuple(sum(row[column] for row in lines) for column in (2, 3, 4))
    *months, last = book["Visitors"].iter_rows(min_row=2, values_only=True)
    assert all(month[5] == sum(month[1:5]) for month in months)
    assert last[1:] == tuple(sum(month[column] for month in months) for column in range(1, 6))


def test_the_web_page_and_the_mails_ask_for_nothing_from_the_network() -> None:
    for path in files():
        if path.suffix in {".html", ".eml", ".md"}:
            assert not re.search(r"https?://|src=|@import|url\(", path.read_text(encoding="utf-8")), path.name


def test_there_are_forty_questions_of_every_kind_with_ids_of_their_own() -> None:
    assert len(QUESTIONS) == 40
    assert len({question["id"] for question in QUESTIONS}) == 40
    assert len({question["question"] for question in QUESTIONS}) == 40
    kinds = Counter(question["kind"] for question in QUESTIONS)
    assert set(kinds) == KINDS
    assert kinds["photo"] == 14


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["id"])
def test_a_question_names_files_that_exist_and_a_page_that_they_have(question: dict[str, Any]) -> None:
    assert set(question) == {"id", "question", "sources", "page", "answer", "accept", "kind"}
    assert question["sources"]
    for name in question["sources"]:
        path = COLLECTION / name
        assert path.is_file()
        if question["page"] is not None:
            assert 1 <= question["page"] <= page_count(path)


@pytest.mark.parametrize(
    "question", [question for question in QUESTIONS if question["kind"] not in WITHOUT_TEXT], ids=lambda q: q["id"]
)
def test_the_answer_stands_in_the_source_on_the_page_that_is_named(question: dict[str, Any]) -> None:
    pages = texts_of(COLLECTION / question["sources"][0])
    text = " ".join(pages) if question["page"] is None else pages[question["page"] - 1]
    wanted = [question["answer"], *question["accept"]]
    assert any(answer in text for answer in wanted), wanted


def test_the_questions_without_answers_name_no_source_and_are_no_others() -> None:
    unanswerable = lines("unanswerable.jsonl")
    assert len(unanswerable) == 15
    assert all(set(question) == {"id", "question"} for question in unanswerable)
    asked = {question["question"] for question in QUESTIONS}
    assert not asked & {question["question"] for question in unanswerable}
    assert len({question["id"] for question in unanswerable}) == 15


def test_drawing_pages_office_files_and_sources_again_gives_the_same_content(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "make_sample.py"), "pages", "office", "sources", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    drawn = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(drawn) == 9
    for path in drawn:
        kept = SAMPLE / path.relative_to(tmp_path)
        assert content(path) == content(kept), path.name


def content(path: Path) -> object:
    """The bytes; of a package its members' bytes, because zlib's builds differ in how they compress."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as package:
        return [(entry.filename, entry.date_time, package.read(entry)) for entry in package.infolist()]
