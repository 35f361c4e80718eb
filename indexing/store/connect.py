"""Reaching Milvus, and saying in one sentence why it cannot be reached or refuses.

Milvus Lite only logs why it could not start, with a traceback: the reason is caught there.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.errors import LibraryInUseError, StoreError
from indexing.machine import ADVICE, disk_fault, is_told_by

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_UNFLUSHED_BYTES = 32 << 20
"""Rows that the embedded engine holds before it writes a segment. Its own 128 MB are converted at once, several times
over: 50,000 rows of photographs peaked at 1.9 GB, and at 1.2 GB with this."""
_NO_PINGS = {"grpc.keepalive_time_ms": 2**31 - 1, "grpc.keepalive_permit_without_calls": False}
"""pymilvus pings every ten seconds; the embedded server counts that as abuse, hangs up and says so on stderr."""


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
