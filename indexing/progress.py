"""How far an indexing run is, and how fast: counted as files are done, and told from what the last seconds did."""

import time
from collections import Counter
from dataclasses import dataclass, field

from indexing.discover import Failure
from indexing.sources.remote import Download

_RATE_SECONDS = 20.0
"""The rate of a run is that of so many seconds before now."""
_MANY_PAGES = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a run is; counts files, those already known included."""

    done: int
    found: int
    walked: bool  # the folders are counted to their end, `found` does not grow any more
    current: str  # name of the file that is at work, or was finished last
    files_per_second: float
    seconds_left: float | None  # None before there is anything to tell it from
    download: Download | None = None  # a file that is on its way from elsewhere
    pages_done: int = 0  # of `current`, where it is a long document that is being read
    pages: int = 0


@dataclass(kw_only=True, slots=True)
class RunCounts:
    """What happened so far, and how fast."""

    started: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    found: int = 0
    walked: bool = False
    download: Download | None = None
    marks: list[tuple[float, int]] = field(default_factory=list)

    def progress(self, current: str, long_file: tuple[str, int, int] = ("", 0, 0)) -> Progress:
        """The state now, with the rate of the last seconds. A `long_file` is told with its pages: (name, done, all)."""
        name, pages_done, pages = long_file
        is_long = pages >= _MANY_PAGES
        now, done = time.monotonic(), self.counts.total() - self.counts["removed"]
        self.marks = [mark for mark in self.marks if now - mark[0] < _RATE_SECONDS] or [(self.started, 0)]
        since, before = self.marks[0]
        rate = (done - before) / (now - since) if now > since else 0.0
        self.marks.append((now, done))
        left = max(0, self.found - done) / rate if self.walked and rate > 0 else None
        return Progress(
            done=done,
            found=max(self.found, done),
            walked=self.walked,
            current=name if is_long else current,
            files_per_second=rate,
            seconds_left=left,
            download=self.download,
            pages_done=pages_done if is_long else 0,
            pages=pages if is_long else 0,
        )
