"""What the feature cache keeps on disk: the records of a tower's features, and the digests of pictures' files.

    pictures.sqlite       path, size, time of change → SHA-256 of the file, see `PictureMemo`
    index.sqlite          digest → shard, slot, checksum, rounding errors
    shard-000.features    one slot after the other; a shard has at most one writer at a time, which holds its lock

Records have one length (`FeatureFormat`). A record is on the disk before the index names it. So bytes after the last
slot in the index are the rest of a killed process, and the next writer of that shard cuts them off. Two writers at the
same time fill two shards.

Legend: P positions per picture, V width of a feature.
"""

import contextlib
import errno
import fcntl
import itertools
import math
import mmap
import os
import shutil
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from llava_model.errors import FeatureCacheError, FeatureDiskFullError

_WAIT_SECONDS = 60.0


class Database:
    """One SQLite file that many threads and processes use.

    Each process has one connection, used by one thread at a time. A forked process opens its own.
    """

    def __init__(self, file: Path, schema: str) -> None:
        self.file, self._schema = file, schema
        self._lock, self._owner = threading.Lock(), 0
        self._connection: sqlite3.Connection | None = None
        self._parents: list[object] = []  # SQLite forbids a forked process even to close them

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with. Raises sqlite3.Error."""
        self._after_fork()
        with self._lock:
            yield self._open()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one transaction: everything in it is written, or nothing. Raises sqlite3.Error."""
        self._after_fork()
        with self._lock:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection. The next use opens it again."""
        with self._lock:
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()

    def _after_fork(self) -> None:
        if self._owner not in (0, os.getpid()):
            self._parents.append(self._connection)
            self._lock, self._connection, self._owner = threading.Lock(), None, 0

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self.file, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute(self._schema)
            self._connection, self._owner = connection, os.getpid()
        return self._connection


FeatureType = Literal["float32", "bfloat16", "int8"]

_LARGEST_INT8 = 127


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureFormat:
    """The features of one picture as bytes of fixed length. They are read back as bfloat16 if stored so, else float32.

    float32    P·V values of 4 bytes
    bfloat16   P·V values of 2 bytes, rounded to 8 bits of precision
    int8       P scales of 4 bytes, then P·V values of 1 byte: each position's largest feature becomes ±127
    """

    dtype: FeatureType
    positions: int
    width: int

    def __post_init__(self) -> None:
        if self.dtype not in get_args(FeatureType):
            raise ValueError(f"features are stored as {', '.join(get_args(FeatureType))}, not '{self.dtype}'")

    @property
    def returned(self) -> torch.dtype:
        """The number type of the tensors that `unpack` returns."""
        return torch.bfloat16 if self.dtype == "bfloat16" else torch.float32

    @property
    def record_bytes(self) -> int:
        """How many bytes one picture takes."""
        values = self.positions * self.width
        return {"float32": 4 * values, "bfloat16": 2 * values, "int8": values + 4 * self.positions}[self.dtype]

    def pack(self, features_PV: torch.Tensor) -> bytes:
        """float32 features on the CPU → bytes. Features must be finite."""
        if self.dtype == "float32":
            return _bytes(features_PV)
        if self.dtype == "bfloat16":
            return _bytes(features_PV.to(torch.bfloat16))
        scale_P1 = features_PV.abs().amax(dim=1, keepdim=True) / _LARGEST_INT8
        levels_PV = (features_PV / scale_P1.clamp_min(torch.finfo(torch.float32).tiny)).round()
        return _bytes(scale_P1) + _bytes(levels_PV.clamp(-_LARGEST_INT8, _LARGEST_INT8).to(torch.int8))

    def unpack(self, content: bytes | memoryview) -> torch.Tensor:
        """→ features_PV, a copy of the bytes."""
        shape = (self.positions, self.width)
        if self.dtype != "int8":
            return _tensor(content, self.returned).reshape(shape)
        scale_P1 = _tensor(content[: 4 * self.positions], torch.float32)[:, None]
        return _tensor(content[4 * self.positions :], torch.int8).reshape(shape) * scale_P1


def relative_errors(features_PV: torch.Tensor, stored_PV: torch.Tensor) -> tuple[float, float]:
    """Of one picture → (largest deviation / largest feature, norm of the deviation / norm of the features)."""
    deviation_PV = features_PV - stored_PV.float()
    measures: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (lambda t: t.abs().max(), torch.linalg.norm)
    largest, whole = (float(measure(deviation_PV)) / (float(measure(features_PV)) or math.inf) for measure in measures)
    return largest, whole


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _tensor(content: bytes | memoryview, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy()).view(dtype)


SHARD_BYTES = 64 << 30
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS records (digest BLOB PRIMARY KEY, shard INTEGER, slot INTEGER, "
    "checksum INTEGER, error_max REAL, error_rms REAL) WITHOUT ROWID"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordPlace:
    """Where a record is stored, and its rounding errors (see `relative_errors`)."""

    shard: int
    slot: int
    checksum: int
    error_max: float
    error_rms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureRecord:
    """A record to store."""

    digest: bytes
    content: bytes
    error_max: float
    error_rms: float


class FeatureStore:
    """A folder of records. Readers need no lock."""

    def __init__(self, folder: Path, *, record_bytes: int) -> None:
        self.folder, self._record_bytes = folder, record_bytes
        self._database = Database(folder / "index.sqlite", _SCHEMA)
        self._maps: dict[int, mmap.mmap] = {}
        self._checked: set[tuple[int, int]] = set()

    def find(self, digests: Sequence[bytes]) -> dict[bytes, RecordPlace]:
        """The places of those digests that are stored."""
        places = {}
        query = "SELECT shard, slot, checksum, error_max, error_rms FROM records WHERE digest = ?"
        with self._clear_errors(0), self._database.reading() as connection:
            for digest in digests:
                row = connection.execute(query, (digest,)).fetchone()
                if row:
                    shard, slot, checksum, largest, whole = row
                    places[digest] = RecordPlace(
                        shard=shard, slot=slot, checksum=checksum, error_max=largest, error_rms=whole
                    )  # fmt: skip
        return places

    def read(self, place: RecordPlace) -> memoryview:
        """The record's bytes. The first reading compares the checksum; raises FeatureCacheError if it differs."""
        start, end = place.slot * self._record_bytes, (place.slot + 1) * self._record_bytes
        content = self._mapped(place.shard, end)[start:end]
        key = (place.shard, place.slot)
        if key not in self._checked:
            if len(content) != self._record_bytes or zlib.crc32(content) != place.checksum:
                raise FeatureCacheError(self.folder, f"is damaged: slot {place.slot} of {_shard_name(place.shard)}")
            self._checked.add(key)
        return content

    @contextmanager
    def writer(self) -> "Iterator[ShardWriter]":
        """A writer with a shard of its own."""
        self._forget_lost()
        writer = ShardWriter(self)
        try:
            yield writer
        finally:
            writer.close()

    def _forget_lost(self) -> None:
        """Delete index entries whose bytes are gone, after a power cut or when somebody deleted a shard."""
        with self._clear_errors(0), self._database.writing() as connection:
            for (shard,) in connection.execute("SELECT DISTINCT shard FROM records").fetchall():
                file = self.folder / _shard_name(shard)
                whole = file.stat().st_size // self._record_bytes if file.is_file() else 0
                connection.execute("DELETE FROM records WHERE shard = ? AND slot >= ?", (shard, whole))

    def _mapped(self, shard: int, needed: int) -> memoryview:
        mapped = self._maps.get(shard)
        if mapped is None or len(mapped) < needed:
            try:
                with (self.folder / _shard_name(shard)).open("rb") as file:
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:  # ValueError: an empty file
                raise FeatureCacheError(self.folder, f"has lost {_shard_name(shard)}: {error}") from error
            self._maps[shard] = mapped
        return memoryview(mapped)

    @contextmanager
    def _clear_errors(self, needed_bytes: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise self._full(needed_bytes) from error
            raise
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
                raise self._full(needed_bytes) from error
            refusal = FeatureCacheError(self.folder, f"cannot use its index: {error}")
            refusal.add_note("If this stays, delete that folder: its features are computed again.")
            raise refusal from error

    def _full(self, needed_bytes: int) -> FeatureDiskFullError:
        free = shutil.disk_usage(self.folder).free
        return FeatureDiskFullError(self.folder, needed_bytes=needed_bytes, free_bytes=free)


class ShardWriter:
    """Appends records to a shard that it has locked."""

    def __init__(self, store: FeatureStore) -> None:
        self._store, self._size = store, store._record_bytes
        self.dropped_bytes = 0
        self.shard, self._descriptor, self._slot = -1, -1, 0
        self._take_shard(first=0)

    def append(self, records: Sequence[FeatureRecord]) -> int:
        """Store all records or none → bytes written. A record that another process stored meanwhile stays as it is.

        Raises FeatureDiskFullError; records stored before stay.
        """
        content = b"".join(record.content for record in records)
        with self._store._clear_errors(len(content)):
            if (self._slot + len(records)) * self._size > SHARD_BYTES and self._slot:
                self._take_shard(first=self.shard + 1)
            self._write(content)
            self._add_to_index(records)
        self._slot += len(records)
        return len(content)

    def close(self) -> None:
        """Unlock the shard."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, content: bytes) -> None:
        rest, offset = memoryview(content), self._slot * self._size
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, offset)
                rest, offset = rest[written:], offset + written
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._slot * self._size)
            raise

    def _add_to_index(self, records: Sequence[FeatureRecord]) -> None:
        rows = [
            (r.digest, self.shard, self._slot + number, zlib.crc32(r.content), r.error_max, r.error_rms)
            for number, r in enumerate(records)
        ]
        with self._store._database.writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _take_shard(self, *, first: int) -> None:
        """Lock the first shard, from number `first` on, that is neither full nor locked."""
        self.close()
        with self._store._clear_errors(self._size):
            for number in itertools.count(first):
                descriptor = os.open(
                    self._store.folder / _shard_name(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
                )
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(descriptor)
                    continue
                self._descriptor, self.shard = descriptor, number
                self._slot = self._first_free_slot()
                if not self._slot or (self._slot + 1) * self._size <= SHARD_BYTES:
                    return
                self.close()

    def _first_free_slot(self) -> int:
        """The slot after the last one in the index. Bytes from there on are cut off."""
        with self._store._database.reading() as connection:
            (last,) = connection.execute("SELECT max(slot) FROM records WHERE shard = ?", (self.shard,)).fetchone()
        size = os.fstat(self._descriptor).st_size
        free = 0 if last is None else int(last) + 1
        if size > free * self._size:
            self.dropped_bytes += size - free * self._size
            os.ftruncate(self._descriptor, free * self._size)
        return free


def _shard_name(shard: int) -> str:
    return f"shard-{shard:03d}.features"


_SETTLED_NANOSECONDS = 2_000_000_000  # a younger file may change again without a new time stamp


class PictureMemo:
    """Remembers the SHA-256 of pictures' files until they change, in one SQLite file that processes share."""

    def __init__(self, file: Path) -> None:
        self._database = Database(
            file,
            "CREATE TABLE IF NOT EXISTS pictures "
            "(path BLOB PRIMARY KEY, size INTEGER, changed INTEGER, digest BLOB) WITHOUT ROWID",
        )

    def known(self, paths: Iterable[Path]) -> dict[Path, bytes]:
        """Digests of the files that have not changed since they were last read; of none if the memo is damaged."""
        found: dict[Path, bytes] = {}
        query = "SELECT digest FROM pictures WHERE path = ? AND size = ? AND changed = ?"
        with contextlib.suppress(sqlite3.Error), self._database.reading() as connection:
            for path in paths:
                stamp = _stamp(path)
                row = connection.execute(query, (_name(path), *stamp)).fetchone() if stamp else None
                if row:
                    found[path] = bytes(row[0])
        return found

    def remember(self, digests: Mapping[Path, bytes]) -> None:
        """Store digests just read. Nothing is raised: what cannot be stored is read again next time."""
        now = time.time_ns()
        stamps = {path: _stamp(path) for path in digests}
        rows = [
            (_name(path), *stamp, digests[path])
            for path, stamp in stamps.items()
            if stamp and now - stamp[1] > _SETTLED_NANOSECONDS
        ]
        if not rows:
            return
        with contextlib.suppress(sqlite3.Error, OSError), self._database.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?)", rows)


def _name(path: Path) -> bytes:
    return os.fsencode(path.absolute())


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns
