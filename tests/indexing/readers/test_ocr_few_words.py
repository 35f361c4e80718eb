"""Signs, number plates, labels; long pictures; scripts that the OCR does not know."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from rapidocr import RapidOCR
from reading_doubles import read_here

from indexing.readers.image import small_grey
from indexing.readers.letters import LikelyWord, Strokes
from indexing.readers.ocr import few_words
from indexing.readers.ocr_networks import recognised
from indexing.records import Reading

PICTURES = Path(__file__).parents[1] / "pictures"
TROUBLE = Path(__file__).parent / "trouble"


def likely_words(grey: NDArray[np.uint8]) -> list[LikelyWord]:
    return Strokes(grey).likely_words()


def sign(*lines: str, ink: str = "white", paper: str = "#204080", size: int = 60, tilt: int = 0) -> Image.Image:
    """A panel in front of something uneven."""
    waves = np.add.outer(np.sin(np.arange(900) / 37) * 40, np.cos(np.arange(1200) / 53) * 40) + 120
    image = Image.fromarray(np.repeat(waves[:, :, None], 3, axis=2).astype(np.uint8))
    panel = Image.new(
        "RGB", (int(size * 0.7 * max(map(len, lines))) + size, int(size * 1.4 * len(lines)) + size), paper
    )
    draw = ImageDraw.Draw(panel)
    for row, words in enumerate(lines):
        draw.text((size // 2, size // 2 + row * size * 1.4), words, fill=ink, font_size=size)
    turned = panel.convert("RGBA").rotate(tilt, expand=True)
    image.paste(turned, (200, 300), turned)
    return image


def words_of(reading: Reading) -> list[str]:
    return [line.text for block in reading.blocks for line in block.lines]


def read(image: Image.Image, tmp_path: Path) -> Reading:
    image.save(tmp_path / "picture.png")
    return read_here(tmp_path / "picture.png", tmp_path / "out")


@pytest.mark.parametrize(
    ("lines", "look"),
    [
        (("WESTBURY HALT",), {}),
        (("KJ12 ABC",), {"ink": "black", "paper": "#f0d020", "size": 90}),
        (("LOCK 14", "NO MOORING"), {"ink": "#602010", "paper": "#e8e0c8", "tilt": 6}),
        (("EXIT",), {"ink": "#00c040", "paper": "#101010", "size": 120}),
    ],
)
def test_one_or_two_lines_on_a_sign_are_read(tmp_path: Path, lines: tuple[str, ...], look: dict[str, str]) -> None:
    reading = read(sign(*lines, **look), tmp_path)  # type: ignore[arg-type]  # sizes are numbers
    assert tuple(words_of(reading)) == lines
    assert reading.pages[0].read_by_ocr and reading.notes == ()


def test_a_sign_that_stands_on_its_head_is_read(tmp_path: Path) -> None:
    assert words_of(read(sign("FOOTPATH CLOSED").rotate(180), tmp_path)) == ["FOOTPATH CLOSED"]


def test_a_noisy_picture_taken_at_night_is_read_although_it_is_large(tmp_path: Path) -> None:
    small = sign("ROOM 430", size=70).resize((2400, 1800)).filter(ImageFilter.GaussianBlur(2))
    noise = np.random.default_rng(3).normal(0, 12, (1800, 2400, 3))
    image = Image.fromarray(np.clip(np.asarray(small) * 0.5 + noise, 0, 255).astype(np.uint8))
    assert words_of(read(image, tmp_path)) == ["ROOM 430"]


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.webp")), ids=lambda path: path.stem)
def test_photographs_get_no_words(path: Path) -> None:
    with Image.open(path) as image:
        pixels_HWC = np.asarray(image.convert("RGB"))
    assert few_words(pixels_HWC, Strokes(small_grey(pixels_HWC)).likely_words()) == "none"


def test_stripes_are_no_word_and_four_letters_are_one() -> None:
    assert not likely_words(np.tile(np.repeat(np.array([0, 255], np.uint8), 10), (600, 40)))
    word = Image.new("L", (600, 400), 255)
    ImageDraw.Draw(word).text((200, 180), "STOP", fill=0, font_size=60)
    found = likely_words(np.asarray(word))
    assert {each.letters for each in found} == {4}
    assert found[0].box == pytest.approx((202 / 600, 192 / 400, 350 / 600, 236 / 400), abs=0.02)
    assert not found[0].lies_on_its_side


def test_small_print_on_an_empty_page_is_read(tmp_path: Path) -> None:
    page = Image.new("RGB", (1240, 1754), "white")
    ImageDraw.Draw(page).text((150, 300), "Received with thanks", fill="black", font_size=24)
    assert words_of(read(page, tmp_path)) == ["Received with thanks"]


def test_a_word_that_lies_on_its_side_has_its_box() -> None:
    word = Image.new("L", (600, 400), 255)
    ImageDraw.Draw(word).text((200, 180), "STOP", fill=0, font_size=60)
    upright, lying = (likely_words(np.asarray(each))[0] for each in (word, word.rotate(90, expand=True)))
    x0, y0, x1, y1 = upright.box
    assert lying.box == pytest.approx((y0, 1 - x1, y1, 1 - x0), abs=0.005)
    assert lying.lies_on_its_side


@pytest.mark.parametrize("turn", [0, 90])
def test_of_a_long_screenshot_each_line_is_read_once_and_in_order(tmp_path: Path, turn: int) -> None:
    chat = Image.new("RGB", (500, 3600), "white")
    draw = ImageDraw.Draw(chat)
    lines = [f"Message {row} has code {7 * row + 100}" for row in range(1, 59)]
    for row, words in enumerate(lines):
        draw.text((20, 20 + 60 * row), words, fill="black", font_size=24)
    reading = read(chat.rotate(turn, expand=True), tmp_path)
    assert words_of(reading) == lines
    tops = [line.box[1] * 3600 for block in reading.blocks for line in block.lines if line.box]
    assert tops == pytest.approx([20 + 60 * row for row in range(58)], abs=12)
    (page,) = reading.pages
    assert page.height > 2_000 and page.width / page.height == pytest.approx(500 / 3600, abs=0.005)


def test_lines_that_run_through_a_whole_panorama_are_whole(tmp_path: Path) -> None:
    wall = Image.new("RGB", (2600, 500), "white")
    draw = ImageDraw.Draw(wall)
    lines = [f"Row {row} " + " ".join(f"seat{seat}" for seat in range(1, 19)) for row in range(1, 4)]
    for row, words in enumerate(lines):
        draw.text((60, 60 + 120 * row), words, fill="black", font_size=40)
    assert [" ".join(words.split()) for words in words_of(read(wall, tmp_path))] == lines


def test_a_picture_longer_than_what_is_read_says_so(tmp_path: Path) -> None:
    strip = Image.new("RGB", (100, 5_000), "white")
    draw = ImageDraw.Draw(strip)
    for row in range(60):
        draw.text((4, 4 + 60 * row), "order 5512", fill="black", font_size=17)
    reading = read(strip, tmp_path)
    assert "a picture 5,000 pixels long: words were looked for in the first 3,920" in reading.notes


@pytest.mark.parametrize("name", ["russian", "greek"])
def test_a_script_that_the_ocr_does_not_know_is_told_and_not_guessed(tmp_path: Path, name: str) -> None:
    reading = read_here(TROUBLE / "19-scan-other-scripts" / f"{name}.png", tmp_path / "out")
    assert words_of(reading) == []
    (note,) = reading.notes
    assert (note.kind, note.unread) == ("script", True) and note.number >= 3


def test_an_alphabet_that_nobody_knows_is_told_and_not_guessed(tmp_path: Path) -> None:
    chance = np.random.default_rng(11)
    page = Image.new("RGB", (900, 700), "white")
    draw = ImageDraw.Draw(page)
    glyphs = [[tuple(point) for point in chance.integers(0, 22, (4, 2))] for _ in range(20)]
    for row in range(9):
        for column in [each for each in range(26) if each % 7 != 6]:
            points = [(60 + 28 * column + x, 50 + 68 * row + 1.4 * y) for x, y in glyphs[chance.integers(20)]]
            draw.line(points, fill="black", width=3, joint="curve")
    reading = read(page, tmp_path)
    assert words_of(reading) == []
    assert [(note.kind, note.unread) for note in reading.notes] == [("script", True)]


def test_a_sign_in_an_alphabet_that_nobody_knows_is_told(tmp_path: Path) -> None:
    chance = np.random.default_rng(11)
    panel = sign(" " * 18)
    draw = ImageDraw.Draw(panel)
    for column in range(12):
        points = [(260 + 50 * column + 1.7 * x, 335 + 2.4 * y) for x, y in chance.integers(0, 22, (4, 2))]
        draw.line(points, fill="white", width=7, joint="curve")
    reading = read(panel, tmp_path)
    assert words_of(reading) == [] and not reading.pages[0].read_by_ocr
    assert [(note.kind, note.unread) for note in reading.notes] == [("script", True)]


def test_lines_are_recognised_as_rapidocr_does_it() -> None:
    """The engine takes four times as long to load as its network alone."""
    lines = [
        sign(words, size=size).crop((200, 300, 900, 300 + 3 * size)) for words, size in (("LOCK 14", 90), ("", 40))
    ]
    crops = [np.ascontiguousarray(np.asarray(line)[:, :, ::-1]) for line in lines]
    engine = RapidOCR(params={"Global.log_level": "critical", "Rec.rec_batch_num": 1})
    theirs = engine.recognize_txt(crops)
    ours = recognised(crops)
    assert [text for text, _ in ours] == list(theirs.txts)
    assert [sure for _, sure in ours] == pytest.approx(list(theirs.scores), abs=1e-3)
