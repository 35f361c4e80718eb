"""Picture files: thumbnail, prepared pixels, and the words in them when there are any."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np
from PIL import Image

from indexing.errors import DamagedFileError, UnreadableFileError, UnsupportedFileError, pass_on
from indexing.facts import LIKENESS
from indexing.likeness import likeness
from indexing.readers.camera_raw import is_camera_raw
from indexing.readers.decoding import OCR_SIDE, brands, check_pixels, damage_named, decode, is_heic, opened
from indexing.readers.exif import photo_metadata
from indexing.readers.letters import SIDE, Grey, Strokes
from indexing.readers.ocr_tiles import SHORT_SIDE, is_long, longest_read, tiles
from indexing.readers.output import THUMB_SIDE, ReaderOutput, at_most
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Page, Reading

if TYPE_CHECKING:
    from indexing.embedding.protocol import Pixels
    from indexing.readers.ocr import FewWords, OcrText


def read_picture(path: Path, output: ReaderOutput) -> Reading:
    """One picture, or the frames of a TIFF as pages; an animation is its first frame."""
    with path.open("rb") as file:
        raw = is_camera_raw(file.read(_HEAD_BYTES))
    try:
        return _read_file(path, output, raw=raw)
    except DamagedFileError as error:
        if not raw:
            raise
        reason = "a camera's raw picture without a preview that can be read here (save it as JPEG)"
        raise UnsupportedFileError(reason) from error


def _read_file(path: Path, output: ReaderOutput, *, raw: bool) -> Reading:
    with opened(path, output) as image:
        frames = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        if frames > 1 and not raw:
            return _read_frames(image, frames, path, output)
        size, metadata = image.size, photo_metadata(image)
        upright = decode(image, least_side=_least_side(output))
        reread = None if _is_whole(upright, size) else path
        notes = _raw_note(size) if raw else _others_in(image)
    return _with_likeness(_read_one(upright, reread, output, title=path.stem, notes=notes), upright, metadata)


def read_pixels(image: Image.Image, output: ReaderOutput, *, title: str) -> Reading:
    """A picture that another reader made, RGB."""
    return _with_likeness(_read_one(image, None, output, title=title, notes=()), image, {})


def _with_likeness(reading: Reading, image: Image.Image, metadata: dict[str, str]) -> Reading:
    """With what is kept to find pictures that are nearly the same."""
    kept = likeness(np.asarray(image), [block.text for block in reading.blocks])
    return replace(reading, metadata={**metadata, **({LIKENESS: kept} if kept else {})})


def _raw_note(size: tuple[int, int]) -> tuple[Note, ...]:
    sentence = f"a camera's raw picture: the preview in it, of {size[0]:,} × {size[1]:,} pixels, was read"
    return (Note(sentence, kind="picture"),)


def frames_in(path: Path, output: ReaderOutput) -> int:
    """How many frames a TIFF has; other pictures count as one. Raises what reading the picture would."""
    with opened(path, output) as image:
        return getattr(image, "n_frames", 1) if image.format == "TIFF" else 1


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


def _least_side(output: ReaderOutput) -> int:
    return max(round(1.75 * output.preprocess.resize_to), THUMB_SIDE)


def _is_whole(decoded: Image.Image, size: tuple[int, int]) -> bool:
    """False when detail was left out while decoding that OCR could want; `size` is what the file's header says."""
    if sorted(decoded.size) == sorted(size):
        return True
    return min(decoded.size) >= SHORT_SIDE if is_long(*size) else max(decoded.size) >= OCR_SIDE


def words_in(image: Image.Image) -> tuple[Image.Image, "OcrText | None"]:
    """The picture turned upright, and the words in it; None when nothing is written there."""
    seen = _seen_words(np.asarray(image))
    return _read_words(image, seen) if seen != "none" else (image, None)


def _seen_words(pixels_HWC: "Pixels") -> "FewWords":
    """Ask the pixels, then the OCR's own detector on a small copy: both are cheap beside OCR. Long pictures are asked
    tile by tile."""
    unread = False
    for tile in tiles(pixels_HWC):
        seen = _seen_in_tile(tile.pixels_HWC)
        if seen == "legible":
            return seen
        unread = unread or seen == "illegible"
    return "illegible" if unread else "none"


def _seen_in_tile(pixels_HWC: "Pixels") -> "FewWords":
    from indexing.readers.ocr import few_words, looks_written

    strokes = Strokes(small_grey(pixels_HWC))
    if strokes.make_text() and looks_written(pixels_HWC):
        return "legible"
    likely = strokes.likely_words()
    return few_words(pixels_HWC, likely) if likely else "none"


def _read_words(image: Image.Image, seen: "FewWords") -> tuple[Image.Image, "OcrText | None"]:
    from indexing.readers.ocr import one_unread_line, read_words
    from indexing.readers.ocr_scripts import installed

    readable = seen == "legible" or installed()
    words = read_words(np.asarray(image)) if readable else one_unread_line()
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
    with opened(data, output) as image:
        return decode(image, least_side=OCR_SIDE // 2)


def _read_one(
    image: Image.Image, reread: Path | None, output: ReaderOutput, *, title: str, notes: tuple[Note, ...]
) -> Reading:
    pixels_HWC = np.asarray(image)
    seen = _seen_words(pixels_HWC)
    if seen == "none":
        return _wordless(image, output, title, notes, pixels_HWC)
    if reread is not None and seen == "legible":
        with opened(reread, output) as again:
            image = decode(again, least_side=SHORT_SIDE if is_long(*again.size) else OCR_SIDE // 2)
    image, cut = _for_words(image)
    image, words = _read_words(image, seen)
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
    for index in range(min(frames, output.limits.max_frames)):
        try:
            with damage_named():
                image.seek(index)
                check_pixels(image, output)
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
    if frames > output.limits.max_frames:
        sentence = f"{frames:,} frames, of which the first {output.limits.max_frames:,} were read"
        notes.append(Note(sentence, kind="page", number=frames - output.limits.max_frames, unread=True))
    return Reading(is_picture=True, title=path.stem, pages=tuple(pages), blocks=tuple(blocks), notes=tuple(notes))


def small_grey(image: "Image.Image | Pixels") -> Grey:
    """Grey and at most `SIDE` long: what text detection looks at."""
    grey_HW = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    return at_most(grey_HW, SIDE)


_HEAD_BYTES = 65_536
_MAGIC: dict[str, tuple[bytes, ...]] = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpeg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "jpeg2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
}
_BMP_HEADERS = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))


def _begins_as(name: str) -> Callable[[FileStart], bool]:
    return lambda start: start.head.startswith(_MAGIC[name])


def _is_webp(start: FileStart) -> bool:
    return start.head[:4] == b"RIFF" and start.head[8:12] == b"WEBP"


def _is_bmp(start: FileStart) -> bool:
    head = start.head
    return head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and head[14:18] in _BMP_HEADERS


def _is_avif(start: FileStart) -> bool:
    return bool(brands(start.head) & {b"avif", b"avis"})


def _is_heic(start: FileStart) -> bool:
    return is_heic(start.head)


READERS = tuple(
    Reader(type=name, extensions=extensions, recognise=recognise, order=10, read=read_picture, is_picture=True)
    for name, extensions, recognise in (
        ("png", (".png",), _begins_as("png")),
        ("jpeg", (".jpg", ".jpeg"), _begins_as("jpeg")),
        ("webp", (".webp",), _is_webp),
        ("gif", (".gif",), _begins_as("gif")),
        ("tiff", (".tif", ".tiff"), _begins_as("tiff")),
        ("bmp", (".bmp",), _is_bmp),
        ("avif", (".avif",), _is_avif),
        ("heic", (".heic", ".heif", ".hif"), _is_heic),
        ("jpeg2000", (".jp2", ".j2k", ".jpx"), _begins_as("jpeg2000")),
    )
)
