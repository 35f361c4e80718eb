"""Progress of a countable run on one line: `120 of 3,000 answers · 2.1 answers/s · 23 min 10 s left`."""

import time

from ui import terminal


class RateLine:
    """What was done before this run began counts as done, but not for the rate."""

    def __init__(self, what: str) -> None:
        self._what, self._line = what, terminal.ProgressLine()
        self._began, self._before = time.monotonic(), -1

    def show(self, done: int, total: int) -> None:
        """`done` of `total`, earlier runs included."""
        if self._before < 0:
            self._before, self._began = done, time.monotonic()
        text = f"{done:,} of {total:,} {self._what}"
        seconds, new = time.monotonic() - self._began, done - self._before
        if new and seconds > 1:
            rate = new / seconds
            text += f" · {rate:.1f} {self._what}/s · {terminal.duration((total - done) / rate)} left"
        self._line.show(text, final=done == total)

    def close(self) -> None:
        """End a line that is still being rewritten."""
        self._line.close()
