from pathlib import Path

import pytest
from pdf_doubles import PdfFile, written
from PIL import Image, ImageDraw
from reading_doubles import read_here, text_at, words_of

from indexing.records import Reading

BODY = ["The parcel on the marsh", "belongs to Cordelia Vance", "and measures 4820 metres"]
WHOLE = "q 612 0 0 792 0 0 cm /Im1 Do Q\n"


def read_over(tmp_path: Path, picture: Image.Image, content: str) -> Reading:
    file = PdfFile()
    drawn = file.picture(picture)
    file.page(content, resources=f"/XObject << /Im1 {drawn} >> /Font << /F1 3 0 R >>")
    (tmp_path / "scan.pdf").write_bytes(file.data())
    return read_here(tmp_path / "scan.pdf", tmp_path / "out")


def test_a_scan_under_a_printed_stamp_is_read(tmp_path: Path) -> None:
    stamp = text_at(72, 20, "Land registry Eastmere - electronic copy - page 1 of 1 - seal 9f3a77", size=8)
    reading = read_over(tmp_path, written(BODY), WHOLE + stamp)
    text = words_of(reading.blocks)
    assert [line in text for line in BODY] == [True] * 3
    assert text.count("Eastmere") == 1
    assert reading.pages[0].read_by_ocr
    assert reading.notes == ()


def test_a_scanned_body_under_a_text_layer_of_its_header_alone_is_read_once(tmp_path: Path) -> None:
    header = "BT 3 Tr /F1 20 Tf 42 715 Td (The parcel on the marsh) Tj ET\n"
    text = words_of(read_over(tmp_path, written(BODY), WHOLE + header).blocks)
    assert [text.count(line) for line in BODY] == [1, 1, 1]


def test_words_that_were_typed_into_a_scan_are_read_with_it(tmp_path: Path) -> None:
    typed = text_at(300, 400, "Paid on 3 March by cheque", size=10)
    text = words_of(read_over(tmp_path, written(BODY), WHOLE + typed).blocks)
    assert "Paid on 3 March by cheque" in text
    assert "Cordelia Vance" in text


def test_a_scan_in_strips_is_one_area(tmp_path: Path) -> None:
    file = PdfFile()
    whole = written(BODY)
    strips = [whole.crop((0, top, 1240, min(1754, top + 90))) for top in range(0, 1754, 90)]
    names = [f"/S{number} {file.picture(strip)}" for number, strip in enumerate(strips)]
    scale = 792 / 1754
    drawn = "".join(
        f"q 612 0 0 {strip.height * scale} 0 {792 - (90 * number + strip.height) * scale} cm /S{number} Do Q\n"
        for number, strip in enumerate(strips)
    )
    stamp = text_at(72, 20, "An electronic copy, sealed", size=8)
    file.page(drawn + stamp, resources=f"/XObject << {' '.join(names)} >> /Font << /F1 3 0 R >>")
    (tmp_path / "scan.pdf").write_bytes(file.data())
    text = words_of(read_here(tmp_path / "scan.pdf", tmp_path / "out").blocks)
    assert [line in text for line in BODY] == [True] * 3


def test_a_scan_on_its_side_under_a_stamp_is_read(tmp_path: Path) -> None:
    stamp = text_at(72, 20, "Land registry Eastmere - electronic copy", size=8)
    text = words_of(read_over(tmp_path, written(BODY, size=(1754, 1240)).rotate(90, expand=True), WHOLE + stamp).blocks)
    assert [line in text for line in BODY] == [True] * 3
    assert "Eastmere" in text


def test_the_words_in_a_picture_on_a_page_of_text_are_words_of_the_figure(tmp_path: Path) -> None:
    prose = "".join(text_at(72, 740 - 14 * row, f"A line of the page, the {row}. of all", size=10) for row in range(12))
    picture = written(["Switch off at the wall", "before you open the lid", "of the old projector"], size=(1000, 560))
    reading = read_over(tmp_path, picture, f"q 300 0 0 168 150 300 cm /Im1 Do Q\n{prose}")
    (figure,) = [block for block in reading.blocks if block.kind == "figure"]
    assert "before you open the lid" in figure.text
    assert not reading.pages[0].read_by_ocr


def test_letters_that_are_drawn_as_shapes_are_read(tmp_path: Path) -> None:
    """Each run of dark pixels of the letters is a filled rectangle."""
    image = written(BODY, size=(620, 500), font_size=24)
    shapes = []
    for y in range(image.height):
        row = [pixel < 128 for pixel in image.crop((0, y, image.width, y + 1)).get_flattened_data()]
        starts = [x for x in range(image.width) if row[x] and not (x and row[x - 1])]
        for x in starts:
            end = next((x1 for x1 in range(x, image.width) if not row[x1]), image.width)
            shapes.append(f"{x} {700 - y} {end - x} 1 re f")
    file = PdfFile()
    file.page(text_at(72, 40, "A footer that is text and not a shape") + "\n".join(shapes))
    (tmp_path / "shapes.pdf").write_bytes(file.data())
    text = words_of(read_here(tmp_path / "shapes.pdf", tmp_path / "out").blocks)
    assert [line in text for line in BODY] == [True] * 3


def test_a_photograph_on_a_page_of_text_adds_no_words(tmp_path: Path) -> None:
    photo = Image.effect_noise((600, 400), 60)
    ImageDraw.Draw(photo).ellipse((100, 100, 400, 300), fill=200)
    prose = "".join(text_at(72, 740 - 14 * row, f"A line of the page, the {row}. of all", size=10) for row in range(12))
    reading = read_over(tmp_path, photo, f"q 300 0 0 200 150 300 cm /Im1 Do Q\n{prose}")
    (figure,) = [block for block in reading.blocks if block.kind == "figure"]
    assert figure.text == ""
    assert reading.notes == ()


def test_an_invisible_layer_that_lies_beside_the_words_of_its_scan_is_enough(tmp_path: Path) -> None:
    layer = "".join(f"BT 3 Tr /F1 16 Tf 80 {690 - 40 * row} Td ({line}) Tj ET\n" for row, line in enumerate(BODY))
    text = words_of(read_over(tmp_path, written(BODY), WHOLE + layer).blocks)
    assert [text.count(line) for line in BODY] == [1, 1, 1]


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_a_turned_page_with_a_scan_and_a_stamp_is_read(tmp_path: Path, rotate: int) -> None:
    file = PdfFile()
    drawn = file.picture(written(BODY).rotate(rotate, expand=True))
    stamp = text_at(72, 20, "Land registry Eastmere - electronic copy", size=8)
    resources = f"/XObject << /Im1 {drawn} >> /Font << /F1 3 0 R >>"
    file.page(WHOLE + stamp, resources=resources, extra=f"/Rotate {rotate}")
    (tmp_path / "scan.pdf").write_bytes(file.data())
    text = words_of(read_here(tmp_path / "scan.pdf", tmp_path / "out").blocks)
    assert "Cordelia Vance" in text
    assert "Eastmere" in text


def test_a_scanned_page_that_is_read_with_doubt_gets_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clear").mkdir()
    (tmp_path / "unclear").mkdir()
    clear = read_over(tmp_path / "clear", written(BODY), WHOLE)
    assert clear.notes == ()
    assert all(line.confidence is not None for block in clear.blocks for line in block.lines)
    monkeypatch.setattr("indexing.readers.ocr.DOUBTFUL", 1.01)
    (note,) = read_over(tmp_path / "unclear", written(BODY), WHOLE).notes
    assert "low confidence" in note
    assert (note.place, note.unread) == ("page 1", False)
