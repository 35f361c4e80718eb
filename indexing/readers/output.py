"""The folder that a reader writes pixels to: JPEGs that the library keeps, and prepared squares for the embedder.

`page-0001.jpg`, `figure-0001.jpg` and `thumb.jpg` are named by us, never by the file that is read.
Prepared pixels go one after the other into `pixels.bin` (uint8, size × size × 3 each); `names` says
which square belongs to which picture, `picture` being the whole of a picture file.
"""

import errno
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image

from indexing.embedding.protocol import Pixels, Preprocess
from indexing.errors import DamagedFileError, FileTooLargeError, ReaderStoppedError, UnreadableFileError, pass_on
from indexing.readers.conversion import Converter, no_converter
from indexing.readers.ocr_tiles import is_long
from indexing.settings import MEGABYTE, ReadLimits

_last: tuple["weakref.ref[Image.Image]", Pixels] | None = None

cv2.setNumThreads(1)  # there is a worker for every core

PICTURE = "picture"
PIXELS_FILE = "pixels.bin"
THUMB = "thumb.jpg"
KEPT_PAGES = "pages.jsonl"
"""What a reader keeps of the pages of a long document, for a run that goes on where this one is stopped."""
PAGE_SIDE = 1400
"""Longer side of a kept page image: small print stays legible, a page takes 150–300 kB."""
_PAGE_PIXELS = 2_000_000
_LONGEST_PAGE = 20_000
"""A long page, such as the screenshot of a whole chat, is kept longer than that, up to so many pixels."""
THUMB_SIDE = 448
FIGURE_SIDE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Parts of a file, such as attachments, that are not read, since a parser was stopped in them. Counted from 1."""

    reasons: Mapping[int, str] = field(default_factory=dict)
    """Number of a part → why it is left out."""
    rest_from: int = 0
    """The part that is left out with all after it; 0 for none."""
    rest_reason: str = ""

    def reason(self, part: int) -> str:
        """Why this part is not to be read; "" where it is."""
        return self.reasons.get(part) or (self.rest_reason if 0 < self.rest_from <= part else "")

    def without(self, part: int, reason: str) -> "LeftOut | None":
        """What to leave out after a parser was stopped in `part`: at first that part alone, the second time with all
        after it, the third time every part. None where nothing is left to leave out, or no part was under way (0)."""
        if part == 0 or self.rest_from == 1:
            return None
        if not self.reasons:
            return replace(self, reasons={part: reason})
        rest_from = 1 if self.rest_from else part
        return replace(self, rest_from=rest_from, rest_reason=f"its file had to be stopped several times ({reason})")

    def to_json(self) -> dict[str, Any]:
        """Plain values for a worker."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "LeftOut":
        """The way back; JSON's names are strings."""
        return cls(**{**value, "reasons": {int(part): reason for part, reason in value["reasons"].items()}})


@dataclass(kw_only=True, slots=True)
class Inside:
    """Where the reading is among the files that lie inside the file, and how many there were (`attachments`)."""

    attachments: int = 0
    depth: int = 0
    """So many files lie around the one that is being read."""
    archives: int = 0
    """So many archives were met."""
    unpacked_bytes: int = 0
    """What archives have unpacked to so far."""


class ReaderOutput:
    """One file's output folder; counts what is written and stops at the limit."""

    def __init__(
        self,
        folder: Path,
        *,
        preprocess: Preprocess,
        limits: ReadLimits,
        on_page: Callable[[int], None] = lambda of: None,
        on_part: Callable[[int], None] = lambda part: None,
        left_out: LeftOut | None = None,
        converter: Converter = no_converter,
    ) -> None:
        self.folder = folder
        self.preprocess = preprocess
        self.limits = limits
        self.converted = converter
        self.names: list[str] = []
        self.sizes: dict[str, tuple[int, int]] = {}  # width and height of every JPEG written
        self.figures = 0
        self.page_offset = 0  # pages of earlier documents in the same file (attachments of a mail)
        self.inside = Inside()
        self._on_page, self._on_part = on_page, on_part
        self._left_out = left_out or LeftOut()
        self._parts = 0  # met so far
        self._part = 0  # the innermost one that is being read; 0 outside of all
        self._written = 0

    def page_done(self, of: int = 0) -> None:
        """Tell the parent that another page is read, of so many where that is known: it extends the time that the file
        may take."""
        self._on_page(of)

    @property
    def written_bytes(self) -> int:
        """What was written of this file so far."""
        return self._written

    def go_on(self, *, names: list[str], figures: int, written_bytes: int) -> None:
        """An earlier attempt at the same file has written so much; what it wrote after that is written again."""
        self.names[:], self.figures, self._written = names, figures, written_bytes
        pixels = self.folder / PIXELS_FILE
        if pixels.exists():
            os.truncate(pixels, self.pixels_bytes(len(names)))

    def pixels_bytes(self, count: int) -> int:
        """Length of the file with so many prepared squares."""
        return count * self.preprocess.size**2 * 3

    @contextmanager
    def part(self) -> Iterator[None]:
        """Around reading what lies inside the file and has its own parser, such as an attachment. Parts can be nested.

        The parent is told which part is under way: when the parser has to be stopped in it, the file is read again
        without it. Raises ReaderStoppedError, with the reason of that time, for a part that is to be left out.
        """
        self._parts += 1
        if reason := self._left_out.reason(self._parts):
            raise ReaderStoppedError(reason)
        outer = self._part
        self._enter(self._parts)
        try:
            yield
        except UnreadableFileError as error:
            pass_on(error)
            self._enter(outer)
            raise
        self._enter(outer)  # not after a lack of memory and the like: the parent shall know where it came from

    def _enter(self, part: int) -> None:
        self._part = part
        self._on_part(part)

    def picture(self, image: Image.Image, pixels_HWC: Pixels | None = None) -> Path:
        """A picture file: prepared pixels as `picture`, and the thumbnail.

        `pixels_HWC` is the same picture as an array, where the caller has it: getting it out of Pillow is a copy.
        """
        self._prepare(PICTURE, image)
        return self.thumb(image if pixels_HWC is None else pixels_HWC)

    def page(self, image: Image.Image, number: int, *, prepared: bool = True) -> Path:
        """A page at most `PAGE_SIDE` long (a long picture has more), written as `page-0001.jpg`; RGB in, path out."""
        name = f"page-{number + self.page_offset:04d}.jpg"
        if prepared:
            self._prepare(name, _shrunk(image, self.preprocess.resize_to))
        return self._save(pixels_of(image), name, side=_page_side(*image.size), quality=80)

    def figure(self, image: Image.Image) -> Path:
        """The next figure, with its prepared pixels."""
        self.figures += 1
        name = f"figure-{self.figures:04d}.jpg"
        self._prepare(name, image)
        return self._save(image, name, side=FIGURE_SIDE, quality=85)

    def thumb(self, image: Image.Image | Pixels) -> Path:
        """What a gallery shows."""
        return self._save(image, THUMB, side=THUMB_SIDE, quality=80)

    def _save(self, image: Image.Image | Pixels, name: str, *, side: int, quality: int) -> Path:
        """OpenCV shrinks and writes a JPEG in half of Pillow's time."""
        whole_HWC = np.asarray(image)
        small_HWC = at_most(whole_HWC, side)
        done, data = cv2.imencode(
            ".jpg", cv2.cvtColor(small_HWC, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        if not done:
            height, width = whole_HWC.shape[:2]
            raise DamagedFileError(f"a picture of {width} × {height} pixels cannot be kept")
        path = self.folder / name
        self._write(name, data.tobytes(), "wb")
        self.sizes[path.name] = (small_HWC.shape[1], small_HWC.shape[0])
        self._count(len(data))
        return path

    def _prepare(self, name: str, image: Image.Image) -> None:
        pixels = self.preprocess.crop(image)
        self._write(PIXELS_FILE, pixels.tobytes(), "ab")
        self.names.append(name)
        self._count(pixels.nbytes)

    def _write(self, name: str, data: bytes, mode: Literal["wb", "ab"]) -> None:
        """All of it, or an error: a file system can keep less than it was given, and say so to nobody."""
        path = self.folder / name
        before = path.stat().st_size if mode == "ab" and path.exists() else 0
        try:
            with path.open(mode) as file:
                file.write(data)
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise self._too_much() from error
            raise
        if path.stat().st_size != before + len(data):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    def _count(self, size: int) -> None:
        self._written += size
        if self._written > self.limits.max_spool_bytes:
            raise self._too_much()

    def _too_much(self) -> FileTooLargeError:
        return FileTooLargeError(f"its pages and figures take more than {self.limits.max_spool_bytes // MEGABYTE} MB")


def pixels_of(image: Image.Image) -> Pixels:
    """The picture as an array, (H, W, 3), not to be written to. That of the last picture is kept: a page is looked at
    several times, and each time Pillow would copy it."""
    global _last
    if _last is None or _last[0]() is not image:
        _last = weakref.ref(image), np.asarray(image)
    return _last[1]


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    """Halved while it stays well above `side`: what is left for the embedder's own resizing is a fourth of the work,
    and hardly a pixel differs by more than a step or two."""
    image_HWC = pixels_of(image)
    height, width = image_HWC.shape[:2]
    while min(height, width) >= 3 * side:
        height, width = height // 2, width // 2
        image_HWC = _resized(image_HWC, (width, height), cv2.INTER_AREA)
    return image if image_HWC.shape[:2] == image.size[::-1] else Image.fromarray(image_HWC)


def _page_side(width: int, height: int) -> int:
    """Longer side of the kept image of a page that measures so much."""
    long, short = max(width, height), min(width, height)
    return (
        max(PAGE_SIDE, min(_LONGEST_PAGE, round((_PAGE_PIXELS * long / short) ** 0.5)))
        if is_long(width, height)
        else PAGE_SIDE
    )


def at_most(image_HWC: Pixels, side: int) -> Pixels:
    """The picture with its longer side at most `side`; also takes grey ones, (H, W)."""
    height, width = image_HWC.shape[:2]
    if max(height, width) <= side:
        return image_HWC
    while max(height, width) >= 2 * side:  # averaging two by two is several times faster than other areas
        height, width = max(1, height // 2), max(1, width // 2)
        image_HWC = _resized(image_HWC, (width, height), cv2.INTER_AREA)
    scale = min(1.0, side / max(height, width))
    return _resized(image_HWC, (max(1, round(width * scale)), max(1, round(height * scale))), cv2.INTER_LINEAR)


def _resized(image_HWC: Pixels, size: tuple[int, int], how: int) -> Pixels:
    return cv2.resize(image_HWC, size, interpolation=how).astype(np.uint8, copy=False)
