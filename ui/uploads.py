"""What a browser sends: files for the library, kept under `<library>/uploads/`, and pictures for one question.

UploadRefusedError   the file is too large, empty, or not a picture; the message says which
"""

import filecmp
import os
import re
import shutil
import unicodedata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

FOLDER = "uploads"
MAX_NAME_BYTES = 120
MAX_PICTURE_MEGABYTES = 50
MAX_PICTURE_PIXELS = 80_000_000
QUESTION_PICTURE_SIDE = 1536
PICTURE_TYPES = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff"]
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))})


class UploadRefusedError(Exception):
    """One uploaded file cannot be taken; the message is one line for a person."""


def safe_name(original: str) -> str:
    """A file name that reads like the original and can do no harm: `../../a:b.pdf` → `a_b.pdf`.

    No folders, control or direction characters, no leading dot, nothing that Windows refuses, at most
    120 bytes of UTF-8 with the extension kept; never empty.
    """
    name = unicodedata.normalize("NFC", original.encode("utf-8", "replace").decode("utf-8"))
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp"))
    name = re.sub(r'[<>:"|?*]', "_", name)
    name = re.sub(r"\s+", " ", name).strip(" .")
    suffix = PurePosixPath(name).suffix if len(PurePosixPath(name).suffix.encode()) <= 16 else ""
    stem = name[: len(name) - len(suffix)] if suffix else name
    if stem.split(".")[0].strip().lower() in _RESERVED:
        stem = f"_{stem}"
    stem = stem.encode()[: MAX_NAME_BYTES - len(suffix.encode())].decode(errors="ignore").rstrip(" .")
    return f"{stem or 'upload'}{suffix}"


def save(library: Path, original: str, content: bytes, *, max_bytes: int) -> Path:
    """Write an upload into the library's own folder and return where it lies.

    The same name with the same bytes is not written twice; with other bytes it becomes `name (2).pdf`.
    """
    if not content:
        raise UploadRefusedError(f"'{original}' is empty")
    if len(content) > max_bytes:
        raise UploadRefusedError(
            f"'{original}' has {len(content) / 1e6:.0f} MB, more than the {max_bytes / 1e6:.0f} MB allowed here"
        )
    folder = library / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = safe_name(original)
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, 10_000):
        target = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
        if _holds(target, content) or _written(target, content):
            return target
    raise UploadRefusedError(f"'{original}': there are 10,000 files of that name already")


def keep(library: Path, original: str, arrived: Path) -> Path:
    """The same for a file that has arrived in the library's folder already: it is moved, not copied."""
    folder = library / FOLDER
    name = safe_name(original)
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, 10_000):
        target = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
        if target.is_file() and not target.is_symlink() and filecmp.cmp(target, arrived, shallow=False):
            return target
        try:
            os.link(arrived, target)  # fails where the name is taken, which a rename would replace
        except FileExistsError:
            continue
        except OSError:  # a disk without links
            if not _copied(arrived, target):
                continue
        return target
    raise UploadRefusedError(f"'{original}': there are 10,000 files of that name already")


def _copied(arrived: Path, target: Path) -> bool:
    """False if the name is taken."""
    try:
        with target.open("xb") as copy, arrived.open("rb") as file:
            shutil.copyfileobj(file, copy)
    except FileExistsError:
        return False
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return True


def is_upload(library: Path, path: Path) -> bool:
    """Whether the file is a copy that an upload made, which the library may delete."""
    folder = (library / FOLDER).resolve()
    return path.parent.resolve() == folder and path.is_file() and not path.is_symlink()


def question_picture(name: str, content: bytes) -> "Image.Image":
    """A picture that belongs to one question: decoded in memory, upright, RGB, at most 1536 pixels long."""
    from llava_model.errors import LlavaError
    from llava_model.images import open_picture

    try:
        image = open_picture(content, max_pixels=MAX_PICTURE_PIXELS)
    except LlavaError as error:
        raise UploadRefusedError(f"'{name}' cannot be used as a picture: {error}") from error
    image.thumbnail((QUESTION_PICTURE_SIDE, QUESTION_PICTURE_SIDE))
    return image


def _holds(target: Path, content: bytes) -> bool:
    return (
        target.is_file()
        and not target.is_symlink()
        and target.stat().st_size == len(content)
        and target.read_bytes() == content
    )


def _written(target: Path, content: bytes) -> bool:
    """False if the name is taken. O_EXCL also refuses a link that somebody laid there."""
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return True
