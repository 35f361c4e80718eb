"""The real `llavero` command as a process: its words, its exit code, the memory of it and all it started."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
from traps import Traps

LLAVERO = Path(sys.executable).with_name("llavero")
_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """A command that has ended. `code` is None where it had to be stopped."""

    code: int | None
    out: str
    err: str
    memory: "MemoryWatch"
    seconds: float

    def faults(self, *codes: int) -> list[str]:
        """What no command may do, whatever it was given."""
        found = []
        if self.code is None:
            found.append(f"it had not ended after {self.seconds:.0f} s")
        elif self.code not in codes:
            found.append(f"exit code {self.code} instead of {' or '.join(map(str, codes))}: {self.err.strip()[-300:]}")
        if "Traceback (most recent call last)" in self.err:
            found.append(f"a traceback: {self.err.strip().splitlines()[-1][:300]}")
        return found


def llavero(*words: str | Path, traps: Traps, timeout_seconds: float = 240, **environment: str) -> Ran:
    """Run it to its end."""
    began = time.monotonic()
    with started(*words, traps=traps, **environment) as process, MemoryWatch(process.pid) as memory:
        try:
            out, err = process.communicate(timeout=timeout_seconds)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            kill(process)
            out, err = process.communicate()
            code = None
    return Ran(
        code=code,
        out=out.decode(errors="surrogateescape"),
        err=err.decode(errors="surrogateescape"),
        memory=memory,
        seconds=time.monotonic() - began,
    )


@contextmanager
def started(
    *words: str | Path, traps: Traps, output: IO[bytes] | None = None, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of its own session, which is gone when the block ends. `output` takes what it says, else two pipes."""
    process = subprocess.Popen(
        [LLAVERO, *words],
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=output or subprocess.PIPE,
        env=traps.environment(**environment),
        cwd=traps.folder,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            kill(process)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """`kill -9` for it and its session; the readers' own sessions end with their parent."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class MemoryWatch:
    """The most memory that a process and all below it held at one moment: pages that they share count once (PSS).
    `parts` is what each of them held then, the process itself first."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self.parts: tuple[int, ...] = ()
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def __str__(self) -> str:
        parts = " + ".join(f"{part / 1e9:.2f}" for part in self.parts)
        return f"{self.peak_bytes / 1e9:.2f} GB ({parts})"

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            tree = self._tree()
            if sum(map(_resident_bytes, tree)) > self.peak_bytes:  # an upper bound that costs nothing to ask
                held = tuple(map(_held_bytes, tree))
                if sum(held) > self.peak_bytes:
                    self.peak_bytes, self.parts = sum(held), held

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.Error:
            return []


def _resident_bytes(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _held_bytes(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    return 0
