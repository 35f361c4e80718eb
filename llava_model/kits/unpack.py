"""Unpack files from a zip archive that may be malicious."""

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from llava_model.kits.errors import UnsafeArchiveError

_COPY_BYTES = 1 << 20


def unpack(archive: Path, folder: Path, *, prefix: str, limit_bytes: int) -> None:
    """Write the files whose names begin with `prefix` into `folder`, without the prefix.

    Raises UnsafeArchiveError for names that lead out of the folder, for links, and for more than `limit_bytes` in all.
    Bytes are counted while unpacking, because an archive may state wrong sizes. Nothing is executed or imported.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            _copy_members(opened, archive.name, folder, prefix, limit_bytes)
    except zipfile.BadZipFile as error:
        raise UnsafeArchiveError(archive.name, f"it is no readable zip archive ({error})") from error


def _copy_members(opened: zipfile.ZipFile, archive: str, folder: Path, prefix: str, limit_bytes: int) -> None:
    left_bytes, found = limit_bytes, False
    for member, relative in _safe_members(opened, archive, prefix):
        found = True
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(member) as packed, target.open("wb") as unpacked:
            while block := packed.read(min(_COPY_BYTES, left_bytes + 1)):
                left_bytes -= len(block)
                if left_bytes < 0:
                    raise UnsafeArchiveError(archive, f"it unpacks to more than {limit_bytes} bytes")
                unpacked.write(block)
    if not found:
        raise UnsafeArchiveError(archive, f"it holds nothing under '{prefix}'")


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
