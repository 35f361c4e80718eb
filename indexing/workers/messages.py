"""What a worker says about a file: a `Reading` as plain JSON, and back as a `ReadResult`.

The far side runs parsers on strangers' files, so nothing that it says is believed: file names come from a closed set
of shapes, numbers are numbers, boxes lie in 0..1.
"""

import errno
import os
import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from indexing import errors
from indexing.embedding.protocol import Pixels
from indexing.errors import UnreadableFileError, disk_error, words_of
from indexing.readers.output import KEPT_PAGES, PICTURE, PIXELS_FILE, THUMB
from indexing.records import NOTE_KINDS, Block, Box, Line, Note, Page, Reading

_IMAGE_NAME = re.compile(r"(?:page|figure)-\d{4,6}\.jpg|thumb\.jpg")
_BLOCK_KINDS = ("heading", "text", "table", "figure")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadResult:
    """One file as read. `folder` belongs to the caller from now on: move what is kept, delete the rest."""

    reading: Reading
    folder: Path
    pixels: Mapping[str, Pixels]
    """File name of a page or figure, or `picture` → uint8 (size, size, 3), as `embed_images` wants it."""


Outcome = ReadResult | UnreadableFileError


def outcome_of(message: Mapping[str, Any], folder: Path, *, size: int) -> Outcome:
    """A worker's answer; `size` is the side of the prepared squares in `folder`.

    Raises ValueError, TypeError, KeyError, AttributeError or OSError when the answer makes no sense.
    """
    if "error" in message:
        return _error(message)
    reading = reading_from_json(message["reading"], folder)
    return ReadResult(reading=reading, folder=folder, pixels=_load_pixels(folder, message["pixels"], size))


def reading_to_json(reading: Reading) -> dict[str, Any]:
    """Plain values; images become their bare names."""
    return {
        "is_picture": reading.is_picture,
        "title": reading.title,
        "pages": [
            [page.number, page.image.name if page.image else None, page.width, page.height, page.read_by_ocr]
            for page in reading.pages
        ],
        "blocks": [_block_to_json(block) for block in reading.blocks],
        "metadata": dict(reading.metadata),
        "notes": [[note, note.kind, note.place, note.number, note.unread] for note in reading.notes],
    }


def reading_from_json(value: Mapping[str, Any], folder: Path) -> Reading:
    """Raises ValueError, TypeError or KeyError when the worker's answer has another shape."""
    return Reading(
        is_picture=value["is_picture"] is True,
        title=_text(value["title"]),
        pages=tuple(_page(each, folder) for each in value["pages"]),
        blocks=tuple(_block(each, folder) for each in value["blocks"]),
        metadata={_text(key): _text(each) for key, each in value["metadata"].items()},
        notes=tuple(map(_note, value["notes"])),
    )


def _note(value: Sequence[Any]) -> Note:
    text, kind, place, count, unread = value
    if kind not in NOTE_KINDS:
        raise ValueError(f"unknown kind of note {kind!r}")
    return Note(_text(text), kind=kind, place=_text(place), number=int(count), unread=unread is True)


def image_name(value: object) -> str:
    """A name that `ReaderOutput` gives to a file, or ValueError."""
    if isinstance(value, str) and _IMAGE_NAME.fullmatch(value):
        return value
    raise ValueError(f"{value!r} is no name of a page, figure or thumbnail")


def _block_to_json(block: Block) -> dict[str, Any]:
    return {
        "kind": block.kind,
        "text": block.text,
        "page": block.page,
        "lines": [[line.text, line.box, line.confidence] for line in block.lines],
        "box": block.box,
        "level": block.level,
        "caption": block.caption,
        "image": block.image.name if block.image else None,
    }


def _block(value: Mapping[str, Any], folder: Path) -> Block:
    if value["kind"] not in _BLOCK_KINDS:
        raise ValueError(f"unknown kind of block {value['kind']!r}")
    return Block(
        kind=cast(Literal["heading", "text", "table", "figure"], value["kind"]),
        text=_text(value["text"]),
        page=_number(value["page"]),
        lines=tuple(
            Line(text=_text(text), box=_box(box), confidence=_share(confidence))
            for text, box, confidence in value["lines"]
        ),
        box=_box(value["box"]),
        level=int(value["level"]),
        caption=_text(value["caption"]),
        image=_image(value["image"], folder),
    )


def _page(value: Sequence[Any], folder: Path) -> Page:
    number, image, width, height, read_by_ocr = value
    return Page(
        number=_number(number),
        image=_image(image, folder),
        width=int(width),
        height=int(height),
        read_by_ocr=read_by_ocr is True,
    )


def _image(value: object, folder: Path) -> Path | None:
    return None if value is None else folder / image_name(value)


def _number(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and value >= 1:
        return value
    raise ValueError(f"{value!r} is no page number")


def _box(value: Sequence[float] | None) -> Box | None:
    if value is None:
        return None
    x0, y0, x1, y1 = (min(1.0, max(0.0, float(each))) for each in value)
    return (x0, y0, x1, y1)


def _share(value: float | None) -> float | None:
    return None if value is None else min(1.0, max(0.0, float(value)))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value.encode("utf-8", "replace").decode("utf-8")


def _error(message: Mapping[str, Any]) -> UnreadableFileError:
    kind = getattr(errors, str(message["error"]), UnreadableFileError)
    if not (isinstance(kind, type) and issubclass(kind, UnreadableFileError)):
        kind = UnreadableFileError
    return kind(" ".join(str(message["reason"]).split())[:400])


class PixelFile(Mapping[str, Pixels]):
    """The squares that a worker wrote, each read when it is asked for. The file itself has no name any more, unless it
    is needed after this process has died.

    Mapped into memory, all of them would stay there until the last row of their file is written: 0.3 GB for a document
    of 2,000 pages.
    """

    def __init__(self, path: Path, places: Mapping[str, int], size: int) -> None:
        self._places, self._size = places, size
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        if not (path.parent / KEPT_PAGES).exists():
            path.unlink()

    def __getitem__(self, name: str) -> Pixels:
        """Raises StoreError where the disk does not give back what was written to it."""
        length = self._size * self._size * 3
        try:
            data = os.pread(self._descriptor, length, self._places[name] * length)
            if len(data) != length:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        except OSError as error:
            raise disk_error(error.strerror or words_of(error)) from error
        return np.frombuffer(data, np.uint8).reshape(self._size, self._size, 3)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _load_pixels(folder: Path, names: object, size: int) -> Mapping[str, Pixels]:
    if not isinstance(names, list):
        raise TypeError("no list of prepared pictures")
    if not names:
        return {}
    places = {PICTURE if name == PICTURE else image_name(name): place for place, name in enumerate(names)}
    path = folder / PIXELS_FILE
    if path.stat().st_size != len(names) * size * size * 3:
        raise ValueError("prepared pixels of another size than asked for")
    if PICTURE in places:
        places[THUMB] = places[PICTURE]
    return PixelFile(path, places, size)
