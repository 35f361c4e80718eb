"""Office files, web pages, books and plain text; made on the spot by the libraries that write them."""

import io
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from PIL import Image
from pptx.util import Inches
from reading_doubles import read_here, words_of

from indexing.errors import (
    DamagedFileError,
    EmptyFileError,
    EncryptedFileError,
    FileTooLargeError,
)
from indexing.readers.document import COVERED, markdown_table, table_cells
from indexing.records import Block, Reading
from indexing.settings import ReadLimits


def read_bytes(tmp_path: Path, name: str, data: bytes, **limits: int) -> Reading:
    (tmp_path / name).write_bytes(data)
    return read_here(tmp_path / name, tmp_path / "out", ReadLimits(**limits))


def pairs(reading: Reading) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in reading.blocks]


def word_file(path: Path) -> Path:
    document = docx.Document()
    document.core_properties.title = "Handbook"
    document.core_properties.author = "A. Writer"
    document.add_heading("Care", level=1)
    document.add_paragraph("Wipe the frame with a cloth.")
    document.add_heading("Chain", level=2)
    table = document.add_table(rows=2, cols=2)
    for row, cells in enumerate((("Part", "Oil"), ("Chain", "weekly"))):
        for column, words in enumerate(cells):
            table.cell(row, column).text = words
    picture = io.BytesIO()
    Image.new("RGB", (200, 160), "red").save(picture, "PNG")
    document.add_picture(picture)
    document.save(str(path))
    return path


def test_a_word_file_has_headings_paragraphs_tables_and_pictures_in_order(tmp_path: Path) -> None:
    reading = read_here(word_file(tmp_path / "a.docx"), tmp_path / "out")
    assert pairs(reading) == [
        ("heading", "Care"),
        ("text", "Wipe the frame with a cloth."),
        ("heading", "Chain"),
        ("table", "| Part | Oil |\n| --- | --- |\n| Chain | weekly |"),
        ("figure", ""),
    ]
    assert [block.level for block in reading.blocks if block.kind == "heading"] == [1, 2]
    assert (reading.title, reading.metadata["author"]) == ("Handbook", "A. Writer")
    assert reading.blocks[-1].image == tmp_path / "out" / "figure-0001.jpg"


def rewritten(path: Path, name: str, change: Callable[[bytes], bytes], **added: bytes) -> Path:
    """The archive with one member changed, and others put beside it."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in {**members, **added}.items():
            archive.writestr(member, data)
    return path


def test_words_in_places_that_are_not_read_are_counted(tmp_path: Path) -> None:
    control = b"<w:later><w:p><w:r><w:t>four words in control</w:t></w:r></w:p></w:later>"
    path = rewritten(
        word_file(tmp_path / "a.docx"),
        "word/document.xml",
        lambda data: data.replace(b"<w:body>", b"<w:body>" + control),
    )
    assert read_here(path, tmp_path / "out").notes == (
        "4 words in parts of the document that are not known here were not read",
    )


def test_pictures_and_files_of_kinds_that_are_not_read_are_counted(tmp_path: Path) -> None:
    path = rewritten(
        word_file(tmp_path / "a.docx"),
        "word/document.xml",
        lambda data: data,
        **{"word/media/drawing.emf": b"x", "word/embeddings/sheet.xlsx": b"x", "word/media/broken.png": b"x"},
    )
    assert read_here(path, tmp_path / "out").notes == (
        "1 embedded pictures or recordings of kinds that are not read were left out (emf)",
        "1 embedded files were not read",
        "1 embedded pictures could not be read: the picture is damaged, or of a variant that is not read here",
    )


def test_pictures_over_the_limit_are_counted(tmp_path: Path) -> None:
    document = docx.Document()
    for colour in ("red", "green", "blue"):
        picture = io.BytesIO()
        Image.new("RGB", (200, 160), colour).save(picture, "PNG")
        document.add_picture(picture)
    document.save(str(tmp_path / "a.docx"))
    reading = read_here(tmp_path / "a.docx", tmp_path / "out", ReadLimits(max_figures=1))
    assert reading.notes == ("2 embedded pictures over the limit of 1 were left out",)


def test_line_breaks_and_shapes_of_a_paragraph_stay_in_their_order(tmp_path: Path) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("one")
    paragraph.add_run().add_break()
    paragraph.add_run("two\tthree")
    document.save(str(tmp_path / "a.docx"))
    assert pairs(read_here(tmp_path / "a.docx", tmp_path / "out")) == [("text", "one\ntwo\tthree")]


def test_a_slide_is_a_page_with_its_title_its_notes_and_its_pictures(tmp_path: Path) -> None:
    slides = pptx.Presentation()
    for number in (1, 2):
        slide = slides.slides.add_slide(slides.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = f"Point of slide {number}"
    slide.notes_slide.notes_text_frame.text = "Say it slowly"
    picture = io.BytesIO()
    Image.new("RGB", (200, 160), "blue").save(picture, "PNG")
    slide.shapes.add_picture(picture, Inches(1), Inches(1))
    slides.save(str(tmp_path / "a.pptx"))
    reading = read_here(tmp_path / "a.pptx", tmp_path / "out")
    assert [page.number for page in reading.pages] == [1, 2]
    assert [(block.page, block.kind, block.text) for block in reading.blocks] == [
        (1, "heading", "Slide 1"),
        (1, "text", "Point of slide 1"),
        (2, "heading", "Slide 2"),
        (2, "text", "Point of slide 2"),
        (2, "text", "Speaker notes: Say it slowly"),
        (2, "figure", ""),
    ]


def test_a_sheet_is_a_page_and_its_cells_one_table(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    first.title = "Ducks"
    for row in (["Ducks per year"], ["Year", "Count"], [2023, 160], [2024, 180]):
        first.append(row)
    book.create_sheet("Geese").append(["a", "b"])
    book["Geese"].append(["line\nbreak", 'a | b "c"'])
    book.save(str(tmp_path / "a.xlsx"))
    reading = read_here(tmp_path / "a.xlsx", tmp_path / "out")
    assert [(block.page, block.kind, block.text, block.caption) for block in reading.blocks] == [
        (1, "heading", "Ducks", ""),
        (1, "table", "| Year | Count |\n| --- | --- |\n| 2023 | 160 |\n| 2024 | 180 |", "Ducks per year"),
        (2, "heading", "Geese", ""),
        (2, "table", '| a | b |\n| --- | --- |\n| line break | a \\| b "c" |', ""),
    ]


def test_a_web_page_is_read_without_its_scripts(tmp_path: Path) -> None:
    page = b"""<!doctype html><html><head><title>Ducks</title><style>p {color: red}</style></head><body>
    <h1>Duck</h1><p>Swims.</p><script>alert('x')</script><ul><li>Mallard</li></ul>
    <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></body></html>"""
    reading = read_bytes(tmp_path, "a.html", page)
    assert reading.title == "Ducks"
    assert pairs(reading) == [
        ("heading", "Duck"),
        ("text", "Swims."),
        ("text", "Mallard"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
    ]


def test_markdown_has_headings_and_tables(tmp_path: Path) -> None:
    text = "# Ducks\n\nThey swim.\n\n## Counts\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert pairs(read_bytes(tmp_path, "a.md", text.encode())) == [
        ("heading", "Ducks"),
        ("text", "They swim."),
        ("heading", "Counts"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_plain_text_in_any_likely_encoding(tmp_path: Path, encoding: str) -> None:
    words = "Grüße aus Köln: 15,50 € für Käse und Brötchen.\n\nZweiter Absatz."
    assert words_of(read_bytes(tmp_path, "a.txt", words.encode(encoding)).blocks).split("\n") == [
        "Grüße aus Köln: 15,50 € für Käse und Brötchen.",
        "Zweiter Absatz.",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252", "shift_jis", "koi8-r"])
def test_a_web_page_in_the_encoding_that_it_declares(tmp_path: Path, encoding: str) -> None:
    words = {"shift_jis": "日本語の文章", "koi8-r": "Русский текст"}.get(encoding, "Käse für 5 €")
    page = f'<html><head><meta charset="{encoding}"></head><body><p>{words}</p></body></html>'
    assert words_of(read_bytes(tmp_path, "a.html", page.encode(encoding)).blocks) == words


def test_text_is_never_taken_for_a_heading(tmp_path: Path) -> None:
    reading = read_bytes(tmp_path, "log.txt", b"ERROR Disk Full\n\nWARN Retry\n\nDone")
    assert {block.kind for block in reading.blocks} == {"text"}


def test_text_over_the_limit_is_cut_with_a_note(tmp_path: Path) -> None:
    reading = read_bytes(tmp_path, "long.txt", b"word " * 1_000, max_text_characters=500)
    assert len(words_of(reading.blocks)) <= 500
    assert reading.notes == ("longer than 500 characters, of which the first were read",)


def test_blank_text_has_no_blocks_and_no_bytes_is_an_error(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, "blank.txt", b" \n\n ").blocks == ()
    with pytest.raises(EmptyFileError):
        read_bytes(tmp_path, "empty.docx", b"")


def bomb(size: int, *, declared: int | None = None) -> bytes:
    """A Word file whose body unpacks to `size` zeros, and says `declared` instead if given."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("word/document.xml", "w", force_zip64=False) as member:
            for _ in range(size // 1_000_000):
                member.write(bytes(1_000_000))
    made = bytearray(data.getvalue())
    if declared is not None:
        made = made.replace(struct.pack("<I", size), struct.pack("<I", declared))
    return bytes(made)


def test_a_zip_bomb_is_found_in_its_directory(tmp_path: Path) -> None:
    with pytest.raises(FileTooLargeError, match=r"zip bomb"):
        read_bytes(tmp_path, "bomb.docx", bomb(60_000_000), max_unpacked_bytes=50_000_000)
    with pytest.raises(FileTooLargeError, match=r"more than 250 times its size"):
        read_bytes(tmp_path, "bomb.docx", bomb(60_000_000))


def test_a_zip_bomb_that_lies_about_its_size_is_found_while_unpacking(tmp_path: Path) -> None:
    with pytest.raises(FileTooLargeError, match=r"zip bomb"):
        read_bytes(tmp_path, "bomb.docx", bomb(60_000_000, declared=1_000))


@pytest.mark.parametrize("cut", [30, 200, 2_000])
def test_a_truncated_word_file_is_damaged(tmp_path: Path, cut: int) -> None:
    whole = word_file(tmp_path / "whole.docx").read_bytes()
    with pytest.raises(DamagedFileError, match="damaged or ends early"):
        read_bytes(tmp_path, "cut.docx", whole[:-cut])


def test_a_zip_that_only_looks_like_word_is_read_as_the_archive_that_it_is(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("word/nothing.txt", "words")
    reading = read_bytes(tmp_path, "odd.docx", data.getvalue())
    assert "read as zip" in reading.notes[0]
    assert [block.text for block in reading.blocks] == ["word/nothing.txt", "words"]


def test_a_member_with_a_password_is_encrypted(tmp_path: Path) -> None:
    whole = bytearray(word_file(tmp_path / "whole.docx").read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = whole.find(signature)
        while start >= 0:
            whole[start + at] |= 1
            start = whole.find(signature, start + 4)
    with pytest.raises(EncryptedFileError):
        read_bytes(tmp_path, "locked.docx", bytes(whole))


def test_spanning_cells_keep_the_others_in_their_columns() -> None:
    html = "<table><tr><td rowspan=2>a</td><td colspan=2>b</td></tr><tr><td>c</td><td>d</td></tr></table>"
    assert table_cells(html) == [["a", "b", COVERED], ["", "c", "d"]]
    assert markdown_table(table_cells(html)) == "| a | b ||\n| --- | --- | --- |\n|  | c | d |"


def test_a_cell_that_claims_to_span_a_million_columns_does_not(tmp_path: Path) -> None:
    html = "<table><tr><td colspan=1000000 rowspan=1000000>a</td><td>b</td></tr><tr><td>c</td></tr></table>"
    assert len(table_cells(html)) == 2


def test_control_characters_never_reach_a_block(tmp_path: Path) -> None:
    reading = read_bytes(tmp_path, "a.txt", b"plain words and one \x07 bell " + b"more words " * 20)
    assert "\x07" not in words_of(reading.blocks)


def test_readers_of_documents_do_not_load_torch(tmp_path: Path) -> None:
    """600 MB in every worker; here `None` stands for it, which makes every import of it fail."""
    import subprocess

    script = (
        "import sys, os; from pathlib import Path; sys.path.insert(0, sys.argv[1]); from reading_doubles import *\n"
        "path = Path('a.html'); path.write_text('<html><p>words</p></html>'); read_here(path.resolve(), Path('out'))\n"
        "print(sys.modules.get('torch'), [m for m in ('onnxruntime', 'rapidocr') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(Path(__file__).parents[1])],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "None []"


def test_every_block_of_a_document_without_pages_has_none(tmp_path: Path) -> None:
    reading = read_bytes(tmp_path, "a.md", b"# One\n\nwords")
    assert all(isinstance(block, Block) and block.page is None for block in reading.blocks)
    assert reading.pages == ()


def test_a_picture_whose_bytes_are_damaged_is_told(tmp_path: Path) -> None:
    path = word_file(tmp_path / "a.docx")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("word/media/plan.png", b"PLAN" * 50)
    path.write_bytes(path.read_bytes().replace(b"PLAN", b"PLAM", 1))
    (note,) = read_here(path, tmp_path / "out").notes
    assert note.unread and note.kind == "picture"
