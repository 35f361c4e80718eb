"""What a source can do: list its files, and read one of them.

RemoteError             the source cannot be used: unreachable, refused, not what its address says
├── RemoteMissingError  there is nothing at the address
└── RemoteExtraError    the library that reads this kind of source is not installed
ItemError               one file or folder of it cannot be read, the others can
"""

import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from indexing.addresses import Address
from indexing.errors import IndexingError

TIMEOUT_SECONDS = 30.0
"""For connecting, and between two answers of a server."""
_FIRST_SECONDS, _BYTES_A_SECOND = 60.0, 10_000
_NOT_SAID = re.compile(r"[^A-Za-z0-9 _.-]")


class RemoteError(IndexingError):
    """The source cannot be used now. `reason` is half a sentence, without its address and without any secret."""

    def __init__(self, address: str, reason: str, *notes: str) -> None:
        super().__init__(f"{address}: {reason}")
        for note in notes:
            self.add_note(note)
        self.address, self.reason = address, reason


class RemoteMissingError(RemoteError):
    """Nothing lies at the address."""


class RemoteExtraError(RemoteError):
    """A library is missing that an extra brings."""

    def __init__(self, address: str, package: str, extra: str) -> None:
        super().__init__(
            address,
            f"the package '{package}' is not installed",
            f"Install what reads it: pip install 'llavero[{extra}]'",
        )


class ItemError(IndexingError):
    """One file, or one folder, cannot be read. `reason` is half a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


GONE = "it vanished while it was being indexed"
CHANGED = "it changed while it was being read; the next run takes it"
DENIED = "access is denied"


class Deadline:
    """One minute for an answer or a file, and a second more for each 10 kB of it that have arrived. A server that sends
    a byte now and then keeps nobody longer."""

    def __init__(self) -> None:
        self._began, self._bytes = time.monotonic(), 0

    def arrived(self, size_bytes: int) -> None:
        """Raises TimeoutError when it took too long."""
        self._bytes += size_bytes
        if time.monotonic() - self._began > _FIRST_SECONDS + self._bytes / _BYTES_A_SECOND:
            raise TimeoutError("it comes too slowly")


_LARGEST = 2**63 - 1  # that the ledger can hold


def nanoseconds(modified: datetime | None) -> int:
    """Since the epoch, in whole seconds; 0 where the source does not say, or says what is no time."""
    if modified is None:
        return 0
    try:
        return int((modified if modified.tzinfo else modified.replace(tzinfo=UTC)).timestamp()) * 1_000_000_000
    except (OverflowError, ValueError):
        return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteEntry:
    """A file as the source lists it. Numbers that no file has are brought to the nearest one that the ledger can hold,
    so that they are the same in each listing."""

    path: str  # as in `Address.path`; the source's own name for it
    size_bytes: int | None  # None where the source does not say
    etag: str  # what the source calls this version; "" where it does not
    modified_ns: int = 0  # since the epoch; 0 where the source does not say
    uid: int | None = None  # of a message

    def __post_init__(self) -> None:
        if self.size_bytes is not None:
            object.__setattr__(self, "size_bytes", max(0, min(self.size_bytes, _LARGEST)))
        object.__setattr__(self, "modified_ns", max(-_LARGEST, min(self.modified_ns, _LARGEST)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlisted:
    """A folder below the address that could not be listed, while others could."""

    path: str
    reason: str


class RemoteSource(Protocol):
    """One place, opened; used by one thread."""

    def entries(self, address: Address) -> Iterator[RemoteEntry | Unlisted]:
        """Every file at or below the address, in any order. Raises RemoteError, also in the middle: then what was
        listed is not all there is."""
        ...

    def read(self, entry: RemoteEntry) -> Generator[bytes, None, None]:
        """The bytes of one entry, in pieces; close it to stop early. Raises ItemError, and RemoteError where the source
        itself is gone."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def plain_code(code: object) -> str:
    """A server's error code as it can be shown: letters and digits, short."""
    return _NOT_SAID.sub("", str(code))[:60] or "an error"
