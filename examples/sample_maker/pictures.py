"""Cuts the pictures of `picture_table.py` to size and saves them in the format that their names say."""

import bz2
from pathlib import Path

from PIL import Image, ImageChops

from sample_maker.picture_table import PICTURES, Drawing, Picture

MAX_PIXELS = 20_000_000  # some pictures of the clip-art library unpack to far more
ORIENTATION = 0x0112  # the EXIF tag


def cut_all(packages: Path, collection: Path) -> None:
    """Write every picture of the table, from the unpacked packages, into the collection."""
    for picture in PICTURES:
        target = collection / picture.name
        target.parent.mkdir(parents=True, exist_ok=True)
        image = (
            _on_an_even_margin(picture, packages) if isinstance(picture, Drawing) else _open(packages / picture.origin)
        )
        image.thumbnail((picture.longest, picture.longest), Image.Resampling.LANCZOS)
        _save(image, target, picture)


def _open(path: Path) -> Image.Image:
    if path.name == "face.dat":  # scipy keeps its raccoon as bare pixels, 768 rows of 1024
        return Image.frombytes("RGB", (1024, 768), bz2.decompress(path.read_bytes()))
    with Image.open(path) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{path.name} is {image.width} x {image.height} pixels, over {MAX_PIXELS}")
        image.load()
        return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _on_an_even_margin(picture: Drawing, packages: Path) -> Image.Image:
    drawn = _open(packages / picture.origin).convert("RGBA")
    on_white = Image.new("RGBA", drawn.size, "white")
    on_white.alpha_composite(drawn)
    white = Image.new("RGB", drawn.size, "white")
    box = ImageChops.difference(on_white.convert("RGB"), white).getbbox()
    drawn, on_white = drawn.crop(box), on_white.crop(box)
    margin = round(0.2 * max(drawn.size))
    size = (drawn.width + 2 * margin, drawn.height + 2 * margin)
    if picture.transparent:
        page = Image.new("RGBA", size, (255, 255, 255, 0))
        page.alpha_composite(drawn, (margin, margin))
        return page
    page = Image.new("RGB", size, "white")
    page.paste(on_white.convert("RGB"), (margin, margin))
    return page


def _save(image: Image.Image, target: Path, picture: Picture) -> None:
    if target.suffix == ".png" and not isinstance(picture, Drawing):
        return _flat(image).quantize(128, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)
    if isinstance(picture, Drawing) and target.suffix != ".webp":
        return _few_colours(image, picture.colours).save(target, optimize=True)
    if target.suffix == ".bmp":
        return _flat(image).quantize(256).save(target)
    if target.suffix == ".tif":
        return _flat(image).save(target, compression="jpeg", quality=picture.quality)
    if target.suffix == ".webp":
        return _flat(image).save(target, quality=picture.quality, method=6)
    exif = Image.Exif()
    if picture.turned:
        image = image.transpose(Image.Transpose.ROTATE_90)  # counter-clockwise; 6 asks to turn it back
        exif[ORIENTATION] = 6
    return _flat(image).save(target, quality=picture.quality, optimize=True, exif=exif)


def _few_colours(image: Image.Image, colours: int) -> Image.Image:
    """Drawings have few colours; a palette makes the file several times smaller."""
    method = Image.Quantize.FASTOCTREE if image.mode == "RGBA" else Image.Quantize.MEDIANCUT
    return image.quantize(colours, method=method, dither=Image.Dither.NONE)


def _flat(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image)
    return page.convert("RGB")
