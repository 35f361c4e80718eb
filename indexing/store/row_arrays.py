"""Rows as arrays, for searches that look at every row: the columns that filters name, vectors, words; and the bodies.

Rows are only added at the end; writing a row again, and removing one, marks the old one as gone. So a search takes what
there is when it begins, and computes on it while another thread goes on adding.

Legend: N rows, D width of a vector.
"""

import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from indexing.records import Channel, Chunk
from indexing.store.bm25 import SparseVector
from indexing.store.protocol import ON_PATHS, Condition, Filter, Found, Vector, conditions
from indexing.store.schema import CHUNK_FIELDS, to_chunk

_COLUMNS = ("content_hash", "path", "folder", "name", "extension", "title", "kind", "page")
_BLOCK_ROWS = 8_192
_GATHERED = 8
"""Where fewer than one row of so many passes the filter, the product is made of those alone."""

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class RowArrays:
    """One thread at a time may write; any number may search meanwhile."""

    def __init__(self, dimensions: Mapping[Channel, int]) -> None:
        self._lock = threading.Lock()  # held for as long as what belongs together is taken or put
        self._numbers: dict[str, int] = {}
        self._ids, self._alive = _Growing("S32"), _Growing(np.bool_)
        self._bodies = list[bytes]()
        self._columns = {name: _Column() for name in _COLUMNS}
        self._vectors = {channel: _Vectors(width) for channel, width in dimensions.items()}
        self._postings: tuple[_Postings, ...] = ()

    @property
    def gone(self) -> int:
        """How many rows are kept that nobody can find."""
        return self._ids.count - len(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, row_id: str) -> bool:
        return row_id in self._numbers

    def put(self, entities: Sequence[Mapping[str, Any]]) -> None:
        """Add rows as `schema.to_entity` makes them, in place of those with the same id."""
        rows = list({entity["id"]: entity for entity in entities}.values())
        if not rows:
            return
        first = self._ids.count
        vectors = {channel: _with_vector(rows, channel) for channel in self._vectors}
        postings = _Postings.of(first, [row["bm25"] for row in rows])
        bodies = [zlib.compress(row["body"].encode(), 1) for row in rows]
        with self._lock:
            self._forget(row["id"] for row in rows)
            self._numbers |= {row["id"]: first + place for place, row in enumerate(rows)}
            self._ids.extend([row["id"] for row in rows])
            self._alive.extend([True] * len(rows))
            self._bodies += bodies
            for name, column in self._columns.items():
                column.extend([row[name] for row in rows])
            for channel, (places, vectors_ND) in vectors.items():
                self._vectors[channel].extend([first + place for place in places], vectors_ND)
            self._postings = (*self._postings, postings)
        self._merge_postings()

    def remove(self, ids: Sequence[str]) -> None:
        """Ids that are not there are no error."""
        with self._lock:
            self._forget(ids)

    def chunks(self, ids: Sequence[str]) -> list[Chunk]:
        """In this order, without those that are not there."""
        with self._lock:
            codes = self._rows()[2]
            numbers = [self._numbers[each] for each in ids if each in self._numbers]
        return [self._chunk(number, codes) for number in numbers]

    def nearest(self, channel: Channel, vector_D: Vector, *, limit: int, chosen: Filter) -> Found:
        """The rows of the largest inner products."""
        with self._lock:
            ids, alive, codes = self._rows()
            blocks, rows = self._vectors[channel].taken()
        passes = self._allowed(chosen, alive, codes)[rows]
        at = np.flatnonzero(passes)
        rows, scores = rows[at], _products(blocks, vector_D, passes)[at]
        best = _best(ids[rows], scores, limit)
        return [(self._chunk(rows[each], codes), float(scores[each])) for each in best]

    def sharing(self, words: SparseVector, *, limit: int, chosen: Filter) -> Found:
        """The rows that have any of the words, by their weights and those of the words in the row."""
        with self._lock:
            ids, alive, codes = self._rows()
            parts = self._postings
        scores_N = np.zeros(len(alive))
        for part in parts:
            part.add_to(scores_N, words)
        rows = np.flatnonzero((scores_N > 0) & self._allowed(chosen, alive, codes))
        best = _best(ids[rows], scores_N[rows], limit)
        return [(self._chunk(rows[each], codes), float(scores_N[rows[each]])) for each in best]

    def _chunk(self, number: int, codes: Mapping[str, Array]) -> Chunk:
        columns = {name: self._columns[name].values[codes[name][number]] for name in CHUNK_FIELDS if name != "body"}
        return to_chunk({**columns, "body": zlib.decompress(self._bodies[number])})

    def _forget(self, ids: Iterable[str]) -> None:
        for each in ids:
            number = self._numbers.pop(each, None)
            if number is not None:
                self._alive.values[number] = False

    def _merge_postings(self) -> None:
        """Keep few parts: one is joined with the one before it until that is twice as large."""
        parts = list(self._postings)
        while len(parts) > 1 and len(parts[-2].rows) < 2 * len(parts[-1].rows):
            last = parts.pop()
            parts[-1] = parts[-1].with_later(last)
        self._postings = tuple(parts)

    def _rows(self) -> tuple[Array, Mask, dict[str, Array]]:
        codes = {name: column.codes.values for name, column in self._columns.items()}
        return self._ids.values, self._alive.values.copy(), codes

    def _allowed(self, chosen: Filter, alive: Mask, codes: Mapping[str, Array]) -> Mask:
        """`protocol.expression`, over arrays."""

        def any_of(alternatives: Sequence[Condition]) -> Mask:
            found = [self._columns[each.column].codes_of(each) for each in alternatives]
            return np.isin(codes[alternatives[0].column], [code for part in found for code in part])

        groups = {name: any_of(alternatives) for name, alternatives in conditions(chosen).items()}
        if chosen.contents:
            on_paths = [groups.pop(field) for field in ON_PATHS if field in groups]
            known = any_of([Condition(column="content_hash", value=each) for each in chosen.contents])
            groups["contents"] = np.logical_and.reduce(on_paths) | known if on_paths else known
        if chosen.only is not None:
            found = self._columns["content_hash"].codes_among(chosen.only)
            groups["only"] = np.isin(codes["content_hash"], found)
        allowed: Mask = np.logical_and.reduce([alive, *groups.values()])
        return allowed


class _Growing:
    """Values in an array that grows at its end; what was taken out before stays as it was."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._array: Array = np.zeros(_BLOCK_ROWS, dtype=dtype)
        self.count = 0

    @property
    def values(self) -> Array:
        return self._array[: self.count]

    def extend(self, values: Sequence[Any]) -> None:
        end = self.count + len(values)
        if end > len(self._array):
            larger = np.zeros(max(end, 2 * len(self._array)), dtype=self._array.dtype)
            larger[: self.count] = self.values
            self._array = larger
        self._array[self.count : end] = values
        self.count = end


class _Column:
    """One column's values, each kept once, and the number of the value in each row."""

    def __init__(self) -> None:
        self.codes, self.values = _Growing(np.int32), list[str | int]()
        self._code_of: dict[str | int, int] = {}

    def extend(self, values: Sequence[str | int]) -> None:
        for value in values:
            if value not in self._code_of:
                self._code_of[value] = len(self.values)
                self.values.append(value)
        self.codes.extend([self._code_of[value] for value in values])

    def codes_among(self, values: Iterable[str]) -> list[int]:
        """The numbers of these values, of those that are there."""
        return [code for value in values if (code := self._code_of.get(value)) is not None]

    def codes_of(self, condition: Condition) -> list[int]:
        if not condition.below:
            code = self._code_of.get(condition.value)
            return [] if code is None else [code]
        folder, inside, _ = condition.bounds
        return [code for code, value in enumerate(self.values) if value == folder or str(value).startswith(inside)]


class _Vectors:
    """One channel's vectors, in blocks, so that growing copies none; and whose they are."""

    def __init__(self, width: int) -> None:
        self._width, self._blocks, self._rows = width, list[Array](), _Growing(np.int32)

    def extend(self, rows: Sequence[int], vectors_ND: Array) -> None:
        done = 0
        while done < len(rows):
            start = (self._rows.count + done) % _BLOCK_ROWS
            if start == 0:
                self._blocks.append(np.empty((_BLOCK_ROWS, self._width), dtype=np.float32))
            count = min(_BLOCK_ROWS - start, len(rows) - done)
            self._blocks[-1][start : start + count] = vectors_ND[done : done + count]
            done += count
        self._rows.extend(rows)

    def taken(self) -> tuple[list[Array], Array]:
        """The blocks and the rows as they are now."""
        return list(self._blocks), self._rows.values


def _with_vector(rows: Sequence[Mapping[str, Any]], channel: Channel) -> tuple[list[int], Array]:
    """Which of the rows have one, and the vectors."""
    places = [place for place, row in enumerate(rows) if row[f"has_{channel}"]]
    return places, np.array([np.asarray(rows[place][channel], dtype=np.float32) for place in places], dtype=np.float32)


def _best(ids: Array, scores: Array, limit: int) -> Array:
    """The places of the highest scores, equal ones in the order of their ids."""
    near = np.arange(len(scores))
    if limit < len(scores):
        near = np.flatnonzero(scores >= np.partition(scores, len(scores) - limit)[len(scores) - limit])
    order: Array = near[np.lexsort((ids[near], -scores[near]))[:limit]]
    return order


def _products(blocks: Sequence[Array], vector_D: Vector, passes: Mask) -> Array:
    """Inner products; anything where a row does not pass."""
    products_N = np.zeros(len(passes), dtype=np.float32)
    for number, block in enumerate(blocks):
        part = slice(number * _BLOCK_ROWS, min((number + 1) * _BLOCK_ROWS, len(passes)))
        wanted, vectors_ND = passes[part], block[: len(passes[part])]
        if np.count_nonzero(wanted) * _GATHERED < len(wanted):
            products_N[part][wanted] = vectors_ND[wanted] @ vector_D
        else:
            np.matmul(vectors_ND, vector_D, out=products_N[part])
    return products_N


@dataclass(frozen=True, kw_only=True, slots=True)
class _Postings:
    """For each word of some rows, in ascending order, the rows that have it; from `starts[i]` up to `starts[i + 1]`."""

    terms: Array
    starts: Array
    rows: Array
    weights: Array

    @classmethod
    def of(cls, first: int, vectors: Sequence[SparseVector]) -> Self:
        """Of rows that follow each other from `first` on."""
        numbers = np.arange(first, first + len(vectors), dtype=np.int32)
        return cls._sorted(
            np.fromiter((term for vector in vectors for term in vector), dtype=np.uint32),
            np.repeat(numbers, [len(vector) for vector in vectors]),
            np.fromiter((weight for vector in vectors for weight in vector.values()), dtype=np.float32),
        )

    @classmethod
    def _sorted(cls, terms: Array, rows: Array, weights: Array) -> Self:
        order = np.argsort(terms, kind="stable")
        distinct, starts = np.unique(terms[order], return_index=True)
        return cls(terms=distinct, starts=np.append(starts, len(terms)), rows=rows[order], weights=weights[order])

    def with_later(self, later: Self) -> Self:
        """Both as one."""
        terms = [np.repeat(each.terms, np.diff(each.starts)) for each in (self, later)]
        return self._sorted(
            np.concatenate(terms),
            np.concatenate([self.rows, later.rows]),
            np.concatenate([self.weights, later.weights]),
        )

    def add_to(self, scores_N: Array, words: SparseVector) -> None:
        """The words' part of each row's score."""
        for term, weight in words.items():
            place = int(np.searchsorted(self.terms, term))
            if place < len(self.terms) and self.terms[place] == term:
                part = slice(self.starts[place], self.starts[place + 1])
                scores_N[self.rows[part]] += weight * self.weights[part]
