"""Long work that only reads the library: tables of fields, and evaluations. One run after the other, kept on disk.

    runs/7/request.json    what was asked for; written first
    runs/7/begun.json      how many processes have begun it, and whether somebody asked to stop it
    runs/7/records.jsonl   results as they come, one a line
    runs/7/result.json     the whole result, or why there is none; written last
    runs/last              the last number that was given; none is given twice

A run without its last file was killed with the process, and goes on at the next start with the results that it has. So
nothing that was handed in is lost, and nothing is computed twice. One that was cut off three times in a row without a
new result is given up, lest it end every process. A folder gets its number when it is whole, and loses it before it is
deleted: what lies under another name is a leftover.
"""

import asyncio
import json
import logging
import os
import shutil
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ui.documents import Document
from ui.wording import attempt, explained

RunState = Literal["waiting", "running", "stopping", "done", "stopped", "failed"]
RunKind = Literal["extraction", "evaluation"]
OnCount = Callable[[int, int], None]
"""(done, total)."""
RunWork = Callable[[Document, Path, OnCount], Document]
"""(what was asked for, the file for results as they come, on_count) → the result."""
ENDED: tuple[RunState, ...] = ("done", "stopped", "failed")
KEPT_RUNS = 50
MOST_WAITING = 20
MOST_ATTEMPTS = 3
_EVENT_SECONDS = 0.3
_NEW, _GONE = ".new-", ".gone-"
_LAST = "last"
logger = logging.getLogger(__name__)


class TooManyRunsError(Exception):
    """The queue is full; one that has ended makes room."""

    def __init__(self) -> None:
        super().__init__(f"{MOST_WAITING} runs wait already")
        self.add_note("Come back when one of them has ended, or stop one.")


@dataclass(frozen=True, kw_only=True)
class RunView:
    """The state of a run at one moment."""

    number: int
    kind: RunKind
    state: RunState
    made: str
    """When it was handed in, in ISO 8601."""
    done: int = 0
    total: int = 0
    problem: tuple[str, ...] = ()
    """What happened, then what to do."""


@dataclass(kw_only=True)
class _Run:
    folder: Path
    number: int
    kind: RunKind
    made: str
    state: RunState = "waiting"
    attempts: int = 0
    """How often a process has begun it since its last new result."""
    recorded: int = 0
    """Bytes of results when it was last begun."""
    done: int = 0
    total: int = 0
    problem: tuple[str, ...] = ()
    stop: threading.Event = field(default_factory=threading.Event)

    def view(self) -> RunView:
        names = ("number", "kind", "state", "made", "done", "total", "problem")
        return RunView(**{name: getattr(self, name) for name in names})


class _StoppedError(Exception):
    """Ends the work between two steps."""


class Runs:
    """The runs of one library; safe to call from any thread. Nothing is computed before `start`."""

    def __init__(self, folder: Path, works: Mapping[RunKind, RunWork]) -> None:
        self._folder, self._works = folder, works
        self._changed = threading.Condition()
        self._closing = threading.Event()
        _tidy(folder)
        self._runs = {run.number: run for run in _found(folder)}
        self._last = _last_number(folder)
        self._thread: threading.Thread | None = None
        with self._changed:
            self._settle()
        if any(run.state == "waiting" for run in self._runs.values()):
            self._start()

    def submit(self, kind: RunKind, asked: Document) -> int:
        """Hand one in → its number. Raises TooManyRunsError, OSError."""
        with self._changed:
            if sum(run.state == "waiting" for run in self._runs.values()) >= MOST_WAITING:
                raise TooManyRunsError
            self._forget_oldest()
            number = max(self._last, _last_number(self._folder)) + 1
            made = datetime.now(UTC).isoformat(timespec="seconds")
            folder, new = self._folder / str(number), self._folder / f"{_NEW}{number}"
            new.mkdir(parents=True, exist_ok=True)
            try:
                _write(self._folder / _LAST, number)
                _write(new / "request.json", {"kind": kind, "made": made, "asked": asked})
                new.rename(folder)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
            self._last = number
            self._runs[number] = _Run(folder=folder, number=number, kind=kind, made=made)
            self._start()
            self._changed.notify_all()
            return number

    def all(self) -> list[RunView]:
        """Newest first."""
        with self._changed:
            return [self._runs[number].view() for number in sorted(self._runs, reverse=True)]

    def find(self, number: int) -> RunView | None:
        """One run; None where there is none of that number."""
        with self._changed:
            run = self._runs.get(number)
            return run.view() if run else None

    def result(self, number: int) -> Document | None:
        """What a run that is done has found; None for any other. Raises OSError, ValueError."""
        with self._changed:
            run = self._runs.get(number)
            if run is None or run.state != "done":
                return None
        try:
            result: Document = json.loads((run.folder / "result.json").read_text("utf-8"))["result"]
        except FileNotFoundError:
            if self.find(number) is None:  # forgotten meanwhile
                return None
            raise
        return result

    def cancel(self, number: int) -> None:
        """Stop a run between two of its steps; one that has ended is forgotten with its result."""
        with self._changed:
            run = self._runs.get(number)
            if run is None:
                return
            if run.state in ENDED:
                self._forget(run)
            elif run.state == "waiting":
                self._end(run, "stopped")
            else:
                run.stop.set()
                run.state = "stopping"
                _note_begun(run)
                self._changed.notify_all()

    async def events(self, number: int, document: Callable[[RunView], Document]) -> AsyncGenerator[Document, None]:
        """A run's state a few times a second while it changes; the last event is `run`, when it has ended. No thread
        waits for it."""
        shown: RunView | None = None
        while (view := self.find(number)) is not None:
            if view.state in ENDED:
                yield {"event": "run", **document(view)}
                return
            if view != shown:
                yield {"event": "progress", **document(view)}
            shown = view
            await asyncio.sleep(_EVENT_SECONDS)

    def close(self, timeout_seconds: float = 20.0) -> None:
        """End after the step that is under way; what has not ended goes on at the next start."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _settle(self) -> None:
        """End what an earlier process was asked to stop, and what has ended too many processes."""
        for run in [run for run in self._runs.values() if run.state == "waiting"]:
            if run.stop.is_set():
                self._end(run, "stopped")
            elif run.attempts >= MOST_ATTEMPTS and _size(run.folder / "records.jsonl") <= run.recorded:
                run.problem = (
                    f"The process ended {run.attempts} times during this run; it is given up.",
                    "Ask for fewer files or questions at a time, to find the one that ends it.",
                )
                self._end(run, "failed")

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="llavero-runs", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (run := self._next()) is not None:
            outcome = attempt(partial(self._outcome, run))
            with self._changed:
                if isinstance(outcome, _StoppedError):
                    if self._closing.is_set() and not run.stop.is_set():
                        run.attempts -= 1
                        _note_begun(run)
                        return  # it goes on at the next start
                    self._end(run, "stopped")
                elif isinstance(outcome, Exception):
                    run.problem = explained(outcome, "The run met an unexpected error.")
                    self._end(run, "failed")
                else:
                    self._end(run, "done", outcome)

    def _next(self) -> _Run | None:
        def waiting() -> list[_Run]:
            return [self._runs[number] for number in sorted(self._runs) if self._runs[number].state == "waiting"]

        with self._changed:
            self._changed.wait_for(lambda: self._closing.is_set() or bool(waiting()))
            if self._closing.is_set():
                return None
            run = waiting()[0]
            run.state = "running"
            before, run.recorded = run.recorded, _size(run.folder / "records.jsonl")
            run.attempts = 1 if run.recorded > before else run.attempts + 1
            _note_begun(run)
            self._changed.notify_all()
            return run

    def _outcome(self, run: _Run) -> Document:
        def on_count(done: int, total: int) -> None:
            run.done, run.total = done, total
            if run.stop.is_set() or self._closing.is_set():
                raise _StoppedError

        asked = json.loads((run.folder / "request.json").read_text("utf-8"))["asked"]
        return self._works[run.kind](asked, run.folder / "records.jsonl", on_count)

    def _end(self, run: _Run, state: RunState, result: Document | None = None) -> None:
        written = attempt(
            lambda: _write(
                run.folder / "result.json",
                {"state": state, "problem": run.problem, "done": run.done, "total": run.total, "result": result},
            )
        )
        if isinstance(written, Exception):  # a full disk; the run goes on at the next start
            run.problem = explained(written, "The result could not be written.")
            state = "failed"
        run.state = state
        self._changed.notify_all()

    def _forget_oldest(self) -> None:
        ended = [self._runs[number] for number in sorted(self._runs) if self._runs[number].state in ENDED]
        for run in ended[: max(0, len(ended) - KEPT_RUNS + 1)]:
            self._forget(run)

    def _forget(self, run: _Run) -> None:
        del self._runs[run.number]
        gone = run.folder.with_name(f"{_GONE}{run.number}")
        renamed = attempt(lambda: run.folder.rename(gone))
        shutil.rmtree(run.folder if isinstance(renamed, Exception) else gone, ignore_errors=True)


def _tidy(folder: Path) -> None:
    """Remove what killed processes left of runs that were never whole, or were being forgotten."""
    for each in [each for each in folder.glob("*") if each.is_dir()]:
        with suppress(OSError):
            never_whole = _number(each) and all(file.name == ".request.json" for file in each.iterdir())
            if never_whole or each.name.startswith((_NEW, _GONE)):
                shutil.rmtree(each)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _last_number(folder: Path) -> int:
    """The highest number that is there, or was given; 0 without any."""
    there = max(map(_number, folder.iterdir()), default=0) if folder.is_dir() else 0
    given = attempt(lambda: int((folder / _LAST).read_text("utf-8")))
    if isinstance(given, Exception):
        if not isinstance(given, FileNotFoundError):
            logger.warning("the last number of the runs in %s cannot be read: %s", folder, given)
        given = 0
    return max(there, given)


def _number(folder: Path) -> int:
    """Of a run's folder; 0 for every other name."""
    return int(folder.name) if folder.name.isascii() and folder.name.isdecimal() else 0


def _note_begun(run: _Run) -> None:
    """At worst a run is begun once more than it should be."""
    begun = {"attempts": run.attempts, "recorded": run.recorded, "stop": run.stop.is_set()}
    noted = attempt(lambda: _write(run.folder / "begun.json", begun))
    if isinstance(noted, Exception):
        logger.warning("that run %d was begun could not be written down: %s", run.number, noted)


def _found(folder: Path) -> Iterator[_Run]:
    """The runs that earlier processes left. One whose files cannot be read is passed over, and the log says so."""
    for each in folder.glob("*/request.json"):
        if not _number(each.parent):
            continue
        run = attempt(partial(_read, each.parent))
        if isinstance(run, Exception):
            logger.warning("the run in %s cannot be read: %s", each.parent, run)
        else:
            yield run


def _read(folder: Path) -> _Run:
    request = json.loads((folder / "request.json").read_text("utf-8"))
    run = _Run(folder=folder, number=int(folder.name), kind=request["kind"], made=request["made"])
    if (folder / "begun.json").exists():
        begun = json.loads((folder / "begun.json").read_text("utf-8"))
        run.attempts, run.recorded = int(begun["attempts"]), int(begun["recorded"])
        if begun["stop"]:
            run.stop.set()
    if (folder / "result.json").exists():
        ended: dict[str, Any] = json.loads((folder / "result.json").read_text("utf-8"))
        run.state, run.problem = ended["state"], tuple(ended["problem"])
        run.done, run.total = ended["done"], ended["total"]
    return run


def _write(path: Path, document: Document | int) -> None:
    """Whole or not at all. Raises OSError."""
    part = path.with_name(f".{path.name}")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
