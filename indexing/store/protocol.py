"""What every store offers, whatever engine stands behind it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from indexing.records import Channel, Chunk, Kind
from indexing.store.filters import EVERYTHING, Filter

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

    def best_scores(self, channel: Channel, vectors: Sequence[Vector]) -> list[float]:
        """The cosine of the nearest row for each of some unit vectors, in one request; empty where there is none."""

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
