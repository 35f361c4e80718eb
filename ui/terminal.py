"""How results, progress and errors look in a terminal: results on stdout, the rest on stderr.

Text that came from a file or a model is printed without control characters, so that it cannot move the
cursor, change the title or hide what stands before it.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from indexing.pipeline import IndexReport, Progress
    from indexing.records import Hit

_PLAIN_LINE_EVERY_SECONDS = 5.0
_TEXT_WIDTH = 160


def printable(text: str) -> str:
    """Without control characters other than newline and tab (terminal escape sequences start with one)."""
    return "".join(c for c in text if c in "\n\t" or ((c.isprintable() or not c.isascii()) and c not in _C1_AND_BIDI))


_C1_AND_BIDI = frozenset(chr(c) for c in (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def say(text: str = "") -> None:
    """One result line on stdout."""
    print(printable(text), flush=True)


def tell(text: str) -> None:
    """One line for the person on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def say_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Exactly one JSON document on stdout."""
    print(json.dumps(document, ensure_ascii=False, indent=2), flush=True)


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(size_bytes: float) -> str:
    """`512 B`, `1.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000 or unit == "GB":
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    raise AssertionError("the loop returns at GB")


class ProgressLine:
    """One line that rewrites itself on a terminal; elsewhere a plain line every few seconds."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._quiet = quiet
        self._last_time = time.monotonic() if not self._live else 0.0
        self._last_width = 0

    def show(self, text: str, *, final: bool = False) -> None:
        """Draw `text`; `final` ends the line (plain output prints it always)."""
        if self._quiet:
            return
        now = time.monotonic()
        interval = 0.1 if self._live else _PLAIN_LINE_EVERY_SECONDS
        if not final and now - self._last_time < interval:
            return
        self._last_time = now
        text = printable(text).replace("\n", " ")
        if self._live:
            self._stream.write("\r" + text[:200].ljust(self._last_width) + ("\n" if final else ""))
            self._last_width = 0 if final else min(len(text), 200)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        """End a line that is still being rewritten."""
        if self._live and self._last_width:
            self._stream.write("\n")
            self._last_width = 0


def location(path: str, page: int | None) -> str:
    """`/docs/manual.pdf, page 3`."""
    return f"{path}, page {page}" if page else path


def shorten(text: str, width: int = _TEXT_WIDTH) -> str:
    """One line of at most `width` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def hit_line(number: int, hit: "Hit") -> str:
    """A hit for people: number, place, why it is here, and how it begins."""
    ranks = " ".join(f"{channel}#{rank.rank}" for channel, rank in hit.channels.items())
    head = f"{number:2d}. {location(hit.chunk.path, hit.chunk.page)}  [{hit.chunk.kind}; {ranks}]"
    return f"{head}\n    {shorten(hit.chunk.text)}" if hit.chunk.text else head


def index_progress_line(progress: "Progress") -> str:
    """`412 of 1,020 files · 38.1 files/s · 16 s left · harbour.jpg`."""
    parts = [f"{progress.done:,} of {progress.found:,}{'' if progress.walked else '+'} files"]
    if progress.files_per_second:
        parts.append(f"{progress.files_per_second:.1f} files/s")
    if progress.seconds_left is not None:
        parts.append(f"{duration(progress.seconds_left)} left")
    if progress.current:
        parts.append(progress.current)
    return " · ".join(parts)


def report_lines(report: "IndexReport") -> list[str]:
    """What an indexing run did, with every failed file and its reason."""
    lines = [
        f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, {report.removed} removed, "
        f"{report.failed} failed; {report.chunks} chunks in {duration(report.seconds)}"
    ]
    lines += [f"failed: {failure.path}: {failure.reason}" for failure in report.failures]
    return lines
