from pathlib import Path

import pytest
from pdf_doubles import PdfFile
from reading_doubles import read_here, text_at, words_of

from indexing.chunking import join_lines
from indexing.readers.pdf.glyphs import Glyph
from indexing.readers.pdf.vertical import vertical_blocks
from indexing.records import Reading

COLUMNS = ["倉庫の鍵は青い引き出しに", "ある家賃は毎月三千二百円", "である借主は五月末に返す"]


def east_asian(file: PdfFile, writing: str) -> str:
    """A font that is not in the file, written across (H) or down (V)."""
    info = "/CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 2 >>"
    descriptor = (
        "/FontDescriptor << /Type /FontDescriptor /FontName /HeiseiMin-W3 /Flags 6 /FontBBox [-123 -257 1001 910]"
        " /ItalicAngle 0 /Ascent 723 /Descent -241 /CapHeight 709 /StemV 69 >>"
    )
    letters = file.add(f"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiMin-W3 {info} {descriptor} /DW 1000 >>")
    font = f"<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiMin-W3 /Encoding /UniJIS-UCS2-{writing}"
    return file.add(f"{font} /DescendantFonts [{letters}] >>")


def shown(x: float, y: float, text: str) -> str:
    return f"BT /F2 16 Tf 1 0 0 1 {x} {y} Tm <{text.encode('utf-16-be').hex()}> Tj ET\n"


def read_page(tmp_path: Path, content: str, writing: str) -> Reading:
    file = PdfFile()
    font = east_asian(file, writing)
    file.page(content, resources=f"/Font << /F1 3 0 R /F2 {font} >>")
    (tmp_path / "letter.pdf").write_bytes(file.data())
    return read_here(tmp_path / "letter.pdf", tmp_path / "out")


def letter_by_letter() -> str:
    return "".join(
        shown(480 - 30 * column, 700 - 18 * row, letter)
        for row in range(12)
        for column, letter in enumerate(line[row] for line in COLUMNS)
    )


@pytest.mark.parametrize(
    ("writing", "content"),
    [
        ("V", "".join(shown(480 - 30 * column, 700, line) for column, line in enumerate(COLUMNS))),
        ("H", letter_by_letter()),
    ],
)
def test_columns_are_read_from_right_to_left_and_their_words_hold_together(
    tmp_path: Path, writing: str, content: str
) -> None:
    reading = read_page(tmp_path, content, writing)
    (block,) = reading.blocks
    assert [line.text for line in block.lines] == COLUMNS
    assert block.text == "".join(COLUMNS)
    assert all(line.box and line.box[3] - line.box[1] > line.box[2] - line.box[0] for line in block.lines)


def test_lines_across_stay_lines(tmp_path: Path) -> None:
    content = "".join(shown(70, 700 - 26 * row, line) for row, line in enumerate(COLUMNS))
    assert [line.text for line in read_page(tmp_path, content, "H").blocks[0].lines] == COLUMNS


def test_text_that_the_page_s_picture_does_not_show_is_told(tmp_path: Path) -> None:
    notes = read_page(tmp_path, shown(480, 700, COLUMNS[0]), "V").notes
    if notes:  # a machine with Japanese fonts draws it
        assert [(note.kind, note.unread) for note in notes] == [("hidden", False)]


def test_a_headline_across_stands_before_the_columns(tmp_path: Path) -> None:
    columns = "".join(shown(480 - 30 * column, 600, line) for column, line in enumerate(COLUMNS))
    text = words_of(read_page(tmp_path, text_at(72, 740, "The letter of the landlord") + columns, "V").blocks)
    assert text == f"The letter of the landlord\n{''.join(COLUMNS)}"


def placed(columns: dict[tuple[float, float], str], *, em: float = 0.02, step: float = 1.0) -> list[Glyph]:
    """Letters of columns that begin at these points, on a square page."""
    places = [
        (x, y + number * em * step, letter) for (x, y), text in columns.items() for number, letter in enumerate(text)
    ]
    return [Glyph(text=letter, box=(x, y, x + em, y + em), index=index) for index, (x, y, letter) in enumerate(places)]


def texts(glyphs: list[Glyph]) -> list[list[str]]:
    blocks, left = vertical_blocks(glyphs, 1.0)
    assert left == []
    return [[line.text for line in lines] for lines in blocks]


def test_two_tiers_are_read_one_after_the_other() -> None:
    glyphs = placed({(0.9, 0.1): "一段目の右の列", (0.86, 0.1): "一段目の左の列", (0.9, 0.6): "二段目の右の列"})
    assert texts(glyphs) == [["一段目の右の列", "一段目の左の列"], ["二段目の右の列"]]


def test_figures_and_latin_letters_stay_in_their_column() -> None:
    glyphs = placed({(0.9, 0.1): "家賃は3200円で5月まで"})
    assert texts(glyphs) == [["家賃は3200円で5月まで"]]


def test_small_letters_beside_a_word_do_not_tear_it() -> None:
    glyphs = [*placed({(0.9, 0.1): "倉庫の鍵は青い", (0.86, 0.1): "引き出しにある"})]
    ruby = [
        Glyph(text=letter, box=(0.921, 0.1 + 0.009 * row, 0.929, 0.108 + 0.009 * row), index=100 + row)
        for row, letter in enumerate("そうこの")
    ]
    assert texts([*glyphs, *ruby])[0] == ["倉庫の鍵は青い", "引き出しにある"]


def test_a_column_of_a_table_is_no_column_of_letters() -> None:
    glyphs = placed({(0.2, 0.1): "男女男女男女男女"}, step=1.8)
    blocks, left = vertical_blocks(glyphs, 1.0)
    assert blocks == []
    assert len(left) == 8


def test_squared_paper_is_read_in_the_order_in_which_it_was_written() -> None:
    down = [
        Glyph(text=letter, box=(0.9 - 0.02 * x, 0.1 + 0.02 * y, 0.92 - 0.02 * x, 0.12 + 0.02 * y), index=10 * x + y)
        for x, line in enumerate(COLUMNS[:2])
        for y, letter in enumerate(line[:10])
    ]
    assert texts(down) == [[line[:10] for line in COLUMNS[:2]]]


def test_chinese_and_japanese_lines_are_joined_without_a_space() -> None:
    assert join_lines(["倉庫の鍵", "は青い", "page 3", "にある"]) == "倉庫の鍵は青い page 3 にある"
