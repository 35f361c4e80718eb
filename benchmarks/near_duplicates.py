"""Which changed copies of pictures are linked with them, and which pictures are linked that should not be.

    python benchmarks/near_duplicates.py FOLDER…

Every picture in the folders is changed in sixteen ways. Prints, for each change, how many copies are not found to be
nearly the same as their picture, and how many other pictures they are linked with. Pictures in the folders that are
nearly the same already are printed first, to be judged by eye.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from indexing.likeness import Likenesses, likeness

Change = Callable[[Image.Image], Image.Image]
LONGEST = 800


def saved(image: Image.Image, kind: str, quality: int) -> Image.Image:
    """Compressed and read again."""
    kept = io.BytesIO()
    image.save(kept, kind, quality=quality)
    return Image.open(kept).convert("RGB")


def smaller(image: Image.Image, by: int) -> Image.Image:
    """Each side divided by a number."""
    return image.resize((max(1, image.width // by), max(1, image.height // by)), Image.Resampling.LANCZOS)


def cut(image: Image.Image, left: float, top: float, right: float, low: float) -> Image.Image:
    """Without these shares of its width and height."""
    width, height = image.size
    return image.crop((round(left * width), round(top * height), round((1 - right) * width), round((1 - low) * height)))


CHANGES: dict[str, Change] = {
    "half": lambda image: smaller(image, 2),
    "quarter": lambda image: smaller(image, 4),
    "JPEG 30": lambda image: saved(image, "JPEG", 30),
    "half, WebP 40": lambda image: saved(smaller(image, 2), "WEBP", 40),
    "brightness × 1.2": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "contrast × 0.75": lambda image: ImageEnhance.Contrast(image).enhance(0.75),
    "black and white": lambda image: image.convert("L").convert("RGB"),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
    "all sides 3 %": lambda image: cut(image, 0.03, 0.03, 0.03, 0.03),
    "all sides 5 %": lambda image: cut(image, 0.05, 0.05, 0.05, 0.05),
    "all sides 8 %": lambda image: cut(image, 0.08, 0.08, 0.08, 0.08),
    "left 5 %": lambda image: cut(image, 0.05, 0.0, 0.0, 0.0),
    "left 10 %": lambda image: cut(image, 0.1, 0.0, 0.0, 0.0),
    "below 10 %": lambda image: cut(image, 0.0, 0.0, 0.0, 0.1),
    "corner 5 %": lambda image: cut(image, 0.05, 0.05, 0.0, 0.0),
    "cut, half, JPEG 40": lambda image: saved(smaller(cut(image, 0.04, 0.06, 0.05, 0.03), 2), "JPEG", 40),
}


def opened(path: Path) -> Image.Image | None:
    """Upright, RGB, at most `LONGEST` long; None for what is no picture."""
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, ValueError):
        return None
    image.thumbnail((LONGEST, LONGEST))
    return image


def kept_of(image: Image.Image) -> str:
    """As the index keeps it, without words."""
    return likeness(np.asarray(image))


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    files = sorted(file for folder in parser.parse_args().folders for file in folder.rglob("*") if file.is_file())
    images = {str(file): image for file in files if (image := opened(file)) is not None}
    kept = {name: value for name, image in images.items() if (value := kept_of(image))}
    print(f"{len(images):,} pictures, {len(images) - len(kept):,} of them without detail")
    pictures, alike = Likenesses(), {name: {name} for name in kept}
    for name, value in kept.items():
        for other in pictures.add(name, value):
            print(f"nearly the same: {name} and {other}")
            alike[name].add(other)
            alike[other].add(name)
    for change, changed in CHANGES.items():
        missed = others = 0
        for name in kept:
            near = set(pictures.near(kept_of(changed(images[name]))))
            missed += name not in near
            others += len(near - alike[name])
        print(f"{change:20s} {missed:4d} of {len(kept):,} missed, {others} links with other pictures")


if __name__ == "__main__":
    main()
