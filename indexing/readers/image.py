"""Picture files: decode once, thumbnail, prepared pixels, and the words in it when there are any.

The header is looked at before a pixel is decoded. JPEGs larger than anybody needs are decoded at a
half, a quarter or an eighth inside the JPEG decoder (libjpeg's scaled DCT), never below 1.75 times what the
embedder takes, and never below the thumbnail or the text gate.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from indexing.errors import DamagedFileError, FileTooLargeError, UnreadableFileError, pass_on, words_of
from indexing.readers.output import THUMB_SIDE, Spool, at_most
from indexing.readers.text_detection import GATE_SIDE, Grey, has_text
from indexing.records import Block, Page, Reading

if TYPE_CHECKING:
    from indexing.embedding.protocol import Pixels
    from indexing.ocr import Words

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
"""What is read. Left to itself, Pillow tries all formats that it knows, and starts Ghostscript for one of them."""
OCR_SIDE = 2000
"""Words are looked for in a picture at most this long; it is also the most that a scan is decoded to."""

# registered by their import: else Pillow would load every plugin it has to find these two
_ = (TiffImagePlugin, WebPImagePlugin)
Image.MAX_IMAGE_PIXELS = None  # our own limit is checked first, with a message for a person
ImageFile.LOAD_TRUNCATED_IMAGES = False


def read_picture(path: Path, spool: Spool) -> Reading:
    """One picture, or the frames of a TIFF as pages; an animation is its first frame."""
    with _opened(path, spool) as image:
        frames = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        if frames > 1:
            return _read_frames(image, frames, path, spool)
        upright = decode(image, least_side=_least_side(spool))
        reread = None if _is_whole(upright, image) else path
        notes = _others_in(image)
    return _read_one(upright, reread, spool, title=path.stem, notes=notes)


def _others_in(image: Image.Image) -> tuple[str, ...]:
    """Asked after the first is decoded. Their number is not: an old GIF has to be read to its end for that."""
    try:
        more = bool(getattr(image, "is_animated", False))
    except (OSError, EOFError, ValueError, SyntaxError) as error:  # what comes after the first is damaged
        pass_on(error)
        return ()
    if not more:
        return ()
    return ("several pictures in one file, such as an animation: the first was read",)


def decode(image: Image.Image, *, least_side: int) -> Image.Image:
    """Pixels as a person sees them: RGB, turned as EXIF says, transparent parts white.

    `least_side` is how short the shorter side of a scaled JPEG decode may become.
    """
    with _damage_named():
        _draft(image, least_side)
        image.load()
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1  # asked first: it copies what is upright, too
        return _on_white(ImageOps.exif_transpose(image) if turned else image)


def _least_side(spool: Spool) -> int:
    return max(round(1.75 * spool.preprocess.resize_to), THUMB_SIDE)


def _draft(image: Image.Image, least_side: int) -> None:
    if image.format not in ("JPEG", "MPO"):
        return
    width, height = image.size
    for scale in (8, 4, 2):
        if min(width, height) // scale >= least_side and max(width, height) // scale >= GATE_SIDE:
            image.draft(None, (width // scale, height // scale))
            return


def _is_whole(decoded: Image.Image, image: Image.Image) -> bool:
    """False when the JPEG decoder has left out detail that OCR could want."""
    tile_scale = getattr(image, "decoderconfig", ()) or ()
    return not tile_scale or max(decoded.size) >= OCR_SIDE


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _from_deep(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """16 bits and more: the range that is used becomes 0..255 (a scanner's 12 bits would be black)."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16") or (image.mode == "I" and high > 255):
        low, high = 0.0, 65535.0 if high > 4095 else 4095.0
    scaled = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8)).convert("RGB")


def words_in(image: Image.Image) -> tuple[Image.Image, "Words | None"]:
    """The picture turned upright, and the words in it; None when there are none."""
    return _read_words(image) if _is_written(image) else (image, None)


def _is_written(image: "Image.Image | Pixels") -> bool:
    """Ask the gate, then the text detector on a small copy: both are cheap beside OCR."""
    if not has_text(gate_view(image)):
        return False
    from indexing.ocr import looks_written

    return looks_written(np.asarray(image))


def _read_words(image: Image.Image) -> tuple[Image.Image, "Words | None"]:
    from indexing.ocr import read_words

    words = read_words(np.asarray(image))
    if words.turned:
        image = image.rotate(words.turned, expand=True)
    return image, words if words.lines else None


def decoded_bytes(data: BinaryIO, spool: Spool) -> Image.Image:
    """A picture inside a document; raises like `read_picture`."""
    with _opened(data, spool) as image:
        return decode(image, least_side=OCR_SIDE // 2)


def _read_one(image: Image.Image, reread: Path | None, spool: Spool, *, title: str, notes: tuple[str, ...]) -> Reading:
    pixels_HWC = np.asarray(image)
    if not _is_written(pixels_HWC):
        return _wordless(image, spool, title, notes, pixels_HWC)
    if reread is not None:
        with _opened(reread, spool) as again:
            image = decode(again, least_side=OCR_SIDE // 2)
    image, words = _read_words(image)
    if words is None:
        return _wordless(image, spool, title, notes)
    spool.picture(image)
    kept = spool.page(image, 1, prepared=False)
    width, height = spool.sizes[kept.name]
    page = Page(number=None, image=kept, width=width, height=height, read_by_ocr=True)
    notes = (*notes, *_unread_lines(words.left_out))
    return Reading(is_picture=True, title=title, pages=(page,), blocks=words.blocks(page=None), notes=notes)


def _unread_lines(count: int) -> tuple[str, ...]:
    return (f"{count:,} lines of text over the limit for one picture were not read",) if count else ()


def _wordless(
    image: Image.Image, spool: Spool, title: str, notes: tuple[str, ...], pixels_HWC: "Pixels | None" = None
) -> Reading:
    thumb = spool.picture(image, pixels_HWC)
    width, height = spool.sizes[thumb.name]
    page = Page(number=None, image=thumb, width=width, height=height)
    return Reading(is_picture=True, title=title, pages=(page,), notes=notes)


def _read_frames(image: Image.Image, frames: int, path: Path, spool: Spool) -> Reading:
    """A TIFF of several pages, such as a fax or a scanner's stack."""
    pages: list[Page] = []
    blocks: list[Block] = []
    notes: list[str] = []
    for index in range(min(frames, spool.limits.max_pages)):
        try:
            with _damage_named():
                image.seek(index)
                _check_pixels(image, spool)
            frame = decode(image, least_side=OCR_SIDE)
        except UnreadableFileError as error:
            pass_on(error)
            if not pages:
                raise
            notes.append(f"frames from {index + 1} on could not be read: {error.reason}")
            break
        frame, words = words_in(frame)
        kept = spool.page(frame, index + 1)
        if index == 0:
            spool.thumb(frame)
        width, height = spool.sizes[kept.name]
        pages.append(Page(number=index + 1, image=kept, width=width, height=height, read_by_ocr=words is not None))
        blocks.extend(words.blocks(page=index + 1) if words else ())
        notes.extend(f"frame {index + 1}: {note}" for note in _unread_lines(words.left_out if words else 0))
        spool.page_done()
    if frames > spool.limits.max_pages:
        notes.append(f"{frames:,} frames, of which the first {spool.limits.max_pages:,} were read")
    return Reading(is_picture=True, title=path.stem, pages=tuple(pages), blocks=tuple(blocks), notes=tuple(notes))


def gate_view(image: "Image.Image | Pixels") -> Grey:
    """Grey and at most `GATE_SIDE` long: what the text gate looks at."""
    grey_HW = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    return at_most(grey_HW, GATE_SIDE)


@contextmanager
def _opened(source: "Path | BinaryIO", spool: Spool) -> Iterator[Image.Image]:
    with _damage_named():
        image = Image.open(source, formats=FORMATS)
    with image:
        _check_pixels(image, spool)
        yield image


def _check_pixels(image: Image.Image, spool: Spool) -> None:
    pixels, limit = image.width * image.height, spool.limits.max_pixels
    if pixels > limit:
        raise FileTooLargeError(
            f"the picture has {pixels / 1e6:.0f} megapixels ({image.width} × {image.height}), "
            f"the limit is {limit / 1e6:.0f}"
        )


@contextmanager
def _damage_named() -> Iterator[None]:
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
