"""How results and errors look: `say…` writes results to stdout, `tell…` everything else to stderr.

People get lines, programs get one JSON document (`ui.documents`); progress has a module of its own, `ui.cli.progress`.

Text that came from a file or a model is printed without control characters, so that it cannot move the
cursor, change the title or hide what stands before it. What Llavero says about a citation stands in front of the file's
name and the quote, because both could imitate it.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from claims.passages import as_plain_rows
from ui import wording
from ui.documents import Document
from ui.wording import sentences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from claims.citations import Citation

DONE, NOT_MET, WITH_PROBLEMS = 0, 1, 3
"""Exit codes: done; could not be done; done, but something in it has problems, each listed. Wrong usage is 2."""
_MOST_IN_PART = 20
_MOST_NEAR = 5
_TEXT_WIDTH = 160
_HEADING_WIDTH = 80

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
    print(wording.json_text(document), flush=True)


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


def location(path: str, page: int | None, heading: str = "") -> str:
    """`/post/mail.eml › quote.pdf, page 3`. Each part is a name by itself, so that none can pass for words of ours."""
    parts = [path, *(shorten(heading, _HEADING_WIDTH).split(" › ") if heading else ())]
    place = " › ".join(map(one_line, parts))
    return f"{place}, page {page}" if page else place


def shorten(text: str, width: int = _TEXT_WIDTH) -> str:
    """One line of at most `width` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


# -- results for people ------------------------------------------------------------------------------------------------


def hit_line(number: int, hit: Document) -> str:
    """A hit for people: number, place, why it is here, and how it begins."""
    ranks = " ".join(f"{channel}#{rank['rank']}" for channel, rank in hit["channels"].items())
    head = f"{number:2d}. {location(hit['path'], hit['page'], hit['heading'])}  [{hit['kind']}; {ranks}]"
    unsure = f"OCR is not sure of {len(hit['doubtful'])} of its lines" if hit["doubtful"] else ""
    near = [f"also: {one_line(path)} (nearly the same)" for path in hit["near"][:_MOST_NEAR]]
    near += [f"also: {len(hit['near']) - _MOST_NEAR:,} more"] if len(hit["near"]) > _MOST_NEAR else []
    return "\n    ".join([head, *([shorten(hit["text"])] if hit["text"] else []), *filter(None, [unsure]), *near])


def report_lines(report: Document) -> list[str]:
    """What an indexing run did, with every failed file and its reason, and what was not read of others."""
    counts = ", ".join(f"{report[name]} {name}" for name in ("added", "updated", "unchanged", "removed", "failed"))
    lines = [f"{counts}; {report['chunks']} chunks in {duration(report['seconds'])}"]
    lines += [f"failed: {one_line(failure['path'])}: {failure['reason']}" for failure in report["failures"]]
    unread = [note for note in report["notes"] if note["unread"]]
    lines += [f"in part: {one_line(note['path'])}: {note['text']}" for note in unread[:_MOST_IN_PART]]
    if len(unread) > _MOST_IN_PART:
        lines.append(f"in part: {len(unread) - _MOST_IN_PART:,} notes more; see: llavero list --notes")
    out = len(report["links_out"])
    if out:
        leads = (
            "1 link leads out of the folders and was" if out == 1 else f"{out:,} links lead out of the folders and were"
        )
        lines.append(f"{leads} not followed (--follow-links follows them)")
    return lines


def show_answer(events: "Iterable[Document]", *, stream: bool) -> Document:
    """Print an answer (with `stream`), on a terminal as it comes, then its sources; return it whole."""
    live = stream and sys.stdout.isatty()  # a file or a pipe gets the answer once, after it has been checked
    streamed = ""
    for event in events:
        kind = event.pop("event")
        if kind == "found":
            for note in event["notes"]:
                tell(note)
        elif kind == "token":
            if live:
                streamed += event["text"]
                print(printable(event["text"]), end="", flush=True)
        elif kind == "looked":
            tell(f"looked into {event['done']} of {event['of']} files")
        elif kind == "answer":
            if stream:
                _show_end(event, streamed)
            return event
    raise AssertionError("an answer's events end with the answer")


def _show_end(answer: Document, streamed: str) -> None:
    """Print what the check of the answer added or changed, then the sources."""
    written, text = streamed.strip(), answer["answer"]
    if text.startswith(written):
        say(text[len(written) :].rstrip())
    else:
        say(f"\n\nChecked against the sources:\n{text}" if written else text)
    if table := answer.get("table"):
        for row, marker in zip(table["rows"], table["markers"], strict=True):
            say("  " + " · ".join(filter(None, row)) + f" [{marker}]")
    for citation in answer["citations"]:
        say(citation_line(citation))
    seconds = answer["milliseconds"]["total"] / 1000
    tell(f"({answer['model'] or 'no model asked'}, {seconds:.1f} s)")


def citation_line(citation: Document) -> str:
    """`[1] ✓ quoted: /docs/manual.pdf, page 3: “Descale every 200 cups.”`."""
    mark = STATE_WORDS["recognised" if citation["recognised"] else citation["state"]]
    quote = shorten(as_plain_rows(citation["quote"]))
    place = location(citation["path"], citation["page"], citation["heading"])
    return f"  [{citation['marker']}] {mark}: {place}: “{quote}”"


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


def file_line(file: Document) -> str:
    """State ("in part" where something in the file was not read), size, chunks, path, and why."""
    in_part = file["state"] == "indexed" and any(note["unread"] for note in file["notes"])
    state = "in part" if in_part else file["state"]
    line = f"{state:8s} {size(file['bytes']):>9s} {file['chunks']:5d} chunks  {one_line(file['path'])}"
    notes = [note["text"] for note in file["notes"]]
    return "\n         ".join([line, *([file["reason"]] if file["reason"] else []), *notes])


def plain(value: object) -> str:
    """A value of a result table in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
