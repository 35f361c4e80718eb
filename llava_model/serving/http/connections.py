"""Time limits for connections and for requests' bodies, so that nobody keeps either open without using it.

uvicorn waits for ever for a request's headers, for the rest of a refused request's body, and for a client that does not
read its answer. Here a clock runs whenever a connection has no request under way, or a client does not take what is
sent; at the clock's end the connection is closed, whatever the client sends meanwhile. Only so many connections without
a request stay open: a new one takes the place of the one that has waited the longest.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from llava_model.errors import RequestRefusedError

_SLOWEST_BYTES_PER_SECOND = 50_000
_AHEAD_SECONDS = 2.0
"""How long a body may stop arriving before it counts as slower than one that has just begun."""


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
    """The bodies that one server is receiving. Used from one event loop.

    They take no place in the queue. There is a limit for their number and for their bytes together. When a new body
    exceeds it, the body that has arrived most slowly of late is cut off: each byte pays for a moment at the slowest
    rate that counts as sending, and a client can pay only two seconds ahead. So a client that stalls, or sends a byte
    now and then, is the first to be cut off, and no slow client keeps a new one out.
    """

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._coming: list[_Body] = []

    async def receive(self, request: Request) -> bytearray:
        """A request's whole body. Raises RequestRefusedError (408, 413, 415), and starlette's ClientDisconnect."""
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
        """Cut off the slowest bodies until the others fit. The task of each such request then tells its client."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLimits:
    """How long a connection may stay open without a request, and how many such connections may."""

    request_seconds: float = 10.0
    """From the connection, or from the last answer, until all headers of a request are there."""

    unread_seconds: float = 30.0
    """In which a client must take what has been sent to it."""

    without_request: int = 128
    """Open connections that have no request under way."""


class Connection(H11Protocol):
    """uvicorn's connection, with time limits. `limits` is set by `connection_class`."""

    limits: ConnectionLimits
    _request_clock: asyncio.TimerHandle | None = None
    _unread_clock: asyncio.TimerHandle | None = None

    @property
    def answering(self) -> bool:
        """A request's headers are there and its answer is not complete. `cycle` is None before the first request."""
        return not getattr(self.cycle, "response_complete", True)

    @property
    def waits_until(self) -> float | None:
        """When the connection is closed unless a request comes; None while a request is under way."""
        return self._request_clock.when() if self._request_clock else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock, and close another connection where there are too many."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._set_request_clock()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop both clocks."""
        super().connection_lost(exc)
        for clock in (self._request_clock, self._unread_clock):
            if clock:
                clock.cancel()
        self._request_clock = self._unread_clock = None

    def data_received(self, data: bytes) -> None:
        """Data after a whole request, before its answer, is dropped, and the connection ends with the answer.

        uvicorn would stop reading then, and not notice any more that the client leaves.
        """
        if self.answering and not self.cycle.more_body:
            self.cycle.keep_alive = False
            return
        super().data_received(data)
        self._set_request_clock()

    def on_response_complete(self) -> None:
        """Start the clock for the next request."""
        super().on_response_complete()
        self._set_request_clock()

    def pause_writing(self) -> None:
        """The client has stopped reading: start the clock for unread data."""
        super().pause_writing()
        self._unread_clock = self.loop.call_later(self.limits.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again: stop that clock."""
        super().resume_writing()
        if self._unread_clock:
            self._unread_clock.cancel()
            self._unread_clock = None

    def _set_request_clock(self) -> None:
        if self.answering and self._request_clock:
            self._request_clock.cancel()
            self._request_clock = None
        elif not self.answering and not self._request_clock:
            self._request_clock = self.loop.call_later(self.limits.request_seconds, self.transport.abort)

    def _make_room(self) -> None:
        waiting = {each: until for each in self.connections if (until := _waits_until(each)) is not None}
        if len(waiting) > self.limits.without_request:
            oldest = min(waiting, key=lambda each: waiting[each])
            self.connections.discard(oldest)
            oldest.transport.abort()


def _waits_until(connection: object) -> float | None:
    return connection.waits_until if isinstance(connection, Connection) else None


def connection_class(limits: ConnectionLimits) -> type[Connection]:
    """A class with these limits: uvicorn makes the connections itself and passes no arguments of ours."""
    return type("LimitedConnection", (Connection,), {"limits": limits})
