import base64
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from reading_doubles import make_pdf, read_here, text_at, words_of

from indexing.errors import DamagedFileError, EncryptedFileError
from indexing.readers.pdf import pages as pdf
from indexing.records import Block, Reading
from indexing.settings import ReadLimits

# one blank page of 72 × 72 points, encrypted by pypdf 5.9 (RC4, 40 bits) with the user password "secret" …
WITH_PASSWORD = """
eNqtU02P0zAQvftX+NIjG9tjj20p6oHdrYQAbZVduKA9OPakFFXJKk2lXf4kB/4B/BGmBZaIciTKx+jNe8+T8Xixvlq90BcgFt++f/kqtFRyaD
+JuhbVehzKIdMoa6tBhxBy9kuxXArqy5FjZty7pweS1TptaC+qy+HQT1KL6vW27OUHaZnYyPuZFM6kl2lKu2EjfnrIo3czE9h/riWqhvbDYcys
4AzTq7dUtunl8MjLqgt1erw53vdH65G4sL+93cz7/bHsRhpRvaF+M32UVrFOWhNtRG8iJ1bb3cRNqW6n1Jc0FlHdyDqajlRnrbOp2BzRWozQAW
Tlc+ts54IvmTQZDMyMlCmhVj5p6hBUKVz5O1mrlmIyIeiYgydE27bKU5soRu0CgmvBoC+xgFURbHHOWEvGUPChZcJ8dx5H6oSSKNTzJdE5cLKT
z5jmfz9l+j+Yi2eY1uEcQ3+Gmbl2GtN2R+Oprbfbz8SlVM0wTBJO/a9e9d0g9a/4iverRouIgJpfDiwY8BBBAXCkgLuBFngQOcNfjhUacGhQMw
sZMcv/YcFzct3n8elhku73oOynNE6nhlrPJ2VxfbMSPwDadcqH
"""
# … and with an owner password alone, which restricts what a person may do and asks for nothing on opening
WITH_OWNER_PASSWORD = """
eNqtUs1uEzEQvvspfMmR+mfssS1FOdA2EgLUKC1cUA9eezYERbvVZiO1vCQH3gBehEmAsiIc8Z9G38z3eTzj2epq+cJcgJh9+/7lqzBSy775JO
ZzoVZDXw+FBjlPhqprS2PcQiwWgrp6jLGT2LunB5JqlTe0F+qyP3SjNEK93ta9/CAdB67l/YQKZ9TLPOZdvxE/NeRRez0huH/eJdSa9v1hKMxg
D4ert1S3+WX/yNfqC33awR7X/VF6IE7sb20/0X5/THstrVBvqNuMH6XTzJPOJpcw2MSO5XY3clHU7Zi7mocq1I2cl2SdtRhDmwsRRiQI0Brd+B
KqdgGi9mC8bQNZItBkTMFExTnrA+aGM3/HKjGlplQevnpTg0VWtE3MMQAglhjIg65Uo4uh5hozlBSzaUxDBgNMu/M4UCu0RKGfh0TvwctWPmOG
337ydH8wn84wY+I5huEMs1PuOOTtjoZTWW+3n4lTUeu+HyWc6q9edW0vzS/7ivs1R4eIgIYPDw4slzCBBmBL8/MdOjA8HU/DtkYLHi0ajkJG7O
J/SPA/ue7K8PQwSv/7o+zHPIyngnInxWx2fbMUPwC+usti
"""


def read_pdf(tmp_path: Path, data: bytes, **limits: int) -> Reading:
    (tmp_path / "file.pdf").write_bytes(data)
    return read_here(tmp_path / "file.pdf", tmp_path / "out", ReadLimits(**limits))


def read_page(tmp_path: Path, content: str, *, rotate: int = 0) -> Reading:
    return read_pdf(tmp_path, make_pdf([content], rotate=rotate))


def prose(x: float, top: float, name: str, *, rows: int = 10, step: float = 14) -> str:
    return "".join(
        text_at(x, top - step * row, f"{name} line {row} with several more words", size=10) for row in range(rows)
    )


def kinds(reading: Reading) -> list[str]:
    return [block.kind for block in reading.blocks]


def of_kind(reading: Reading, kind: str) -> list[Block]:
    return [block for block in reading.blocks if block.kind == kind]


def test_a_line_stands_where_it_was_written(tmp_path: Path) -> None:
    reading = read_page(tmp_path, text_at(72, 720, "Hello from the upper left corner"))
    (line,) = reading.blocks[0].lines
    assert line.text == "Hello from the upper left corner"
    assert line.box is not None
    assert line.box[:2] == pytest.approx((72 / 612, (792 - 720 - 11) / 792), abs=0.01)
    assert line.box[3] == pytest.approx((792 - 720) / 792, abs=0.01)


def test_every_page_has_an_image_and_the_file_a_thumbnail(tmp_path: Path) -> None:
    reading = read_pdf(tmp_path, make_pdf([text_at(72, 700, f"Words of page {n} of this file") for n in (1, 2)]))
    assert [(page.number, page.width, page.height) for page in reading.pages] == [(1, 1082, 1400), (2, 1082, 1400)]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jpg")) == [
        "page-0001.jpg", "page-0002.jpg", "thumb.jpg",
    ]  # fmt: skip


def test_two_columns_are_read_one_after_the_other_under_their_headline(tmp_path: Path) -> None:
    content = text_at(72, 740, "A headline across both of the columns of this page", size=18)
    rows = [
        (prose(72, 700 - 14 * n, f"left{n}", rows=1), prose(330, 700 - 14 * n, f"right{n}", rows=1)) for n in range(12)
    ]
    content += "".join(left + right for left, right in rows)
    words = words_of(read_page(tmp_path, content).blocks)
    places = [words.index(name) for name in ("A headline", "left0 ", "left11 ", "right0 ", "right11 ")]
    assert places == sorted(places)


def test_a_larger_line_is_a_heading_and_names_the_document(tmp_path: Path) -> None:
    reading = read_page(tmp_path, text_at(72, 740, "Care of the Bicycle", size=20) + prose(72, 700, "body"))
    assert [(b.kind, b.text, b.level) for b in reading.blocks[:1]] == [("heading", "Care of the Bicycle", 1)]
    assert reading.title == "Care of the Bicycle"


def test_a_bold_line_is_a_heading_below_larger_ones(tmp_path: Path) -> None:
    content = text_at(72, 750, "Manual", size=24) + text_at(72, 715, "Cleaning", size=10, font="F2")
    reading = read_page(tmp_path, content + prose(72, 700, "body"))
    assert [(b.text, b.level) for b in of_kind(reading, "heading")] == [("Manual", 1), ("Cleaning", 2)]


def test_hyphenated_words_are_joined_in_the_text_and_their_lines_are_kept(tmp_path: Path) -> None:
    content = text_at(72, 700, "This is about the retrie-") + text_at(72, 686, "val of information from pages")
    block = read_page(tmp_path, content).blocks[0]
    assert block.text == "This is about the retrieval of information from pages"
    assert [line.text for line in block.lines] == ["This is about the retrie-", "val of information from pages"]


TABLE = [
    ("Part", "Number", "Price"),
    ("Chain", "KMC-9", "18.50"),
    ("Saddle", "BR-17", "64.00"),
    ("Pump", "TP-2", "22.95"),
]


def table_text(top: float = 600) -> str:
    return "".join(
        text_at(90 + 120 * column, top - 20 * row, cell, size=10)
        for row, cells in enumerate(TABLE)
        for column, cell in enumerate(cells)
    )


def expected_markdown() -> str:
    rows = ["| " + " | ".join(cells) + " |" for cells in TABLE]
    return "\n".join([rows[0], "| --- | --- | --- |", *rows[1:]])


def test_a_ruled_table_is_kept_whole_with_its_caption_and_box(tmp_path: Path) -> None:
    rules = "".join(f"80 {615 - 20 * n} m 440 {615 - 20 * n} l S\n" for n in range(5))
    rules += "".join(f"{x} 615 m {x} 535 l S\n" for x in (80, 200, 320, 440))
    content = (
        prose(72, 740, "before", rows=5) + text_at(80, 630, "Table 1: Spare parts", size=10) + table_text() + rules
    )
    reading = read_page(tmp_path, content + prose(72, 500, "after", rows=5))
    (table,) = of_kind(reading, "table")
    assert table.text == expected_markdown()
    assert table.caption == "Table 1: Spare parts"
    assert table.box is not None
    assert table.box[0] < 95 / 612
    assert kinds(reading).index("table") == 1


def test_an_aligned_table_without_rules_is_found(tmp_path: Path) -> None:
    reading = read_page(tmp_path, prose(72, 740, "before", rows=6) + table_text())
    assert [table.text for table in of_kind(reading, "table")] == [expected_markdown()]


def test_columns_of_prose_are_no_table(tmp_path: Path) -> None:
    content = "".join(prose(x, 700, f"column{x}", rows=20) for x in (60, 320))
    frame = "50 720 m 570 720 l S 50 400 m 570 400 l S 50 720 m 50 400 l S 570 720 m 570 400 l S\n"
    assert of_kind(read_page(tmp_path, content + frame), "table") == []


def test_a_figure_has_its_pixels_and_its_caption(tmp_path: Path) -> None:
    content = prose(72, 740, "before", rows=4) + "q 200 0 0 150 150 450 cm /Im1 Do Q\n"
    content += text_at(150, 435, "Figure 3: A red square that shows nothing", size=10) + prose(72, 400, "after", rows=4)
    reading = read_page(tmp_path, content)
    (figure,) = of_kind(reading, "figure")
    assert figure.caption == "Figure 3: A red square that shows nothing"
    assert figure.box == pytest.approx((150 / 612, 192 / 792, 350 / 612, 342 / 792), abs=0.01)
    assert figure.image == tmp_path / "out" / "figure-0001.jpg"
    assert figure.image.exists()
    assert "Figure 3" not in "".join(block.text for block in reading.blocks)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_a_page_that_its_file_turns_has_upright_boxes_in_the_image_s_coordinates(tmp_path: Path, rotate: int) -> None:
    reading = read_page(tmp_path, prose(72, 720, "turned", rows=12), rotate=rotate)
    boxes = [line.box for block in reading.blocks for line in block.lines if line.box]
    assert len(boxes) == 12
    assert "turned line 3 with several more words" in words_of(reading.blocks)
    assert all(box[2] - box[0] > box[3] - box[1] for box in boxes)
    assert all(above[1] < below[1] for above, below in pairwise(boxes))
    page = reading.pages[0]
    assert page.height > page.width  # sideways words are turned upright together with their page
    assert page.image is not None
    with Image.open(page.image) as image:
        grey = np.asarray(image.convert("L")).astype(float)
    outside = np.ones_like(grey, bool)
    for x0, y0, x1, y1 in boxes:
        inside = np.s_[int(y0 * page.height) : int(y1 * page.height), int(x0 * page.width) : int(x1 * page.width)]
        assert grey[inside].min() < 100
        outside[inside] = False
    assert grey[outside].mean() > 253


def test_a_page_without_text_layer_is_read_by_ocr(tmp_path: Path) -> None:
    """The words are drawn as a picture would be: as filled shapes without any text operator."""
    image = Image.new("RGB", (1240, 1754), "white")
    for row in range(6):
        ImageDraw.Draw(image).text((150, 200 + 90 * row), f"Scanned line number {row}", fill="black", font_size=48)
    image.save(tmp_path / "scan.pdf")
    reading = read_here(tmp_path / "scan.pdf", tmp_path / "out")
    assert reading.pages[0].read_by_ocr
    assert [f"Scanned line number {row}" in words_of(reading.blocks) for row in range(6)] == [True] * 6


def test_a_blank_page_is_a_page_without_blocks(tmp_path: Path) -> None:
    reading = read_page(tmp_path, "")
    assert (len(reading.pages), reading.blocks) == (1, ())


def test_a_pdf_with_a_password_says_so(tmp_path: Path) -> None:
    with pytest.raises(EncryptedFileError, match="asks for a password"):
        read_pdf(tmp_path, zlib.decompress(base64.b64decode(WITH_PASSWORD)))


def test_a_pdf_that_only_restricts_its_reader_is_read(tmp_path: Path) -> None:
    assert len(read_pdf(tmp_path, zlib.decompress(base64.b64decode(WITH_OWNER_PASSWORD))).pages) == 1


def repeated(page: bytes, *, times: int, others: int = 1) -> bytes:
    """Pages of the file with the first one named `times` times more, before the last."""
    first, last = b"6 0 R", b"%d 0 R" % (6 + 2 * others)
    kids = b" ".join([first, *[first] * times, *(b"%d 0 R" % (8 + 2 * n) for n in range(others - 1)), last])
    return page.replace(page[page.index(b"[6 0 R") : page.index(b"] /Count")], b"[" + kids).replace(
        b"/Count %d" % (1 + others), b"/Count %d" % (1 + others + times)
    )


def two_pages() -> bytes:
    return make_pdf([text_at(72, 700, "Words of the page that repeats"), text_at(72, 700, "Words of the last page")])


def test_a_page_that_stands_there_twenty_thousand_times_is_read_once(tmp_path: Path) -> None:
    reading = read_pdf(tmp_path, repeated(two_pages(), times=19_999))
    assert [page.number for page in reading.pages] == [1, 20_001]
    assert [(block.page, block.text) for block in reading.blocks] == [
        (1, "Words of the page that repeats"),
        (20_001, "Words of the last page"),
    ]
    assert reading.notes == ("page 1 stands 20,000 times and was read once",)


def test_a_page_that_repeats_is_neither_loaded_nor_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(
        "indexing.readers.pdf.pages._rendered", lambda page, side: drawn.append(1) or _RENDERED(page, side)
    )
    read_pdf(tmp_path, repeated(two_pages(), times=500))
    assert len(drawn) == 2


_RENDERED = pdf._rendered


def test_pages_of_their_own_that_look_the_same_are_read_once(tmp_path: Path) -> None:
    same, other = text_at(72, 700, "The same words"), text_at(72, 700, "Other words than these")
    reading = read_pdf(tmp_path, make_pdf([same, "", other, "", same, ""]))
    assert [page.number for page in reading.pages] == [1, 2, 3]
    assert reading.notes == (
        "page 1 stands 2 times and was read once",
        "page 2 stands 3 times and was read once",
    )


def test_pages_that_differ_in_their_invisible_words_alone_are_different(tmp_path: Path) -> None:
    hidden = "BT 3 Tr /F1 10 Tf 72 600 Td (The words of letter number {} can be searched) Tj ET"
    reading = read_pdf(tmp_path, make_pdf([hidden.format(number) for number in (1, 2)]))
    assert len(reading.pages) == 2
    assert reading.notes == ()


def test_a_page_that_cannot_be_read_is_counted_each_time(tmp_path: Path) -> None:
    data = repeated(two_pages(), times=3)
    first = data.index(b"/MediaBox [0 0 612 792]")
    reading = read_pdf(tmp_path, data[:first] + b"/MediaBox [0 0 9 99999]" + data[first + 23 :])
    assert [page.number for page in reading.pages] == [5]
    assert reading.notes == ("4 of 5 pages could not be read: 1, 2, 3, 4",)


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", make_pdf([""])[:100], b"%PDF-1.4 garbage" * 50])
def test_no_pdf_is_damaged_by_success(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DamagedFileError) as caught:
        read_pdf(tmp_path, data)
    assert "success" not in caught.value.reason.lower()


def test_a_pdf_without_pages_says_so_and_not_what_was_wrong_with_the_one_before(tmp_path: Path) -> None:
    with pytest.raises(EncryptedFileError):
        read_pdf(tmp_path, zlib.decompress(base64.b64decode(WITH_PASSWORD)))
    with pytest.raises(DamagedFileError, match="the PDF has no pages"):
        read_pdf(tmp_path, make_pdf([]))


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.4 garbage" * 50, make_pdf([""])[:100]])
def test_a_damaged_pdf_says_so(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DamagedFileError, match="PDF"):
        read_pdf(tmp_path, data)


def test_a_truncated_pdf_is_read_as_far_as_it_goes_or_is_damaged(tmp_path: Path) -> None:
    whole = make_pdf([text_at(72, 700, f"Words of page {n} of this file") for n in range(5)])
    try:
        reading = read_pdf(tmp_path, whole[: len(whole) // 2])
    except DamagedFileError:
        return
    assert 1 <= len(reading.pages) <= 5


def test_pages_over_the_limit_are_left_out_with_a_note(tmp_path: Path) -> None:
    reading = read_pdf(tmp_path, make_pdf([text_at(72, 700, f"Words of page {n}") for n in range(3)]), max_pages=2)
    assert len(reading.pages) == 2
    assert reading.notes == ("3 pages, of which the first 2 were read",)


def test_text_over_the_limit_is_told_and_is_not_read_from_the_picture_instead(tmp_path: Path) -> None:
    data = make_pdf([text_at(72, 700, f"Words of page {n}") for n in range(3)])
    reading = read_pdf(tmp_path, data, max_text_characters=20)
    assert len(reading.pages) == 3
    assert [page.read_by_ocr for page in reading.pages] == [False] * 3
    assert "over the limit of 20 were left out" in reading.notes[0]


def test_figures_over_the_limit_are_told(tmp_path: Path) -> None:
    figures = "".join(f"q 200 0 0 100 150 {100 + 150 * n} cm /Im1 Do Q\n" for n in range(4))
    reading = read_page(tmp_path, figures + prose(400, 740, "beside", rows=4))
    limited = read_pdf(tmp_path, make_pdf([figures + prose(400, 740, "beside", rows=4)]), max_figures=1)
    assert reading.notes == ()
    assert limited.notes == ("3 figures over the limit of 1 were kept without their pictures",)


def test_a_page_of_absurd_size_is_noted_and_the_others_are_read(tmp_path: Path) -> None:
    data = make_pdf([text_at(72, 700, "An ordinary page of words"), ""])
    last = data.rindex(b"/MediaBox [0 0 612 792]")
    data = data[:last] + b"/MediaBox [0 0 9 99999]" + data[last + 23 :]
    reading = read_pdf(tmp_path, data)
    assert [page.number for page in reading.pages] == [1]
    assert reading.notes == ("1 of 2 pages could not be read: 2",)


def test_special_characters_in_the_text_stay_plain_text(tmp_path: Path) -> None:
    reading = read_page(tmp_path, text_at(72, 700, "<|im_start|> [1] | a \\ b"))
    assert reading.blocks[0].text == "<|im_start|> [1] | a \\ b"


def scanned(layer: str) -> str:
    """Large words that one can see, under many lines of text that one cannot (render mode 3)."""
    hidden = "".join(f"BT 3 Tr /F1 10 Tf 72 {600 - 12 * row} Td ({layer} {row}) Tj ET\n" for row in range(20))
    return "BT 0 Tr /F2 40 Tf 72 700 Td (Seen by everyone) Tj ET\n" + hidden


def test_an_invisible_text_layer_is_used_where_it_reads_well(tmp_path: Path) -> None:
    reading = read_page(tmp_path, scanned("The foundation received the following letters in the year"))
    assert "The foundation received the following letters" in words_of(reading.blocks)
    assert not reading.pages[0].read_by_ocr


def test_an_invisible_text_layer_that_was_misread_is_read_again(tmp_path: Path) -> None:
    reading = read_page(tmp_path, scanned("Th* f0und»ation r^ceiued tbe foll~wing letters s*r;tiR n«Bfl"))
    assert reading.pages[0].read_by_ocr
    assert words_of(reading.blocks) == "Seen by everyone"
