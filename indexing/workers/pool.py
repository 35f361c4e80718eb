"""Parsers in long-lived processes that can be killed.

Each worker process reads one file after another (`process.py` is its parent's side, `worker.py` its own). One that
hangs, grows or dies is killed and replaced, and its file is reported as ReaderStoppedError. Only one worker at a time
may be large.
"""

import queue
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from indexing.embedding.protocol import Preprocess
from indexing.errors import UnreadableFileError
from indexing.records import SourceFile
from indexing.settings import ReadLimits
from indexing.workers.messages import Outcome, ReadResult
from indexing.workers.process import WorkerProcess, drop

__all__ = ["ReadResult", "ReaderPool"]

_SCRATCH = ".workers"


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
        """`spool` is the folder that readers write to; it is created. `program` speaks the protocol of `worker.py`."""
        if workers < 1:
            raise ValueError(f"workers must be at least 1, is {workers}")
        self._spool = spool.resolve()
        large = threading.Lock()
        self._workers = [
            WorkerProcess(
                tuple(program),
                limits=limits,
                preprocess=preprocess,
                scratch=self._spool / _SCRATCH / str(number),
                large=large,
            )
            for number in range(workers)
        ]
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._names: dict[str, int] = {}

    def __enter__(self) -> "ReaderPool":
        self._spool.mkdir(parents=True, exist_ok=True)
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
        shutil.rmtree(self._spool / _SCRATCH, ignore_errors=True)

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

    def under_way(self) -> tuple[str, int, int]:
        """Of the long file that is being read: its name, its pages done, and how many there are (0: nobody knows)."""
        return max(
            ((worker.reading, *worker.pages) for worker in self._workers), key=lambda each: each[1], default=("", 0, 0)
        )

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
                drop(outcome.folder, keep_pages=True)
        for worker in self._workers:
            worker.allow()

    def _folder_for(self, source: SourceFile) -> Path:
        """`spool/<content hash>`; the same bytes met twice get a folder each."""
        count = self._names.get(source.content_hash, 0)
        self._names[source.content_hash] = count + 1
        return self._spool / (source.content_hash + (f"-{count}" if count else ""))


_Done = queue.SimpleQueue[tuple[SourceFile, Outcome | BaseException]]
_Job = tuple[SourceFile, Path, _Done]


def _serve(worker: WorkerProcess, jobs: "queue.SimpleQueue[_Job | None]") -> None:
    for source, folder, done in iter(jobs.get, None):
        try:
            done.put((source, worker.read(source, folder)))
        except BaseException as error:  # noqa: BLE001  # handed to the thread that iterates
            done.put((source, error))
