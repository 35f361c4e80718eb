"""How a chunk lies in a row: the columns that filters name, the vectors, and one JSON body for the rest.

The body is a VARCHAR and not Milvus's JSON type: it is never filtered on, comes back byte for byte, and costs no
second parser. VARCHAR limits count characters on Milvus Lite and bytes on a server, so bytes are checked here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any, cast

import numpy as np

from indexing.addresses import folders_of, is_address
from indexing.errors import IndexingError
from indexing.records import Box, Channel, Chunk, Kind, Line
from indexing.store.bm25 import document_vector
from indexing.store.protocol import Row, sendable

VARCHAR_BYTES: Mapping[str, int] = {
    "id": 32,
    "content_hash": 64,
    "path": 4_096,
    "folder": 4_096,
    "name": 1_024,
    "extension": 1_024,
    "title": 1_024,
    "kind": 16,
    "body": 65_535,
}
CHUNK_FIELDS = ["content_hash", "path", "title", "kind", "page", "body"]
NO_WORDS = {2**31: 1e-6}  # a dimension no word has: some servers refuse an empty sparse vector


class RowTooLongError(IndexingError):
    """A column of the row would be longer than Milvus holds; lengths are UTF-8 bytes."""

    def __init__(self, chunk: Chunk, field: str, size: int, limit: int) -> None:
        super().__init__(f"the {field} of {chunk.kind} {chunk.ordinal} is {size:,} bytes long, a row holds {limit:,}")
        self.field, self.size, self.limit = field, size, limit


def columns_of_path(path: str) -> dict[str, str]:
    """The columns that follow from where the file lies."""
    pure = PurePath(path)
    return {
        "path": path,
        "folder": folders_of(path)[0] if is_address(path) else str(pure.parent),
        "name": pure.name,
        "extension": pure.suffix.removeprefix(".").lower(),
    }


def to_entity(row: Row, *, channels: Sequence[Channel], dimensions: Mapping[Channel, int]) -> dict[str, Any]:
    """A row as Milvus takes it; a channel without a vector gets zeros and a flag that searches filter on."""
    chunk = row.chunk
    entity: dict[str, Any] = {
        "id": chunk.id,
        "content_hash": chunk.content_hash,
        **columns_of_path(chunk.path),
        "title": sendable(chunk.title),
        "kind": chunk.kind,
        "page": chunk.page or 0,
        "body": _body(chunk),
    }
    for field, limit in VARCHAR_BYTES.items():
        size = len(entity[field].encode())
        if size > limit:
            raise RowTooLongError(chunk, field, size, limit)
    vectors: dict[Channel, Any] = {"clip": row.clip, "text": row.text}
    for channel, vector in vectors.items():
        if channel in channels:
            entity[f"has_{channel}"] = vector is not None
            entity[channel] = np.zeros(dimensions[channel], dtype=np.float32) if vector is None else vector
    if "bm25" in channels:
        entity["bm25"] = document_vector(chunk.searchable_text) or NO_WORDS
    return entity


def to_chunk(entity: Mapping[str, Any]) -> Chunk:
    """The chunk back from a row's columns."""
    body = json.loads(entity["body"])
    return Chunk(
        content_hash=entity["content_hash"],
        path=entity["path"],
        kind=cast(Kind, entity["kind"]),
        ordinal=body["ordinal"],
        page=entity["page"] or None,
        box=_box(body.get("box")),
        lines=_lines(body.get("lines", ())),
        regions=_lines(body.get("regions", ())),
        text=body["text"],
        title=entity["title"],
        heading=body.get("heading", ""),
        image=body.get("image", ""),
    )


def fitting(chunk: Chunk) -> Chunk:
    """The chunk as a row can hold it: an overlong title is cut, then the lines' boxes go, then the text's end.

    Chunks of the usual size come back as they are; what is cut ends in "…".
    """
    title = _cut(chunk.title, VARCHAR_BYTES["title"])
    fitted = chunk if title == chunk.title else replace(chunk, title=title)
    limit = VARCHAR_BYTES["body"]
    if len(_body(fitted).encode()) <= limit:
        return fitted
    fitted = replace(fitted, lines=(), heading=_cut(fitted.heading, 1_024))
    over = len(_body(fitted).encode()) - limit
    while over > 0:  # JSON spends two bytes on a quote or a newline: by halves, or more than needed would go
        fitted = replace(fitted, text=_cut(fitted.text, len(sendable(fitted.text).encode()) - over // 2 - 4))
        over = len(_body(fitted).encode()) - limit
    return fitted


def _body(chunk: Chunk) -> str:
    body: dict[str, Any] = {"ordinal": chunk.ordinal, "text": chunk.text}
    if chunk.box is not None:
        body["box"] = _rounded(chunk.box)
    for name, lines in (("lines", chunk.lines), ("regions", chunk.regions)):
        if lines:
            body[name] = list(map(_line_body, lines))
    body |= {key: value for key, value in (("heading", chunk.heading), ("image", chunk.image)) if value}
    return sendable(json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def _line_body(line: Line) -> list[Any]:
    """Its words, then the box, then the confidence; one without a box has none."""
    if line.box is None:
        return [line.text]
    return [line.text, *_rounded(line.box), *([] if line.confidence is None else [round(line.confidence, 3)])]


def _lines(rows: Sequence[Sequence[Any]]) -> tuple[Line, ...]:
    return tuple(
        Line(text=text, box=_box(more[:4]), confidence=more[4] if len(more) > 4 else None) for text, *more in rows
    )


def _rounded(box: Box) -> tuple[float, ...]:
    return tuple(round(edge, 5) for edge in box)  # a hundred-thousandth of a page is below a pixel


def _box(edges: Sequence[float] | None) -> Box | None:
    return cast(Box, tuple(edges)) if edges else None


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, never half a character; what was cut ends in "…"."""
    data = sendable(text).encode()
    return text if len(data) <= limit else data[: max(0, limit - 3)].decode(errors="ignore") + "…"
