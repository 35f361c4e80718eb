"""The oracle is open_clip's own evaluation transform."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from indexing.embedding.protocol import Preprocess, is_drawn, plain_ground

Mode = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]


def picture(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def open_clips_own(image: Image.Image, size: int, mode: Mode, interpolation: Interpolation, fill: int) -> np.ndarray:
    from open_clip.transform import image_transform

    transform = image_transform(
        size,
        is_train=False,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        resize_mode=mode,
        interpolation=interpolation,
        fill_color=fill,
    )
    return transform(image).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(2, 400),
    height=st.integers(2, 400),
    size=st.sampled_from([32, 33]),
    fill=st.sampled_from([0, 255]),
)
def test_the_crop_is_bitwise_what_open_clip_feeds_its_towers(
    mode: Mode, interpolation: Interpolation, width: int, height: int, size: int, fill: int
) -> None:
    if max(width, height) > 30 * min(width, height):
        return  # thin strips have a test of their own
    image = picture(width, height, seed=width * 401 + height)
    preprocess = Preprocess(size=size, resize_to=size, mode=mode, interpolation=interpolation, fill=fill)
    ours = preprocess.crop(image)
    assert ours.dtype == np.uint8 and ours.shape == (size, size, 3)
    theirs = open_clips_own(image, size, mode, interpolation, fill)
    np.testing.assert_array_equal(ours.astype(np.float32) / 255, theirs)


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (225, 224), (100, 80)])
def test_the_size_of_a_real_tower_gives_the_same_pixels_too(size: tuple[int, int]) -> None:
    image = picture(*size)
    ours = Preprocess(size=224, resize_to=224).crop(image)
    np.testing.assert_array_equal(ours.astype(np.float32) / 255, open_clips_own(image, 224, "shortest", "bicubic", 0))


def test_a_grey_picture_gives_the_same_pixels_as_in_open_clip() -> None:
    image = picture(90, 61, mode="L")
    ours = Preprocess(size=32, resize_to=32).crop(image)
    np.testing.assert_array_equal(ours.astype(np.float32) / 255, open_clips_own(image, 32, "shortest", "bicubic", 0))


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK", "LA", "1"])
def test_other_modes_are_made_rgb_before_they_are_resized(mode: str) -> None:
    image = picture(90, 61, mode="L" if mode == "LA" else "RGB").convert(mode)
    preprocess = Preprocess(size=32, resize_to=32)
    np.testing.assert_array_equal(preprocess.crop(image), preprocess.crop(image.convert("RGB")))


def test_a_picture_of_one_pixel_fills_the_square() -> None:
    image = Image.new("RGB", (1, 1), (10, 20, 30))
    for mode in ("shortest", "longest", "squash"):
        pixels = Preprocess(size=8, resize_to=8, mode=mode).crop(image)
        assert (pixels == (10, 20, 30)).all()


def test_an_endless_strip_is_cropped_without_blowing_it_up() -> None:
    strip = Image.new("RGB", (200_000, 1), (200, 0, 0))
    strip.paste((0, 0, 200), (99_990, 0, 100_010, 1))
    pixels = Preprocess(size=16, resize_to=16).crop(strip)
    assert (pixels[:, 8] == (0, 0, 200)).all()


def test_rounding_to_the_nearest_pixel_is_what_the_pocket_kit_was_measured_with() -> None:
    image = picture(451, 300)
    expected = image.resize((385, 256), Image.Resampling.BICUBIC).crop((80, 16, 304, 240))
    ours = Preprocess(size=224, resize_to=256, rounding="nearest").crop(image)
    np.testing.assert_array_equal(ours, np.asarray(expected))


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (333, 1001), (257, 256), (100, 64), (250, 900), (2000, 230)])
def test_cropping_first_changes_a_few_pixels_by_one_step_at_most(size: tuple[int, int]) -> None:
    image = picture(*size)
    whole = Preprocess(size=224, resize_to=256, rounding="nearest")
    differences = replace(whole, crop_first=True).crop(image).astype(int) - whole.crop(image)
    assert abs(differences).max() <= 1
    assert (differences != 0).mean() < 0.01


def drawing(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    image.paste((200, 0, 0), (2, 2, width // 8, height - 2))  # at the left edge, where a crop would cut it off
    return image


@pytest.mark.parametrize("size", [(600, 300), (300, 600), (90, 40)])
def test_a_drawing_is_seen_whole_and_a_photograph_at_its_centre(size: tuple[int, int]) -> None:
    whole = Preprocess(size=224, resize_to=256, rounding="nearest", whole_drawings=True)
    seen = whole.crop(drawing(*size))
    assert (seen == (200, 0, 0)).all(-1).any()
    expected = replace(whole, mode="longest", resize_to=224, fill=255, whole_drawings=False)
    np.testing.assert_array_equal(seen, expected.crop(drawing(*size)))
    noise = picture(*size)
    np.testing.assert_array_equal(whole.crop(noise), replace(whole, whole_drawings=False).crop(noise))


def test_a_square_drawing_is_seen_whole_too() -> None:
    whole = Preprocess(size=224, resize_to=256, rounding="nearest", whole_drawings=True)
    seen, cut = whole.crop(drawing(300, 300)), replace(whole, whole_drawings=False).crop(drawing(300, 300))
    assert (seen[:, 0] == 255).all()  # the margin
    assert (cut[:, 0] == (200, 0, 0)).all()


def test_what_stands_on_plain_ground_is_seen_whole_though_it_is_a_photograph() -> None:
    whole = Preprocess(size=224, resize_to=256, rounding="nearest", whole_drawings=True)
    cut_out = Image.new("RGB", (400, 300), (20, 20, 30))
    cut_out.paste(picture(396, 296), (2, 2))
    assert not is_drawn(cut_out) and plain_ground(cut_out) == (20, 20, 30)
    expected = replace(whole, mode="longest", resize_to=224, whole_drawings=False).crop(cut_out).copy()
    expected[:28] = expected[196:] = (20, 20, 30)
    np.testing.assert_array_equal(whole.crop(cut_out), expected)


def test_a_line_of_one_pixel_is_no_trouble() -> None:
    whole = Preprocess(size=224, resize_to=256, rounding="nearest", whole_drawings=True)
    assert whole.crop(Image.new("RGB", (1, 50), "red")).shape == (224, 224, 3)
    assert whole.crop(Image.new("RGB", (1, 1), "red")).shape == (224, 224, 3)
