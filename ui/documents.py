"""Results as plain JSON, in the shapes that docs/CLI.md describes: what `--json` prints, what the service answers, and
what the terminal's lines are made of, whether the library was opened here or by a process that was there before.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from indexing.confidence import doubtful, mean_confidence

if TYPE_CHECKING:
    from claims.citations import Citation
    from indexing.pipeline import FileEntry, IndexReport, Progress, RemoveReport
    from indexing.records import Chunk, Hit, Line, Note
    from indexing.sources.remote import Download
    from llava_model.kits import Kit
    from rag.events import Answer, AnswerTable, Event
    from rag.retrieve import Retrieval
    from ui.workbench import Stats, VerifyReport

Document = dict[str, Any]


def report_document(report: "IndexReport") -> Document:
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
        "links_out": list(report.links_out),
    }


def _download_document(download: "Download") -> Document:
    return {"name": download.name, "bytes": download.done_bytes, "of": download.total_bytes}


def progress_document(progress: "Progress") -> Document:
    """How far a run is."""
    return {
        "done": progress.done,
        "download": _download_document(progress.download) if progress.download else None,
        "found": progress.found,
        "walked": progress.walked,
        "current": progress.current,
        "files_per_second": progress.files_per_second,
        "seconds_left": progress.seconds_left,
        "pages_done": progress.pages_done,
        "pages": progress.pages,
    }


def note_document(note: "Note") -> Document:
    """What a reader saw in a file and did not read; `unread` where a search cannot find it."""
    return {
        "text": str(note),
        "kind": note.kind,
        "place": note.place,
        "number": note.number,
        "unread": note.unread,
    }


def hit_document(hit: "Hit") -> Document:
    """One hit; `box` is null where the whole page or picture is meant, `near` are the paths of pictures that are nearly
    the same. `confidence` is OCR's, null for words that came as text; `doubtful` are lines that it is not sure of."""
    chunk = hit.chunk
    return {
        "id": chunk.id,
        "path": chunk.path,
        "kind": chunk.kind,
        "page": chunk.page,
        "heading": chunk.heading,
        "box": list(chunk.box) if chunk.box else None,
        "score": round(hit.score, 6),
        "channels": {name: {"rank": rank.rank, "score": round(rank.score, 6)} for name, rank in hit.channels.items()},
        "text": chunk.text,
        "confidence": _confidence(chunk),
        "doubtful": list(map(_line_document, doubtful(chunk.lines))),
        "near": list(hit.near),
    }


def _confidence(chunk: "Chunk") -> float | None:
    mean = mean_confidence(chunk.lines)
    return None if mean is None else round(mean, 3)


def retrieval_document(retrieval: "Retrieval") -> Document:
    """A search's hits, best first, with where the time went."""
    return {
        "hits": [hit_document(hit) for hit in retrieval.hits],
        "milliseconds": _rounded(retrieval.milliseconds),
        "notes": list(retrieval.notes),
    }


def citation_document(citation: "Citation") -> Document:
    """One source of one sentence; `recognised` where the quote is what a recogniser said of a picture."""
    return {
        "marker": citation.marker,
        "path": citation.path,
        "page": citation.page,
        "heading": citation.heading,
        "boxes": [list(box) for box in citation.boxes],
        "quote": citation.quote,
        "state": citation.state,
        "verified": citation.verified,
        "recognised": citation.recognised,
        "id": citation.chunk_id,
    }


def answer_document(answer: "Answer") -> Document:
    """An answer with its citations and everything retrieval found; of a question about all files also its `table`."""
    return {
        "answer": answer.text,
        "refused": answer.refused,
        "citations": [citation_document(citation) for citation in answer.citations],
        "hits": [hit_document(hit) for hit in answer.hits],
        "model": answer.model,
        "confidence": round(answer.confidence, 4),
        "milliseconds": _rounded(answer.milliseconds),
        **({"table": table_document(answer.table)} if answer.table else {}),
    }


def table_document(table: "AnswerTable") -> Document:
    """The files that fit a question about all of them: the first cell of a row is the file, `markers` its source."""
    return {"columns": list(table.columns), "rows": [list(row) for row in table.rows], "markers": list(table.markers)}


def prompt_document(answer: "Answer") -> list[Document]:
    """What the model was shown, turn by turn."""
    return [{"role": turn.role, "text": turn.text, "pictures": len(turn.images)} for turn in answer.prompt]


def event_document(event: "Event") -> Document:
    """What happens while a question is answered: `found`, then a `token` for each piece of text, then the `answer`.
    A question about all files tells how many it has `looked` into before its text."""
    from rag.events import Answer, Looking, Retrieved

    if isinstance(event, Retrieved):
        return {"event": "found", **retrieval_document(event.retrieval)}
    if isinstance(event, Answer):
        return {"event": "answer", **answer_document(event), "prompt": prompt_document(event)}
    if isinstance(event, Looking):
        return {"event": "looked", "done": event.done, "of": event.of}
    return {"event": "token", "text": event.text}


def file_document(entry: "FileEntry") -> Document:
    """One file of the library with its state."""
    return {
        "path": str(entry.path),
        "state": entry.state,
        "reason": entry.reason,
        "kind": entry.kind,
        "chunks": entry.chunks,
        "bytes": entry.size_bytes,
        "indexed_at": entry.indexed_at,
        "content": entry.content,
        "notes": [note_document(note) for note in entry.notes],
        "facts": {key: list(values) for key, values in sorted(entry.facts.items())},
        "near": list(entry.near),
    }


def duplicates(files: "Sequence[Document]") -> list[list[Document]]:
    """Files with the same bytes, and pictures that are nearly the same, together; each group in order of path."""
    by_path = {file["path"]: file for file in files}
    same: dict[str, list[str]] = {}
    for file in files:
        if file["content"]:
            same.setdefault(file["content"], []).append(file["path"])
    groups: list[list[Document]] = []
    met: set[str] = set()
    for path in by_path:
        group, waiting = set[str](), [path]
        while waiting:
            each = waiting.pop()
            if each in by_path and each not in met:
                met.add(each)
                group.add(each)
                waiting += [*same.get(by_path[each]["content"], ()), *by_path[each]["near"]]
        if len(group) > 1:
            groups.append([by_path[each] for each in sorted(group)])
    return groups


def chunk_document(chunk: "Chunk") -> Document:
    """A passage, table, figure, page or picture with its lines, a picture's things, and their boxes."""
    return {
        "id": chunk.id,
        "path": chunk.path,
        "kind": chunk.kind,
        "page": chunk.page,
        "box": list(chunk.box) if chunk.box else None,
        "title": chunk.title,
        "heading": chunk.heading,
        "text": chunk.text,
        "confidence": _confidence(chunk),
        "lines": list(map(_line_document, chunk.lines)),
        "regions": list(map(_line_document, chunk.regions)),
        "has_picture": bool(chunk.image),
    }


def _line_document(line: "Line") -> Document:
    return {"text": line.text, "box": list(line.box) if line.box else None, "confidence": line.confidence}


def stats_document(stats: "Stats") -> Document:
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


def verify_document(report: "VerifyReport") -> Document:
    """Where ledger and store disagreed, in rows."""
    return {"missing": report.missing, "orphaned": report.orphaned, "repaired": report.repaired}


def removal_document(report: "RemoveReport") -> Document:
    """What was taken out."""
    return {"removed": report.files, "chunks": report.chunks}


def kit_document(kit: "Kit") -> Document:
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


def _rounded(milliseconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in milliseconds.items()}
