"""The library: one folder that holds everything that was made of the files, and nothing of the files themselves.

    llavero.toml     which kit built it ([library]), and the person's own settings
    milvus.db/       rows and vectors (where no server is used)
    ledger.sqlite    what became of every file
    pages/HASH/      page images and figures of a document
    thumbs/HASH.jpg  small pictures for galleries
    spool/           what readers are writing right now; pages of long documents stay when a run is stopped
    library.lock     who has it open

LibraryNotFoundError   there is no library there, and none was to be made
"""

import fcntl
import json
import os
import re
import secrets
import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

from indexing.embedding.protocol import Embedder
from indexing.errors import ADVICE, IndexingError, LibraryInUseError, LibraryMismatchError, StoreError
from indexing.ledger import Content, Ledger
from indexing.readers.output import KEPT_PAGES, PIXELS_FILE, THUMB
from indexing.records import CONTENT_FORMAT
from indexing.store import Store

FORMAT = 1
"""Layout of the folder and of the store's rows. Another number cannot be opened."""

FILE_NAME = "llavero.toml"
_SECTION = re.compile(r"^\[library\].*?(?=^\s*\[|\Z)", re.MULTILINE | re.DOTALL)
_OURS = {FILE_NAME, "milvus.db", "pages", "thumbs", "spool", "uploads", "library.lock", "lost+found"}


class LibraryNotFoundError(IndexingError):
    """No library lies in that folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"there is no library in '{folder}'")
        self.add_note("Make one with: llavero index PATH")
        self.folder = folder


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryRecord:
    """What the library says about itself."""

    format: int
    kit: str
    embedder: str
    collection: str  # its own name in the store: two libraries may share one Milvus server
    created: str
    clip_dimensions: int = 0  # 0 until something is indexed: the store can be opened without loading an embedder
    text_dimensions: int = 0

    @classmethod
    def read(cls, folder: Path) -> "LibraryRecord | None":
        """The [library] section of its file; None where there is no library yet."""
        file = folder / FILE_NAME
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8")).get("library")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise StoreError(f"{file} is not valid TOML: {error}") from error
        if table is None:
            return None
        try:
            return cls(
                format=int(table["format"]),
                kit=str(table.get("kit", "")),
                embedder=str(table.get("embedder", "")),
                collection=str(table["collection"]),
                created=str(table.get("created", "")),
                clip_dimensions=int(table.get("clip_dimensions", 0)),
                text_dimensions=int(table.get("text_dimensions", 0)),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise StoreError(f"{file}: the section [library] lacks {error}") from error


class Library:
    """An open library: its folder is locked until `close`."""

    def __init__(self, folder: Path, record: LibraryRecord, lock: IO[str]) -> None:
        self.folder, self.record, self._lock = folder, record, lock
        self.pages, self.thumbs, self.spool = folder / "pages", folder / "thumbs", folder / "spool"
        self.milvus = folder / "milvus.db"
        self.is_clean = False
        """`recover` has taken out what was left over, and nothing was changed since."""
        self.ledger = Ledger.open(folder / "ledger.sqlite", content_format=CONTENT_FORMAT)

    @classmethod
    def open(
        cls, folder: Path, *, kit: str | None = None, embedder_name: str | None = None, create: bool = False
    ) -> Self:
        """Lock the library, and make it where there is none and `create` asks for it.

        `kit` and `embedder_name` are compared with those that built it; None compares nothing (to list or to
        remove, no embedder is needed). Raises LibraryInUseError, LibraryMismatchError, LibraryNotFoundError.
        """
        folder = Path(folder).expanduser().absolute()
        record = LibraryRecord.read(folder)
        if record is None and not create:
            raise LibraryNotFoundError(folder)
        with _named(folder):
            if record is None:
                _check_vacant(folder)
            folder.mkdir(parents=True, exist_ok=True)
            lock = _lock(folder)
        try:
            record = LibraryRecord.read(folder) or _create(folder, kit or "", embedder_name or "")
            _check(folder, record, kit, embedder_name)
            with _named(folder):
                for each in ("pages", "thumbs"):
                    (folder / each).mkdir(exist_ok=True)
            return cls(folder, record, lock)
        except BaseException:
            lock.close()
            raise

    def close(self) -> None:
        """Unlock it."""
        self.ledger.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def expect(self, embedder_name: str) -> None:
        """Refuse another embedder than the one that filled the library, before there is work for it."""
        _check(self.folder, self.record, None, embedder_name)

    def settle(self, embedder: Embedder) -> None:
        """The embedder is about to fill the library: remember it, or refuse another than the one that began."""
        if self.record.clip_dimensions and self.record.embedder == embedder.name:
            return
        _check(self.folder, self.record, None, embedder.name)
        record = replace(
            self.record,
            embedder=embedder.name,
            clip_dimensions=embedder.clip_dimensions,
            text_dimensions=embedder.text_dimensions,
        )
        _write(self.folder, record)
        self.record = record

    def switch(self, record: LibraryRecord) -> None:
        """From here on the library is what `record` says: one rename on disk."""
        _write(self.folder, record)
        self.record = record

    def image_folder(self, content_hash: str) -> str:
        """Where a content's pictures lie, as chunks name it."""
        return f"pages/{content_hash}"

    def thumb(self, content_hash: str) -> str:
        """Its small picture, as chunks name it."""
        return f"thumbs/{content_hash}.jpg"

    def keep_pictures(self, spooled: Path, content_hash: str) -> None:
        """Move what a reader wrote into its place, in two renames."""
        with _named(self.folder):
            for name in (PIXELS_FILE, KEPT_PAGES):  # of a long document
                (spooled / name).unlink(missing_ok=True)
            thumb = spooled / THUMB
            if thumb.exists():
                thumb.rename(self.folder / self.thumb(content_hash))
            if any(spooled.iterdir()):
                pages = self.pages / content_hash
                shutil.rmtree(pages, ignore_errors=True)
                spooled.rename(pages)
            else:
                spooled.rmdir()

    def clear_spool(self, *, keep_pages: bool) -> None:
        """Delete what readers wrote for files that did not get into the library; `keep_pages`: but not the pages of
        long documents, with which the next run goes on."""
        for entry in Path(self.spool).glob("*"):
            if not (keep_pages and (entry / KEPT_PAGES).is_file()):
                shutil.rmtree(entry, ignore_errors=True)

    def first_picture(self, content_hash: str) -> Path | None:
        """Its small picture, or its first page's; None where it has neither."""
        thumb = self.folder / self.thumb(content_hash)
        if thumb.is_file():
            return thumb
        return min(self.pages.joinpath(content_hash).glob("page-*.jpg"), default=None)

    def drop_pictures(self, content_hash: str) -> None:
        """Delete a content's pictures."""
        with _named(self.folder):
            shutil.rmtree(self.pages / content_hash, ignore_errors=True)
            (self.folder / self.thumb(content_hash)).unlink(missing_ok=True)

    def pictured(self) -> set[str]:
        """Hashes of the contents that have pictures on disk."""
        return {entry.name for entry in os.scandir(self.pages)} | {
            entry.name.removesuffix(".jpg") for entry in os.scandir(self.thumbs)
        }

    def size_bytes(self) -> int:
        """Everything in the folder, on disk."""
        return _size(self.folder)


def holder(folder: Path) -> str:
    """Who has the library open: `llavero ui (process 4711)`."""
    try:
        told = json.loads((folder / "library.lock").read_text(encoding="utf-8"))
        return f"{told['command']} (process {int(told['process'])})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _lock(folder: Path) -> IO[str]:
    """Held as long as the file is open, and let go by the system when the process dies, however it dies."""
    lock = (folder / "library.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise LibraryInUseError(str(folder), holder(folder)) from error
    except BaseException:
        lock.close()
        raise
    lock.truncate(0)
    json.dump({"process": os.getpid(), "command": command_of_this_process()}, lock)
    lock.flush()
    return lock


def command_of_this_process() -> str:
    """What a person typed to start it: `llavero ui`, also where that has started another program."""
    words = [Path(sys.argv[0] or "python").name, *sys.argv[1:2]]
    return os.environ.get("LLAVERO_COMMAND") or " ".join(words)


def _create(folder: Path, kit: str, embedder: str) -> LibraryRecord:
    record = LibraryRecord(
        format=FORMAT,
        kit=kit,
        embedder=embedder,
        collection=f"llavero_{secrets.token_hex(4)}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    _write(folder, record)
    return record


def _write(folder: Path, record: LibraryRecord) -> None:
    """Put the [library] section below whatever the person has written into the file; all of it or nothing."""
    file = folder / FILE_NAME
    own = _SECTION.sub("", file.read_text(encoding="utf-8")).rstrip() if file.exists() else ""
    lines = ["[library]  # written by Llavero: what built this library; do not edit"]
    values = {name: value for name, value in asdict(record).items() if value != ""}
    lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    with _named(folder):
        fresh = folder / f".{FILE_NAME}.new"
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write("\n".join([*([own, ""] if own else []), *lines]) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)


def _check(folder: Path, record: LibraryRecord, kit: str | None, embedder: str | None) -> None:
    if record.format != FORMAT:
        raise LibraryMismatchError(str(folder), f"library format {record.format}", f"format {FORMAT}")
    if kit is not None and record.kit != kit:
        raise LibraryMismatchError(str(folder), f"the kit '{record.kit}'", f"the kit '{kit}'")
    if embedder is not None and record.embedder and record.embedder != embedder:
        raise LibraryMismatchError(str(folder), f"the embedder '{record.embedder}'", f"'{embedder}'")


def _check_vacant(folder: Path) -> None:
    """A person who names a folder of photographs as the library by mistake shall not find ours among them."""
    if not folder.is_dir():
        return
    foreign = sorted(
        each.name
        for each in folder.iterdir()
        if each.name not in _OURS and not each.name.startswith((".", "ledger.sqlite"))
    )
    if foreign:
        problem = StoreError(f"'{folder}' is no library and not empty: it holds '{foreign[0]}'")
        problem.add_note("Name a new or an empty folder: llavero --library DIR index PATH")
        raise problem


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """What the system refuses, with the folder's name and without a traceback."""
    try:
        yield
    except OSError as error:
        problem = StoreError(f"the library '{folder}' cannot be written: {(error.strerror or str(error)).lower()}")
        if isinstance(error, PermissionError):
            problem.add_note("Choose a folder of your own: --library DIR, or LLAVERO_LIBRARY.")
        else:
            problem.add_note(ADVICE)
        raise problem from error


def _size(folder: Path) -> int:
    total = 0
    with suppress(FileNotFoundError):  # a run in another thread moves files while they are counted
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                total += _size(Path(entry.path))
            else:
                total += entry.stat(follow_symlinks=False).st_size
    return total


# -- ledger, store and pictures, brought together again after a run that was killed --------------------------------
#
# A content can be searched if and only if the ledger says `indexed`; everything else that is found is left over.


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Where ledger and store disagree."""

    incomplete: tuple[Content, ...]  # the ledger says indexed, rows are missing
    missing: int  # so many rows
    orphans: tuple[str, ...]  # ids of rows that nothing in the ledger explains

    @property
    def agrees(self) -> bool:
        """Nothing is missing and nothing is left over."""
        return not self.missing and not self.orphans


def compare(library: Library, store: Store) -> Comparison:
    """Every id of the ledger against every id in the store; reads all keys."""
    stored = {row_id for row_id, _ in store.ids()}
    incomplete: list[Content] = []
    missing = 0
    for content in library.ledger.contents():
        ids = set(content.ids())
        absent = len(ids - stored)
        if absent:
            incomplete.append(content)
            missing += absent
        stored -= ids
    for content in library.ledger.unfinished():
        stored -= set(content.ids())
    return Comparison(incomplete=tuple(incomplete), missing=missing, orphans=tuple(sorted(stored)))


def repair(library: Library, store: Store, found: Comparison) -> None:
    """Remove what is left over. Files with missing rows become pending: the next run indexes them again."""
    store.delete(found.orphans)
    for content in found.incomplete:
        remove_content(library, store, content)


def recover(library: Library, store: Store) -> bool:
    """Take out what a run left over that did not end. Returns whether rows were touched.

    Whoever opens a library does it, and so does every run; a run that follows at once has nothing more to do.
    """
    if library.is_clean:
        return False
    library.clear_spool(keep_pages=True)
    library.ledger.release()
    unfinished = library.ledger.unfinished()
    for content in unfinished:
        remove_content(library, store, content)
    torn = store.count() != library.ledger.rows()
    if torn:
        repair(library, store, compare(library, store))
    kept = {content.hash for content in library.ledger.contents()}
    for content_hash in library.pictured() - kept:
        library.drop_pictures(content_hash)
    moved = show_right_paths(library, store)
    library.is_clean = True
    return moved or bool(unfinished) or torn


def tidy(library: Library, store: Store) -> int:
    """After paths were forgotten or changed: remove what none of them holds any more. Returns the rows removed."""
    released = library.ledger.release()
    for content in released:
        remove_content(library, store, content)
    show_right_paths(library, store)
    return sum(content.rows for content in released)


def show_right_paths(library: Library, store: Store) -> bool:
    """Rows whose file was moved or removed, while its bytes live on elsewhere, show the first path that is left."""
    misplaced = library.ledger.misplaced()
    for content, path in misplaced:
        store.move(content.ids(), path)
        library.ledger.show(content.hash, path)
    return bool(misplaced)


def remove_content(library: Library, store: Store, content: Content) -> None:
    """Rows first and the ledger last, so that a crash in between is only done again."""
    store.delete(content.ids())
    library.drop_pictures(content.hash)
    library.ledger.drop(content.hash)
