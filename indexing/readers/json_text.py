"""JSON and JSON Lines as text that reads: each value under the names that lead to it.

    {"order": {"id": "K-7", "lines": [{"item": "Seal", "price": 7.10}, {"item": "Valve", "price": 3}]}}

    order › id: K-7
    | item | price |          caption "order › lines"
    | Seal | 7.10 |
    | Valve | 3 |

Numbers stay as they are written. Records of the same few short values become a table. A file that is no JSON in spite
of its name is read line by line. Values that are files in Base64 are left out with a note.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from indexing.readers.document import clean, finished, markdown_table, read_text
from indexing.readers.output import ReaderOutput
from indexing.readers.plain import plain_blocks
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Reading

_LINES = (".jsonl", ".ndjson")
_EXTENSIONS = (".json", ".geojson", *_LINES)
_DEEPEST = 60
_MOST_COLUMNS = 40
_LONGEST_CELL = 120
_BASE64 = re.compile(r"(?:data:[\w/+.-]{1,80};base64,)?[A-Za-z0-9+/\s]{800,}={0,2}\s*")


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, in their order; a name that comes twice is there twice."""


def read_json(path: Path, output: ReaderOutput) -> Reading:
    """One value, or one a line."""
    text, notes = read_text(path, output.limits)
    try:
        value = _lines_of(text) if path.suffix.lower() in _LINES else _loaded(text)
    except (ValueError, RecursionError):
        return finished(path, plain_blocks(text), output, title=path.stem, notes=notes)
    walk = _Walk()
    blocks = list(walk.over(value, "", 0))
    return finished(path, blocks, output, title=path.stem, notes=(*notes, *walk.notes()))


def _loaded(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_Object, parse_float=str, parse_int=str, parse_constant=str)


def _lines_of(text: str) -> list[Any]:
    return [_line_of(line.strip()) for line in text.split("\n") if line.strip()]


def _line_of(line: str) -> Any:
    """A line that is no JSON is read as it stands."""
    try:
        return _loaded(line)
    except (ValueError, RecursionError):
        return line


def _is_nested(value: Any) -> bool:
    """More than one value, or a list of them, in one line."""
    if isinstance(value, _Object):
        return bool(value)
    return isinstance(value, list) and any(isinstance(part, list) for part in value)


class _Walk:
    """From the outermost value inwards, in the order of the file."""

    def __init__(self) -> None:
        self._left_out = self._too_deep = 0

    def over(self, value: Any, name: str, depth: int) -> Iterator[Block]:
        """Blocks of one value under its name."""
        if not isinstance(value, list):
            yield Block(kind="text", text=self._line(name, value))
        elif depth > _DEEPEST:
            self._too_deep += 1
        elif isinstance(value, _Object):
            yield from self._object(value, name, depth)
        elif all(not isinstance(each, list) for each in value):
            if value:
                yield Block(kind="text", text=self._line(name, ", ".join(map(self._shown, value))))
        elif (rows := self._rows(value)) is not None:
            yield Block(kind="table", text=markdown_table(rows), caption=name)
        else:
            for number, each in enumerate(value, start=1):
                yield from self.over(each, f"{name} {number}".strip(), depth + 1)

    def notes(self) -> Iterator[Note]:
        """On what was left out."""
        if self._left_out:
            sentence = f"{self._left_out:,} values that are files written in Base64 were not read"
            yield Note(sentence, kind="embedded", number=self._left_out, unread=True)
        if self._too_deep:
            sentence = f"{self._too_deep:,} values nested deeper than {_DEEPEST} were left out"
            yield Note(sentence, number=self._too_deep, unread=True)

    def _object(self, value: _Object, name: str, depth: int) -> Iterator[Block]:
        """Its own values stay together; an object inside comes after them in its place."""
        lines: list[str] = []
        for key, each in value:
            inner = f"{name} › {clean(key)}" if name else clean(key)
            if _is_nested(each):
                if lines:
                    yield Block(kind="text", text="\n".join(lines))
                    lines = []
                yield from self.over(each, inner, depth + 1)
            else:
                shown = ", ".join(map(self._shown, each)) if isinstance(each, list) else each
                lines.append(self._line(inner, shown))
        if lines:
            yield Block(kind="text", text="\n".join(lines))

    def _rows(self, records: Sequence[Any]) -> list[list[str]] | None:
        """A header and a row for each record; None where they are no table."""
        if len(records) < 2 or not all(isinstance(each, _Object) for each in records):
            return None
        names = list(dict.fromkeys(key for record in records for key, _ in record))
        values = (value for record in records for _, value in record)
        flat = all(not isinstance(value, list) and len(str(value)) <= _LONGEST_CELL for value in values)
        if not flat or not 1 < len(names) <= _MOST_COLUMNS or any(len(dict(r)) < len(r) for r in records):
            return None
        by_name = [{key: self._shown(value) for key, value in record} for record in records]
        return [[clean(name) for name in names], *([record.get(name, "") for name in names] for record in by_name)]

    def _line(self, name: str, value: Any) -> str:
        shown = self._shown(value)
        return f"{name}: {shown}" if name else shown

    def _shown(self, value: Any) -> str:
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        text = clean(str(value))
        if len(text) >= 800 and _BASE64.fullmatch(text):
            self._left_out += 1
            return "(a file)"
        return text


def _is_json(start: FileStart) -> bool:
    return start.text is not None and start.suffix in _EXTENSIONS


READERS = (Reader(type="json", extensions=_EXTENSIONS, recognise=_is_json, order=76, read=read_json, is_text=True),)
