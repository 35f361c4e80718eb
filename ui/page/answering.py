"""One question being answered, in a thread of its own.

The page only watches. A click elsewhere, another tab of the page or a slow model never blocks it, and a stop takes
effect on the page at once, even before the model has written its first word. An answer that nobody looks at any more (a
closed browser) stops by itself, because others wait for the same model.
"""

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ui.wording import attempt, explained

if TYPE_CHECKING:
    from rag.events import Answer, Event, Looking
    from rag.retrieve import Retrieval

ABANDONED_AFTER_SECONDS = 120.0  # browsers wake the timers of hidden tabs once a minute


@dataclass(frozen=True, kw_only=True)
class AnswerView:
    """The state of an answer at one moment."""

    text: str
    seconds: float
    finished: bool
    stopped: bool
    retrieval: "Retrieval | None" = None
    answer: "Answer | None" = None
    looked: "Looking | None" = None  # of a question about all files
    problem: tuple[str, ...] = ()  # what happened, then what to do


class KeptAnswer:
    """An answer of a conversation that was kept; it looks like one that has just ended."""

    def __init__(self, answer: "Answer") -> None:
        self._view = AnswerView(
            text=answer.text,
            seconds=answer.milliseconds.get("total", 0.0) / 1000,
            finished=True,
            stopped=False,
            answer=answer,
        )

    def view(self) -> AnswerView:
        """Always the same."""
        return self._view

    def stop(self) -> None:
        """Nothing is under way."""


class RunningAnswer:
    """Starts at once; `view` may be called from any thread, `stop` as often as one likes."""

    def __init__(
        self, ask: "Callable[[], Iterator[Event]]", *, abandoned_after_seconds: float = ABANDONED_AFTER_SECONDS
    ) -> None:
        self._ask = ask
        self._abandoned_after_seconds = abandoned_after_seconds
        self._last_seen = time.monotonic()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._done = threading.Event()
        self._pieces: list[str] = []
        self._retrieval: Retrieval | None = None
        self._answer: Answer | None = None
        self._looked: Looking | None = None
        self._problem: tuple[str, ...] = ()
        self._started = time.monotonic()
        self._seconds: float | None = None
        context = contextvars.copy_context()  # whose request it is
        threading.Thread(target=context.run, args=(self._run,), name="llavero-answer", daemon=True).start()

    def view(self) -> AnswerView:
        """The state now. The answer stops if nobody calls this for a while."""
        with self._lock:
            self._last_seen = time.monotonic()
            stopped = self._stop.is_set() and self._answer is None
            seconds = time.monotonic() - self._started if self._seconds is None else self._seconds
            return AnswerView(
                text="".join(self._pieces),
                seconds=seconds,
                finished=self._done.is_set() or stopped,
                stopped=stopped,
                retrieval=self._retrieval,
                answer=self._answer,
                looked=self._looked,
                problem=self._problem,
            )

    def stop(self) -> None:
        """End the answer. The words so far stay, and the model is told to stop at its next word."""
        with self._lock:
            self._stop.set()
            if self._seconds is None:
                self._seconds = time.monotonic() - self._started

    def wait(self, timeout_seconds: float) -> bool:
        """Block until the thread has ended; False if it has not when the time is over."""
        return self._done.wait(timeout_seconds)

    def _run(self) -> None:
        error = attempt(self._listen)
        with self._lock:
            if error is not None:
                self._problem = explained(error, "The question met an unexpected error.")
            if self._seconds is None:
                self._seconds = time.monotonic() - self._started
        self._done.set()

    def _listen(self) -> None:
        """Take what the model writes until it has ended, is stopped, or nobody looks any more."""
        events = self._ask()
        try:
            for event in events:
                if time.monotonic() - self._last_seen > self._abandoned_after_seconds:
                    self.stop()
                if self._stop.is_set():
                    break
                self._take(event)
        finally:
            close = getattr(events, "close", None)
            if close is not None:
                close()

    def _take(self, event: "Event") -> None:
        from rag.events import Answer, Looking, Retrieved, Token

        with self._lock:
            if isinstance(event, Retrieved):
                self._retrieval = event.retrieval
            elif isinstance(event, Token):
                self._pieces.append(event.text)
            elif isinstance(event, Answer):
                self._answer = event
            elif isinstance(event, Looking):
                self._looked = event
