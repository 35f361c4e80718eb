"""Drawings (SVG): the words of their text elements, which are exact, and the drawing as a picture.

Letters that were turned into outlines are read by OCR like those of any picture. The drawing is made by resvg, without
what it refers to outside of the file: such a reference is a path or an address that the file chose.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexing.errors import DamagedFileError, in_words, pass_on
from indexing.readers.decoding import decode, opened
from indexing.readers.document import clean
from indexing.readers.image import read_pixels
from indexing.readers.output import PAGE_SIDE, ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Page, Reading

_ROOT = re.compile(
    r"\s*(?:<\?xml[^>]*\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\])?[^>]*>|\s)*<(?:svg|[\w-]+:svg)[\s>]", re.S
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.I)
_HIDDEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)")
_NEVER_SHOWN = frozenset({"style", "script", "metadata", "title", "desc"})
_MOST_BYTES = 50_000_000


def read_svg(path: Path, output: ReaderOutput) -> Reading:
    """Raises DamagedFileError for what is no XML."""
    root = _parsed(path)
    title = next((words for each in root if _name(each) == "title" and (words := _words(each))), path.stem)
    lines = list(_lines(root))
    blocks = (Block(kind="text", text="\n".join(lines)),) if lines else ()
    try:
        drawing = io.BytesIO(_drawn(root))
    except (ImportError, ValueError, OSError) as error:
        return _without_drawing(title, blocks, error)
    with opened(drawing, output) as image:
        pixels = decode(image, least_side=PAGE_SIDE)
    if not lines:
        return read_pixels(pixels, output, title=title)
    output.picture(pixels)
    kept = output.page(pixels, 1, prepared=False)
    width, height = output.sizes[kept.name]
    page = Page(number=None, image=kept, width=width, height=height)
    return Reading(is_picture=True, title=title, pages=(page,), blocks=blocks)


def _without_drawing(title: str, blocks: tuple[Block, ...], error: Exception) -> Reading:
    pass_on(error)
    missing = isinstance(error, ImportError)
    reason = "the package resvg-py is not installed" if missing else in_words(error)
    note = Note(f"the drawing could not be made: {reason}", kind="picture", unread=True)
    return Reading(is_picture=False, title=title, blocks=blocks, notes=(note,))


def _parsed(path: Path) -> Any:
    from lxml import etree

    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise DamagedFileError(f"a drawing of more than {_MOST_BYTES // 1_000_000} MB")
    parser = etree.XMLParser(resolve_entities="internal", no_network=True, remove_comments=True, remove_pis=True)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise DamagedFileError(f"the drawing is damaged or ends early ({error.msg})") from error


def _lines(element: Any) -> Iterator[str]:
    """The words of each text element, a line for each place that a writer put them."""
    waiting = [element]
    while waiting:
        here = waiting.pop()
        if _name(here) in _NEVER_SHOWN or _is_hidden(here):
            continue
        if _name(here) in ("text", "foreignObject"):
            yield from _lines_of(here)
        else:
            waiting.extend(reversed(here))


def _lines_of(element: Any) -> Iterator[str]:
    line: list[str] = []
    for step, text in _runs(element):
        if step and line:
            yield from _line(line)
            line = []
        line.append(text)
    yield from _line(line)


def _runs(element: Any) -> Iterator[tuple[bool, str]]:
    """Pieces of text in order, and whether each begins at a place of its own."""
    from lxml import etree

    depth_hidden = 0
    for event, here in etree.iterwalk(element, events=("start", "end")):
        hidden = _name(here) in _NEVER_SHOWN or _is_hidden(here)
        if event == "start":
            depth_hidden += hidden
            if not depth_hidden:
                placed = here is not element and (_name(here) in ("p", "div", "br", "li") or _is_placed(here))
                yield placed, here.text or ""
        else:
            depth_hidden -= hidden
            if here is not element and not depth_hidden:
                yield False, here.tail or ""


def _is_placed(element: Any) -> bool:
    return _name(element) == "tspan" and any(element.get(name) is not None for name in ("y", "dy"))


def _line(parts: list[str]) -> Iterator[str]:
    words = " ".join(clean("".join(parts)).split())
    if words:
        yield words


def _words(element: Any) -> str:
    return " ".join(clean("".join(element.itertext())).split())[:300]


def _name(element: Any) -> str:
    """Without its namespace; "" for entities and the like."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _is_hidden(element: Any) -> bool:
    return element.get("display") == "none" or bool(_HIDDEN.search(element.get("style") or ""))


def _drawn(root: Any) -> bytes:
    """A PNG at most `PAGE_SIDE` long. Raises ImportError, ValueError."""
    import resvg_py
    from lxml import etree

    width, height = _size(root)
    scale = PAGE_SIDE / max(width, height)
    for element in list(root.iter()):
        _cut_off(element)
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=etree.tostring(root, encoding="unicode"),
            width=max(1, round(width * scale)),
            height=max(1, round(height * scale)),
            background="white",
        )
    )


def _cut_off(element: Any) -> None:
    """References to what is neither in this file nor in the attribute itself."""
    for name, value in element.attrib.items():
        if name.rpartition("}")[2] == "href" and not value.strip().startswith(("#", "data:")):
            del element.attrib[name]


def _size(root: Any) -> tuple[float, float]:
    """Width and height in the drawing's own unit; only their ratio matters."""
    box = [float(each) for each in _NUMBER.findall(root.get("viewBox") or "")]
    if len(box) == 4 and box[2] > 0 and box[3] > 0:
        return box[2], box[3]
    sides = [_NUMBER.match((root.get(name) or "").strip()) for name in ("width", "height")]
    width, height = (float(side.group()) if side else 0.0 for side in sides)
    return (width, height) if width > 0 and height > 0 else (1.0, 1.0)


def _is_svg(start: FileStart) -> bool:
    return start.text is not None and _ROOT.match(start.text.lstrip("\ufeff")) is not None


READERS = (Reader(type="svg", extensions=(".svg",), recognise=_is_svg, order=59, read=read_svg),)
