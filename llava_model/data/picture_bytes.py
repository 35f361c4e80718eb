"""Reading a picture's file, and its SHA-256, which is remembered until the file changes."""

import contextlib
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from llava_model.data.database import Database
from llava_model.errors import MissingFileError, UnreadablePictureError

MAX_FILE_BYTES = 512 << 20
_SETTLED_NANOSECONDS = 2_000_000_000  # a younger file may change again without a new time stamp


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises MissingFileError, or UnreadablePictureError if it is not a file or far too large."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait for ever, a device never end
            raise UnreadablePictureError(path.name, "no regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise UnreadablePictureError(path.name, f"{status.st_size} bytes, the limit is {MAX_FILE_BYTES}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(path, "picture") from error
    except (OSError, ValueError) as error:
        raise UnreadablePictureError(path.name, getattr(error, "strerror", None) or str(error)) from error


class PictureMemo:
    """Remembers path, size, time of change → SHA-256 in one SQLite file that processes share."""

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


def digest_of(content: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(content).digest()


def _name(path: Path) -> bytes:
    return os.fsencode(path.absolute())


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns
