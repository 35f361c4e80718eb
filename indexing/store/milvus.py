"""Milvus behind the `Store` protocol: Milvus Lite in a folder, or a server by its address.

What was found on milvus-lite 3.2.2 with pymilvus 3.0.2, and shapes this file:
- `load_collection` after every open, or a search fails with code 101.
- FLAT with inner product: exact, and twice as fast as COSINE, which normalises every row anew for each search.
  HNSW saved 60 of 160 ms at 50,000 rows and took 54 s to build.
- `query` turns whole rows into Python objects before it drops what was not asked for (about 30 µs a row), and its
  iterator sorts all keys for every page: reading all rows goes by slices of the id, which is a hash and thus even.
- Creating an index sleeps 0.5 s waiting for one that is ready at once: `sync=False`.
- Milvus Lite only logs why it could not start, with a traceback: `_engine_log` catches the reason.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from indexing.errors import ADVICE, DimensionMismatchError, LibraryInUseError, StoreError, disk_fault, is_told_by
from indexing.records import CHANNELS, Channel, Chunk, Kind
from indexing.store.bm25 import Rarity, SparseVector, query_vector
from indexing.store.lite_leftovers import drop_leftovers
from indexing.store.protocol import EVERYTHING, Filter, Found, Row, StoreCounts, Vector, batches, expression, literal
from indexing.store.schema import CHUNK_FIELDS, VARCHAR_BYTES, columns_of_path, to_chunk, to_entity

if TYPE_CHECKING:
    from pymilvus import CollectionSchema, MilvusClient

_UNFLUSHED_BYTES = 32 << 20
"""Rows that the embedded engine holds before it writes a segment. Its own 128 MB are converted at once, several times
over: 50,000 rows of photographs peaked at 1.9 GB, and at 1.2 GB with this."""
_NO_PINGS = {"grpc.keepalive_time_ms": 2**31 - 1, "grpc.keepalive_permit_without_calls": False}
"""pymilvus pings every ten seconds; the embedded server counts that as abuse, hangs up and says so on stderr."""
_MAX_LIMIT = 16_384  # Milvus's own bound for one search
_MOST_HASHES = 2_000
"""Contents that one expression names."""
_MORE_ROWS = 16
"""So many times the rows that are wanted are taken first. All that Milvus gives take Lite one to two seconds."""
_SLICE_ROWS = 4_000
_ID = re.compile(r"[0-9a-f]{32}")
_DENSE: tuple[Channel, ...] = ("clip", "text")


class MilvusStore:
    """One collection; one row per chunk."""

    def __init__(self, client: "MilvusClient", *, uri: str, collection: str, dimensions: Mapping[Channel, int]) -> None:
        self._client, self._uri, self._collection, self.dimensions = client, uri, collection, dimensions
        self._embedded = uri.endswith(".db")
        self._timeout = None if self._embedded else 60.0
        self._rarity = Rarity(sampled=0, rows_with_term={})
        self.channels: tuple[Channel, ...] = CHANNELS

    @classmethod
    def open(
        cls,
        uri: str | Path,
        *,
        token: str | None = None,
        collection: str = "llavero",
        clip_dimensions: int,
        text_dimensions: int,
    ) -> Self:
        """Connect, and make the collection where there is none.

        Raises DimensionMismatchError for a collection of another width, LibraryInUseError for a folder that
        another process has open, StoreError for everything else that keeps the store from working.
        """
        address = str(Path(uri).absolute()) if str(uri).endswith(".db") else str(uri)
        client = connect(address, token)
        dimensions: dict[Channel, int] = {"clip": clip_dimensions, "text": text_dimensions}
        store = cls(client, uri=address, collection=collection, dimensions=dimensions)
        try:
            with asking("open", collection):
                store._find_out_channels()
                if client.has_collection(collection, timeout=store._timeout):
                    store._check_widths()
                    store._load()
                else:
                    store._create()
        except BaseException:
            store.close()
            raise
        return store

    def upsert(self, rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        for row in rows:
            self._check_row(row)
        entities = [to_entity(row, channels=self.channels, dimensions=self.dimensions) for row in rows]
        with asking("write", self._collection):
            answer = self._client.upsert(self._collection, entities, timeout=self._timeout)
        return int(answer["upsert_count"])

    def delete(self, ids: Sequence[str]) -> None:
        with asking("delete from", self._collection):
            for batch in batches(_sound(ids)):
                self._client.delete(self._collection, ids=batch, timeout=self._timeout)

    def move(self, ids: Sequence[str], path: str) -> None:
        columns = columns_of_path(path)
        with asking("write", self._collection):
            for batch in batches(_sound(ids), 500):
                moved = [{**entity, **columns} for entity in self.whole_rows(batch)]
                if moved:
                    self._client.upsert(self._collection, moved, timeout=self._timeout)

    def search_vector(
        self,
        channel: Channel,
        vector: Vector,
        *,
        limit: int,
        filter: Filter = EVERYTHING,
    ) -> Found:
        self.check_query(channel, len(vector))
        if limit < 1:
            return []
        return self._filtered(channel, vector, limit, filter, also=[f"has_{channel} == true"])

    def search_words(
        self,
        query: str,
        *,
        limit: int,
        filter: Filter = EVERYTHING,
    ) -> Found:
        if "bm25" not in self.channels:
            raise StoreError(f"this store cannot search by words; its channels are {self.channels}")
        wanted = self.words_of(query)
        if limit < 1 or not wanted:
            return []
        return self._filtered("bm25", wanted, limit, filter)

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        found: dict[str, Chunk] = {}
        with asking("read", self._collection):
            for batch in batches(_sound(ids)):
                for entity in self._client.get(
                    self._collection, batch, output_fields=CHUNK_FIELDS, timeout=self._timeout
                ):
                    found[entity["id"]] = to_chunk(entity)
        return [found[each] for each in ids if each in found]

    def ids(self) -> Iterator[tuple[str, str]]:
        for entity in self._scan(["content_hash"]):
            yield entity["id"], entity["content_hash"]

    def count(self) -> int:
        with asking("count", self._collection):
            answer = self._client.query(self._collection, filter="", output_fields=["count(*)"], timeout=self._timeout)
        return int(answer[0]["count(*)"])

    def counts(self) -> StoreCounts:
        kinds: Counter[Kind] = Counter()
        contents: set[str] = set()
        for entity in self._scan(["content_hash", "kind"]):
            kinds[cast(Kind, entity["kind"])] += 1
            contents.add(entity["content_hash"])
        return StoreCounts(files=len(contents), chunks=kinds.total(), kinds=dict(kinds))

    def ready(self) -> None:
        with asking("index", self._collection):
            self._client.flush(self._collection, timeout=self._timeout)
            self._make_indexes()
        self._load()

    def whole_rows(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """All columns of these rows, vectors and words too, in no order; at most 500 ids."""
        with asking("read", self._collection):
            rows: list[dict[str, Any]] = self._client.get(
                self._collection, list(_sound(ids)), output_fields=["*"], timeout=self._timeout
            )
        return rows

    def slices(self) -> Iterator[list[dict[str, Any]]]:
        """All columns of every row, a part of the ids at a time; each part is read when it is asked for."""
        return self._slices(["*"])

    def words_of(self, query: str) -> SparseVector:
        """The words that a search looks for, by how rare they are in the library."""
        return query_vector(query, self._rarity)

    def drop(self) -> None:
        """Delete the collection with everything in it."""
        with asking("drop", self._collection):
            self._client.drop_collection(self._collection, timeout=self._timeout)

    def close(self) -> None:
        self._client.close()
        if self._embedded:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(self._uri)

    def _check_row(self, row: Row) -> None:
        for channel, vector in (("clip", row.clip), ("text", row.text)):
            width = self.dimensions[cast(Channel, channel)]
            if vector is not None and vector.shape != (width,):
                raise DimensionMismatchError(self._collection, width, vector.shape[-1])

    def check_query(self, channel: Channel, width: int) -> None:
        """Raises StoreError for a channel without vectors, DimensionMismatchError for another width."""
        if channel not in _DENSE or channel not in self.channels:
            raise StoreError(f"this store has no channel '{channel}' for vectors; it has {self.channels}")
        if width != self.dimensions[channel]:
            raise DimensionMismatchError(self._collection, self.dimensions[channel], width)

    def _filtered(
        self, channel: Channel, wanted: Any, limit: int, chosen: Filter, *, also: Sequence[str] = ()
    ) -> Found:
        """Where `only` names more contents than an expression may, more rows are taken, then as many as Milvus gives,
        and those of the contents kept: they are the best ones. Where these are too few, and there are more, parts of
        the contents are asked for, one after the other."""
        only = chosen.only
        if only is None or len(only) <= _MOST_HASHES:
            nothing = only is not None and not only
            return [] if nothing else _found(self._search(channel, [wanted], limit, expression(chosen, also=also))[0])
        kept: list[dict[str, Any]] = []
        for most in (min(_MORE_ROWS * limit, _MAX_LIMIT), _MAX_LIMIT):
            (found,) = self._search(channel, [wanted], most, expression(replace(chosen, only=None), also=also))
            kept = [hit for hit in found if hit["entity"]["content_hash"] in only]
            if len(kept) >= limit or len(found) < most:
                return _found(kept[:limit])
        for part in batches(sorted(only), _MOST_HASHES):
            narrowed = replace(chosen, only=frozenset(part))
            kept += self._search(channel, [wanted], limit, expression(narrowed, also=also))[0]
        best = {hit["id"]: hit for hit in kept}.values()
        return _found(sorted(best, key=lambda hit: float(hit["distance"]), reverse=True)[:limit])

    def _search(
        self, channel: Channel, wanted: list[Any], limit: int, condition: str, *, fields: list[str] = CHUNK_FIELDS
    ) -> list[list[dict[str, Any]]]:
        with asking("search", self._collection):
            answers: list[list[dict[str, Any]]] = self._client.search(
                self._collection,
                wanted,
                anns_field=channel,
                filter=condition,
                limit=min(limit, _MAX_LIMIT),
                output_fields=fields,
                search_params={"metric_type": "IP"},
                timeout=self._timeout,
            )
        return answers

    def _scan(self, fields: list[str]) -> Iterator[Mapping[str, Any]]:
        """Every row, by slices of the id space (ids are hashes, so slices are about equal)."""
        for rows in self._slices(["id", *fields]):
            yield from rows

    def _slices(self, fields: list[str]) -> Iterator[list[dict[str, Any]]]:
        for condition in _id_slices(self.count()):
            with asking("read", self._collection):
                rows: list[dict[str, Any]] = self._client.query(
                    self._collection, filter=condition, output_fields=fields, timeout=self._timeout
                )
            yield rows

    def _find_out_channels(self) -> None:
        """A server before 2.4 has one vector field for each collection and no sparse ones."""
        version = re.search(r"(\d+)\.(\d+)", self._client.get_server_version())
        if not self._embedded and version and (int(version[1]), int(version[2])) < (2, 4):
            self.channels = ("clip",)

    def _check_widths(self) -> None:
        fields = self._client.describe_collection(self._collection, timeout=self._timeout)["fields"]
        widths = {field["name"]: field["params"].get("dim") for field in fields}
        missing = [name for name in (*VARCHAR_BYTES, *self.channels) if name not in widths]
        if missing:
            raise StoreError(f"collection '{self._collection}' is not Llavero's: it lacks {', '.join(missing)}")
        for channel in self.channels:
            wanted = self.dimensions.get(channel)
            if wanted is not None and int(widths[channel]) != wanted:
                raise DimensionMismatchError(self._collection, int(widths[channel]), wanted)

    def _create(self) -> None:
        self._client.create_collection(
            self._collection, schema=self._schema(), consistency_level="Strong", timeout=self._timeout
        )
        if not self._embedded:  # a server cannot read what has no index; Lite gets its own after the first rows
            self._make_indexes()
            self._load()

    def _schema(self) -> "CollectionSchema":
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        for name, limit in VARCHAR_BYTES.items():
            schema.add_field(name, DataType.VARCHAR, max_length=limit, is_primary=name == "id")
        schema.add_field("page", DataType.INT64)
        for channel in self.channels:
            if channel == "bm25":
                schema.add_field(channel, DataType.SPARSE_FLOAT_VECTOR)
            else:
                schema.add_field(f"has_{channel}", DataType.BOOL)
                schema.add_field(channel, DataType.FLOAT_VECTOR, dim=self.dimensions[channel])
        return schema

    def _make_indexes(self) -> None:
        present = set(self._client.list_indexes(self._collection))
        for channel in self.channels:
            if channel in present:
                continue
            parameters = self._client.prepare_index_params()
            dense = "FLAT" if self._embedded else "AUTOINDEX"
            kind = "SPARSE_INVERTED_INDEX" if channel == "bm25" else dense
            parameters.add_index(channel, index_name=channel, index_type=kind, metric_type="IP")
            self._client.create_index(self._collection, parameters, timeout=self._timeout, sync=not self._embedded)

    def _load(self) -> None:
        """Make rows searchable, and learn how rare words are from some thousand rows picked evenly."""
        with asking("load", self._collection):
            self._client.load_collection(self._collection, timeout=self._timeout)
            if "bm25" in self.channels:
                sample = self._client.query(
                    self._collection,
                    filter=next(_id_slices(self.count())),
                    output_fields=["bm25"],
                    timeout=self._timeout,
                )
                self._rarity = Rarity.of(entity["bm25"] for entity in sample)


def _sound(ids: Sequence[str]) -> Iterator[str]:
    """Ids that can be ids: pymilvus quotes them as they are, and `') or (id != '` would be a filter."""
    return (each for each in ids if _ID.fullmatch(each))


def _found(hits: Sequence[Mapping[str, Any]]) -> Found:
    return [(to_chunk(hit["entity"]), float(hit["distance"])) for hit in hits]


def _id_slices(rows: int) -> Iterator[str]:
    """Conditions that split all ids (32 hex digits of a hash) into parts of about `_SLICE_ROWS` rows."""
    parts = max(1, rows // _SLICE_ROWS)
    bounds = [f"{part * 16**8 // parts:08x}" for part in range(parts)]
    for lower, upper in zip(bounds, [*bounds[1:], "g"], strict=True):
        yield f"id >= {literal(lower)} and id < {literal(upper)}"


def connect(address: str, token: str | None) -> "MilvusClient":
    """A client, or one sentence on why there is none."""
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise StoreError(f"the package '{error.name}' is not installed") from error
    embedded = address.endswith(".db")
    with _engine_log() as reasons:
        try:
            if embedded:
                os.environ.setdefault("MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES", str(_UNFLUSHED_BYTES))
                Path(address).parent.mkdir(parents=True, exist_ok=True)
                drop_leftovers(Path(address))
            options = {"grpc_options": _NO_PINGS} if embedded else {}
            return MilvusClient(uri=address, token=token or "", timeout=10, **options)
        except (MilvusException, OSError) as error:
            failure = error
    reason = reasons[-1] if reasons else failure
    if type(reason).__name__ == "DataDirLockedError":
        raise LibraryInUseError(str(Path(address).parent), "another process") from failure
    if embedded:
        problem = StoreError(f"the store '{address}' cannot be opened: {_words(reason)}")
        is_disk = disk_fault(reason) is not None or is_told_by(_words(reason))
        problem.add_note(ADVICE if is_disk else "Move it away and index again; the files themselves are untouched.")
        raise problem from failure
    problem = StoreError(f"no Milvus server answers at {address}: {_words(reason)}")
    problem.add_note("Start it, or correct milvus_uri in llavero.toml (without it, the store is a folder).")
    raise problem from failure


@contextmanager
def _engine_log() -> Iterator[list[BaseException]]:
    """The exceptions that the embedded engine logs instead of raising; its own lines on stderr stay out."""
    reasons: list[BaseException] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1]:
                reasons.append(record.exc_info[1])

    engine, client = logging.getLogger("milvus_lite"), logging.getLogger("pymilvus")
    client.setLevel(logging.CRITICAL)
    engine.propagate = False  # what it logs reaches us as the error of a call as well
    keep = Keep()
    engine.addHandler(keep)
    try:
        yield reasons
    finally:
        engine.removeHandler(keep)
        if not engine.handlers:
            engine.addHandler(logging.NullHandler())


@contextmanager
def asking(action: str, collection: str) -> Iterator[None]:
    """Milvus's refusals as a StoreError that carries its words."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        words = _words(error)
        problem = StoreError(f"Milvus could not {action} the collection '{collection}': {words}")
        if is_told_by(words):
            problem.add_note(ADVICE)
        raise problem from error


def _words(error: BaseException) -> str:
    return " ".join(str(getattr(error, "message", "") or error).split())[:500]
