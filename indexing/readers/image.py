"""Picture files: decode once, thumbnail, prepared pixels, and the words in it when there are any.

The header is looked at before a pixel is decoded. JPEGs larger than anybody needs are decoded at a
half, a quarter or an eighth inside the JPEG decoder (libjpeg's scaled DCT), never below 1.75 times what the
embedder takes, and never below the thumbnail or what text
detection looks at.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from indexing.errors import DamagedFileError, FileTooLargeError, UnreadableFileError, pass_on, words_of
from indexing.readers.letters import SIDE, Grey, has_text, has_word
from indexing.readers.ocr_tiles import SHORT_SIDE, is_long, longest_read, tiles
from indexing.readers.output import THUMB_SIDE, ReaderOutput, at_most
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Page, Reading

if TYPE_CHECKING:
    from indexing.embedding.protocol import Pixels
    from indexing.readers.ocr import OcrText

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
"""What is read. Left to itself, Pillow tries all formats that it knows, and starts Ghostscript for one of them."""
OCR_SIDE = 2000
"""Words are looked for in a picture at most this long; it is also the most that a scan is decoded to."""

_MAGIC: dict[str, tuple[bytes, ...]] = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpeg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
_BMP_HEADERS = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))

_LARGE_PIXELS = 30_000_000
"""Pictures with more pixels are made smaller while they are decoded."""
_BAND_PIXELS = 4_000_000

# registered by their import: else Pillow would load every plugin it has to find these two
_ = (TiffImagePlugin, WebPImagePlugin)
Image.MAX_IMAGE_PIXELS = None  # our own limit is checked first, with a message for a person
ImageFile.LOAD_TRUNCATED_IMAGES = False


def read_picture(path: Path, output: ReaderOutput) -> Reading:
    """One picture, or the frames of a TIFF as pages; an animation is its first frame."""
    with _opened(path, output) as image:
        frames = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        if frames > 1:
            return _read_frames(image, frames, path, output)
        size = image.size
        upright = decode(image, least_side=_least_side(output))
        reread = None if _is_whole(upright, size) else path
        notes = _others_in(image)
    return _read_one(upright, reread, output, title=path.stem, notes=notes)


def _others_in(image: Image.Image) -> tuple[Note, ...]:
    """Asked after the first is decoded. Their number is not: an old GIF has to be read to its end for that."""
    try:
        more = bool(getattr(image, "is_animated", False))
    except (OSError, EOFError, ValueError, SyntaxError) as error:  # what comes after the first is damaged
        pass_on(error)
        return ()
    if not more:
        return ()
    return (Note("several pictures in one file, such as an animation: the first was read", kind="picture"),)


def decode(image: Image.Image, *, least_side: int) -> Image.Image:
    """Pixels as a person sees them: RGB, turned as EXIF says, transparent parts white.

    `least_side` is how short the shorter side of a scaled JPEG decode may become.
    """
    with _damage_named():
        _draft(image, least_side)
        image.load()
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        image = _reduced(image, least_side)
        if orientation == 1:  # asked first: transposing copies what is upright, too
            return _on_white(image)
        image.getexif()[ExifTags.Base.Orientation] = orientation
        return _on_white(ImageOps.exif_transpose(image))


def _least_side(output: ReaderOutput) -> int:
    return max(round(1.75 * output.preprocess.resize_to), THUMB_SIDE)


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
        band = _on_white(image.crop((0, top, width, min(top + rows, height))))
        small.paste(band.reduce(factor), (0, top // factor))
    return small


def _is_whole(decoded: Image.Image, size: tuple[int, int]) -> bool:
    """False when detail was left out while decoding that OCR could want; `size` is what the file's header says."""
    if sorted(decoded.size) == sorted(size):
        return True
    return min(decoded.size) >= SHORT_SIDE if is_long(*size) else max(decoded.size) >= OCR_SIDE


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


def words_in(image: Image.Image) -> tuple[Image.Image, "OcrText | None"]:
    """The picture turned upright, and the words in it; None when nothing is written there."""
    return _read_words(image) if _is_written(np.asarray(image)) else (image, None)


def _is_written(pixels_HWC: "Pixels") -> bool:
    """Ask the pixels, then the OCR's own detector on a small copy: both are cheap beside OCR. Long pictures are asked
    tile by tile."""
    return any(_tile_is_written(tile.pixels_HWC) for tile in tiles(pixels_HWC))


def _tile_is_written(pixels_HWC: "Pixels") -> bool:
    grey = small_grey(pixels_HWC)
    from indexing.readers.ocr import has_legible_line, looks_written

    if has_text(grey) and looks_written(pixels_HWC):
        return True
    return has_word(grey) and has_legible_line(pixels_HWC)


def _read_words(image: Image.Image) -> tuple[Image.Image, "OcrText | None"]:
    from indexing.readers.ocr import read_words

    words = read_words(np.asarray(image))
    if words.turned and words.lines:
        image = image.rotate(words.turned, expand=True)
    return image, words if words.lines or words.unread else None


def _for_words(image: Image.Image) -> tuple[Image.Image, tuple[Note, ...]]:
    """A long picture no wider than its words need, and a note where it is longer than what is read."""
    if not is_long(*image.size):
        return image, ()
    if min(image.size) > SHORT_SIDE:
        scale = SHORT_SIDE / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX)
    read = longest_read(*image.size)
    if read >= max(image.size):
        return image, ()
    sentence = f"a picture {max(image.size):,} pixels long: words were looked for in the first {read:,}"
    return image, (Note(sentence, kind="picture", unread=True),)


def decoded_bytes(data: BinaryIO, output: ReaderOutput) -> Image.Image:
    """A picture inside a document; raises like `read_picture`."""
    with _opened(data, output) as image:
        return decode(image, least_side=OCR_SIDE // 2)


def _read_one(
    image: Image.Image, reread: Path | None, output: ReaderOutput, *, title: str, notes: tuple[Note, ...]
) -> Reading:
    pixels_HWC = np.asarray(image)
    if not _is_written(pixels_HWC):
        return _wordless(image, output, title, notes, pixels_HWC)
    if reread is not None:
        with _opened(reread, output) as again:
            image = decode(again, least_side=SHORT_SIDE if is_long(*again.size) else OCR_SIDE // 2)
    image, cut = _for_words(image)
    image, words = _read_words(image)
    notes = (*notes, *cut, *(words.notes() if words else ()))
    if words is None or not words.lines:
        return _wordless(image, output, title, notes)
    output.picture(image)
    kept = output.page(image, 1, prepared=False)
    width, height = output.sizes[kept.name]
    page = Page(number=None, image=kept, width=width, height=height, read_by_ocr=True)
    return Reading(is_picture=True, title=title, pages=(page,), blocks=words.blocks(page=None), notes=notes)


def _wordless(
    image: Image.Image, output: ReaderOutput, title: str, notes: tuple[Note, ...], pixels_HWC: "Pixels | None" = None
) -> Reading:
    thumb = output.picture(image, pixels_HWC)
    width, height = output.sizes[thumb.name]
    page = Page(number=None, image=thumb, width=width, height=height)
    return Reading(is_picture=True, title=title, pages=(page,), notes=notes)


def _read_frames(image: Image.Image, frames: int, path: Path, output: ReaderOutput) -> Reading:
    """A TIFF of several pages, such as a fax or a scanner's stack."""
    pages: list[Page] = []
    blocks: list[Block] = []
    notes: list[Note] = []
    for index in range(min(frames, output.limits.max_pages)):
        try:
            with _damage_named():
                image.seek(index)
                _check_pixels(image, output)
            frame = decode(image, least_side=OCR_SIDE)
        except UnreadableFileError as error:
            pass_on(error)
            if not pages:
                raise
            sentence = f"frames from {index + 1} on could not be read: {error.reason}"
            notes.append(Note(sentence, kind="page", number=frames - index, unread=True))
            break
        frame, words = words_in(frame)
        kept = output.page(frame, index + 1)
        if index == 0:
            output.thumb(frame)
        width, height = output.sizes[kept.name]
        pages.append(
            Page(number=index + 1, image=kept, width=width, height=height, read_by_ocr=bool(words and words.lines))
        )
        blocks.extend(words.blocks(page=index + 1) if words else ())
        notes.extend(note.within(f"frame {index + 1}") for note in (words.notes() if words else ()))
        output.page_done()
    if frames > output.limits.max_pages:
        sentence = f"{frames:,} frames, of which the first {output.limits.max_pages:,} were read"
        notes.append(Note(sentence, kind="page", number=frames - output.limits.max_pages, unread=True))
    return Reading(is_picture=True, title=path.stem, pages=tuple(pages), blocks=tuple(blocks), notes=tuple(notes))


def small_grey(image: "Image.Image | Pixels") -> Grey:
    """Grey and at most `SIDE` long: what text detection looks at."""
    grey_HW = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    return at_most(grey_HW, SIDE)


@contextmanager
def _opened(source: "Path | BinaryIO", output: ReaderOutput) -> Iterator[Image.Image]:
    with _damage_named():
        image = Image.open(source, formats=FORMATS)
    with image:
        _check_pixels(image, output)
        yield image


def _check_pixels(image: Image.Image, output: ReaderOutput) -> None:
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


def _begins_as(name: str) -> Callable[[FileStart], bool]:
    return lambda start: start.head.startswith(_MAGIC[name])


def _is_webp(start: FileStart) -> bool:
    return start.head[:4] == b"RIFF" and start.head[8:12] == b"WEBP"


def _is_bmp(start: FileStart) -> bool:
    head = start.head
    return head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and head[14:18] in _BMP_HEADERS


READERS = tuple(
    Reader(type=name, extensions=extensions, recognise=recognise, order=10, read=read_picture, is_picture=True)
    for name, extensions, recognise in (
        ("png", (".png",), _begins_as("png")),
        ("jpeg", (".jpg", ".jpeg"), _begins_as("jpeg")),
        ("webp", (".webp",), _is_webp),
        ("gif", (".gif",), _begins_as("gif")),
        ("tiff", (".tif", ".tiff"), _begins_as("tiff")),
        ("bmp", (".bmp",), _is_bmp),
    )
)
