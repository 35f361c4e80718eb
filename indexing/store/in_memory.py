"""Milvus Lite behind arrays in memory that answer its searches.

Milvus Lite builds a table of all keys for every search, which at 100,000 rows takes ten times as long as the product of
all vectors itself. Here a thread reads every row once; from then on searches are computed in memory. Scores are the
same but for rounding (1e-6). Equal scores, which Milvus returns in no order, come in the order of their ids.

    a write   goes to Milvus, then into the arrays: one after the other, batch by batch, so that the two never differ
    filling   reads a part of the rows, and keeps of it what was neither written nor removed while it read
    a search  waits for neither; until all rows are there, Milvus answers

Legend: D width of a vector.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from indexing.records import Channel, Chunk
from indexing.store.milvus import MilvusStore
from indexing.store.protocol import EVERYTHING, Filter, Found, Row, StoreCounts, Vector, batches
from indexing.store.row_arrays import RowArrays
from indexing.store.schema import to_entity

_MOVED_ROWS = 500  # as many as one call of Milvus moves
_FEWEST_GONE = 10_000

logger = logging.getLogger(__name__)


class InMemorySearch:
    """A `Store` in front of Milvus Lite. Nothing else may write to that store.

    What goes wrong here (no memory, a row that cannot be read) is logged, and Milvus answers as before.
    """

    def __init__(self, store: MilvusStore) -> None:
        self._store = store
        self._rows = RowArrays(store.dimensions)
        self._is_full = threading.Event()
        self._closing = threading.Event()
        self._writing = threading.Lock()
        self._removed = set[str]()  # since the filling began
        self._filling = self._fill_behind()

    @staticmethod
    def bytes_for(rows: int, dimensions: Mapping[Channel, int]) -> int:
        """What so many rows take: their vectors, and about three kilobytes for words, columns and bodies."""
        return rows * (4 * sum(dimensions.values()) + 3_000)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Those of Milvus Lite."""
        return self._store.channels

    def wait(self, timeout: float | None = None) -> bool:
        """Until the filling has ended → whether searches are answered from memory."""
        self._filling.join(timeout)
        return self._is_full.is_set()

    def search_vector(self, channel: Channel, vector: Vector, *, limit: int, filter: Filter = EVERYTHING) -> Found:
        """As in Milvus."""
        rows = self._rows
        if not self._is_full.is_set():
            return self._store.search_vector(channel, vector, limit=limit, filter=filter)
        self._store.check_query(channel, len(vector))
        vector_D = np.asarray(vector, dtype=np.float32)
        return rows.nearest(channel, vector_D, limit=limit, chosen=filter) if limit > 0 else []

    def search_words(self, query: str, *, limit: int, filter: Filter = EVERYTHING) -> Found:
        """As in Milvus."""
        rows = self._rows
        if not self._is_full.is_set():
            return self._store.search_words(query, limit=limit, filter=filter)
        words = self._store.words_of(query)
        return rows.sharing(words, limit=limit, chosen=filter) if limit > 0 and words else []

    def upsert(self, rows: Sequence[Row]) -> int:
        """Raises what Milvus raises; then nothing has changed here."""
        with self._writing:
            written = self._store.upsert(rows)
            self._follow(lambda: self._rows.put([self._entity(row) for row in rows]))
        return written

    def delete(self, ids: Sequence[str]) -> None:
        """As in Milvus. Batches before one that failed are gone from both."""
        for batch in batches(ids):
            with self._writing:
                self._store.delete(batch)
                self._follow(partial(self._remove, batch))

    def move(self, ids: Sequence[str], path: str) -> None:
        """As in Milvus; the rows are read again."""
        for batch in batches(ids, _MOVED_ROWS):
            with self._writing:
                self._store.move(batch, path)
                self._follow(partial(self._read_again, batch))

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        """As in Milvus."""
        rows = self._rows
        return rows.chunks(ids) if self._is_full.is_set() else self._store.get(ids)

    def ids(self) -> Iterator[tuple[str, str]]:
        """From Milvus: what is there, and not what should be."""
        return self._store.ids()

    def count(self) -> int:
        """From Milvus."""
        return self._store.count()

    def counts(self) -> StoreCounts:
        """From Milvus."""
        return self._store.counts()

    def ready(self) -> None:
        """As in Milvus. Once more rows are gone than there are, all are read anew."""
        with self._writing:
            self._store.ready()
            if self._is_full.is_set() and self._rows.gone > max(_FEWEST_GONE, len(self._rows)):
                self._is_full.clear()
                self._rows = RowArrays(self._store.dimensions)
                self._filling = self._fill_behind()

    def close(self) -> None:
        """End the filling, and let go of Milvus."""
        self._closing.set()
        self._filling.join()
        self._store.close()

    def _fill_behind(self) -> threading.Thread:
        thread = threading.Thread(target=self._fill, name="llavero-filling", daemon=True)
        thread.start()
        return thread

    def _fill(self) -> None:
        try:
            for entities in self._store.slices():
                with self._writing:
                    if self._closing.is_set():
                        return
                    known = self._rows, self._removed  # and newer there
                    self._rows.put([row for row in entities if not any(row["id"] in each for each in known)])
        except Exception as error:  # noqa: BLE001  # searches go on without
            self._give_up(error)
        with self._writing:
            if not self._closing.is_set():
                self._is_full.set()
                self._removed.clear()

    def _remove(self, ids: Sequence[str]) -> None:
        self._rows.remove(ids)
        if not self._is_full.is_set():
            self._removed.update(ids)

    def _read_again(self, ids: Sequence[str]) -> None:
        self._rows.put(self._store.whole_rows(ids))

    def _follow(self, change: Callable[[], None]) -> None:
        """Do here what Milvus has done; if that fails, what is here is of no use any more."""
        if self._closing.is_set():
            return
        try:
            change()
        except Exception as error:  # noqa: BLE001  # Milvus has done it, and answers
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        logger.warning("rows are not kept in memory any more, searches take longer: %r", error)
        self._closing.set()
        self._is_full.clear()
        self._rows = RowArrays(self._store.dimensions)

    def _entity(self, row: Row) -> dict[str, object]:
        return to_entity(row, channels=self.channels, dimensions=self._store.dimensions)
