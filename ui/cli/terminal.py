"""How results, progress and errors look in a terminal: results on stdout, the rest on stderr.

Text that came from a file or a model is printed without control characters, so that it cannot move the
cursor, change the title or hide what stands before it. What Llavero says about a citation stands before the words
that it speaks of: neither a file's name nor a quote can put anything there.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from rag.markdown_tables import as_plain_rows
from ui import safe_text
from ui.faults import sentences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexing.pipeline import FileEntry, IndexReport, Progress
    from indexing.records import Hit
    from llava_model.kits import InstallProgress, Kit
    from rag.answer import Answer, Event
    from rag.citations import Citation
    from rag.retrieve import Retrieval
    from ui.workbench import Stats


_PLAIN_LINE_EVERY_SECONDS = 5.0
_TEXT_WIDTH = 160


def printable(text: str) -> str:
    """Without hidden characters other than newline and tab (terminal escape sequences start with one)."""
    return safe_text.visible(text)


def say(text: str = "") -> None:
    """One result line on stdout."""
    print(printable(text), flush=True)


def tell(text: str) -> None:
    """One line for the person on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def say_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Exactly one JSON document on stdout."""
    print(json_text(document), flush=True)


def json_text(document: Mapping[str, Any] | Sequence[Any]) -> str:
    r"""With letters of all scripts as they are, and hidden characters as `\u202e`."""
    lines = json.dumps(document, ensure_ascii=False, indent=2).split("\n")  # no text in it holds a bare line feed
    return "\n".join(map(safe_text.escaped, lines))


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


def one_line(path: object) -> str:
    """A path that cannot pass for two lines or for words of ours."""
    return safe_text.shown(str(path))


def location(path: str, page: int | None) -> str:
    """`/docs/manual.pdf, page 3`."""
    return f"{one_line(path)}, page {page}" if page else one_line(path)


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
        parts.append(safe_text.shown(progress.current))
    return " · ".join(parts)


def report_lines(report: "IndexReport") -> list[str]:
    """What an indexing run did, with every failed file and its reason."""
    lines = [
        f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, {report.removed} removed, "
        f"{report.failed} failed; {report.chunks} chunks in {duration(report.seconds)}"
    ]
    lines += [f"failed: {one_line(failure.path)}: {failure.reason}" for failure in report.failures]
    return lines


def show_answer(events: "Iterable[Event]", *, stream: bool) -> "Answer":
    """Print an answer (with `stream`), on a terminal as it comes, then its sources; return it whole."""
    from rag.answer import Answer, Retrieved, Token

    live = stream and sys.stdout.isatty()  # a file or a pipe gets what is left after the check, once
    streamed = ""
    for event in events:
        if isinstance(event, Retrieved):
            for note in event.retrieval.notes:
                tell(note)
        elif isinstance(event, Token):
            if live:
                streamed += event.text
                print(printable(event.text), end="", flush=True)
        else:
            assert isinstance(event, Answer)
            if stream:
                _show_end(event, streamed)
            return event
    raise AssertionError("an answer's events end with the answer")


def _show_end(answer: "Answer", streamed: str) -> None:
    """What the check of the answer added or changed, then the sources."""
    written = streamed.strip()
    if answer.text.startswith(written):
        say(answer.text[len(written) :].rstrip())
    else:
        say(f"\n\nChecked against the sources:\n{answer.text}" if written else answer.text)
    for citation in answer.citations:
        say(citation_line(citation))
    seconds = answer.milliseconds["total"] / 1000
    tell(f"({answer.model or 'no model asked'}, {seconds:.1f} s)")


def citation_line(citation: "Citation") -> str:
    """`[1] ✓ /docs/manual.pdf, page 3: “Descale every 200 cups.”`."""
    mark = "✓" if citation.verified else "? not verified:"
    quote = shorten(as_plain_rows(citation.quote))
    return f"  [{citation.marker}] {mark} {location(citation.path, citation.page)}: “{quote}”"


def read_question() -> str:
    """The next question, or "" when the person is done."""
    try:
        return input("\n? " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""


def file_line(entry: "FileEntry") -> str:
    """State, size, chunks, path, and the reason of a failure."""
    line = f"{entry.state:8s} {size(entry.size_bytes):>9s} {entry.chunks:5d} chunks  {one_line(entry.path)}"
    return f"{line}\n         {entry.reason}" if entry.reason else line


def plain(value: object) -> str:
    """A value of a result table in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


class KitProgressLines:
    """An installation as a line per step: `vision: download 8.1 MB of 17.4 MB · 2.1 MB/s · 4 s left`."""

    def __init__(self) -> None:
        self._line = ProgressLine()
        self._step: tuple[str, str] = ("", "")
        self._began = (0.0, 0)

    def show(self, progress: "InstallProgress") -> None:
        """Draw one event; a new step starts a new line."""
        now = time.monotonic()
        step = (progress.component, progress.step)
        new = step != self._step
        if new:
            self._line.close()
            self._step, self._began = step, (now, progress.done_bytes)
        text = f"{progress.component}: {progress.step}"
        if progress.total_bytes:
            text += f" {size(progress.done_bytes)} of {size(progress.total_bytes)}"
        if progress.message:
            text += f" · {progress.message}"
        seconds, done = now - self._began[0], progress.done_bytes - self._began[1]
        if seconds > 1 and done > 0:
            rate = done / seconds
            text += f" · {size(rate)}/s · {duration((progress.total_bytes - progress.done_bytes) / rate)} left"
        self._line.show(text, final=new and progress.step == "done")

    def close(self) -> None:
        """End the line."""
        self._line.close()


def tell_fault(fault: BaseException) -> None:
    """What happened in one line, and below it what to do."""
    message, *notes = sentences(fault)
    tell(f"llavero: {message}")
    for note in notes:
        tell(f"  {note}")


# ---
# Progress of a countable run on one line: `120 of 3,000 answers · 2.1 answers/s · 23 min 10 s left`.
# ---


class RateLine:
    """What was done before this run began counts as done, but not for the rate."""

    def __init__(self, what: str) -> None:
        self._what, self._line = what, ProgressLine()
        self._began, self._before = time.monotonic(), -1

    def show(self, done: int, total: int) -> None:
        """`done` of `total`, earlier runs included."""
        if self._before < 0:
            self._before, self._began = done, time.monotonic()
        text = f"{done:,} of {total:,} {self._what}"
        seconds, new = time.monotonic() - self._began, done - self._before
        if new and seconds > 1:
            rate = new / seconds
            text += f" · {rate:.1f} {self._what}/s · {duration((total - done) / rate)} left"
        self._line.show(text, final=done == total)

    def close(self) -> None:
        """End a line that is still being rewritten."""
        self._line.close()


# ---
# The JSON documents of the command line: plain dictionaries, shapes as documented in docs/CLI.md.
# ---


def report_document(report: "IndexReport") -> dict[str, Any]:
    """What one indexing run did."""
    return {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": report.failed,
        "chunks": report.chunks,
        "seconds": round(report.seconds, 3),
        "failures": [{"path": str(failure.path), "reason": failure.reason} for failure in report.failures],
    }


def hit_document(hit: "Hit") -> dict[str, Any]:
    """One hit; `box` is null where the whole page or picture is meant."""
    chunk = hit.chunk
    return {
        "id": chunk.id,
        "path": chunk.path,
        "kind": chunk.kind,
        "page": chunk.page,
        "box": list(chunk.box) if chunk.box else None,
        "score": round(hit.score, 6),
        "channels": {name: {"rank": rank.rank, "score": round(rank.score, 6)} for name, rank in hit.channels.items()},
        "text": chunk.text,
    }


def retrieval_document(retrieval: "Retrieval") -> dict[str, Any]:
    """A search's hits, best first, with where the time went."""
    return {
        "hits": [hit_document(hit) for hit in retrieval.hits],
        "milliseconds": {name: round(value, 2) for name, value in retrieval.milliseconds.items()},
        "notes": list(retrieval.notes),
    }


def answer_document(answer: "Answer") -> dict[str, Any]:
    """An answer with its citations and everything retrieval found."""
    return {
        "answer": answer.text,
        "refused": answer.refused,
        "citations": [
            {
                "marker": citation.marker,
                "path": citation.path,
                "page": citation.page,
                "boxes": [list(box) for box in citation.boxes],
                "quote": citation.quote,
                "verified": citation.verified,
            }
            for citation in answer.citations
        ],
        "hits": [hit_document(hit) for hit in answer.hits],
        "model": answer.model,
        "milliseconds": {name: round(value, 2) for name, value in answer.milliseconds.items()},
    }


def file_document(entry: "FileEntry") -> dict[str, Any]:
    """One file of the library with its state."""
    return {
        "path": str(entry.path),
        "state": entry.state,
        "reason": entry.reason,
        "kind": entry.kind,
        "chunks": entry.chunks,
        "bytes": entry.size_bytes,
        "indexed_at": entry.indexed_at,
    }


def stats_document(stats: "Stats") -> dict[str, Any]:
    """What the library holds, counted in the store."""
    return {
        "files": stats.files,
        "chunks": stats.chunks,
        "kinds": dict(stats.kinds),
        "channels": list(stats.channels),
        "kit": stats.kit,
        "embedder": stats.embedder,
        "bytes": stats.size_bytes,
        "failed": stats.failed,
        "library": str(stats.library),
        "store": stats.store,
    }


def kit_document(kit: "Kit") -> dict[str, Any]:
    """One kit and what is in it."""
    return {
        "name": kit.name,
        "title": kit.title,
        "installed": kit.is_installed(),
        "bytes": kit.size_bytes,
        "folder": str(kit.folder),
        "components": [
            {"name": c.name, "format": c.format, "licence": c.licence, "bytes": c.size_bytes} for c in kit.components
        ],
    }
