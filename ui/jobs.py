"""Indexing in the background: one run at a time, in one thread of the server, watched by every session.

A job is handed in, waits, runs, and ends as done, stopped or failed. Sessions read frozen views of it, so a
page switch, a closed tab or a second user changes nothing about the run itself.

With a file to keep them in, jobs that have not ended outlive the process: whoever opens the library next goes on with
them, under their numbers. One that was cut off three times in a row is given up, lest it end every process.
"""

import asyncio
import contextvars
import json
import logging
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from indexing.addresses import is_address
from ui.wording import attempt, explained

if TYPE_CHECKING:
    from indexing.pipeline import IndexReport, Progress

JobState = Literal["waiting", "running", "stopping", "done", "stopped", "failed"]
SaidOfFiles = Mapping[str, Sequence[str]]
"""Facts that are said of all files of a job."""


@dataclass(frozen=True, kw_only=True)
class IndexChoices:
    """How a job's files are read; as of `ui.workbench.Workbench.index`."""

    retry_failed: bool = False
    follow_links: bool = False
    objects: bool = True


RunIndex = Callable[
    [Sequence[str | Path], SaidOfFiles, Callable[["Progress"], None], Callable[[], bool], IndexChoices], "IndexReport"
]  # (paths, facts, on_progress, cancelled, choices) → report
KEPT_FINISHED = 20
MOST_ATTEMPTS = 3
logger = logging.getLogger(__name__)
_EVENT_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class JobView:
    """The state of a job at one moment."""

    number: int
    names: tuple[str, ...]
    state: JobState
    owner: str  # the session that handed it in
    progress: "Progress | None" = None
    report: "IndexReport | None" = None
    problem: tuple[str, ...] = ()  # what happened, then what to do
    ended_at: float | None = None  # seconds since the epoch


@dataclass(frozen=True, kw_only=True)
class QueueView:
    """Everything handed in: the running job, those that wait in their order, the last ones that ended."""

    running: JobView | None
    waiting: tuple[JobView, ...]
    finished: tuple[JobView, ...]  # newest first
    epoch: int  # another number whenever a job was handed in, started or ended

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self.running is not None or bool(self.waiting)


@dataclass(kw_only=True)
class _Job:
    number: int
    paths: tuple[str | Path, ...]  # an address is a text
    facts: SaidOfFiles
    owner: str
    choices: IndexChoices = IndexChoices()
    attempts: int = 0
    """How often a process has begun it."""
    state: JobState = "waiting"
    progress: "Progress | None" = None
    report: "IndexReport | None" = None
    problem: tuple[str, ...] = ()
    ended_at: float | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    stop_asked: bool = False
    """Somebody stopped it; `cancel` is set by the process's end, too."""
    context: contextvars.Context = field(default_factory=contextvars.copy_context)  # whose request it is

    def view(self) -> JobView:
        return JobView(
            number=self.number,
            names=tuple(path if isinstance(path, str) else path.name for path in self.paths),
            state=self.state,
            owner=self.owner,
            progress=self.progress,
            report=self.report,
            problem=self.problem,
            ended_at=self.ended_at,
        )


class IndexingQueue:
    """Runs `run_index` for one job after the other; safe to call from any thread."""

    def __init__(self, run_index: RunIndex, *, kept_in: Path | None = None) -> None:
        self._run_index, self._kept_in = run_index, kept_in
        self._changed = threading.Condition()
        self._waiting: list[_Job] = []
        self._running: _Job | None = None
        self._finished: list[_Job] = []
        self._epoch = 0
        self._closed = False
        with self._changed:
            self._take_up()
        self._thread = threading.Thread(target=self._work, name="llavero-indexing", daemon=True)
        self._thread.start()

    def submit(
        self,
        paths: Sequence[str | Path],
        *,
        owner: str = "",
        facts: SaidOfFiles | None = None,
        choices: IndexChoices = IndexChoices(),
    ) -> int:
        """Queue files or folders, and what is said of them; returns the job's number. Raises OSError where it cannot
        be kept."""
        with self._changed:
            if self._closed:
                raise RuntimeError("the indexing queue is closed")
            self._epoch += 1
            job = _Job(number=self._epoch, paths=tuple(paths), facts=facts or {}, owner=owner, choices=choices)
            self._waiting.append(job)
            try:
                self._keep()
            except OSError:
                self._waiting.remove(job)
                raise
            self._changed.notify_all()
            return job.number

    def cancel(self, number: int) -> None:
        """Stop a job. What it has indexed stays; one that has not begun leaves the queue."""
        with self._changed:
            if self._running is not None and self._running.number == number:
                self._running.cancel.set()
                self._running.state, self._running.stop_asked = "stopping", True
                self._keep_if_possible()
            for job in [job for job in self._waiting if job.number == number]:
                self._waiting.remove(job)
                self._end(job, "stopped")

    def view(self) -> QueueView:
        """The state of all jobs at one moment."""
        with self._changed:
            return QueueView(
                running=self._running.view() if self._running else None,
                waiting=tuple(job.view() for job in self._waiting),
                finished=tuple(job.view() for job in reversed(self._finished)),
                epoch=self._epoch,
            )

    def find(self, number: int) -> JobView | None:
        """A job, as long as it is among those that are kept."""
        with self._changed:
            return self._find(number)

    def _find(self, number: int) -> JobView | None:
        jobs = [*([self._running] if self._running else []), *self._waiting, *self._finished]
        return next((job.view() for job in jobs if job.number == number), None)

    async def events(
        self, number: int, document: Callable[[JobView], dict[str, Any]]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """A job's state a few times a second while it changes; the last event is `job`, when it has ended. No thread
        waits for it."""
        shown: JobView | None = None
        while (view := self.find(number)) is not None:
            ended = view.state in ("done", "stopped", "failed")
            if ended or view != shown:
                yield {"event": "job" if ended else "progress", **document(view)}
            if ended:
                return
            shown = view
            await asyncio.sleep(_EVENT_SECONDS)

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Block until nothing runs or waits; False if something does when the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and self._running is None, timeout_seconds)

    def close(self, timeout_seconds: float = 20.0) -> None:
        """Stop the running job at its next file and end the thread; what has not ended is kept for the next process."""
        with self._changed:
            self._closed = True
            if self._running is not None:
                self._running.cancel.set()
            self._changed.notify_all()
        self._thread.join(timeout_seconds)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            state, problem = self._ended(job)
            with self._changed:
                job.problem = problem
                self._running = None
                if (
                    self._closed and state == "stopped" and not job.stop_asked
                ):  # by the process's end: the next one goes on with it
                    job.attempts -= 1
                    self._waiting.insert(0, job)
                    self._keep_if_possible()
                    continue
                self._end(job, state)

    def _next(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting))
            if self._closed:
                return None
            self._running = self._waiting.pop(0)
            self._running.state = "running"
            self._running.attempts += 1
            self._epoch += 1
            self._keep_if_possible()
            return self._running

    def _ended(self, job: _Job) -> tuple[JobState, tuple[str, ...]]:
        def on_progress(progress: "Progress") -> None:
            job.progress = progress

        def run() -> "IndexReport":
            return job.context.run(self._run_index, job.paths, job.facts, on_progress, job.cancel.is_set, job.choices)

        outcome = attempt(run)
        if isinstance(outcome, Exception):
            return "failed", explained(outcome, "Indexing met an unexpected error.")
        job.report = outcome
        return ("stopped" if job.cancel.is_set() else "done"), ()

    def _end(self, job: _Job, state: JobState) -> None:
        job.state = state
        job.ended_at = time.time()
        self._finished = [*self._finished, job][-KEPT_FINISHED:]
        self._epoch += 1
        self._keep_if_possible()
        self._changed.notify_all()

    # -- jobs that outlive the process --

    def _keep(self) -> None:
        """Write down what has not ended. Raises OSError."""
        if self._kept_in is None:
            return
        jobs = [*([self._running] if self._running else []), *self._waiting]
        document = {
            "epoch": self._epoch,
            "jobs": [
                {
                    "number": job.number,
                    "paths": list(map(str, job.paths)),
                    "facts": {key: list(values) for key, values in job.facts.items()},
                    "owner": job.owner,
                    "attempts": job.attempts,
                    "choices": asdict(job.choices),
                    "stop": job.stop_asked,
                }
                for job in jobs
            ],
        }
        part = self._kept_in.with_name(f".{self._kept_in.name}")
        with part.open("w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._kept_in)

    def _keep_if_possible(self) -> None:
        """After a change that has happened already: at worst a job is begun again, which changes nothing."""
        kept = attempt(self._keep)
        if isinstance(kept, Exception):
            logger.warning("the indexing jobs could not be written down: %s", kept)

    def _take_up(self) -> None:
        if self._kept_in is None or not self._kept_in.exists():
            return
        try:
            document = json.loads(self._kept_in.read_text("utf-8"))
            self._epoch = int(document["epoch"]) + 1
            jobs = [
                _Job(
                    number=each["number"],
                    paths=tuple(path if is_address(path) else Path(path) for path in each["paths"]),
                    facts=each["facts"],
                    owner=each["owner"],
                    attempts=each["attempts"],
                    choices=IndexChoices(**each.get("choices", {})),
                    stop_asked=each.get("stop", False),
                )
                for each in document["jobs"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("the indexing jobs of an earlier process cannot be read: %s", error)
            return
        for job in jobs:
            if job.stop_asked:
                self._end(job, "stopped")
            elif job.attempts < MOST_ATTEMPTS:
                self._waiting.append(job)
            else:
                job.problem = (
                    f"The process ended {job.attempts} times while this was indexed; it is given up.",
                    "Index fewer files at a time, to find the one that ends it.",
                )
                self._end(job, "failed")
