"""One SQLite file that many threads and processes use, forked ones included."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WAIT_SECONDS = 60.0


class Database:
    """One connection for each process, used by one thread at a time. A forked process opens its own."""

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
