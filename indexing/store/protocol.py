"""What every store offers, whatever engine stands behind it, and the filters that say which rows may be returned."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast, get_args

import numpy as np
import numpy.typing as npt

from indexing.discover import absolute
from indexing.errors import IndexingError, UnknownFieldError
from indexing.facts import FactCondition
from indexing.records import KINDS, Channel, Chunk, Kind

# -- which rows a search may return, and how that is said to Milvus without letting a value speak ---
#
# `filter_params` is not parsed on Milvus Lite, so values are written into the expression itself: field names come
# from an allow-list, and every value is a quoted literal in which nothing ends the quote.
# LIKE is not used at all: its wildcards cannot be escaped on Lite (its two evaluators disagree about backslashes).
# A folder and everything below it is a range of strings instead.

Field = Literal["path", "folder", "name", "extension", "title", "page", "kind"]
FIELDS: tuple[Field, ...] = get_args(Field)
ON_PATHS: tuple[Field, ...] = ("path", "folder", "name", "extension")

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_AFTER_SLASH = chr(ord("/") + 1)


class FilterValueError(IndexingError):
    """A filter's value cannot be one that the field has."""

    def __init__(self, field: str, value: str, expected: str) -> None:
        super().__init__(f"'{value}' is no {field}: {expected}")
        self.field, self.value = field, value


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which rows may be found. Values of one field are alternatives, different fields must all hold.

    `folder` matches the folder and everything below it; relative paths and folders are taken from the
    current directory. `extension` is compared without its dot and without regard to case. `page` is a number.
    """

    kinds: tuple[Kind, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    contents: tuple[str, ...] = ()
    """Hashes of contents that may be found wherever they lie: conditions on paths do not hold for them."""
    facts: tuple[FactCondition, ...] = ()
    """Must all hold for the file. No store knows them: `indexing.places` asks the ledger, whose answer is `only`."""
    only: frozenset[str] | None = None
    """Hashes of the contents among which everything that is found must be; any number of them."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            _checked_kind(kind)
        for field, value in self.where:
            if field not in FIELDS:
                raise UnknownFieldError(field, FIELDS)
            _condition(field, value)


EVERYTHING = Filter()


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """What one column must be: a value, or with `below` a folder or anything under it."""

    column: str
    value: str | int
    below: bool = False

    @property
    def expression(self) -> str:
        """As Milvus reads it."""
        if not isinstance(self.value, str):
            return f"{self.column} == {self.value}"
        if not self.below:
            return f"{self.column} == {literal(self.value)}"
        folder, inside, after = self.bounds
        within = f"{self.column} >= {literal(inside)} and {self.column} < {literal(after)}"
        return f"({self.column} == {literal(folder)} or ({within}))"

    @property
    def bounds(self) -> tuple[str, str, str]:
        """The folder; from where on and up to where strings begin with it: a range, so that no character is wild."""
        inside = str(self.value).rstrip("/")
        return inside or "/", inside + "/", inside + _AFTER_SLASH


def conditions(chosen: Filter) -> dict[str, list[Condition]]:
    """The filter but for `contents` and `only`: of each list one condition must hold."""
    assert not chosen.facts, "a store cannot know facts; PlacedStore does"
    alternatives: dict[str, list[Condition]] = {}
    for kind in chosen.kinds:
        alternatives.setdefault("kinds", []).append(_condition("kind", kind))
    for field, value in chosen.where:
        alternatives.setdefault(field, []).append(_condition(cast(Field, field), value))
    return alternatives


def sendable(value: str) -> str:
    """Half a surrogate pair (a broken file name, a PDF's bad encoding) cannot travel to Milvus: it becomes U+FFFD."""
    return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def literal(value: str) -> str:
    """The value as a quoted string of Milvus's expression language.

    >>> literal('a "b" \\\\')
    '"a \\\\"b\\\\" \\\\\\\\"'
    """
    return f'"{sendable(value).translate(_ESCAPES)}"'


def expression(chosen: Filter, *, also: Sequence[str] = ()) -> str:
    """The filter as a Milvus expression, with the conditions of ours in `also`; "" lets every row pass."""
    groups = {
        name: f"({' or '.join(each.expression for each in alternatives)})"
        for name, alternatives in conditions(chosen).items()
    }
    if chosen.contents:
        on_paths = [groups.pop(field) for field in ON_PATHS if field in groups]
        hashes = f"content_hash in [{', '.join(map(literal, chosen.contents))}]"
        groups["contents"] = f"(({' and '.join(on_paths)}) or {hashes})" if on_paths else f"({hashes})"
    if chosen.only is not None:
        groups["only"] = f"content_hash in [{', '.join(map(literal, sorted(chosen.only)))}]"
    return " and ".join([*also, *groups.values()])


def _condition(field: Field, value: str) -> Condition:
    match field:
        case "page":
            return Condition(column="page", value=_checked_page(value))
        case "kind":
            return Condition(column="kind", value=_checked_kind(value))
        case "extension":
            return Condition(column="extension", value=sendable(value.removeprefix(".").lower()))
        case "path" | "folder":
            return Condition(column=field, value=sendable(absolute(value)), below=field == "folder")
        case "name" | "title":
            return Condition(column=field, value=sendable(value))


def _checked_kind(value: str) -> Kind:
    if value not in KINDS:
        raise FilterValueError("kind", value, f"kinds are {', '.join(KINDS)}")
    return value


def _checked_page(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 0 < int(value[:10]) < 2**31 and len(value) <= 10):
        raise FilterValueError("page", value, "pages are numbers from 1")
    return int(value)


Vector = npt.NDArray[np.float32]
Found = list[tuple[Chunk, float]]  # best first, higher is better


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One chunk with its vectors of unit length; None where the chunk has nothing for that space."""

    chunk: Chunk
    clip: Vector | None = None
    text: Vector | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreCounts:
    """What the store holds, counted in the store itself."""

    files: int  # distinct contents: the same bytes at two paths are one
    chunks: int
    kinds: Mapping[Kind, int]


class Store(Protocol):
    """Rows by id, searched by one channel at a time; fusing channels is the caller's business."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The ways this engine can search."""

    def upsert(self, rows: Sequence[Row]) -> int:
        """Write rows, replacing those of the same id; returns how many the engine acknowledged."""

    def delete(self, ids: Sequence[str]) -> None:
        """Remove rows; ids that are not there are no error."""

    def move(self, ids: Sequence[str], path: str) -> None:
        """Show rows under another path, vectors and words untouched."""

    def search_vector(
        self,
        channel: Channel,
        vector: Vector,
        *,
        limit: int,
        filter: Filter = EVERYTHING,
    ) -> Found:
        """Rows nearest to a unit vector of the channel, among those that have one; scores are cosines."""

    def search_words(
        self,
        query: str,
        *,
        limit: int,
        filter: Filter = EVERYTHING,
    ) -> Found:
        """Rows that share words with the query, by BM25; rows without any of them are not returned."""

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        """The chunks of these ids, in this order, leaving out ids that are not there."""

    def ids(self) -> Iterator[tuple[str, str]]:
        """Every row's id and content hash, in no order."""

    def count(self) -> int:
        """How many rows there are; cheap."""

    def counts(self) -> StoreCounts:
        """Files, rows and kinds; reads every row's key."""

    def ready(self) -> None:
        """To be called after writing: makes rows durable and searches as fast as they get."""

    def close(self) -> None:
        """Let go of the engine; the store cannot be used afterwards."""


def batches(ids: Iterable[str], size: int = 2_000) -> Iterator[list[str]]:
    """Ids in lists that one call may carry."""
    batch: list[str] = []
    for each in ids:
        batch.append(each)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
