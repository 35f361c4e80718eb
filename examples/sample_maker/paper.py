"""What happens to a clean page on its way through a drawer, a hand and a scanner. All from seeds."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

Colour = tuple[int, int, int]


def grain(size: tuple[int, int], *, seed: int, coarse: int, strength: float) -> np.ndarray:
    """Soft noise around 0, height × width: blotches about `coarse` pixels wide, `strength` grey values strong."""
    rng = np.random.default_rng(seed)
    small = rng.normal(0, 1, (max(2, size[1] // coarse + 2), max(2, size[0] // coarse + 2)))
    as_picture = Image.fromarray(np.clip(small * 40 + 128, 0, 255).astype(np.uint8))
    large = np.asarray(as_picture.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    return (large - 128) / 40 * strength


def aged(page: Image.Image, *, seed: int, tint: Colour, blotches: float, dust: float) -> Image.Image:
    """A white page with ink becomes old paper: tinted, blotchy, grainy; ink fades unevenly."""
    ink = 1 - np.asarray(page.convert("L"), dtype=np.float32) / 255
    fading = 1 - 0.22 * np.clip(grain(page.size, seed=seed, coarse=24, strength=1) + 0.3, 0, 1)
    paper = grain(page.size, seed=seed + 1, coarse=160, strength=blotches)
    paper += grain(page.size, seed=seed + 2, coarse=2, strength=dust)
    darkness = (ink * fading)[..., None]
    background = np.asarray(tint, dtype=np.float32) + paper[..., None]
    colours = background * (1 - darkness) + np.asarray((38, 36, 48), dtype=np.float32) * darkness
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def folded(page: Image.Image, heights: Sequence[float], *, depth: float) -> Image.Image:
    """Horizontal folds at fractions of the height: a dark line, a light one below it, a soft shadow around."""
    rows = np.arange(page.height, dtype=np.float32)
    light = np.zeros(page.height, dtype=np.float32)
    for height in heights:
        away = rows - height * page.height
        light += depth * (np.exp(-((away - 3) ** 2) / 6) - np.exp(-((away + 1) ** 2) / 6))
        light -= 0.35 * depth * np.exp(-(away**2) / 1800)
    pixels = np.asarray(page, dtype=np.float32) + light[:, None, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def scanned(page: Image.Image, *, degrees: float, blur: float, lid: Colour) -> Image.Image:
    """Laid on the glass a little askew, under a grey lid, and not quite sharp."""
    turned = page.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=lid)
    left, top = (turned.width - page.width) // 2, (turned.height - page.height) // 2
    turned = turned.crop((left, top, left + page.width, top + page.height))
    return turned.filter(ImageFilter.GaussianBlur(blur))


def lit_from(picture: Image.Image, *, darkest: float) -> Image.Image:
    """Lamp light from the upper left, falling to `darkest` (0..1) at the lower right."""
    down = np.linspace(0, 1, picture.height, dtype=np.float32)[:, None]
    across = np.linspace(0, 1, picture.width, dtype=np.float32)[None, :]
    light = 1.04 - (1.04 - darkest) * (0.45 * across + 0.55 * down)
    pixels = np.asarray(picture, dtype=np.float32) * light[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
