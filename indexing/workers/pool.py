"""Parsers in long-lived processes that can be killed.

Each worker (`worker.py`) reads one file after another. Its parent watches wall time, resident memory
and the size of its answer; a worker that hangs, grows or dies is killed with everything it started and
replaced, and its file is reported as ReaderStoppedError. The protocol is JSON lines: nothing that a
worker says is executed or believed (`readers/codec.py`).
"""

import contextlib
import json
import os
import queue
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import psutil

from indexing import errors
from indexing.embedding.protocol import Pixels, Preprocess
from indexing.errors import FileTooLargeError, ReaderStoppedError, UnreadableFileError
from indexing.records import Reading, SourceFile
from indexing.settings import MEGABYTE, ReadLimits
from indexing.workers.messages import PICTURE, PIXELS_FILE, THUMB, image_name, reading_from_json

__all__ = ["ReadLimits", "ReadResult", "ReaderPool"]

_POLL_SECONDS = 0.2
_START_SECONDS = 60.0
_CANCELLED = "reading was cancelled"
_FILES_PER_WORKER = 2_000
"""A worker is replaced after so many files: what a parser leaks goes with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadResult:
    """One file as read. `folder` belongs to the caller from now on: move what is kept, delete the rest."""

    reading: Reading
    folder: Path
    pixels: Mapping[str, Pixels]
    """File name of a page or figure, or `picture` → uint8 (size, size, 3), as `embed_images` wants it."""


Outcome = ReadResult | UnreadableFileError


class ReaderPool:
    """A context manager around the workers. They start with the first file and live until the end."""

    def __init__(
        self,
        *,
        limits: ReadLimits,
        preprocess: Preprocess,
        spool: Path,
        workers: int,
        program: Sequence[str] = (sys.executable, "-P", "-m", "indexing.workers.worker"),
    ) -> None:
        """`spool` is created; `program` is what speaks the protocol of `worker.py`."""
        if workers < 1:
            raise ValueError(f"workers must be at least 1, is {workers}")
        self.limits = limits
        self.preprocess = preprocess
        self.spool = spool.resolve()
        self.program = tuple(program)
        self._workers = [_Worker(self) for _ in range(workers)]
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._names: dict[str, int] = {}

    def __enter__(self) -> "ReaderPool":
        self.spool.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill the workers and drop their scratch folder; results already handed out stay."""
        for worker in self._workers:
            worker.cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []
        for worker in self._workers:
            worker.stop()
        shutil.rmtree(self.spool / ".workers", ignore_errors=True)

    def read(self, sources: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, Outcome]]:
        """Yield each file with its outcome, in the order in which they finish.

        `sources` is pulled lazily: never more than twice as many files as workers are under way or
        waiting to be taken. Leaving the loop early kills what is still being read.
        """
        self._start_threads()
        done: _Done = queue.SimpleQueue()
        waiting = iter(sources)
        under_way = 0
        more = True
        try:
            while more or under_way:
                while more and under_way < 2 * len(self._workers):
                    source = next(waiting, None)
                    if source is None:
                        more = False
                        break
                    self._jobs.put((source, self._folder_for(source), done))
                    under_way += 1
                if under_way:
                    source, outcome = done.get()
                    under_way -= 1
                    if not isinstance(outcome, ReadResult | UnreadableFileError):
                        raise outcome
                    yield source, outcome
        finally:
            self._abandon(done, under_way)

    def cancel(self) -> None:
        """From another thread: kill what is being read; those files come back as ReaderStoppedError."""
        for worker in self._workers:
            worker.cancel()

    def _start_threads(self) -> None:
        """One thread for each worker, as long as the pool lives: the kernel kills a worker when the thread
        that spawned it ends (PR_SET_PDEATHSIG)."""
        if not self._threads:
            self._threads = [
                threading.Thread(target=_serve, args=(worker, self._jobs), daemon=True) for worker in self._workers
            ]
            for thread in self._threads:
                thread.start()

    def _abandon(self, done: "_Done", under_way: int) -> None:
        """Nobody wants what is still being read: kill it, and leave the workers fit for the next run."""
        if not under_way:
            return
        for worker in self._workers:
            worker.cancel()
        for _ in range(under_way):
            _, outcome = done.get()
            if isinstance(outcome, ReadResult):
                shutil.rmtree(outcome.folder, ignore_errors=True)
        for worker in self._workers:
            worker.allow()

    def _folder_for(self, source: SourceFile) -> Path:
        """`spool/<content hash>`; the same bytes met twice get a folder each."""
        count = self._names.get(source.content_hash, 0)
        self._names[source.content_hash] = count + 1
        return self.spool / (source.content_hash + (f"-{count}" if count else ""))


_Done = queue.SimpleQueue[tuple[SourceFile, Outcome | BaseException]]
_Job = tuple[SourceFile, Path, _Done]


def _serve(worker: "_Worker", jobs: "queue.SimpleQueue[_Job | None]") -> None:
    for source, folder, done in iter(jobs.get, None):
        try:
            done.put((source, worker.read(source, folder)))
        except BaseException as error:  # noqa: BLE001  # handed to the thread that iterates
            done.put((source, error))


class _Stopped(Exception):  # noqa: N818  # never leaves this module
    """The worker was killed or died; the message is the reason for a person."""


class _Died(_Stopped):
    """It was not us who ended it."""


class _Worker:
    """One process and the pipes to it; used by one thread at a time, cancelled from any.

    Starting a process and cancelling take turns (`_turn`): a cancel finds either a process that it can kill, or a
    worker that will see the cancel before it starts one. Without it a cancel that came while a process was being
    started found nothing to kill, and the parser ran until its time was up.
    """

    def __init__(self, pool: ReaderPool) -> None:
        self._pool = pool
        self._process: subprocess.Popen[bytes] | None = None
        self._pipes: _Pipes | None = None
        self._files = 0
        self._cancelled = False
        self._turn = threading.Lock()

    def read(self, source: SourceFile, folder: Path) -> Outcome:
        """Everything that can be wrong with the file or its parser comes back as a value."""
        limits = self._pool.limits
        if self._cancelled:
            return ReaderStoppedError(_CANCELLED)
        if source.size_bytes > limits.max_file_bytes:
            size, limit = source.size_bytes // MEGABYTE, limits.max_file_bytes // MEGABYTE
            return FileTooLargeError(f"the file is {size:,} MB, the limit is {limit:,} MB")
        try:
            outcome = self._ask(source, folder)
        except _Died as died:
            outcome = self._ask_afresh(source, folder, died) if self._files else self._stopped(died)
        except _Stopped as stopped:
            outcome = self._stopped(stopped)
        if isinstance(outcome, UnreadableFileError):
            shutil.rmtree(folder, ignore_errors=True)
        return outcome

    def _ask_afresh(self, source: SourceFile, folder: Path, died: "_Died") -> Outcome:
        """A worker that has read other files may have died of them, or been killed while it was idle."""
        failure = self._stopped(died)
        if self._cancelled:
            return failure
        try:
            return self._ask(source, folder)
        except _Stopped as stopped:
            return self._stopped(stopped)

    def _stopped(self, reason: "_Stopped") -> ReaderStoppedError:
        self.stop()
        return ReaderStoppedError(str(reason))

    def _ask(self, source: SourceFile, folder: Path) -> Outcome:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        pipes = self._running()
        pipes.send({"path": str(source.path), "folder": str(folder)})
        started, pages = time.monotonic(), 0
        limits = self._pool.limits
        while True:
            allowed = limits.seconds_for(source.size_bytes, pages)
            message = pipes.receive(allowed, since=started)
            if "page" not in message:
                break
            pages += 1
        self._files += 1
        outcome = self._outcome(message, folder)
        if self._files >= _FILES_PER_WORKER or pipes.memory() > limits.recycle_memory_bytes:
            self.stop()
        return outcome

    def _outcome(self, message: dict[str, Any], folder: Path) -> Outcome:
        try:
            if "error" in message:
                return _error(message)
            reading = reading_from_json(message["reading"], folder)
            pixels = _load_pixels(folder, message["pixels"], self._pool.preprocess.size)
        except (ValueError, TypeError, KeyError, OSError, AttributeError) as error:
            raise _Stopped(f"the parser gave an answer that makes no sense ({error})") from error
        return ReadResult(reading=reading, folder=folder, pixels=pixels)

    def _running(self) -> "_Pipes":
        if self._process is not None and self._pipes is not None and self._process.poll() is None:
            return self._pipes
        self.stop()
        home = self._pool.spool / ".workers" / str(id(self))
        shutil.rmtree(home, ignore_errors=True)  # what a killed parser left half written
        (home / "tmp").mkdir(parents=True)
        process = self._start(home)
        self._files = 0
        self._pipes = _Pipes(process, self._pool.limits)
        self._pipes.send(
            {
                "parent": os.getpid(),
                "limits": self._pool.limits.to_json(),
                "preprocess": asdict(self._pool.preprocess),
            }
        )
        self._pipes.receive(_START_SECONDS, since=time.monotonic())
        return self._pipes

    def _start(self, home: Path) -> "subprocess.Popen[bytes]":
        """A process that leads its own session. Raises _Stopped when a cancel came first."""
        with self._turn:
            if self._cancelled:
                raise _Stopped(_CANCELLED)
            self._process = subprocess.Popen(
                self._pool.program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=home,
                env=_environment(home),
                start_new_session=True,
            )
            return self._process

    def cancel(self) -> None:
        """From another thread: kill what is under way, so that the thread that waits for it goes on."""
        with self._turn:
            self._cancelled = True
            if self._process is not None:
                _kill(self._process)

    def allow(self) -> None:
        """Read files again after `cancel`."""
        self._cancelled = False

    def stop(self) -> None:
        """Kill the process, if there is one; the next file starts a fresh one."""
        process, self._process, self._pipes = self._process, None, None
        if process is None:
            return
        _kill(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()


class _Pipes:
    """Lines to and from one worker, with the deadline, the memory watch and the last words on stderr."""

    def __init__(self, process: subprocess.Popen[bytes], limits: ReadLimits) -> None:
        self._process = process
        self._limits = limits
        self._watched = psutil.Process(process.pid)
        self._answer = bytearray()
        self._complaint = b""
        self._selector = selectors.DefaultSelector()
        for pipe, is_answer in ((process.stdout, True), (process.stderr, False)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe.fileno(), selectors.EVENT_READ, data=is_answer)

    def send(self, message: dict[str, Any]) -> None:
        """One line; a worker that is gone raises _Died."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise _Died(self._obituary()) from error

    def receive(self, seconds: float, *, since: float) -> dict[str, Any]:
        """The next line; raises _Stopped when the time since `since` is up or a limit is passed,
        _Died when there is nobody left to answer.
        """
        deadline = since + seconds
        next_look = time.monotonic() + _POLL_SECONDS
        looks = 0
        while b"\n" not in self._answer:
            now = time.monotonic()
            if now >= deadline:
                raise _Stopped(f"its parser did not finish in the {seconds:.0f} s it has and was stopped")
            if now >= next_look:
                looks += 1
                self._check_memory(with_children=looks % 5 == 0)
                next_look = now + _POLL_SECONDS
            for key, _ in self._selector.select(max(0.0, min(_POLL_SECONDS, deadline - now))):
                self._take(key.fd, is_answer=key.data)
        line, _, rest = self._answer.partition(b"\n")
        self._answer = rest
        try:
            message = json.loads(line)
        except ValueError as error:
            raise _Stopped("the parser gave an answer that makes no sense") from error
        if not isinstance(message, dict):
            raise _Stopped("the parser gave an answer that makes no sense")
        return message

    def memory(self) -> int:
        """Resident bytes of the worker alone; 0 when it is gone."""
        try:
            return int(self._watched.memory_info().rss)
        except psutil.Error:
            return 0

    def _take(self, descriptor: int, *, is_answer: bool) -> None:
        data = os.read(descriptor, 1 << 20)
        if not is_answer:
            self._complaint = (self._complaint + data)[-4000:]
            if not data:
                self._selector.unregister(descriptor)
            return
        if not data:
            raise _Died(self._obituary())
        self._answer += data
        limit = 12 * self._limits.max_text_characters
        if len(self._answer) > limit:
            raise _Stopped(f"its parser answered with more than {limit // MEGABYTE} MB and was stopped")

    def _check_memory(self, *, with_children: bool) -> None:
        used = self.memory()
        if with_children:
            with contextlib.suppress(psutil.Error):
                for child in self._watched.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        used += child.memory_info().rss
        if used > self._limits.max_memory_bytes:
            limit = self._limits.max_memory_bytes // MEGABYTE
            raise _Stopped(f"its parser took {used // MEGABYTE} MB of memory, the limit is {limit} MB")

    def _obituary(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._hear_the_last_words()
        code = self._process.returncode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"its parser died ({signal.Signals(-code).name})"
        last = self._complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
        return f"its parser died (exit {code}{': ' + last[0][:200] if last else ''})"

    def _hear_the_last_words(self) -> None:
        """The end of the answers may be noticed before the complaint that was written first."""
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):  # nothing more yet, or closed
            while data := os.read(self._process.stderr.fileno(), 1 << 20):
                self._complaint = (self._complaint + data)[-4000:]


def _error(message: Mapping[str, Any]) -> UnreadableFileError:
    kind = getattr(errors, str(message["error"]), UnreadableFileError)
    if not (isinstance(kind, type) and issubclass(kind, UnreadableFileError)):
        kind = UnreadableFileError
    return kind(" ".join(str(message["reason"]).split())[:400])


def _load_pixels(folder: Path, names: object, size: int) -> dict[str, Pixels]:
    """The squares that the worker wrote, mapped into memory (the file itself is deleted)."""
    if not isinstance(names, list):
        raise TypeError("no list of prepared pictures")
    if not names:
        return {}
    keys = [PICTURE if name == PICTURE else image_name(name) for name in names]
    path = folder / PIXELS_FILE
    if path.stat().st_size != len(keys) * size * size * 3:
        raise ValueError("prepared pixels of another size than asked for")
    squares_NHWC = np.memmap(path, np.uint8, "r", shape=(len(keys), size, size, 3))
    path.unlink()
    pixels: dict[str, Pixels] = dict(zip(keys, np.asarray(squares_NHWC), strict=True))
    if PICTURE in pixels:
        pixels[THUMB] = pixels[PICTURE]
    return pixels


def _environment(home: Path) -> dict[str, str]:
    """What a parser needs to run and nothing that is secret: no keys, no proxies, no addresses."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT") or name.startswith("LC_")
    }
    return kept | {
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "PYTHONUTF8": "1",
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": str(64 * MEGABYTE),  # a decoded photograph's memory serves the next one
        "MALLOC_TRIM_THRESHOLD_": str(64 * MEGABYTE),
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "SCARF_NO_ANALYTICS": "1",
        "UNSTRUCTURED_DISABLE_NOTICE": "1",
    }


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """The whole session that the worker leads: what it started goes with it."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
