"""Pictures from other people's archives → small RGB pictures on white.

A PNG's size is read from its header before anything is unpacked: Open Clipart holds files of 600 megapixels,
3 MB on disk and 2 GB in memory.
"""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

MAX_PIXELS = 25_000_000
LONGEST_SIDE = 448
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_THUMB = 16


class UnusablePictureError(ValueError):
    """A picture that is no PNG, too large to open, broken, or empty."""


def png_size(file: Path) -> tuple[int, int]:
    """Width and height as the header states them; nothing is unpacked. Raises UnusablePictureError."""
    with file.open("rb") as opened:
        header = opened.read(24)
    if len(header) < 24 or header[:8] != _SIGNATURE or header[12:16] != b"IHDR":
        raise UnusablePictureError(f"{file.name} is no PNG file")
    width, height = struct.unpack(">II", header[16:24])
    return int(width), int(height)


def on_white(file: Path, longest: int = LONGEST_SIDE, *, refuse_empty: bool = True) -> Image.Image:
    """RGB, transparent parts white, its longer side at most `longest`. Raises UnusablePictureError.

    Unless `refuse_empty` is off, also refused: what shows nothing on white, such as white lines on nothing.
    """
    width, height = png_size(file)
    if width * height > MAX_PIXELS:
        raise UnusablePictureError(f"{file.name} has {width} x {height} pixels, the limit is {MAX_PIXELS}")
    try:
        with Image.open(file, formats=["PNG"]) as opened:
            rgba = opened.convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:
        raise UnusablePictureError(f"{file.name} is broken: {error}") from error
    rgba.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    white = Image.new("RGBA", rgba.size, "white")
    picture = Image.alpha_composite(white, rgba).convert("RGB")
    if refuse_empty and max(high - low for low, high in picture.getextrema()) < 16:
        raise UnusablePictureError(f"{file.name} shows nothing on white")
    return picture


def thumbprint(picture: Image.Image) -> npt.NDArray[np.float32]:
    """(768,): a 16 x 16 copy's colours in 0..255. Two pictures whose copies hardly differ are near-duplicates."""
    small = picture.resize((_THUMB, _THUMB), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32).reshape(-1)


def near_duplicates(
    thumbs_NF: npt.NDArray[np.float32], *, mean: float = 1.5, most: float = 24.0
) -> list[tuple[int, int]]:
    """Pairs whose copies differ by at most `mean` on average and by at most `most` anywhere."""
    pairs: list[tuple[int, int]] = []
    for first in range(len(thumbs_NF) - 1):
        difference_NF = np.abs(thumbs_NF[first + 1 :] - thumbs_NF[first])
        alike = (difference_NF.mean(1) <= mean) & (difference_NF.max(1) <= most)
        pairs += [(first, first + 1 + int(other)) for other in np.flatnonzero(alike)]
    return pairs
