"""Questions to begin with, made of what is in the library: its titles, headings, and what its pictures show."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexing.ledger import FileEntry
    from indexing.records import Chunk
    from ui.workbench import Workbench

_MOST = 4
_LOOKED_AT = 16  # files; more would be felt at the first visit
_LONGEST = 90  # characters of a title or heading that still reads as one


def starting_questions(bench: "Workbench", files: "Sequence[FileEntry]") -> list[str]:
    """At most four, of different files and kinds, spread over the library; the same for the same files."""
    found: list[str] = []
    kinds: list[str] = []
    for entry in _spread([entry for entry in files if entry.chunks]):
        chunks = bench.chunks(entry.path)
        kind = "picture" if entry.kind == "picture" else Path(entry.path).suffix.lower()
        question = _about(entry, chunks)
        if question and kind not in kinds:
            found.append(question)
            kinds.append(kind)
        if len(found) == _MOST:
            break
    return found


def _spread(files: "Sequence[FileEntry]") -> "Iterator[FileEntry]":
    """Some from everywhere, the far ends first."""
    step = max(1, len(files) // _LOOKED_AT)
    yield from files[::step][:_LOOKED_AT]


def _about(entry: "FileEntry", chunks: "Sequence[Chunk]") -> str:
    if entry.kind == "picture":
        shown = next((chunk.text for chunk in chunks if chunk.kind == "image" and chunk.text), "")
        label = shown.partition(",")[0].partition("\n")[0].strip()
        return f"Is there a picture of: {label}?" if label and len(label) <= _LONGEST else ""
    title = next((chunk.title for chunk in chunks if chunk.title), "")
    heading = next((chunk.heading for chunk in chunks if chunk.heading and chunk.heading != title), "")
    if not title or len(title) > _LONGEST:
        return ""
    if heading and len(heading) <= _LONGEST:
        return f"What does “{title}” say about “{heading}”?"
    return f"What is “{title}” about?"
