"""RapidOCR with our turning and ordering, on pages drawn on the spot."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from indexing.readers.ocr import OcrText, read_words

RECEIPT = [("MILK", "1.20"), ("BREAD", "2.35"), ("COFFEE BEANS", "8.90"), ("TOTAL", "12.45")]


def receipt() -> Image.Image:
    image = Image.new("RGB", (640, 520), "white")
    draw = ImageDraw.Draw(image)
    draw.text((180, 30), "CORNER STORE", fill="black", font_size=34)
    for row, (name, amount) in enumerate(RECEIPT):
        draw.text((50, 130 + 80 * row), name, fill="black", font_size=32)
        draw.text((500, 130 + 80 * row), amount, fill="black", font_size=32)
    return image


def read(image: Image.Image) -> OcrText:
    return read_words(np.asarray(image))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_receipt_in_any_position_is_read_row_by_row_and_turned_upright(turn: int) -> None:
    words = read(receipt().rotate(turn, expand=True))
    assert (turn + words.turned) % 360 == 0
    texts = [line.text for line in words.lines]
    assert texts == ["CORNER STORE", *(f"{name} {amount}" for name, amount in RECEIPT)]


def test_boxes_are_fractions_of_the_upright_page() -> None:
    words = read(receipt().rotate(90, expand=True))
    total = next(line for line in words.lines if line.text.startswith("TOTAL"))
    assert total.box == pytest.approx((50 / 640, 375 / 520, 590 / 640, 408 / 520), abs=0.025)


def test_columns_of_prose_are_read_one_after_the_other() -> None:
    image = Image.new("RGB", (1200, 700), "white")
    draw = ImageDraw.Draw(image)
    sides = {"left": 40, "right": 640}
    for side, x in sides.items():
        for row in range(9):
            draw.text((x, 60 + 65 * row), f"line {row} of the {side} column of words", fill="black", font_size=30)
    order = ["left" if "left" in line.text else "right" for line in read(image).lines]
    assert order == ["left"] * 9 + ["right"] * 9


def test_a_blank_page_has_no_words() -> None:
    assert read(Image.new("RGB", (400, 400), "white")).lines == ()


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 6), (9, 9)])
def test_slivers_are_read_without_harm(size: tuple[int, int]) -> None:
    assert read(Image.new("RGB", size, "white")).lines == ()


def test_rows_become_one_block_with_line_breaks() -> None:
    (block, *_) = read(receipt()).blocks(page=3)
    assert block.page == 3
    assert block.text == "\n".join(line.text for line in block.lines)


PROBE = """
import sys, numpy as np
from indexing.readers import ocr, ocr_networks
ocr_networks.tiny_is_zero = sys.argv[1] == "reader"
ocr.read_words(np.full((64, 200, 3), 255, np.uint8))
print(float(np.float32(1e-40) * np.float32(1.0)) == 0.0)
"""


@pytest.mark.parametrize(("process", "zero"), [("reader", "True"), ("other", "False")])
def test_only_a_readers_process_takes_tiny_numbers_for_zero(process: str, zero: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROBE, process], capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout.split()[-1] == zero
