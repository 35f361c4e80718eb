"""Pictures from anywhere, against transformers' and timm's own preprocessing."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from llava_model.errors import MissingFileError, PictureTooLargeError, UnreadablePictureError
from llava_model.images import ImagePreprocess, open_picture

Photograph = Callable[..., Image.Image]
SHAPES = [(60, 40), (40, 60), (50, 50), (301, 47), (20, 20)]


def _bytes(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _announcing(width: int, height: int) -> bytes:
    """A PNG whose header promises this size and whose data ends at once."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("crop", [24, 32])
def test_pixels_equal_transformers_clip_processor(shape: tuple[int, int], crop: int, photograph: Photograph) -> None:
    from transformers import CLIPImageProcessorPil

    theirs = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": crop, "width": crop})
    ours = ImagePreprocess(size=crop, resize_to=32)
    picture = photograph(*shape)
    expected = theirs(picture, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(ours.pixels([picture]), expected, rtol=0, atol=1e-6)
    assert ImagePreprocess.from_transformers(theirs.to_dict()) == ours


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_to_a_square_equals_transformers_llava_processor(
    shape: tuple[int, int], photograph: Photograph
) -> None:
    from transformers import LlavaImageProcessorPil

    theirs = LlavaImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, do_pad=True)
    ours = ImagePreprocess(size=32, resize_to=32, mode="pad")
    picture = photograph(*shape)
    expected = theirs(picture, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(ours.pixels([picture]), expected, rtol=0, atol=1e-6)
    assert ImagePreprocess.from_transformers(theirs.to_dict()) == ours


@pytest.mark.parametrize("shape", SHAPES)
def test_squashing_equals_transformers_siglip_processor(shape: tuple[int, int], photograph: Photograph) -> None:
    from transformers import SiglipImageProcessorPil

    theirs = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    ours = ImagePreprocess(size=32, mode="squash", mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5))
    picture = photograph(*shape)
    expected = theirs(picture, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(ours.pixels([picture]), expected, rtol=0, atol=1e-6)
    assert ImagePreprocess.from_transformers(theirs.to_dict()) == ours


@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (300, 258)])
def test_pixels_equal_timms_evaluation_transform(shape: tuple[int, int], photograph: Photograph) -> None:
    from timm.data import create_transform

    config = {"input_size": (3, 28, 28), "crop_pct": 0.875, "interpolation": "bicubic", "mean": (127 / 255,) * 3,
              "std": (128 / 255,) * 3}  # fmt: skip
    picture = photograph(*shape)
    expected = create_transform(**config, is_training=False)(picture)[None]
    torch.testing.assert_close(ImagePreprocess.from_timm(config).pixels([picture]), expected, rtol=0, atol=1e-5)


def test_efficientnet_lite_sees_x_minus_127_over_128(photograph: Photograph) -> None:
    config = {"input_size": [3, 32, 32], "crop_pct": 1.0, "mean": [127 / 255] * 3, "std": [128 / 255] * 3}
    picture = photograph(32, 32)
    expected = (np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) - 127) / 128
    pixels = ImagePreprocess.from_timm(config).pixels([picture])[0].numpy()
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_the_cameras_rotation_is_obeyed(photograph: Photograph) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    picture = photograph(60, 40)
    opened = open_picture(_bytes(picture, exif=exif))
    assert opened.size == (40, 60)
    assert np.array_equal(np.asarray(opened), np.asarray(picture.transpose(Image.Transpose.ROTATE_270)))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_on_white(mode: str) -> None:
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    picture.putpixel((0, 0), (10, 10, 10, 255))
    opened = open_picture(_bytes(picture.convert(mode)))
    assert opened.mode == "RGB"
    assert opened.getpixel((3, 3)) == (255, 255, 255)
    assert opened.getpixel((0, 0)) == (10, 10, 10)


def test_sixteen_bit_greys_are_scaled() -> None:
    grey = Image.fromarray(np.full((2, 2), 0x8000, dtype=np.uint16))
    assert open_picture(_bytes(grey)).getpixel((0, 0)) == (128, 128, 128)


def test_a_file_opens_like_its_bytes_and_a_moving_picture_stands_still(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = tmp_path / "two.gif"
    path.write_bytes(_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert open_picture(path).getpixel((0, 0)) == (255, 0, 0)
    assert open_picture(path.read_bytes()).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (24_000, 25_000), (12_000, 9_000)])
def test_a_picture_that_announces_too_many_pixels_is_not_decoded(width: int, height: int) -> None:
    with pytest.raises(PictureTooLargeError, match="the limit is 89478485"):
        open_picture(_announcing(width, height))


def test_the_limit_is_the_callers(photograph: Photograph) -> None:
    with pytest.raises(PictureTooLargeError, match="60×40 pixels, the limit is 2399"):
        open_picture(_bytes(photograph(60, 40)), max_pixels=2399)
    assert open_picture(_bytes(photograph(60, 40)), max_pixels=2400).size == (60, 40)


@pytest.mark.parametrize("data", [b"", b"no picture", _announcing(40, 40), b"\xff\xd8\xff\xe0" + b"0" * 50])
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(UnreadablePictureError, match="cannot read picture"):
        open_picture(data)


def test_a_truncated_photograph_is_damaged(photograph: Photograph) -> None:
    whole = _bytes(photograph(200, 200), "JPEG")
    with pytest.raises(UnreadablePictureError, match="damaged"):
        open_picture(whole[: len(whole) // 2])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"gone\.png"):
        open_picture(tmp_path / "gone.png")


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg", "picture.eps", "picture"])
def test_postscript_under_any_name_starts_no_interpreter(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow would run Ghostscript on it, which does what the file says."""
    trace = tmp_path / "started"
    (tmp_path / "bin").mkdir()
    for program in ("gs", "gswin32c"):
        interpreter = tmp_path / "bin" / program
        interpreter.write_text(f"#!/bin/sh\ntouch {trace}\n")
        interpreter.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    (tmp_path / name).write_bytes(POSTSCRIPT)
    for source in (POSTSCRIPT, tmp_path / name):
        with pytest.raises(UnreadablePictureError, match="none of the formats"):
            open_picture(source)
    assert not trace.exists()


@pytest.mark.parametrize("form", ["PPM", "ICO", "PCX", "TGA"])
def test_formats_that_are_not_on_the_list_are_refused_by_name(form: str) -> None:
    with pytest.raises(UnreadablePictureError, match="PNG, JPEG, WEBP, GIF, TIFF, BMP"):
        open_picture(_bytes(Image.new("RGB", (16, 16)), form))
