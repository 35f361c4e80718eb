"""What files can be filtered by: keys of facts, folders and endings, with their values and how many files have them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from ui.documents import Document

BUILT_IN = ("extension", "folder")


def facets_document(files: Sequence[Document], *, keys: Sequence[str] = (), most: int = 20) -> Document:
    """Of files as `Service.files` lists them; failed ones do not count. `keys` chooses, `most` values each are told."""
    from indexing.facts import OPERATORS, counted

    indexed = [file for file in files if file["state"] == "indexed"]
    counts = dict(_built_in(indexed)) | counted(file["facts"] for file in indexed)
    facets = [
        {
            "key": key,
            "operators": ["="] if key in BUILT_IN else list(OPERATORS),
            "files": _with_key(indexed, key),
            "values": [{"value": value, "count": count} for value, count in values[:most]],
            "more": max(0, len(values) - most),
        }
        for key, values in counts.items()
        if not keys or key in keys
    ]
    return {"files": len(indexed), "facets": facets}


def _built_in(files: Sequence[Document]) -> list[tuple[str, list[tuple[str, int]]]]:
    endings = Counter(PurePath(file["path"]).suffix.removeprefix(".").lower() for file in files)
    folders = Counter(str(PurePath(file["path"]).parent) for file in files)
    return [("extension", _ordered(endings)), ("folder", _ordered(folders))]


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(((value, count) for value, count in counts.items() if value), key=lambda pair: (-pair[1], pair[0]))


def _with_key(files: Sequence[Document], key: str) -> int:
    if key == "folder":
        return len(files)
    if key == "extension":
        return sum(bool(PurePath(file["path"]).suffix) for file in files)
    return sum(key in file["facts"] for file in files)
