from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from indexing.readers.image import small_grey
from indexing.readers.letters import Grey, Strokes

PICTURES = Path(__file__).parents[1] / "pictures"
WORDS = ["The quick brown fox jumps over", "the lazy dog while twelve other", "animals look on from the fence"]


def has_text(grey: Grey) -> bool:
    return Strokes(grey).make_text()


def written(*, ink: str = "black", paper: str = "white", size: int = 22, turn: int = 0) -> Grey:
    image = Image.new("RGB", (800, 400), paper)
    draw = ImageDraw.Draw(image)
    for row, words in enumerate(WORDS):
        draw.text((60, 60 + 2 * size * row), words, fill=ink, font_size=size)
    return small_grey(image.rotate(turn, expand=True))


@pytest.mark.parametrize("size", [10, 16, 24, 36])
def test_a_few_lines_of_print_are_text(size: int) -> None:
    assert has_text(written(size=size))


def test_light_letters_on_a_dark_ground_are_text() -> None:
    assert has_text(written(ink="white", paper="#203040"))


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_page_that_lies_on_its_side_is_text(turn: int) -> None:
    assert has_text(written(turn=turn))


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.webp")), ids=lambda path: path.stem)
def test_photographs_are_not_text(path: Path) -> None:
    with Image.open(path) as image:
        assert not has_text(small_grey(image.convert("RGB")))


def test_noise_grass_and_gravel_are_not_text() -> None:
    chance = np.random.default_rng(1)
    noise = chance.integers(0, 256, (600, 800), np.uint8)
    assert not has_text(noise)
    for blur in (1, 2, 4):
        soft = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(blur)), np.float32)
        spread = (soft - soft.mean()) * (60 / soft.std()) + 128
        assert not has_text(np.clip(spread, 0, 255).astype(np.uint8))


def test_stripes_and_a_single_word_are_not_worth_reading() -> None:
    stripes = np.tile(np.repeat(np.array([0, 255], np.uint8), 10), (600, 40))
    assert not has_text(stripes)
    word = Image.new("L", (600, 400), 255)
    ImageDraw.Draw(word).text((200, 180), "STOP", fill=0, font_size=60)
    assert not has_text(np.asarray(word))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_no_picture_upsets_the_gate(height: int, width: int, seed: int, block: int) -> None:
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (height, width), np.uint8)
    picture = cv2.resize(coarse, None, fx=block, fy=block, interpolation=cv2.INTER_NEAREST)
    assert has_text(np.asarray(picture, np.uint8)) in (True, False)


def test_the_densest_picture_of_all_does_not_overflow_the_labels() -> None:
    dots = np.zeros((800, 800), np.uint8)
    dots[::2, ::2] = 255
    assert not has_text(dots)
