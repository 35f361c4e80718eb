"""The sources of one run: listed for the walk, and downloaded one file at a time.

What is downloaded lies in a folder of the library that nobody else may look into, under a name of ours, for as long as
it is read. A run that was killed leaves parts of a file there and nowhere else; the next one empties the folder.

Who reads it knows afterwards what was listed to its end (`vanished`): of a source that was not reached, or broke off in
the middle, nothing counts as gone.
"""

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexing.addresses import Address, AddressError, canonical, is_address, lies_below, name_of
from indexing.discover import Failure, Seen
from indexing.errors import disk_error, words_of
from indexing.settings import MEGABYTE
from indexing.sources.access import Accesses
from indexing.sources.opening import open_source, place_of
from indexing.sources.protocol import Deadline, ItemError, RemoteEntry, RemoteError, RemoteSource, Unlisted

OpenSource = Callable[[Address, Accesses], RemoteSource]
_UNVERSIONED = "unversioned "
"""Begins the version of a file of which its source says neither ETag nor time: it is read again by each run."""
_LONGEST_ADDRESS_BYTES = 4_000  # a row's path has 4,096
_LONGEST_NAME_BYTES = 255  # as on disks
_LONGEST_COPY_BYTES = 150
_NO_FILE_NAME = re.compile(r"[\x00-\x1f\x7f/\\]")
_TRIES = 2


class StoppedError(Exception):
    """The person stopped the run while a file was on its way."""


class TooLargeError(ItemError):
    """The file goes on beyond what one file may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """A file on its way."""

    name: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """A file that has arrived; whoever has read it calls `RemoteFiles.discard`."""

    path: Path
    size_bytes: int
    content_hash: str


class RemoteFiles:
    """All addresses of a run. The walk lists them in its thread, another thread downloads."""

    def __init__(
        self, paths: Sequence[str], accesses: Accesses, folder: Path, *, opens: OpenSource = open_source
    ) -> None:
        self._addresses = list(dict.fromkeys(map(canonical, filter(is_address, paths))))
        self._alone = len(self._addresses) > 0 and all(map(is_address, paths))
        self._accesses, self._folder, self._open = accesses, folder, opens
        self._met: set[str] = set()
        self._unlisted: dict[str, RemoteError | None] = {}
        self._sources: dict[str, RemoteSource] = {}
        self._lost: dict[str, tuple[str, int]] = {}
        self.download_under_way: Download | None = None
        self.is_downloading, self._closed = False, False

    # -- listing -----------------------------------------------------------------------------------------------------

    def walk(self) -> Iterator[Seen | Failure]:
        """Every file of every address, each once."""
        opened: dict[str, RemoteSource | RemoteError] = {}  # many files of one source may be named one by one
        try:
            for address in map(Address.parse, self._addresses):
                try:
                    yield from self._listed(address, opened)
                except RemoteError as error:
                    self._unlisted[str(address)] = error
                    notes = " ".join(getattr(error, "__notes__", ()))
                    yield Failure(path=str(address), reason=f"{error.reason}. {notes}" if notes else error.reason)
        finally:
            for source in opened.values():
                if not isinstance(source, RemoteError):
                    source.close()

    def _listed(self, address: Address, opened: dict[str, RemoteSource | RemoteError]) -> Iterator[Seen | Failure]:
        place = place_of(address)
        if place not in opened:
            try:
                opened[place] = self._open(address, self._accesses)
            except RemoteError as error:
                opened[place] = error
        source = opened[place]
        if isinstance(source, RemoteError):
            raise source
        for entry in source.entries(address):
            where = _address_of(entry, address)
            if isinstance(entry, Unlisted):
                self._unlisted[where] = None
                yield Failure(path=where, reason=f"the folder cannot be read: {entry.reason}")
            elif where not in self._met and not _is_hidden(entry.path, address.path):
                self._met.add(where)
                refused = _refusal(where)
                yield Failure(path=where[:1_000], reason=refused) if refused else _seen(where, entry)

    def check(self) -> None:
        """Raises the first RemoteError where nothing at all could be listed, and nothing else was asked for."""
        errors = [self._unlisted.get(each) for each in self._addresses]
        if self._alone and not self._met and (first := next(filter(None, errors), None)) and all(errors):
            raise first

    def vanished(self, known_below: Callable[[str], Iterable[str]]) -> Iterator[str]:
        """Of the paths that are known below the addresses, those that are certainly not there any more."""
        for address in self._addresses:
            if address not in self._unlisted:
                for path in known_below(address):
                    if path in self._met or any(lies_below(path, each) for each in self._unlisted):
                        continue
                    if _would_be_listed(path, address):
                        yield path

    # -- reading -----------------------------------------------------------------------------------------------------

    def download(self, seen: Seen, *, most_bytes: int, stopped: Callable[[], bool]) -> Copy | None:
        """The file as the walk has seen it; None where its source was given up after an earlier file.

        Raises ItemError, TooLargeError, StoppedError, and StoreError where this machine's disk is at fault.
        """
        address = Address.parse(seen.path)
        place = place_of(address)
        if place in self._lost:
            self._give_up(place, self._lost[place][0])
            return None
        self.is_downloading = True
        try:
            for attempt in range(_TRIES):
                try:
                    return self._copied(address, seen, most_bytes, stopped)
                except RemoteError as error:
                    self._close(place)  # a new connection may do better
                    if stopped():
                        raise StoppedError from error
                    if attempt + 1 == _TRIES:
                        self._give_up(place, error.reason)
                finally:
                    self.download_under_way = None
            return None
        finally:
            self.is_downloading = False
            if self._closed:
                self.close()

    def _give_up(self, place: str, reason: str) -> None:
        self._lost[place] = reason, self._lost.get(place, ("", 0))[1] + 1

    def lost(self) -> list[Failure]:
        """The sources that were given up, with how many of their files were not read."""
        return [
            Failure(
                path=place,
                reason=f"{reason}; {count:,} {'file was' if count == 1 else 'files were'} not read: run it again",
            )
            for place, (reason, count) in self._lost.items()
        ]

    def _copied(self, address: Address, seen: Seen, most_bytes: int, stopped: Callable[[], bool]) -> Copy:
        place = place_of(address)
        if place not in self._sources:
            self._sources[place] = self._open(address, self._accesses)
        folder = self._new_folder()
        try:
            digest, size, path = hashlib.sha256(), 0, folder / _file_name(address)
            deadline = Deadline()
            with _on_this_disk():
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            pieces = closing(self._sources[place].read(_entry(address, seen)))
            with os.fdopen(descriptor, "wb", buffering=0) as file, pieces as arriving:
                for piece in arriving:
                    if stopped():
                        raise StoppedError
                    size += len(piece)
                    _in_time(deadline, len(piece))
                    if size > most_bytes:
                        limit = most_bytes // MEGABYTE
                        raise TooLargeError(f"the file goes on beyond the limit of {limit:,} MB")
                    digest.update(piece)
                    with _on_this_disk():
                        file.write(piece)
                    self.download_under_way = Download(
                        name=name_of(seen.path), done_bytes=size, total_bytes=max(size, seen.size_bytes)
                    )
            if seen.size_bytes and size != seen.size_bytes and address.uid is None:
                raise ItemError(f"{size:,} of {seen.size_bytes:,} bytes arrived; the next run tries again")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Copy(path=path, size_bytes=size, content_hash=digest.hexdigest())

    def _new_folder(self) -> Path:
        folder = self._folder / secrets.token_hex(8)
        with _on_this_disk():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        return folder

    def discard(self, path: Path) -> None:
        """The copy was read."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def _close(self, place: str) -> None:
        source = self._sources.pop(place, None)
        if source is not None:
            source.close()

    def close(self) -> None:
        """Let go of connections, and of what was downloaded. What a thread still waits for, it lets go of itself."""
        self._closed = True
        if not self.is_downloading:
            for place in list(self._sources):
                self._close(place)
        shutil.rmtree(self._folder, ignore_errors=True)


def _in_time(deadline: Deadline, size_bytes: int) -> None:
    try:
        deadline.arrived(size_bytes)
    except TimeoutError as error:
        raise ItemError("it comes too slowly; the next run tries again") from error


@contextmanager
def _on_this_disk() -> Iterator[None]:
    """An error of this machine's disk stops the run, whatever file it was about."""
    try:
        yield
    except OSError as error:
        raise disk_error(error.strerror or words_of(error)) from error


def _address_of(entry: RemoteEntry | Unlisted, root: Address) -> str:
    if root.scheme == "s3":
        return f"{root.root}/{entry.path}"
    uid = entry.uid if isinstance(entry, RemoteEntry) else None
    return str(Address(scheme=root.scheme, host=root.host, port=root.port, user=root.user, path=entry.path, uid=uid))


def _seen(place: str, entry: RemoteEntry) -> Seen:
    etag = entry.etag or ("" if entry.modified_ns else f"{_UNVERSIONED}{time.time_ns()}")
    return Seen(path=place, size_bytes=entry.size_bytes or 0, modified_ns=entry.modified_ns, etag=etag)


def _entry(address: Address, seen: Seen) -> RemoteEntry:
    """The way back."""
    return RemoteEntry(
        path=address.path,
        uid=address.uid,
        size_bytes=seen.size_bytes,
        modified_ns=seen.modified_ns,
        etag="" if seen.etag.startswith(_UNVERSIONED) else seen.etag,
    )


def _refusal(place: str) -> str:
    """Why it cannot be one of the library's files, whatever is in it."""
    try:
        is_itself = b"\0" not in place.encode() and str(Address.parse(place)) == place
    except (AddressError, UnicodeEncodeError):
        is_itself = False
    if not is_itself:
        return "its name cannot be a file's: a slash at its end, an empty part, '..' or a character that nobody types"
    for what, words, longest in (
        ("address", place, _LONGEST_ADDRESS_BYTES),
        ("name", name_of(place), _LONGEST_NAME_BYTES),
    ):
        if len(words.encode()) > longest:
            return f"its {what} is longer than {longest:,} bytes"
    return ""


def _would_be_listed(path: str, address: str) -> bool:
    """Whether the listing of the address would have named a file below it: that of a mailbox names no messages of the
    mailboxes inside, and no listing names what is hidden. They may have been indexed by addresses of their own."""
    if address.startswith("imap") and path != address and path.rpartition("/")[0] != address:
        return False
    return not _is_hidden(path, address)


def _is_hidden(path: str, root: str) -> bool:
    """As in folders of this machine: what the person named is looked at even when it is hidden."""
    below = path[len(root) :] if path.startswith(root) else path
    return any(part.startswith(".") and part not in (".", "..") for part in below.split("/"))


def _file_name(address: Address) -> str:
    """What the copy is called: readers tell the kind from its ending, and a title may come from it. Without folders,
    control characters and a dot at its beginning."""
    if address.uid is not None:
        return f"{address.uid}.eml"
    name = _NO_FILE_NAME.sub("_", name_of(address.path)).lstrip(".").encode("utf-8", "replace").decode()
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix.encode()) > 16:
        stem, suffix = name, ""
    stem = stem.encode()[: _LONGEST_COPY_BYTES - len(suffix.encode())].decode(errors="ignore")
    return f"{stem or 'file'}{dot if suffix else ''}{suffix}"
