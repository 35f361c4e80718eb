"""The JSON documents of the command line: plain dictionaries, shapes as documented in docs/CLI.md."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexing.pipeline import FileEntry, IndexReport
    from indexing.records import Hit
    from llava_model.kits import Kit
    from rag.answer import Answer
    from rag.retrieve import Retrieval
    from ui.workbench import Stats


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
