"""A scene → a picture of 224 × 224 pixels. Everything that nobody asks about is left to chance."""

import random
from math import cos, pi, sin

from PIL import Image, ImageDraw

from recipes.scenes.scene import Scene, Thing

SIDE = 224
_DRAWN_LARGER = 3  # and shrunk at the end, for smooth edges
_COLOURS = {
    "black": (20, 20, 24), "blue": (34, 78, 200), "brown": (122, 72, 32), "gray": (128, 128, 132),
    "green": (36, 150, 60), "red": (208, 36, 36), "teal": (0, 150, 150), "yellow": (240, 206, 40),
}  # fmt: skip
_RADIUS = {"small": (15, 21), "large": (34, 42)}
_JITTER = 12


def picture(scene: Scene, draw: random.Random) -> Image.Image:
    """Drawn anew with every state of `draw`: background, shades, sizes and places vary within what they are called."""
    light = tuple(draw.randint(226, 255) for _ in range(3))
    image = Image.new("RGB", (SIDE * _DRAWN_LARGER,) * 2, (light[0], light[1], light[2]))
    pen = ImageDraw.Draw(image)
    for thing in scene.things:
        _draw(pen, thing, draw)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _draw(pen: ImageDraw.ImageDraw, thing: Thing, draw: random.Random) -> None:
    radius = draw.randint(*_RADIUS[thing.size])
    x = SIDE * (0.75 if "right" in thing.place else 0.25) + draw.uniform(-_JITTER, _JITTER)
    y = SIDE * (0.75 if "bottom" in thing.place else 0.25) + draw.uniform(-_JITTER, _JITTER)
    shade = draw.randint(-14, 14)
    red, green, blue = (max(0, min(255, part + shade)) for part in _COLOURS[thing.colour])
    x, y, radius_ = x * _DRAWN_LARGER, y * _DRAWN_LARGER, radius * _DRAWN_LARGER
    if thing.shape == "circle":
        pen.ellipse((x - radius_, y - radius_, x + radius_, y + radius_), fill=(red, green, blue))
        return
    corners = 4 if thing.shape == "square" else 3
    turned = (pi / 4 if corners == 4 else -pi / 2) + draw.uniform(-0.12, 0.12)
    reach = radius_ * 1.2
    points = [(x + reach * cos(turned + 2 * pi * n / corners), y + reach * sin(turned + 2 * pi * n / corners))
              for n in range(corners)]  # fmt: skip
    pen.polygon(points, fill=(red, green, blue))
