"""A picture of any size → the square of pixels a tower sees. Pillow and numpy alone, for reader workers.

    a photograph, RGB 4000 x 3000  ── shortest, 224 ──►  299 x 224  ── centre crop ──►  uint8 (224, 224, 3)

Bitwise what open_clip's evaluation transform hands to its `ToTensor`: torchvision's Resize and
CenterCrop in mode "shortest", open_clip's ResizeKeepRatio and CenterCropOrPad in mode "longest".
"""

from dataclasses import replace

import numpy as np
from PIL import Image

from indexing.embedding.protocol import Pixels, Preprocess

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_ROWS = 16
_MOSTLY_FLAT = 0.65
"""Share of equal neighbours along a few rows. Photographs have 0.02–0.61 (median 0.12), nineteen in twenty of Open
Clipart's drawings more than 0.62, scanned and rendered pages mostly more than 0.7."""
_SAME_COLOUR = 6
"""Levels of 255 by which a cut-out's corners may differ: true of 2 in 500 photographs and of nine in ten cut-outs."""
_WHITE = (255, 255, 255)
_MAX_ASPECT = 32  # beyond it, "shortest" would blow a thin strip up to gigabytes before cropping it


def crop(preprocess: Preprocess, image: Image.Image) -> Pixels:
    """uint8 pixels of shape (size, size, 3). The picture is taken upright; modes other than RGB are converted first.

    Converting first is what distinguishes a palette picture here from one given to open_clip as it
    is: open_clip would resize the palette's indices.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    border = (preprocess.fill,) * 3
    if preprocess.whole_drawings:
        ground = plain_ground(rgb)
        if ground or is_drawn(rgb):
            preprocess = replace(preprocess, mode="longest", resize_to=preprocess.size)
            border = ground or _WHITE
    if preprocess.mode == "shortest":
        rgb = _middle_of_a_strip(rgb)
    size = _resized(preprocess, rgb.size)
    if preprocess.crop_first and preprocess.mode == "shortest" and _shrinks(rgb.size, size):
        return np.asarray(_cropped_first(preprocess, rgb, size))
    resized = rgb.resize(size, _FILTERS[preprocess.interpolation])
    return np.asarray(_centre(preprocess, resized, border))


def plain_ground(image: Image.Image) -> tuple[int, int, int] | None:
    """The colour that an RGB picture stands on, if its four corners agree: what is cut out, printed or on a page."""
    right, bottom = image.width - 1, image.height - 1
    corners = np.array([image.getpixel(place) for place in ((0, 0), (right, 0), (0, bottom), (right, bottom))])
    if (np.ptp(corners, axis=0) > _SAME_COLOUR).any():
        return None
    red, green, blue = np.median(corners, axis=0).astype(int).tolist()
    return red, green, blue


def is_drawn(image: Image.Image) -> bool:
    """Whether an RGB picture is drawn, a page or cut out on plain ground: most pixels equal their neighbour."""
    width, height = image.size
    if width < 2:
        return False
    rows = [int((row + 0.5) * height / _ROWS) for row in range(_ROWS)]
    lines = [np.asarray(image.crop((0, y, width, y + 1)))[0] for y in rows]
    return float(np.mean([(line[1:] == line[:-1]).all(-1).mean() for line in lines])) > _MOSTLY_FLAT


def _resized(preprocess: Preprocess, size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    target = preprocess.resize_to
    if preprocess.mode == "squash":
        return target, target
    if preprocess.mode == "longest":
        ratio = max(width, height) / target
        return max(1, round(width / ratio)), max(1, round(height / ratio))
    longer = target * max(size) / min(size)
    longer = int(longer) if preprocess.rounding == "torchvision" else round(longer)
    return (target, longer) if width <= height else (longer, target)


def _shrinks(size: tuple[int, int], resized: tuple[int, int]) -> bool:
    """Both ways. What grows may come out quite different where Pillow is given a part of the picture."""
    return size[0] >= resized[0] and size[1] >= resized[1]


def _cropped_first(preprocess: Preprocess, image: Image.Image, resized: tuple[int, int]) -> Image.Image:
    """The centre of `image` resized to `resized`, without the pixels that the crop would throw away."""
    side = preprocess.size
    (width, height), (left, top) = image.size, (_offset(preprocess, length) for length in resized)
    across, down = width / resized[0], height / resized[1]
    kept = (left * across, top * down, (left + side) * across, (top + side) * down)
    return image.resize((side, side), _FILTERS[preprocess.interpolation], box=kept)


def _centre(preprocess: Preprocess, image: Image.Image, border: tuple[int, int, int]) -> Image.Image:
    """Cut what is too long; border what is too short."""
    size, (width, height) = preprocess.size, image.size
    if (width, height) == (size, size):
        return image
    left, top = _offset(preprocess, width), _offset(preprocess, height)
    if width >= size and height >= size:
        return image.crop((left, top, left + size, top + size))
    canvas = Image.new("RGB", (size, size), border)
    canvas.paste(image, (left, top))
    return canvas


def _offset(preprocess: Preprocess, length: int) -> int:
    """Where the crop begins, or (negative lengths over) where the picture lies on its canvas."""
    spare = length - preprocess.size
    if spare < 0:
        return -spare // 2
    return round(spare / 2) if preprocess.rounding == "torchvision" else spare // 2


def _middle_of_a_strip(image: Image.Image) -> Image.Image:
    """Cut a picture that is more than 32 times as long as it is wide; only its middle square counts anyway."""
    width, height = image.size
    longest = min(width, height) * _MAX_ASPECT
    if max(width, height) <= longest:
        return image
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    return image.crop((left, top, width - left, height - top))
