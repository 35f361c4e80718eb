"""Which files lie under the given paths, and what could not be looked at. Nothing is opened but folders.

Folders are walked in the order of their names, so that every run sees the same files in the same order.
Left out without a word: hidden files and folders, the library's own folder, sockets and other things that are no
files, and files that say something about another one (`indexing.sidecars`).

Links come last: what a linked folder holds is listed where it really lies, if that is below the given paths, and so
only once. A link that leads out of them is followed only when the person asks for it, and counted otherwise.
"""

import hashlib
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from indexing.addresses import canonical, is_address
from indexing.errors import words_of
from indexing.records import SourceFile
from indexing.sidecars import is_sidecar

_CHUNK_BYTES = 1 << 20
_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A file as its folder lists it."""

    path: str  # absolute, links are not resolved; or an address
    size_bytes: int
    modified_ns: int
    etag: str = ""  # what a source elsewhere calls this version


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Something that could not be indexed, and why, in one sentence for a person."""

    path: str
    reason: str
    seen: Seen | None = None
    """Where it is a file that can be listed under `path`, which stands for its name."""


def absolute(path: str | Path) -> str:
    """The path from the root, without `.` and `..`, links left as they are; an address as it is written. Raises
    AddressError."""
    if is_address(str(path)):
        return canonical(str(path))
    return os.path.abspath(path)  # noqa: PTH100  # Path.resolve follows links, Path.absolute keeps '..'


def discover(
    paths: Sequence[str | Path],
    *,
    skip: Iterable[str | Path] = (),
    follow_links: bool = False,
    on_link_out: Callable[[str], None] = lambda path: None,
) -> Iterator[Seen | Failure]:
    """Every file under the paths, each once, streaming; `skip` names folders to leave out (the library).

    `on_link_out` is called for each link that leads out of the paths and is not followed.
    """
    roots = Roots(paths)
    walk = _Walk(roots, {os.path.realpath(each) for each in skip}, follow_links, on_link_out)
    for path in roots.named:
        yield from walk.start(path)
    yield from walk.linked_folders()


class Roots:
    """The paths that a person named, and where they really lie."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.named = list(dict.fromkeys(absolute(each) for each in paths))
        self._real = {os.path.realpath(each): each for each in reversed(self.named)}
        self._folder_named = cache(lambda folder: self._named(os.path.realpath(folder)))

    def hold(self, path: str) -> bool:
        """Whether a path without links lies below one of them."""
        return self._named(path) is not None

    def real_place(self, path: str) -> str | None:
        """The path below the named ones at which a file really lies that was reached through a linked folder; None for
        one that lies elsewhere."""
        folder, _, name = path.rpartition("/")
        named = self._folder_named(folder or "/")
        return None if named is None else f"{named.rstrip('/')}/{name}"

    def _named(self, real: str) -> str | None:
        place = real
        while place not in self._real:
            parent = place.rpartition("/")[0] or "/"
            if parent == place:
                return None
            place = parent
        return self._real[place].rstrip("/") + real[len(place.rstrip("/")) :]


def look_again(seen: Seen) -> Seen:
    """The file as it is now; raises OSError when it is gone or cannot be looked at."""
    status = os.stat(seen.path)  # noqa: PTH116  # as in the walk
    return Seen(path=seen.path, size_bytes=status.st_size, modified_ns=status.st_mtime_ns)


def content_hash(path: str | Path) -> str:
    """SHA-256 of the file's bytes, hex, read in pieces."""
    digest = hashlib.sha256()
    with Path(path).open("rb", buffering=0) as file:
        while piece := file.read(_CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def source_of(seen: Seen) -> SourceFile:
    """The file with the hash of its bytes; raises OSError when it cannot be read or is gone."""
    return SourceFile(
        path=Path(seen.path),
        size_bytes=seen.size_bytes,
        modified_ns=seen.modified_ns,
        content_hash=content_hash(seen.path),
    )


def reason_of(error: OSError) -> str:
    """An operating system's refusal as half a sentence."""
    match error:
        case FileNotFoundError():
            return "it vanished while it was being indexed"
        case PermissionError():
            return "permission denied"
        case _:
            return (error.strerror or words_of(error)).lower()


def is_gone(path: str) -> bool:
    """Gone for certain, under this name and under the one that it may stand for; a folder that cannot be looked into
    proves nothing."""
    return all(_is_missing(each) for each in {path, _unprintable(path)})


def _is_missing(path: str) -> bool:
    try:
        os.stat(path)  # noqa: PTH116  # as in the walk
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


class _Walk:
    def __init__(self, roots: Roots, skip: set[str], follow_links: bool, on_link_out: Callable[[str], None]) -> None:
        self._roots, self._skip, self._follow, self._on_link_out = roots, skip, follow_links, on_link_out
        self._folders: set[tuple[int, int]] = set()
        self._files: set[str] = set()
        self._linked: deque[tuple[str, os.stat_result]] = deque()

    def start(self, path: str) -> Iterator[Seen | Failure]:
        """What the person named is looked at even when it is hidden."""
        try:
            status = os.stat(path)  # noqa: PTH116  # as below: strings, a million times
        except FileNotFoundError:
            yield Failure(path=printable(path), reason="there is no such file or folder")
        except OSError as error:
            yield Failure(path=printable(path), reason=reason_of(error))
        else:
            if stat.S_ISDIR(status.st_mode):
                yield from self._folder(path, status)
            elif stat.S_ISREG(status.st_mode):
                yield from self._file(path, status)
            else:
                yield Failure(path=printable(path), reason="it is neither a file nor a folder")

    def linked_folders(self) -> Iterator[Seen | Failure]:
        """To be asked when all named paths are walked: folders that were not met where they really lie."""
        while self._linked:
            path, status = self._linked.popleft()
            if (status.st_dev, status.st_ino) in self._folders:
                continue
            if self._may_follow(path):
                yield from self._folder(path, status)

    def _may_follow(self, link: str) -> bool:
        real = os.path.realpath(link)
        if any(real == each or real.startswith(f"{each}/") for each in self._skip):
            return False
        if self._follow or self._roots.hold(real):
            return True
        self._on_link_out(printable(link))
        return False

    def _folder(self, path: str, status: os.stat_result) -> Iterator[Seen | Failure]:
        pending = [(path, status)]
        while pending:
            folder, status = pending.pop()
            identity = (status.st_dev, status.st_ino)
            if identity in self._folders or os.path.realpath(folder) in self._skip:
                continue
            self._folders.add(identity)
            try:
                with os.scandir(folder) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                yield Failure(path=printable(folder), reason=f"the folder cannot be read: {reason_of(error)}")
                continue
            below: list[tuple[str, os.stat_result]] = []
            for entry in listed:
                if entry.name.startswith("."):
                    continue
                try:
                    found = entry.stat()
                except OSError as error:
                    yield _unseen(entry, error)
                    continue
                if stat.S_ISDIR(found.st_mode):
                    (self._linked if entry.is_symlink() else below).append((entry.path, found))
                elif stat.S_ISREG(found.st_mode) and (not entry.is_symlink() or self._may_follow(entry.path)):
                    yield from self._file(entry.path, found)
            pending += reversed(below)

    def _file(self, path: str, status: os.stat_result) -> Iterator[Seen | Failure]:
        if path in self._files or is_sidecar(path):
            return
        self._files.add(path)
        seen = Seen(path=printable(path), size_bytes=status.st_size, modified_ns=status.st_mtime_ns)
        if seen.path == path:
            yield seen
            return
        is_alone = not os.path.lexists(seen.path)  # or another file bears the name that stands for this one's
        reason = "its name, or a folder's above it, is not valid UTF-8: rename it"
        yield Failure(path=seen.path, reason=reason, seen=seen if is_alone else None)


def _unseen(entry: "os.DirEntry[str]", error: OSError) -> Failure:
    """Something in a folder that leads to no file. It is listed by what the folder itself says of it."""
    dangling = isinstance(error, FileNotFoundError) and entry.is_symlink()
    reason = "a link that leads nowhere" if dangling else reason_of(error)
    path = printable(entry.path)
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return Failure(path=path, reason=reason)
    seen = Seen(path=path, size_bytes=status.st_size, modified_ns=status.st_mtime_ns) if path == entry.path else None
    return Failure(path=path, reason=reason, seen=seen)


def leads_nowhere(path: str) -> bool:
    """A link that is there and whose file is not."""
    return os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114  # strings, as in the walk


def printable(path: str) -> str:
    """A path that can be shown and stored: bytes of its name that are no UTF-8 are written as \\xNN."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _unprintable(path: str) -> str:
    """The way back from `printable`."""
    return os.fsdecode(_ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), os.fsencode(path)))
