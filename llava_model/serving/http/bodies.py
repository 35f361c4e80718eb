"""Requests' bodies on their way in. They take no place in the queue, and none of them keeps another one out.

There is room for so many bodies and so many bytes at once. When one more comes, whoever has sent least of late is cut
off: each byte pays for a stretch of time at the slowest rate that counts as sending, and nobody can pay far ahead. So a
client that stalls, or sends a byte now and then, is always the first to go, and a new one always gets its chance.
"""

import asyncio
import time
from dataclasses import dataclass, field

from starlette.requests import Request

from llava_model.errors import RequestRefusedError

_SLOWEST_BYTES_PER_SECOND = 50_000
_AHEAD_SECONDS = 2.0
"""How long a body may stand still before it is behind one that has just begun."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyLimits:
    """What is received at the same time, and how long one body may take."""

    bytes_each: int = 20_000_000
    """Of one request."""

    bytes_together: int = 200_000_000
    """Of all bodies that are under way."""

    count: int = 64
    """Bodies under way; over this the slowest is cut off."""

    seconds: float = 30.0
    """In which a body must have arrived."""


@dataclass(eq=False, kw_only=True, slots=True)
class _Body:
    deadline: asyncio.Timeout
    paid_until: float
    data: bytearray = field(default_factory=bytearray)
    cut_off: bool = False

    def add(self, piece: bytes) -> None:
        self.data += piece
        paid = self.paid_until + len(piece) / _SLOWEST_BYTES_PER_SECOND
        self.paid_until = min(paid, time.monotonic() + _AHEAD_SECONDS)


class Bodies:
    """All that one server receives. Used from one event loop."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._coming: list[_Body] = []

    async def receive(self, request: Request) -> bytearray:
        """Raises RequestRefusedError (408, 413, 415), and starlette's ClientDisconnect."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RequestRefusedError("the body must be application/json", status=415, code="unsupported_media_type")
        self._check_size(int(request.headers.get("content-length", "0")))
        deadline = asyncio.timeout(self._limits.seconds)
        body = _Body(deadline=deadline, paid_until=time.monotonic() + _AHEAD_SECONDS)
        self._coming.append(body)
        try:
            async with deadline:
                await self._read(request, body)
        except TimeoutError:
            raise self._too_slow(body) from None
        finally:
            self._forget(body)
        return body.data

    async def _read(self, request: Request, body: _Body) -> None:
        self._make_room()
        async for piece in request.stream():
            body.add(piece)
            self._check_size(len(body.data))
            self._make_room()

    def _make_room(self) -> None:
        """Cut off the slowest ones until the others fit; their clients are told so in their own tasks."""
        while len(self._coming) > self._limits.count or self._bytes() > self._limits.bytes_together:
            slowest = min(self._coming, key=lambda body: body.paid_until)
            self._forget(slowest)
            if not slowest.deadline.expired():
                slowest.cut_off = True
                slowest.deadline.reschedule(asyncio.get_running_loop().time())

    def _bytes(self) -> int:
        return sum(len(body.data) for body in self._coming)

    def _forget(self, body: _Body) -> None:
        if body in self._coming:
            self._coming.remove(body)

    def _check_size(self, size: int) -> None:
        if size > self._limits.bytes_each:
            raise RequestRefusedError(
                f"the body has more than {self._limits.bytes_each:,} bytes", status=413, code="request_too_large"
            )

    def _too_slow(self, body: _Body) -> RequestRefusedError:
        if not body.cut_off:
            why = f"the body was not complete after {self._limits.seconds:g} s"
            return RequestRefusedError(why, status=408, code="timeout")
        why = f"others were waiting and the body came too slowly: {len(body.data):,} bytes so far"
        return RequestRefusedError(why, status=408, code="timeout", retry_after_seconds=1)
