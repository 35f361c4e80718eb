"""A library in one file, and back: a tar with everything that the folder holds, and a list of checksums at its end.

Nothing is written to the library meanwhile (the caller holds its lock), so ledger, rows and pictures belong together.
The ledger is copied by SQLite itself. A backup is whole or it is not there: it is written beside its place and renamed.
"""

import hashlib
import io
import json
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from indexing.errors import IndexingError
from indexing.library import Library
from indexing.store import Store

_LEFT_OUT = {"library.lock", "service.sock", "spool", "lost+found", "rebuild.json"}
_LEDGER = "ledger.sqlite"
_MANIFEST = "llavero-backup.json"
_FORMAT = 1
_CHUNK = 1 << 20
_MOST_FILES = 20_000_000
OnFile = Callable[[int], None]


class BackupError(IndexingError):
    """A backup cannot be made here, or a file is none, or is damaged."""


def write_backup(library: Library, store: Store, target: Path, *, on_file: OnFile = lambda count: None) -> int:
    """→ how many files are in it. Raises BackupError where there is a file of that name, OSError."""
    if target.exists():
        raise BackupError(f"'{target}' is there already")
    store.ready()  # what the engine holds in memory is on disk then
    sums: dict[str, str] = {}
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="llavero-backup-") as scratch,
            fresh.open("xb") as file,
            tarfile.open(fileobj=file, mode="w") as archive,
        ):
            for path, name in _members(library, Path(scratch)):
                with path.open("rb") as member:
                    sums[name] = _add(archive, member, name)
                on_file(len(sums))
            manifest = json.dumps({"format": _FORMAT, "files": sums}).encode()
            info = tarfile.TarInfo(_MANIFEST)
            info.size = len(manifest)
            archive.addfile(info, io.BytesIO(manifest))
            archive.close()
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return len(sums)


def read_backup(source: Path, folder: Path, *, on_file: OnFile = lambda count: None) -> int:
    """Unpack it into a new folder, every file checked → how many there are.

    Raises BackupError for a folder with anything in it, and for a file that is no whole backup; then nothing is left.
    """
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"'{folder}' is not empty; a library is restored into a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        count = _unpacked(source, fresh, on_file)
        if folder.exists():
            folder.rmdir()
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return count


def _members(library: Library, scratch: Path) -> Iterator[tuple[Path, str]]:
    """Files in the order of their names, then a copy of the ledger. Links are left out, so that nothing outside the
    library is taken."""
    folder = library.folder
    for base, folders, files in os.walk(folder):
        here = Path(base)
        top = here == folder
        folders[:] = sorted(each for each in folders if not (top and each in _LEFT_OUT))
        for each in sorted(files):
            path = here / each
            if (top and (each in _LEFT_OUT or each.startswith(_LEDGER))) or path.is_symlink() or not path.is_file():
                continue
            yield path, path.relative_to(folder).as_posix()
    library.ledger.copy_to(scratch / _LEDGER)
    yield scratch / _LEDGER, _LEDGER


def _add(archive: tarfile.TarFile, file: IO[bytes], name: str) -> str:
    """One file → its SHA-256."""
    info = tarfile.TarInfo(name)
    info.size = os.fstat(file.fileno()).st_size
    info.mode = 0o600
    reading = _Summing(file, info.size)
    archive.addfile(info, reading)
    return reading.digest.hexdigest()


class _Summing:
    """A file that is summed up while it is read, as long as it was when it was announced."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size
        self.digest = hashlib.sha256()

    def read(self, count: int = -1) -> bytes:
        """The next bytes."""
        wanted = self._left if count < 0 else min(count, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        self.digest.update(data)
        return data


def _unpacked(source: Path, folder: Path, on_file: OnFile) -> int:
    sums: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    try:
        with tarfile.open(source, mode="r:") as archive:
            for member in archive:
                if member.name == _MANIFEST:
                    manifest = json.loads(_contents(archive, member).read())
                    continue
                sums[member.name] = _write(archive, member, folder)
                on_file(len(sums))
                if len(sums) > _MOST_FILES:
                    raise BackupError(f"'{source}' holds more than {_MOST_FILES:,} files")
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise BackupError(f"'{source}' is no backup of a library, or is damaged: {error}") from error
    if manifest is None or manifest.get("format") != _FORMAT:
        raise BackupError(f"'{source}' is no backup of a library, or ends early")
    if manifest["files"] != sums:
        wrong = sorted(set(manifest["files"].items()) ^ set(sums.items()))[0][0]
        raise BackupError(f"'{source}' is damaged: '{wrong}' is not as it was")
    return len(sums)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    """One member as a plain file below the folder → its SHA-256. Raises BackupError for anything else."""
    name = PurePosixPath(member.name)
    if not member.isfile() or name.is_absolute() or ".." in name.parts or not name.parts:
        raise BackupError(f"'{member.name}' cannot be a file of a library")
    path = folder.joinpath(*name.parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    contents = _contents(archive, member)
    with path.open("xb") as file:
        while data := contents.read(_CHUNK):
            digest.update(data)
            file.write(data)
    return digest.hexdigest()


def _contents(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    contents = archive.extractfile(member)
    if contents is None:
        raise BackupError(f"'{member.name}' has no contents")
    return contents
