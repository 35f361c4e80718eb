"""How results and errors look: `say…` writes results to stdout, `tell…` everything else to stderr.

People get lines, programs get one JSON document (`…_document`); progress has a module of its own, `ui.cli.progress`.

Text that came from a file or a model is printed without control characters, so that it cannot move the
cursor, change the title or hide what stands before it. What Llavero says about a citation stands in front of the file's
name and the quote, because both could imitate it.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rag.passages import as_plain_rows
from ui import wording
from ui.wording import sentences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexing.pipeline import FileEntry, IndexReport
    from indexing.records import Hit, Note
    from llava_model.kits import Kit
    from rag.answer import Answer, Event
    from rag.citations import Citation
    from rag.retrieve import Retrieval
    from ui.workbench import Stats

DONE, NOT_MET, WITH_PROBLEMS = 0, 1, 3
"""Exit codes: done; could not be done; done, but something in it has problems, each listed. Wrong usage is 2."""
_MOST_IN_PART = 20
_TEXT_WIDTH = 160

CitationState = Literal["quoted", "supported", "recognised", "unchecked"]
STATE_WORDS: Mapping[CitationState, str] = {
    "quoted": "✓ quoted",
    "supported": "✓ supported",
    "recognised": "recognised as",
    "unchecked": "not checked",
}
"""What people read about a citation, strongest first."""


def printable(text: str) -> str:
    """Without hidden characters other than newline and tab (terminal escape sequences start with one)."""
    return wording.visible(text)


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
    lines = json.dumps(document, ensure_ascii=False, indent=2).split("\n")  # JSON writes line feeds in texts as \n
    return "\n".join(map(wording.escaped, lines))


def tell_fault(fault: BaseException) -> None:
    """What happened in one line, and below it what to do."""
    message, *notes = sentences(fault)
    tell(f"llavero: {message}")
    for note in notes:
        tell(f"  {note}")


def say_table(cells: Sequence[Sequence[str]]) -> None:
    """Columns in line, the first one to the left."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        say("  ".join((row[0].ljust(widths[0]), *rest)).rstrip())


# -- numbers and places in words ---------------------------------------------------------------------------------------


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


def one_line(path: object) -> str:
    """A path on one line, so marked that it cannot be taken for words of ours."""
    return wording.shown(str(path))


def location(path: str, page: int | None) -> str:
    """`/docs/manual.pdf, page 3`."""
    return f"{one_line(path)}, page {page}" if page else one_line(path)


def shorten(text: str, width: int = _TEXT_WIDTH) -> str:
    """One line of at most `width` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


# -- results for people ------------------------------------------------------------------------------------------------


def hit_line(number: int, hit: "Hit") -> str:
    """A hit for people: number, place, why it is here, and how it begins."""
    ranks = " ".join(f"{channel}#{rank.rank}" for channel, rank in hit.channels.items())
    head = f"{number:2d}. {location(hit.chunk.path, hit.chunk.page)}  [{hit.chunk.kind}; {ranks}]"
    return f"{head}\n    {shorten(hit.chunk.text)}" if hit.chunk.text else head


def report_lines(report: "IndexReport") -> list[str]:
    """What an indexing run did, with every failed file and its reason."""
    lines = [
        f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, {report.removed} removed, "
        f"{report.failed} failed; {report.chunks} chunks in {duration(report.seconds)}"
    ]
    lines += [f"failed: {one_line(failure.path)}: {failure.reason}" for failure in report.failures]
    in_part = report.read_in_part
    for entry in in_part[:_MOST_IN_PART]:
        lines += [f"in part: {one_line(entry.path)}: {note}" for note in entry.notes if note.unread]
    if len(in_part) > _MOST_IN_PART:
        lines.append(f"in part: {len(in_part) - _MOST_IN_PART:,} files more; see: llavero list --notes")
    return lines


def show_answer(events: "Iterable[Event]", *, stream: bool) -> "Answer":
    """Print an answer (with `stream`), on a terminal as it comes, then its sources; return it whole."""
    from rag.answer import Answer, Retrieved, Token

    live = stream and sys.stdout.isatty()  # a file or a pipe gets the answer once, after it has been checked
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
    """Print what the check of the answer added or changed, then the sources."""
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
    """`[1] ✓ quoted: /docs/manual.pdf, page 3: “Descale every 200 cups.”`."""
    mark = STATE_WORDS[weakest([citation])]
    quote = shorten(as_plain_rows(citation.quote))
    return f"  [{citation.marker}] {mark}: {location(citation.path, citation.page)}: “{quote}”"


def weakest(citations: "Sequence[Citation]") -> CitationState:
    """The state of a source that stands under several sentences."""
    order = tuple(STATE_WORDS)
    return max(("recognised" if each.recognised else each.state for each in citations), key=order.index)


def read_question() -> str:
    """The next question, or "" if there is none."""
    try:
        return input("\n? " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""


def file_line(entry: "FileEntry") -> str:
    """State ("in part" where something in the file was not read), size, chunks, path, and why."""
    state = "in part" if entry.state == "indexed" and entry.read_in_part else entry.state
    line = f"{state:8s} {size(entry.size_bytes):>9s} {entry.chunks:5d} chunks  {one_line(entry.path)}"
    return "\n         ".join([line, *([entry.reason] if entry.reason else []), *entry.notes])


def plain(value: object) -> str:
    """A value of a result table in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


# -- for programs: plain dictionaries, in the shapes that docs/CLI.md describes ----------------------------------------


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
        "notes": [{"path": entry.path, **note_document(note)} for entry in report.noted for note in entry.notes],
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
                "state": citation.state,
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
        "notes": [note_document(note) for note in entry.notes],
    }


def note_document(note: "Note") -> dict[str, Any]:
    """What a reader saw in a file and did not read; `unread` where a search cannot find it."""
    return {
        "text": str(note),
        "kind": note.kind,
        "place": note.place,
        "number": note.number,
        "unread": note.unread,
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
