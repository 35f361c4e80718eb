from pathlib import Path

import pytest
from pdf_doubles import PdfFile, written
from reading_doubles import read_here, text_at, words_of

from indexing.records import Reading

PAGE = text_at(72, 700, "Minutes of the orchard society") + text_at(
    72, 660, "The old pear tree will be felled in March."
)
PLACE = "/Rect [400 700 420 720]"


def read_page(tmp_path: Path, *annotations: str, content: str = PAGE, file: PdfFile | None = None) -> Reading:
    file = file or PdfFile()
    listed = " ".join(file.add(f"<< /Type /Annot {each} >>") for each in annotations)
    file.page(content, annotations=listed)
    (tmp_path / "minutes.pdf").write_bytes(file.data())
    return read_here(tmp_path / "minutes.pdf", tmp_path / "out")


def test_a_note_is_a_block_of_its_page_with_its_author(tmp_path: Path) -> None:
    reading = read_page(tmp_path, f"/Subtype /Text /T (Wilhelmina) /Contents (The saw costs 88 euros) {PLACE}")
    assert reading.blocks[-1].text == "Comment by Wilhelmina: The saw costs 88 euros"
    assert reading.blocks[-1].page == 1
    assert reading.blocks[-1].box == pytest.approx((400 / 612, 72 / 792, 420 / 612, 92 / 792), abs=0.01)
    assert reading.notes == ()


def test_the_window_of_a_note_is_not_read_a_second_time(tmp_path: Path) -> None:
    popup = f"/Subtype /Popup /Contents (The saw costs 88 euros) {PLACE}"
    reading = read_page(tmp_path, f"/Subtype /Text /Contents (The saw costs 88 euros) {PLACE}", popup)
    assert words_of(reading.blocks).count("88 euros") == 1


@pytest.mark.parametrize("kind", ["Highlight", "Underline", "StrikeOut", "Squiggly"])
def test_a_comment_on_marked_words_names_them(tmp_path: Path, kind: str) -> None:
    quads = "/QuadPoints [72 672 160 672 72 656 160 656] /Rect [72 656 160 672]"
    reading = read_page(tmp_path, f"/Subtype /{kind} /T (Ann) /Contents (ask the council) {quads}")
    assert reading.blocks[-1].text.startswith("Comment by Ann on “The old pear tree")
    assert reading.blocks[-1].text.endswith("”: ask the council")


def test_a_mark_without_a_comment_adds_nothing(tmp_path: Path) -> None:
    quads = "/QuadPoints [72 672 160 672 72 656 160 656] /Rect [72 656 160 672]"
    assert words_of(read_page(tmp_path, f"/Subtype /Highlight {quads}").blocks).count("pear tree") == 1


def test_a_reply_says_that_it_is_one(tmp_path: Path) -> None:
    reading = read_page(
        tmp_path,
        f"/Subtype /Text /T (Ann) /Contents (Is it rotten?) {PLACE}",
        f"/Subtype /Text /T (Bob) /IRT 4 0 R /Contents (To the core) {PLACE}",
    )
    assert [block.text for block in reading.blocks[-2:]] == [
        "Comment by Ann: Is it rotten?",
        "Reply by Bob: To the core",
    ]


def test_a_text_box_beside_a_label_stands_in_its_line(tmp_path: Path) -> None:
    box = "/Subtype /FreeText /T (scanner-pc) /DA (/Helv 11 Tf) /Contents (Ottilie Vane) /Rect [180 655 300 672]"
    reading = read_page(tmp_path, box, content=text_at(72, 660, "Name of the tenant:"))
    assert words_of(reading.blocks) == "Name of the tenant: Ottilie Vane"


def test_a_text_box_by_itself_is_a_comment(tmp_path: Path) -> None:
    box = "/Subtype /FreeText /DA (/Helv 11 Tf) /Contents (Treasurer: Ottilie Vane) /Rect [72 300 300 340]"
    assert read_page(tmp_path, box).blocks[-1].text == "Comment: Treasurer: Ottilie Vane"


def test_rich_text_is_read_where_there_is_no_other(tmp_path: Path) -> None:
    rich = "/RC (<body xmlns='http://www.w3.org/1999/xhtml'><p>Bring <b>ladders</b></p></body>)"
    assert read_page(tmp_path, f"/Subtype /Text {rich} {PLACE}").blocks[-1].text == "Comment: Bring ladders"


def test_a_stamp_that_is_a_drawing_is_read_from_the_picture(tmp_path: Path) -> None:
    file = PdfFile()
    picture = file.picture(written(["APPROVED 12 MAY"], size=(700, 420), font_size=60))
    drawn = file.stream(
        "q 200 0 0 120 0 0 cm /S Do Q",
        f"/Type /XObject /Subtype /Form /BBox [0 0 200 120] /Resources << /XObject << /S {picture} >> >>",
    )
    stamp = f"/Subtype /Stamp /F 4 /Rect [300 300 500 420] /AP << /N {drawn} >>"
    assert "APPROVED 12 MAY" in words_of(read_page(tmp_path, stamp, file=file).blocks)


def test_a_hidden_comment_is_told_and_not_read(tmp_path: Path) -> None:
    reading = read_page(tmp_path, f"/Subtype /Text /F 2 /Contents (Nobody sees this) {PLACE}")
    assert "Nobody" not in words_of(reading.blocks)
    assert [(note.kind, note.unread) for note in reading.notes] == [("hidden", False)]


def test_a_film_in_a_page_is_told(tmp_path: Path) -> None:
    reading = read_page(tmp_path, f"/Subtype /RichMedia {PLACE}", f"/Subtype /Screen {PLACE}")
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("embedded", 2, True)]


def test_thousands_of_comments_are_read_up_to_a_limit_and_the_others_are_counted(tmp_path: Path) -> None:
    file = PdfFile()
    one = file.add(f"<< /Type /Annot /Subtype /Text /Contents (x) {PLACE} >>")
    file.page(PAGE, annotations=f"{one} " * 3_100)
    (tmp_path / "minutes.pdf").write_bytes(file.data())
    reading = read_here(tmp_path / "minutes.pdf", tmp_path / "out")
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("comment", 100, True)]
