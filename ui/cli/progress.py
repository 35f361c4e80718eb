"""Progress on stderr: a line that rewrites itself in a terminal, plain lines every few seconds elsewhere.

Both say the same words: what was done, how fast, and how long the rest takes. In a terminal rich draws them, with a
bar where there is room for one; nothing else in Llavero imports rich.
"""

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

from ui import wording
from ui.cli.terminal import duration, printable, size
from ui.documents import Document

if TYPE_CHECKING:
    from rich.live import Live

    from llava_model.kits import InstallProgress

PLAIN_LINE_EVERY_SECONDS = 5.0
_REDRAW_EVERY_SECONDS = 0.1
_BAR_WIDTH = 20
_NARROW = 100  # columns; a terminal that has fewer shows the words alone


class ProgressLine:
    """One line of progress. As a context manager it ends the line on the way out, whatever happened.

    Lines that come sooner than `every_seconds` after the one before are left out where no terminal shows them; so is
    what is said in the first `every_seconds`, unless `at_once`. A `quiet` line shows nothing.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        every_seconds: float = PLAIN_LINE_EVERY_SECONDS,
        at_once: bool = False,
        quiet: bool = False,
    ) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal, self._quiet = self._stream.isatty(), quiet
        self._every_seconds = _REDRAW_EVERY_SECONDS if self._is_terminal else every_seconds
        self._shown_at = -self._every_seconds if at_once or self._is_terminal else time.monotonic()
        self._live: Live | None = None
        self._step: object = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, words: str, *, share: float | None = None, final: bool = False) -> None:
        """Show `words`, with a bar for the `share` that is done; `final` ends the line and is always shown."""
        now = time.monotonic()
        if self._quiet or (not final and now - self._shown_at < self._every_seconds):
            return
        self._shown_at = now
        words = printable(words).replace("\n", " ")
        if not self._is_terminal:
            print(words, file=self._stream, flush=True)
            return
        self._draw(words, share)
        if final:
            self.close()

    def count(self, done: int, total: int, what: str) -> None:
        """Show `120 of 3,000 answers · 2.1 answers/s · 23 min 10 s left`. The rate leaves out what earlier runs did."""
        self.step(what, done)
        words = f"{done:,} of {total:,} {what}"
        if rate := self.rate(done):
            words += f" · {rate:.1f} {what}/s · {duration((total - done) / rate)} left"
        self.show(words, share=done / total if total else None, final=done == total)

    def tell(self, words: str) -> None:
        """Print a sentence above the line of progress, where it stays."""
        if self._quiet:
            return
        if self._live is None:
            print(printable(words), file=self._stream, flush=True)
        else:
            self._live.console.print(printable(words), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """End a line that is still being rewritten, so that what is printed next stands below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    # -- how fast ----------------------------------------------------------------------------------------------------

    def step(self, name: object, done: float = 0) -> bool:
        """Begin a new line if the step has a new name → whether it has. `done` of the step was done before this run."""
        if name == self._step:
            return False
        self.close()
        self._step = name
        self.start(done)
        return True

    def start(self, done: float = 0) -> None:
        """Count the rate from now on."""
        self._began, self._done_before = time.monotonic(), done

    def rate(self, done: float) -> float:
        """How much is done in a second; 0 until that can be told."""
        seconds, new = time.monotonic() - self._began, done - self._done_before
        return new / seconds if new > 0 and seconds > 1 else 0.0

    # -- rich --------------------------------------------------------------------------------------------------------

    def _draw(self, words: str, share: float | None) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if self._live is None:
            console = Console(file=self._stream, force_terminal=True)
            self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
            self._live.start()
            console.show_cursor()  # because a killed run could not show it again
        line = Table.grid(padding=(0, 1))
        parts: list[ProgressBar | Text] = [Text(words, no_wrap=True, overflow="ellipsis")]
        if share is not None and self._live.console.width >= _NARROW:
            parts.insert(0, ProgressBar(total=1.0, completed=share, width=_BAR_WIDTH))
        line.add_row(*parts)
        self._live.update(line, refresh=True)


def show_index(line: ProgressLine, progress: Document) -> None:
    """A run over files: `412 of 1,020 files · 38.1 files/s · 16 s left · harbour.jpg`."""
    done, found, walked = progress["done"], progress["found"], progress["walked"]
    parts = [f"{done:,} of {found:,}{'' if walked else '+'} files"]
    if progress["files_per_second"]:
        parts.append(f"{progress['files_per_second']:.1f} files/s")
    if progress["seconds_left"] is not None:
        parts.append(f"{duration(progress['seconds_left'])} left")
    if download := progress.get("download"):
        parts.append(f"{wording.shown(download['name'])}: {size(download['bytes'])} of {size(download['of'])} here")
    elif progress["current"]:
        parts.append(wording.shown(progress["current"]))
    if progress.get("pages"):
        parts.append(f"page {progress['pages_done']:,} of {progress['pages']:,}")
    line.show(" · ".join(parts), share=done / found if walked and found else None)


def show_install(line: ProgressLine, progress: "InstallProgress") -> None:
    """A kit's installation, a line for each step: `vision: download 8.1 MB of 17.4 MB · 2.1 MB/s · 4 s left`."""
    new = line.step((progress.component, progress.step), progress.done_bytes)
    words = f"{progress.component}: {progress.step}"
    if progress.total_bytes:
        words += f" {size(progress.done_bytes)} of {size(progress.total_bytes)}"
    if progress.message:
        words += f" · {progress.message}"
    if rate := line.rate(progress.done_bytes):
        words += f" · {size(rate)}/s · {duration((progress.total_bytes - progress.done_bytes) / rate)} left"
    share = progress.done_bytes / progress.total_bytes if progress.total_bytes else None
    line.show(words, share=share, final=new and progress.step == "done")
