import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from indexing.records import Box
from ui.page import draw

any_number = st.floats(allow_nan=True, allow_infinity=True)
any_boxes = st.lists(st.tuples(any_number, any_number, any_number, any_number), max_size=4)
any_size = st.tuples(st.integers(1, 400), st.integers(1, 400))


def pixels(image: Image.Image) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]]":
    return np.asarray(image.convert("RGB"), dtype=np.int32)


def test_only_the_region_is_painted_and_dark_words_stay_dark() -> None:
    page = Image.new("RGB", (1000, 1000), "white")
    page.paste("black", (420, 420, 460, 430))
    shown = pixels(draw.marked(page, [(0.4, 0.4, 0.6, 0.5)]))
    assert tuple(shown[480, 500]) == draw.INK
    assert tuple(shown[425, 440]) == (0, 0, 0)
    assert tuple(shown[100, 100]) == (255, 255, 255)
    assert tuple(shown[700, 500]) == (255, 255, 255)


def test_a_picture_without_boxes_stays_as_it_is() -> None:
    page = Image.effect_noise((300, 200), 80).convert("RGB")
    assert (pixels(draw.marked(page, [])) == pixels(page)).all()


def test_a_large_page_is_made_small_enough_for_a_browser() -> None:
    assert max(draw.marked(Image.new("RGB", (5000, 3000)), [], longest_side=1600).size) == 1600


def test_a_box_around_everything_paints_nothing() -> None:
    photo = Image.effect_noise((300, 200), 80).convert("RGB")
    assert (pixels(draw.marked(photo, [(0.0, 0.0, 1.0, 1.0)])) == pixels(photo)).all()


@settings(deadline=None)
@given(any_size, any_boxes)
def test_any_boxes_on_any_picture_can_be_drawn(size: tuple[int, int], boxes: list[Box]) -> None:
    image = Image.new("RGB", size, "white")
    assert draw.marked(image, boxes).size == size
    assert draw.card(image, boxes).size == draw.CARD_SIZE


@given(any_boxes)
def test_boxes_that_remain_lie_inside_the_picture_and_are_not_empty(boxes: list[Box]) -> None:
    for x0, y0, x1, y1 in draw.sane(boxes):
        assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1
        assert all(map(math.isfinite, (x0, y0, x1, y1)))


def test_lines_of_one_paragraph_are_one_region_and_distant_ones_are_not() -> None:
    paragraph = [(0.1, 0.1, 0.9, 0.12), (0.1, 0.125, 0.9, 0.145), (0.1, 0.15, 0.5, 0.17)]
    elsewhere = (0.1, 0.8, 0.9, 0.82)
    assert draw.regions([paragraph[2], elsewhere, paragraph[0], paragraph[1]]) == [elsewhere, (0.1, 0.1, 0.9, 0.17)]


@given(any_boxes)
def test_every_box_lies_in_a_region_and_no_two_regions_touch(boxes: list[Box]) -> None:
    found = draw.regions(boxes)
    for x0, y0, x1, y1 in draw.sane(boxes):
        inside = (r[0] <= x0 and r[1] <= y0 and x1 <= r[2] and y1 <= r[3] for r in found)
        assert any(inside)
    assert all(not draw._are_close(a, b) for i, a in enumerate(found) for b in found[:i])


@pytest.mark.parametrize("box", [(0.1, 0.85, 0.4, 0.9), (0.7, 0.02, 0.95, 0.05), (0.05, 0.4, 0.95, 0.7)])
def test_a_card_shows_the_whole_region_wherever_it_lies(box: Box) -> None:
    shown = pixels(draw.card(Image.new("RGB", (850, 1100), "white"), [box]))
    painted = np.abs(shown - np.array(draw.INK)).sum(axis=2) < 40
    assert painted.mean() > 0.02
    for edge in (painted[0], painted[-1], painted[:, 0], painted[:, -1]):
        assert not edge.any()


def test_bytes_for_the_browser_are_a_jpeg_of_the_same_size() -> None:
    import io

    content = draw.jpeg(Image.new("RGBA", (40, 30), (255, 0, 0, 128)))
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (40, 30))
