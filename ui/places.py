"""Where files lie, for faces: on this machine, or at an address, of which nothing is ever opened here."""

from collections.abc import Sequence
from pathlib import Path

from indexing.addresses import folders_of, is_address


def local_file(place: str) -> Path | None:
    """The file, where it lies on this machine and is still there."""
    path = None if is_address(place) else Path(place)
    return path if path is not None and path.is_file() else None


def folder_of(place: str) -> str:
    """The folder in which it lies."""
    return folders_of(place)[0] if is_address(place) else str(Path(place).parent)


def missing_words(place: str) -> str:
    """Why the original cannot be shown."""
    if is_address(place):
        return "The original file lies elsewhere; the library keeps no copy of it."
    return "The original file is no longer where it was when it was indexed."


def is_at_or_below(place: str, folders: Sequence[str]) -> bool:
    """Whether a file of the library is one of these, or inside one; both absolute, or addresses."""
    return any(place == each or place.startswith(each.rstrip("/") + "/") for each in folders)
