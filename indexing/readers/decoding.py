"""Pixels of a picture file as a person sees them, decoded once and no larger than anybody needs.

The header is looked at before a pixel is decoded. JPEGs larger than anybody needs are decoded at a
half, a quarter or an eighth inside the JPEG decoder (libjpeg's scaled DCT), never below 1.75 times what the
embedder takes, and never below the thumbnail or what text detection looks at.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import (
    AvifImagePlugin,
    ExifTags,
    Image,
    ImageFile,
    ImageOps,
    Jpeg2KImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from indexing.errors import (
    DamagedFileError,
    FileTooLargeError,
    UnreadableFileError,
    UnsupportedFileError,
    pass_on,
    words_of,
)
from indexing.readers.letters import SIDE
from indexing.readers.output import ReaderOutput

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000")
"""What is read. Left to itself, Pillow tries all formats that it knows, and starts Ghostscript for one of them."""
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
OCR_SIDE = 2000
"""Words are looked for in a picture at most this long; it is also the most that a scan is decoded to."""
_GREY = (96, 96, 96)
_WHITE = 215
_TONES_SIDE = 512
_LARGE_PIXELS = 30_000_000
"""Pictures with more pixels are made smaller while they are decoded."""
_BAND_PIXELS = 4_000_000

# registered by their import: else Pillow would load every plugin it has to find these
_ = (AvifImagePlugin, Jpeg2KImagePlugin, TiffImagePlugin, WebPImagePlugin)
Image.MAX_IMAGE_PIXELS = None  # our own limit is checked first, with a message for a person
ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextmanager
def opened(source: "Path | BinaryIO", output: ReaderOutput) -> Iterator[Image.Image]:
    """A picture whose header is within the limits; its pixels are not decoded yet. Raises UnreadableFileError's
    children."""
    with damage_named():
        image = Image.open(source, formats=(*FORMATS, *_heif(_head(source))))
    with image:
        check_pixels(image, output)
        yield image


def open_kept(path: Path, *, least_side: int = 0) -> Image.Image:
    """A picture that Llavero itself wrote, in RGB. Raises OSError.

    With `least_side`, a large one may be decoded at a half, a quarter or an eighth, with no side shorter than that.
    """
    with Image.open(path, formats=("JPEG",)) as image:
        if least_side:
            image.draft("RGB", (least_side, least_side))
        return image.convert("RGB")


def check_pixels(image: Image.Image, output: ReaderOutput) -> None:
    """Raises FileTooLargeError."""
    if max(image.size) > output.limits.max_side:
        raise FileTooLargeError(
            f"the picture measures {image.width:,} × {image.height:,} pixels; "
            f"a side may have {output.limits.max_side:,}"
        )
    pixels, limit = image.width * image.height, output.limits.max_pixels
    if pixels > limit:
        raise FileTooLargeError(
            f"the picture has {pixels / 1e6:.0f} megapixels ({image.width} × {image.height}), "
            f"the limit is {limit / 1e6:.0f}"
        )


@contextmanager
def damage_named() -> Iterator[None]:
    """Pillow's many ways to say that a picture is broken, in one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnreadableFileError:
        raise
    except UnidentifiedImageError as error:
        raise DamagedFileError("the picture is damaged, or of a variant that is not read here") from error
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error …
        pass_on(error)
        raise DamagedFileError(f"the picture is damaged or ends early ({words_of(error)})") from error


def brands(head: bytes) -> frozenset[bytes]:
    """What a file of ISO media (HEIC, AVIF, MP4) says that it is; empty for others."""
    if head[4:8] != b"ftyp":
        return frozenset()
    size = min(int.from_bytes(head[:4], "big"), 256)
    return frozenset((head[8:12], *(head[start : start + 4] for start in range(16, size - 3, 4))))


def is_heic(head: bytes) -> bool:
    """A still picture in HEVC, as telephones take them; AVIF is the other kind of such files."""
    return head[8:12] in _HEIC_BRANDS and not brands(head) & {b"avif", b"avis"}


def _head(source: "Path | BinaryIO") -> bytes:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return file.read(256)
    head = source.read(256)
    source.seek(0)
    return head


def _heif(head: bytes) -> tuple[str, ...]:
    """Pillow's name of the format for a HEIC picture, once its decoder is there."""
    if not is_heic(head):
        return ()
    if not _has_heif_decoder():
        raise UnsupportedFileError(
            "a HEIC picture is not read without a package of its own (pip install pi-heif, or save it as JPEG)"
        )
    return ("HEIF",)


@cache
def _has_heif_decoder() -> bool:
    try:
        import pi_heif  # an extra of its own: its wheel brings libraries under the LGPL
    except ImportError:
        return False
    pi_heif.register_heif_opener(thumbnails=False)
    return True


def decode(image: Image.Image, *, least_side: int) -> Image.Image:
    """Pixels as a person sees them: RGB, turned as EXIF says, transparent parts white.

    `least_side` is how short the shorter side of a scaled JPEG decode may become.
    """
    with damage_named():
        _draft(image, least_side)
        image.load()
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        image = _reduced(image, least_side)
        if orientation == 1:  # asked first: transposing copies what is upright, too
            return on_white(image)
        image.getexif()[ExifTags.Base.Orientation] = orientation
        return on_white(ImageOps.exif_transpose(image))


def _draft(image: Image.Image, least_side: int) -> None:
    if image.format not in ("JPEG", "MPO"):
        return
    width, height = image.size
    for scale in (8, 4, 2):
        if min(width, height) // scale >= least_side and max(width, height) // scale >= SIDE:
            image.draft(None, (width // scale, height // scale))
            return


def _reduced(image: Image.Image, least_side: int) -> Image.Image:
    """A very large picture at a half, a quarter or an eighth, which is still more than anybody looks at.

    It is made band by band: a copy of the whole in RGB would take several times the memory of the file's own pixels.
    """
    width, height = image.size
    factors = (
        each for each in (8, 4, 2) if min(image.size) // each >= least_side and max(image.size) // each >= OCR_SIDE
    )
    factor = next(factors, 1) if width * height > _LARGE_PIXELS else 1
    if factor == 1:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(np.asarray(image)[::factor, ::factor].copy())
    rows = max(1, _BAND_PIXELS // width // factor) * factor
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        band = on_white(image.crop((0, top, width, min(top + rows, height))))
        small.paste(band.reduce(factor), (0, top // factor))
    return small


def on_white(image: Image.Image) -> Image.Image:
    """RGB, transparent parts white; those of a picture that is itself white are grey, so that it can be seen."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _from_deep(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        behind = Image.new("RGB", rgba.size, _GREY if _is_white_on_clear(rgba) else "white")
        behind.paste(rgba, mask=rgba.getchannel("A"))
        return behind
    return image.convert("RGB")


def _is_white_on_clear(rgba: Image.Image) -> bool:
    """Next to nothing of what is drawn would be seen on white."""
    small = rgba if max(rgba.size) <= _TONES_SIDE else rgba.resize((_TONES_SIDE, _TONES_SIDE), Image.Resampling.NEAREST)
    seen = np.asarray(small.getchannel("A")) > 128
    if seen.all() or not seen.any():
        return False
    return bool(np.percentile(np.asarray(small.convert("L"))[seen], 5) > _WHITE)


def _from_deep(image: Image.Image) -> Image.Image:
    """16 bits and more: the range that is used becomes 0..255 (a scanner's 12 bits would be black)."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16") or (image.mode == "I" and high > 255):
        low, high = 0.0, 65535.0 if high > 4095 else 4095.0
    scaled = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8)).convert("RGB")
