"""One connection to the server, which nobody can hold open for nothing.

uvicorn waits for ever for a request's headers, for the rest of a refused request's body, and for a client that does not
read its answer. Here a clock runs whenever a connection has no request under way, or a client does not take what is
sent; whatever the client sends meanwhile, at the clock's end the connection is closed. Of connections without a request
only so many stay open: a new one takes the place of the one that has waited the longest.
"""

import asyncio
from dataclasses import dataclass

from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLimits:
    """How long a connection may stay open for nothing, and how many of them."""

    request_seconds: float = 10.0
    """From the connection, or from the last answer, until all headers of a request are there."""

    unread_seconds: float = 30.0
    """In which a client must take what has been sent to it."""

    without_request: int = 128
    """Open connections that have no request under way."""


class Connection(H11Protocol):
    """uvicorn's, with clocks. `limits` is set by `connection_class`."""

    limits: ConnectionLimits
    _request_clock: asyncio.TimerHandle | None = None
    _unread_clock: asyncio.TimerHandle | None = None

    @property
    def answering(self) -> bool:
        """A request's headers are there and its answer is not complete. `cycle` is None before the first request."""
        return not getattr(self.cycle, "response_complete", True)

    @property
    def waits_until(self) -> float | None:
        """When the request's clock ends; None while a request is under way."""
        return self._request_clock.when() if self._request_clock else None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Start the clock, and close another connection where there are too many."""
        super().connection_made(transport)
        self._set_request_clock()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        super().connection_lost(exc)
        for clock in (self._request_clock, self._unread_clock):
            if clock:
                clock.cancel()
        self._request_clock = self._unread_clock = None

    def data_received(self, data: bytes) -> None:
        """What comes behind a whole request, before its answer, is dropped and the connection ends with the answer.

        uvicorn would stop reading then, and not notice any more that the client leaves.
        """
        if self.answering and not self.cycle.more_body:
            self.cycle.keep_alive = False
            return
        super().data_received(data)
        self._set_request_clock()

    def on_response_complete(self) -> None:
        """The next request may come, but not at leisure."""
        super().on_response_complete()
        self._set_request_clock()

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        super().pause_writing()
        self._unread_clock = self.loop.call_later(self.limits.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It takes it again."""
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
    """uvicorn makes the connections itself and passes nothing of ours on."""
    return type("LimitedConnection", (Connection,), {"limits": limits})
