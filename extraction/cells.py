"""What one document says of each field: cells with their words, meaning and place, in rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from extraction.document import Document, Place
from indexing.records import Box

State = Literal["quoted", "unchecked", "absent"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """What one document says of one field. An absent one has neither words nor a place."""

    state: State = "absent"
    written: str = ""
    """The document's own words; the model's, where they stand nowhere in it."""
    value: str = ""
    """An ISO date, a number without separators, yes or no; else as written."""
    currency: str = ""
    readings: tuple[str, ...] = ()
    """What the words can mean, where it is several things; `value` is as written then."""
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    chunk_id: str = ""
    support: float = 0.0
    """How likely the model holds the words for the field, 0..1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractedRow:
    """One document, or one entry of it. With a `reason` it could not be read, and there are no cells."""

    path: str
    cells: Mapping[str, Cell] = field(default_factory=dict)
    reason: str = ""


def cell_at(document: Document, place: Place, support: float) -> Cell:
    """The words of that place."""
    chunk = document.chunk(place)
    return Cell(
        state="quoted",
        written=place.words,
        page=chunk.page,
        boxes=document.boxes(place),
        chunk_id=chunk.id,
        support=support,
    )
