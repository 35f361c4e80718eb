"""One worker process (`worker.py`) and the pipes to it, watched while it reads.

The protocol is lines of JSON (`messages.py`). A process that takes more time or memory than a file may, answers too
much or dies is killed with everything that it started, and the next file starts a fresh one. When that happens inside a
part of the file, such as a letter's attachment, the file is read again without it (`LeftOut`): a letter's own words are
kept, with a note on what was left out.

Of a pool's processes only one at a time may be large. Another that becomes so is made to stand still (SIGSTOP) until
the first has finished its file; that time does not count as its own.
"""

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

import indexing.readers
from indexing.embedding.protocol import Preprocess
from indexing.errors import FileTooLargeError, ReaderStoppedError, UnreadableFileError, pass_on
from indexing.readers.output import KEPT_PAGES, LeftOut
from indexing.records import SourceFile
from indexing.settings import MEGABYTE, ReadLimits
from indexing.workers.messages import Outcome, outcome_of

_POLL_SECONDS = 0.2
_START_SECONDS = 60.0
_CANCELLED = "reading was cancelled"
_NO_SENSE = "the parser gave an answer that makes no sense"
_LAST_BYTES = 4_000
"""So much of what a worker wrote to stderr is kept, for the reason when it dies."""
_FILES_PER_WORKER = 2_000
"""A worker is replaced after so many files: what a parser leaks goes with it."""


class _WorkerStoppedError(Exception):
    """The process was killed or died; the message is the reason for a person. Never leaves this module."""


class _WorkerDiedError(_WorkerStoppedError):
    """It was not us who ended it."""


class WorkerProcess:
    """Reads one file after another; used by one thread at a time, cancelled from any.

    Starting a process and cancelling take turns (`_turn`): a cancel finds either a process that it can kill, or a
    worker that will see the cancel before it starts one. Without it a cancel that came while a process was being
    started found nothing to kill, and the parser ran until its time was up.
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        limits: ReadLimits,
        preprocess: Preprocess,
        scratch: Path,
        large: threading.Lock,
    ) -> None:
        """`program` speaks the protocol of `worker.py`; `scratch` is emptied whenever a process starts. `large` is held
        for the one process of a pool that may be large."""
        self._program = program
        self._limits = limits
        self._preprocess = preprocess
        self._scratch, self._large = scratch, large
        self._process: subprocess.Popen[bytes] | None = None
        self._pipes: _Pipes | None = None
        self._files = 0  # that the present process has read
        self._part = 0  # of the file that is being read; 0 while the parser is in none
        self._cancelled = False
        self._turn = threading.Lock()
        self.reading, self.pages = "", (0, 0)
        """Name of the file that is being read, its pages done, and how many there are (0: nobody knows)."""

    def read(self, source: SourceFile, folder: Path) -> Outcome:
        """Everything that can be wrong with the file or its parser comes back as a value."""
        if self._cancelled:
            return ReaderStoppedError(_CANCELLED)
        if source.size_bytes > self._limits.max_file_bytes:
            size, limit = source.size_bytes // MEGABYTE, self._limits.max_file_bytes // MEGABYTE
            return FileTooLargeError(f"the file is {size:,} MB, the limit is {limit:,} MB")
        self.reading = source.path.name
        try:
            outcome = self._read(source, folder)
        finally:
            self.reading, self.pages = "", (0, 0)
        if isinstance(outcome, UnreadableFileError):
            drop(folder, keep_pages=self._cancelled)
        return outcome

    def _read(self, source: SourceFile, folder: Path) -> Outcome:
        """Ask until there is an answer, or nothing more that could be left out."""
        left_out = LeftOut()
        while True:
            try:
                outcome = self._ask(source, folder, left_out)
                if not isinstance(outcome, ReaderStoppedError):
                    return outcome
                failure, is_worth_another = outcome, False
            except _WorkerStoppedError as stopped:
                failure = ReaderStoppedError(str(stopped))
                # a process that has read other files may have died of them, or been killed while it was idle
                is_worth_another = isinstance(stopped, _WorkerDiedError) and self._files > 0
            self.stop()
            if self._cancelled:
                return failure
            if not is_worth_another:
                fewer = left_out.without(self._part, failure.reason)
                if fewer is None:
                    return failure
                left_out = fewer

    def _ask(self, source: SourceFile, folder: Path, left_out: LeftOut) -> Outcome:
        """One attempt. Raises _WorkerStoppedError; a full or failing disk is an OSError, which ends the run."""
        self._part = 0
        drop(folder, keep_pages=True)
        folder.mkdir(parents=True, exist_ok=True)
        pipes = self._running()
        pipes.send({"path": str(source.path), "folder": str(folder), "left_out": left_out.to_json()})
        try:
            answer = self._answer(pipes, source.size_bytes)
        finally:
            pipes.finished()
        self._files += 1
        try:
            outcome = outcome_of(answer, folder, size=self._preprocess.size)
        except (ValueError, TypeError, KeyError, OSError, AttributeError) as error:
            pass_on(error)  # the disk's fault is not the parser's
            raise _WorkerStoppedError(f"{_NO_SENSE} ({error})") from error
        if self._files >= _FILES_PER_WORKER or pipes.memory() > self._limits.large_memory_bytes:
            self.stop()
        return outcome

    def _answer(self, pipes: "_Pipes", size_bytes: int) -> dict[str, Any]:
        """The last message about a file. On the way, pages extend its time, and the part under way is remembered."""
        started, pages = time.monotonic(), 0
        while True:
            message = pipes.receive(self._limits.seconds_for(size_bytes, pages), since=started)
            if "page" in message:
                pages += 1
                self.pages = _number(message["page"]), _number(message.get("of", 0))
            elif "part" in message:
                self._part = _number(message["part"])
            else:
                return message

    def _running(self) -> "_Pipes":
        """The pipes to the process, which is started where there is none."""
        if self._process is not None and self._pipes is not None and self._process.poll() is None:
            return self._pipes
        self.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)  # what a killed parser left half written
        (self._scratch / "tmp").mkdir(parents=True)
        process = self._start()
        self._files = 0
        self._pipes = _Pipes(process, self._limits, self._large)
        self._pipes.send(
            {
                "parent": os.getpid(),
                "limits": self._limits.to_json(),
                "preprocess": asdict(self._preprocess),
                "readers": list(indexing.readers.__path__),
            }
        )
        self._pipes.receive(_START_SECONDS, since=time.monotonic())
        return self._pipes

    def _start(self) -> "subprocess.Popen[bytes]":
        """A process that leads its own session. Raises _WorkerStoppedError when a cancel came first."""
        with self._turn:
            if self._cancelled:
                raise _WorkerStoppedError(_CANCELLED)
            self._process = subprocess.Popen(
                self._program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._scratch,
                env=_environment(self._scratch),
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
    """Lines to and from one process; watches its time and memory, and keeps the end of its stderr."""

    def __init__(self, process: subprocess.Popen[bytes], limits: ReadLimits, large: threading.Lock) -> None:
        self._process = process
        self._limits = limits
        self._large, self._is_large = large, False
        self._stood_still = 0.0  # seconds of the present file
        self._watched = psutil.Process(process.pid)
        self._answer = bytearray()
        self._stderr = b""
        self._selector = selectors.DefaultSelector()
        for pipe, is_answer in ((process.stdout, True), (process.stderr, False)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe.fileno(), selectors.EVENT_READ, data=is_answer)

    def send(self, message: dict[str, Any]) -> None:
        """One line; a worker that is gone raises _WorkerDiedError."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise _WorkerDiedError(self._how_it_ended()) from error

    def receive(self, seconds: float, *, since: float) -> dict[str, Any]:
        """The next line. Raises _WorkerStoppedError when so many seconds have passed since `since` or another limit is
        passed, _WorkerDiedError when the process has ended."""
        next_look = time.monotonic() + _POLL_SECONDS
        looks = 0
        while b"\n" not in self._answer:
            now, deadline = time.monotonic(), since + seconds + self._stood_still
            if now >= deadline:
                raise _WorkerStoppedError(f"its parser did not finish in the {seconds:.0f} s it has and was stopped")
            if now >= next_look:
                looks += 1
                self._check_memory(with_children=looks % 5 == 0)
                next_look = time.monotonic() + _POLL_SECONDS
            for key, _ in self._selector.select(max(0.0, min(_POLL_SECONDS, deadline - now))):
                self._take(key.fd, is_answer=key.data)
        line, _, rest = self._answer.partition(b"\n")
        self._answer = rest
        try:
            message = json.loads(line)
        except ValueError as error:
            raise _WorkerStoppedError(_NO_SENSE) from error
        if not isinstance(message, dict):
            raise _WorkerStoppedError(_NO_SENSE)
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
            self._stderr = (self._stderr + data)[-_LAST_BYTES:]
            if not data:
                self._selector.unregister(descriptor)
            return
        if not data:
            raise _WorkerDiedError(self._how_it_ended())
        self._answer += data
        limit = 12 * self._limits.max_text_characters
        if len(self._answer) > limit:
            raise _WorkerStoppedError(f"its parser answered with more than {limit // MEGABYTE} MB and was stopped")

    def _check_memory(self, *, with_children: bool) -> None:
        used = self.memory()
        if with_children:
            with contextlib.suppress(psutil.Error):
                for child in self._watched.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        used += child.memory_info().rss
        if used > self._limits.max_memory_bytes:
            limit = self._limits.max_memory_bytes // MEGABYTE
            raise _WorkerStoppedError(f"its parser took {used // MEGABYTE} MB of memory, the limit is {limit} MB")
        if used > self._limits.large_memory_bytes and not self._is_large:
            self._wait_to_be_large()

    def _wait_to_be_large(self) -> None:
        """Stand still while another process is large, or until somebody kills this one."""
        self._is_large = self._large.acquire(blocking=False)
        if self._is_large:
            return
        began = time.monotonic()
        _signal(self._process, signal.SIGSTOP)
        while not self._is_large and self._process.poll() is None:
            self._is_large = self._large.acquire(timeout=_POLL_SECONDS)
        _signal(self._process, signal.SIGCONT)
        self._stood_still += time.monotonic() - began

    def finished(self) -> None:
        """The file has been read, or will not be: another process may be large now."""
        self._stood_still = 0.0
        if self._is_large:
            self._is_large = False
            self._large.release()

    def _how_it_ended(self) -> str:
        """The signal or exit status of a process that is gone, and the last line that it wrote to stderr."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._read_rest_of_stderr()
        code = self._process.returncode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"its parser died ({signal.Signals(-code).name})"
        last = self._stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return f"its parser died (exit {code}{': ' + last[0][:200] if last else ''})"

    def _read_rest_of_stderr(self) -> None:
        """The end of stdout may be noticed before what was written to stderr ahead of it."""
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):  # nothing more yet, or closed
            while data := os.read(self._process.stderr.fileno(), 1 << 20):
                self._stderr = (self._stderr + data)[-_LAST_BYTES:]


def drop(folder: Path, *, keep_pages: bool) -> None:
    """Delete what a reader wrote; `keep_pages`: unless another attempt goes on with it."""
    if not (keep_pages and (folder / KEPT_PAGES).is_file()):
        shutil.rmtree(folder, ignore_errors=True)


def _number(value: object) -> int:
    """Raises _WorkerStoppedError for what is no number."""
    if isinstance(value, int) and value >= 0:
        return value
    raise _WorkerStoppedError(_NO_SENSE)


def _environment(home: Path) -> dict[str, str]:
    """What a parser needs to run and nothing that is secret: no keys, no proxies, no addresses."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "TESSDATA_PREFIX") or name.startswith("LC_")
    }
    return kept | {
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "PYTHONUTF8": "1",
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": "1",
        "OMP_THREAD_LIMIT": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": str(8 * MEGABYTE),  # not OCR's largest tensors
        "MALLOC_TRIM_THRESHOLD_": str(64 * MEGABYTE),
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "SCARF_NO_ANALYTICS": "1",
        "UNSTRUCTURED_DISABLE_NOTICE": "1",
    }


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """What the worker started goes with it."""
    _signal(process, signal.SIGKILL)


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """To the whole session that the worker leads."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
