"""Jupyter notebooks: text cells as Markdown, code as it was typed, and what it showed when it was last run.

Of an output that a notebook keeps in several forms the one is read that a person sees: a table before its plain text, a
picture before the words that stand for it. Pictures become figures; what only a browser can draw is told.
"""

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from indexing.readers.document import clean, finished, read_text
from indexing.readers.output import ReaderOutput
from indexing.readers.plain import markdown_page, plain_blocks
from indexing.readers.registry import FileStart, Reader
from indexing.readers.web import read_markup
from indexing.records import Block, Note, Reading

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\[[0-9;]{1,8}m")
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_MOST_LINES = 2_000
"""Of one output: a training's log can be longer than the notebook."""


def read_notebook(path: Path, output: ReaderOutput) -> Reading:
    """Cells in their order; a damaged notebook is read as the text that it is, with a note."""
    text, notes = read_text(path, output.limits)
    try:
        book = json.loads(text)
        cells = book["cells"] if "cells" in book else [c for sheet in book["worksheets"] for c in sheet["cells"]]
    except (ValueError, KeyError, TypeError) as error:
        sentence = f"a damaged notebook was read as plain text ({clean(str(error))[:200]})"
        return finished(path, plain_blocks(text), output, notes=(*notes, Note(sentence)))
    walk = _Cells()
    blocks = [block for cell in cells if isinstance(cell, dict) for block in walk.blocks(cell)]
    return finished(path, blocks, output, pictures=walk.pictures(), notes=(*notes, *walk.notes()))


class _Cells:
    """Collects pictures, and what could not be read, on the way."""

    def __init__(self) -> None:
        self._pictures: list[str] = []
        self._unread: Counter[str] = Counter()
        self._notes: list[Note] = []
        self._cut = 0

    def blocks(self, cell: dict[str, Any]) -> Iterator[Block]:
        """One cell, and its outputs."""
        source = _joined(cell.get("source", cell.get("input", "")))
        for attached in _dicts(_values(cell.get("attachments"))):
            self._shown(attached)
        kind = cell.get("cell_type")
        if kind == "markdown":
            page = markdown_page(source)
            self._notes.extend(page.notes)
            yield from page.blocks
        elif kind == "heading":
            yield Block(kind="heading", text=source, level=int(cell.get("level", 1)))
        elif source.strip():
            yield Block(kind="text", text=source.strip("\n"))
        for shown in _dicts(cell.get("outputs")):
            yield from self._output(shown)

    def pictures(self) -> Iterator[tuple[int | None, bytes]]:
        """The bytes of the pictures, in their order; one that is damaged comes as it is and is told as damaged."""
        for picture in self._pictures:
            try:
                yield None, base64.b64decode(picture)
            except (binascii.Error, ValueError):
                yield None, picture.encode()

    def notes(self) -> list[Note]:
        """On outputs that are not in the library."""
        notes = list(self._notes)
        if self._unread:
            count, kinds = self._unread.total(), ", ".join(sorted(self._unread)[:5])
            sentence = f"{count:,} outputs of kinds that are not read were left out ({kinds})"
            notes.append(Note(sentence, kind="embedded", number=count, unread=True))
        if self._cut:
            sentence = f"{self._cut:,} lines of outputs longer than {_MOST_LINES:,} lines were left out"
            notes.append(Note(sentence, number=self._cut, unread=True))
        return notes

    def _output(self, shown: dict[str, Any]) -> Iterator[Block]:
        if "data" in shown:
            yield from self._shown(shown["data"] if isinstance(shown["data"], dict) else {})
        elif "ename" in shown:
            yield Block(kind="text", text=clean(f"{shown.get('ename')}: {shown.get('evalue', '')}"))
        else:
            yield from self._text(_joined(shown.get("text", "")))
            # the first versions of the format have the pictures beside the text
            self._shown({"image/png": shown["png"]} if "png" in shown else {})

    def _shown(self, data: dict[str, Any]) -> list[Block]:
        """The form that a person sees."""
        picture = next((data[kind] for kind in _PICTURES if kind in data), None)
        if picture is not None:
            self._pictures.append(_joined(picture))
            return []
        if "text/html" in data:
            page = read_markup(_joined(data["text/html"]))
            if page.blocks:
                return list(page.blocks)
        if "text/markdown" in data:
            return list(markdown_page(_joined(data["text/markdown"])).blocks)
        words = next((_joined(data[kind]) for kind in ("text/plain", "text/latex") if kind in data), "")
        self._unread.update(kind for kind in data if kind.startswith("image/"))
        if not words and data:
            self._unread.update(kind for kind in list(data)[:1] if not kind.startswith("image/"))
        return list(self._text(words))

    def _text(self, text: str) -> Iterator[Block]:
        lines = _COLOURS.sub("", text).strip("\n").split("\n")
        self._cut += max(0, len(lines) - _MOST_LINES)
        if any(line.strip() for line in lines):
            yield Block(kind="text", text=clean("\n".join(lines[:_MOST_LINES])))


def _joined(text: Any) -> str:
    """Notebooks keep text as a list of its lines."""
    return "".join(part for part in text if isinstance(part, str)) if isinstance(text, list) else str(text)


def _values(mapping: Any) -> Sequence[Any]:
    return list(mapping.values()) if isinstance(mapping, dict) else []


def _dicts(values: Any) -> Iterator[dict[str, Any]]:
    yield from (each for each in values or () if isinstance(each, dict)) if isinstance(values, (list, tuple)) else ()


def _is_notebook(start: FileStart) -> bool:
    return start.text is not None and start.suffix == ".ipynb" and start.text.lstrip().startswith("{")


READERS = (
    Reader(type="notebook", extensions=(".ipynb",), recognise=_is_notebook, order=64, read=read_notebook, is_text=True),
)
