"""A `Reading` as plain JSON and back. The far side runs parsers on strangers' files, so nothing it says
is believed: file names come from a closed set of shapes, numbers are numbers, boxes lie in 0..1."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from indexing.records import Block, Box, Line, Page, Reading

PIXELS_FILE = "pixels.bin"
PICTURE = "picture"
THUMB = "thumb.jpg"
_IMAGE_NAME = re.compile(r"(?:page|figure)-\d{4,6}\.jpg|thumb\.jpg")
_BLOCK_KINDS = ("heading", "text", "table", "figure")


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
        "notes": list(reading.notes),
    }


def reading_from_json(value: Mapping[str, Any], folder: Path) -> Reading:
    """Raises ValueError, TypeError or KeyError when the worker's answer has another shape."""
    return Reading(
        is_picture=value["is_picture"] is True,
        title=_text(value["title"]),
        pages=tuple(_page(each, folder) for each in value["pages"]),
        blocks=tuple(_block(each, folder) for each in value["blocks"]),
        metadata={_text(key): _text(each) for key, each in value["metadata"].items()},
        notes=tuple(_text(note) for note in value["notes"]),
    )


def image_name(value: object) -> str:
    """A name that a spool writes, or ValueError."""
    if isinstance(value, str) and _IMAGE_NAME.fullmatch(value):
        return value
    raise ValueError(f"{value!r} is no name of a page, figure or thumbnail")


def _block_to_json(block: Block) -> dict[str, Any]:
    return {
        "kind": block.kind,
        "text": block.text,
        "page": block.page,
        "lines": [[line.text, line.box] for line in block.lines],
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
        lines=tuple(Line(text=_text(text), box=_box(box)) for text, box in value["lines"]),
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


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value.encode("utf-8", "replace").decode("utf-8")
