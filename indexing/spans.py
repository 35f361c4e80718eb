"""Named stretches of work, for whoever watches from outside; nobody does unless a watcher is put in.

    with span("search.bm25", limit=50) as work: …; work.count(found=12)   # what is called inside has it as parent
    work = begin("generate"); …; work.end()                               # over several steps of a generator

They carry counts, times and names of ours, never a question or anything of a document. A watcher must not raise.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

Count = int | float | str | bool
_Event = TypeVar("_Event")


class Stretch(Protocol):
    """One that has begun."""

    @property
    def ids(self) -> Mapping[str, str]:
        """`trace` and `span`, under which the watcher keeps it."""
        ...

    def count(self, counts: Mapping[str, Count]) -> None:
        """Note numbers."""
        ...

    def end(self, failure: str) -> None:
        """It is over; `failure` is the type of an error, "" without one."""
        ...


class Watcher(Protocol):
    """Is told of every stretch."""

    def begin(self, name: str, parent: Stretch | None, counts: Mapping[str, Count]) -> Stretch:
        """A stretch begins now; without a parent it is the first of its own trace."""
        ...


Listener = Callable[[str, float, Mapping[str, Count]], None]
"""(name, seconds, counts) of a stretch that has ended; for numbers of the whole process."""

_watcher: Watcher | None = None
_listeners: tuple[Listener, ...] = ()
_current: ContextVar[Stretch | None] = ContextVar("llavero_span", default=None)


def watch_with(watcher: Watcher | None) -> None:
    """Put a watcher in for the whole process; None takes it out."""
    global _watcher
    _watcher = watcher


def listen_with(listener: Listener) -> None:
    """Tell a listener of every stretch from now on. It must not raise, and must not wait for anything."""
    global _listeners
    _listeners = (*_listeners, listener)


def current_ids() -> dict[str, str]:
    """The ids of the stretch that this code runs in; empty without one."""
    stretch = _current.get()
    return dict(stretch.ids) if stretch is not None else {}


class Span:
    """A stretch as the code that works sees it; where nobody watches or listens it does nothing."""

    __slots__ = ("_began", "_counts", "_name", "_stretch")

    def __init__(self, name: str, stretch: Stretch | None, counts: Mapping[str, Count]) -> None:
        self._name, self._stretch, self._counts = name, stretch, dict(counts)
        self._began: float | None = time.perf_counter()

    def count(self, **counts: Count) -> None:
        """Note numbers."""
        self._counts |= counts
        if self._stretch is not None:
            self._stretch.count(counts)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What is called here has it as its parent."""
        token = _current.set(self._stretch) if self._stretch is not None else None
        try:
            yield
        finally:
            if token is not None:
                _current.reset(token)

    def end(self, error: BaseException | None = None) -> None:
        """It is over; a second call does nothing."""
        began, self._began = self._began, None
        if began is None:
            return
        if self._stretch is not None:
            self._stretch.end(type(error).__name__ if error is not None else "")
        for listener in _listeners:
            listener(self._name, time.perf_counter() - began, self._counts)


def begin(name: str, **counts: Count) -> Span:
    """A stretch that its maker ends."""
    return Span(name, _watcher.begin(name, _current.get(), counts) if _watcher is not None else None, counts)


@contextmanager
def first_span(name: str, **counts: Count) -> Iterator[Span]:
    """The first stretch of a trace, whatever the code around it belongs to: a server reads the next request of a
    connection in the context of the one before."""
    token = _current.set(None)
    try:
        with span(name, **counts) as work:
            yield work
    finally:
        _current.reset(token)


def steps_of(name: str, events: Iterator[_Event], **counts: Count) -> Iterator[_Event]:
    """What a generator yields, as one stretch: each of its steps has it as parent, in whichever thread that runs."""
    work, failure = begin(name, **counts), None
    try:
        while True:
            try:
                with work.inside():
                    event = next(events)
            except StopIteration:
                return
            yield event
    except BaseException as error:
        failure = error
        raise
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()
        work.end(failure)


@contextmanager
def span(name: str, **counts: Count) -> Iterator[Span]:
    """A stretch that lasts as long as the block."""
    work = begin(name, **counts)
    try:
        with work.inside():
            yield work
    except BaseException as error:
        work.end(error)
        raise
    work.end()
