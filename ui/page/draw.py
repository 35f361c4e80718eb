"""Regions drawn on page images: what was cited, marked as with a highlighter.

Boxes are `(x0, y0, x1, y1)` as fractions 0..1 of the picture, origin top left. Pictures come out as RGB.
"""

import base64
import io
import math
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw

from indexing.records import Box

INK = (255, 214, 92)  # multiplied onto the page, so that black words stay black
EDGE = (214, 122, 0)
CARD_SIZE = (480, 360)
_ALL_OF_IT = 0.95  # a box that covers this share of the picture shows no particular place
_CLOSE = 0.012  # of the picture's side: less than an empty line between two paragraphs
_CARD_LEAST_SHARE = 0.5  # a card shows at least this share of the page's width, so that people see where they are


def sane(boxes: Sequence[Box]) -> tuple[Box, ...]:
    """The boxes worth drawing: finite, the right way round, cut to the picture, not empty and not all of it."""
    kept = []
    for box in boxes:
        if not all(math.isfinite(value) for value in box):
            continue
        x0, y0, x1, y1 = (min(1.0, max(0.0, float(value))) for value in box)
        x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        if x1 > x0 and y1 > y0 and (x1 - x0) * (y1 - y0) < _ALL_OF_IT:
            kept.append((x0, y0, x1, y1))
    return tuple(kept)


def bounding_box(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of them. There must be at least one."""
    x0s, y0s, x1s, y1s = zip(*boxes, strict=True)
    return min(x0s), min(y0s), max(x1s), max(y1s)


def regions(boxes: Sequence[Box]) -> list[Box]:
    """What to draw a line around: boxes that stand close together, such as the lines of one paragraph, are one.

    >>> regions([(0.1, 0.10, 0.9, 0.12), (0.1, 0.125, 0.5, 0.145), (0.1, 0.8, 0.9, 0.82)])
    [(0.1, 0.1, 0.9, 0.145), (0.1, 0.8, 0.9, 0.82)]
    """
    found: list[Box] = []
    for box in sane(boxes):
        while touched := [other for other in found if _are_close(box, other)]:
            box = bounding_box([box, *touched])
            found = [other for other in found if other not in touched]
        found.append(box)
    return found


def _are_close(one: Box, other: Box) -> bool:
    return (
        one[0] - _CLOSE <= other[2]
        and other[0] - _CLOSE <= one[2]
        and one[1] - _CLOSE <= other[3]
        and other[1] - _CLOSE <= one[3]
    )


def marked(image: Image.Image, boxes: Sequence[Box], *, longest_side: int = 1600) -> Image.Image:
    """The picture, at most `longest_side` large, with every box highlighted and a line around each region."""
    picture = image.convert("RGB")
    picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    boxes = sane(boxes)
    if not boxes:
        return picture
    pad = max(2, round(max(picture.size) / 350))
    paint = Image.new("RGB", picture.size, "white")
    pen = ImageDraw.Draw(paint)
    for box in boxes:
        pen.rounded_rectangle(_pixels(box, picture.size, pad), radius=pad, fill=INK)
    picture = ImageChops.multiply(picture, paint)
    pen = ImageDraw.Draw(picture)
    for region in regions(boxes):
        edge = _pixels(region, picture.size, pad + 2)  # further out it would strike through the next line
        pen.rounded_rectangle(edge, radius=2 * pad, outline=EDGE, width=max(2, pad // 2 + 1))
    return picture


def card(image: Image.Image, boxes: Sequence[Box], size: tuple[int, int] = CARD_SIZE) -> Image.Image:
    """A picture of exactly `size` for the gallery: the marked region and its surroundings, or the whole."""
    picture = marked(image, boxes)
    if not (drawn := sane(boxes)):
        return _fitted(picture, size)
    left, top, right, bottom = _window(bounding_box(drawn), picture.size, size)
    return _fitted(picture.crop((left, top, right, bottom)), size)


def jpeg(image: Image.Image) -> bytes:
    """Bytes for the browser."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=86, optimize=True)
    return out.getvalue()


def data_url(jpeg: bytes) -> str:
    """The picture inside its own address: it reaches the browser with the session's messages, and no other request
    to the server can get it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _pixels(box: Box, size: tuple[int, int], pad: int) -> tuple[float, float, float, float]:
    """In pixels, `pad` wider on every side, and never outside the picture."""
    width, height = size
    x0, y0, x1, y1 = box
    left, top = max(0.0, x0 * width - pad), max(0.0, y0 * height - pad)
    return left, top, max(left, min(width - 1.0, x1 * width + pad)), max(top, min(height - 1.0, y1 * height + pad))


def _window(box: Box, picture: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of the picture that shows the box with a margin; it has the card's shape if that fits."""
    width, height = picture
    x0, y0, x1, y1 = box
    aspect = shape[0] / shape[1]
    wanted = max((x1 - x0) * width * 1.15, _CARD_LEAST_SHARE * width, (y1 - y0) * height * 1.15 * aspect)
    window_width = min(float(width), wanted)
    window_height = min(float(height), wanted / aspect)
    left = min(max(0.0, (x0 + x1) / 2 * width - window_width / 2), width - window_width)
    top = min(max(0.0, (y0 + y1) / 2 * height - window_height / 2), height - window_height)
    right, bottom = max(left + window_width, left + 1), max(top + window_height, top + 1)
    return round(left), round(top), max(round(right), round(left) + 1), max(round(bottom), round(top) + 1)


def _fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture scaled to fit into `size`, on a plain ground of exactly that size."""
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    ground = Image.new("RGB", size, (236, 233, 226))
    resized = picture.resize(inner, Image.Resampling.LANCZOS)
    ground.paste(resized, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return ground
