import io

import cv2
import numpy as np
import pytest
from PIL import Image

from indexing.likeness import Likenesses, likeness

HEIGHT, WIDTH = 360, 540


def photograph(seed: int) -> np.ndarray:
    """Coloured shapes of all sizes over each other, as a photograph has."""
    random = np.random.default_rng(seed)
    picture = np.full((HEIGHT, WIDTH, 3), random.integers(0, 255, 3), np.uint8)
    for size in (160, 90, 60, 40, 40, 30, 30, 20):
        for _ in range(3):
            centre = (int(random.integers(0, WIDTH)), int(random.integers(0, HEIGHT)))
            cv2.circle(picture, centre, size, [int(each) for each in random.integers(0, 255, 3)], -1, cv2.LINE_AA)
    return picture


def cut(picture: np.ndarray, left: float, top: float, right: float, low: float) -> np.ndarray:
    height, width = picture.shape[:2]
    return picture[
        round(top * height) : height - round(low * height), round(left * width) : width - round(right * width)
    ]


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    kept = io.BytesIO()
    Image.fromarray(picture).save(kept, "JPEG", quality=quality)
    return np.asarray(Image.open(kept))


def near(first: np.ndarray, second: np.ndarray, words: tuple[list[str], list[str]] = ([], [])) -> bool:
    pictures = Likenesses()
    pictures.add("first", likeness(first, words[0]))
    return pictures.add("second", likeness(second, words[1])) == ("first",)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: cv2.resize(picture, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA),
        lambda picture: jpeg(picture, 25),
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 3),
        lambda picture: cv2.convertScaleAbs(picture, alpha=0.9, beta=8),
        lambda picture: cut(picture, 0.05, 0.05, 0.05, 0.05),
        lambda picture: cut(picture, 0.1, 0.0, 0.0, 0.0),
        lambda picture: cut(picture, 0.0, 0.0, 0.0, 0.1),
        lambda picture: jpeg(cut(picture, 0.025, 0.05, 0.075, 0.0), 40),
    ],
    ids=["a quarter", "JPEG 25", "blurred", "brighter", "cut all round", "cut left", "cut below", "cut and JPEG"],
)
def test_a_changed_copy_is_nearly_the_same_whichever_came_first(change) -> None:
    for seed in range(4):
        picture = photograph(seed)
        assert near(picture, change(picture))
        assert near(change(picture), picture)


def test_other_pictures_are_not() -> None:
    pictures = Likenesses()
    assert [pictures.add(str(seed), likeness(photograph(seed))) for seed in range(60)] == [()] * 60


def test_the_same_shapes_in_other_colours_are_another_picture() -> None:
    picture = photograph(3)
    assert not near(picture, np.ascontiguousarray(picture[:, :, ::-1]))


def test_nothing_is_kept_of_pictures_without_detail() -> None:
    ramp = np.linspace(0, 255, WIDTH).astype(np.uint8)
    noise = np.random.default_rng(0).normal(250, 3, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
    for picture in (
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
        np.repeat(np.tile(ramp, (HEIGHT, 1))[:, :, None], 3, axis=2),
        noise,
    ):
        assert likeness(picture) == ""


def test_pages_that_look_alike_are_apart_where_their_numbers_or_words_differ() -> None:
    page = photograph(5)
    bill = ["Acme Ltd, High Street", "Invoice of March", "for a pump and two pipes", "total 120.50"]
    other_total = [*bill[:3], "total 121.50"]
    letter = ["Dear customer", "your appointment was moved", "to another day next week", "total 120.50"]
    assert near(page, page, (bill, bill))
    assert near(page, page, (bill, [*bill[:2], "for a pump and tvvo pipes", bill[3]]))
    assert not near(page, page, (bill, other_total))
    assert not near(page, page, (bill, letter))
    assert not near(page, page, (bill, []))


def test_a_word_on_a_photograph_that_a_small_copy_does_not_show_keeps_them_together() -> None:
    assert near(photograph(6), photograph(6), (["exit"], []))


def test_what_another_version_kept_is_passed_over() -> None:
    pictures = Likenesses({"old": "abc", "older": "", "longer": likeness(photograph(1))[4:]})
    assert pictures.add("new", likeness(photograph(1))) == ()
    assert pictures.add("odd", "AAAA 0 x ") == ()


def test_pictures_of_any_shape_have_a_likeness() -> None:
    for shape in ((1, 1, 3), (1, 5000, 3), (5000, 2, 3)):
        assert likeness(np.zeros(shape, np.uint8)) == ""


def test_of_many_that_are_all_alike_each_is_linked_to_a_few() -> None:
    pictures, kept = Likenesses(), likeness(photograph(3), [])
    linked = [pictures.add(f"frame {number}", kept) for number in range(60)]
    assert [len(each) for each in linked] == [*range(20), *[20] * 40]
