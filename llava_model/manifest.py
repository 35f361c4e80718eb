"""Checkpoint folders: complete or absent, each with a manifest that says what it holds.

    with writing(folder, manifest) as unfinished:
        save_projector(unfinished / PROJECTOR_FILE, projector, config)

The files are written into a hidden folder beside the target. When all are on the disk, `manifest.json` is written with
their checksums, and the folder is renamed. A process that dies earlier leaves the old checkpoint as it was, and a
hidden folder that the next writer of that name removes.
"""

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llava_model.errors import CheckpointMismatchError, CheckpointWriteError, IncompleteCheckpointError, LlavaError

FORMAT = "llavero-checkpoint-1"
MANIFEST_FILE = "manifest.json"
_STEP = re.compile(r"checkpoint-(\d+)")
_PREVIOUS = ".previous"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a checkpoint is, how it was made, and which files it consists of."""

    format: str = FORMAT
    """Version of the folder's layout."""

    stage: str
    """Name of the training stage, or of the conversion that made it."""

    step: int
    """Optimiser steps taken in this stage."""

    seed: int
    """The run's."""

    config: Mapping[str, Any]
    """The whole training configuration, plain JSON values."""

    llava: Mapping[str, Any]
    """`LlavaConfig.to_json()`."""

    data_fingerprint: str
    """See `Mixture.fingerprint`; "" without training data."""

    git_hash: str
    """The code's, see the function `git_hash`."""

    base: Mapping[str, Any]
    """The models it was trained on: {"language": {"name", "fingerprint"}, "vision": {…}}, see `base_of`."""

    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name relative to the folder → {"size" in bytes, "sha256"}; filled when the checkpoint is written."""

    created: str = ""
    """UTC, ISO 8601; filled when the checkpoint is written."""


@contextlib.contextmanager
def writing(folder: Path, manifest: Manifest) -> Iterator[Path]:
    """Yield an empty folder. When the block ends, its files become the checkpoint `folder`, all of them or none.

    An older checkpoint of that name stays until the new one is on the disk. A folder with other files in it is never
    replaced. Raises CheckpointWriteError with the reason (a full disk, no permission, …); this package's own errors
    and interrupts pass unchanged. The unfinished folder is removed in every case.
    """
    unfinished: Path | None = None
    lock = -1
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _restore(folder)
        _refuse_strangers(folder)
        unfinished, lock = _claim(folder)
        yield unfinished
        _finish(unfinished, manifest)
        _swap(unfinished, folder)
    except LlavaError:
        raise
    except Exception as error:
        raise CheckpointWriteError(folder, _reason(error)) from error
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def read_manifest(folder: Path, *, verify: bool = True) -> Manifest:
    """The manifest of a complete checkpoint.

    `verify` reads every byte and compares checksums; without it only presence and sizes are compared. Raises
    IncompleteCheckpointError naming the file, CheckpointMismatchError for another version of the format.
    """
    _restore(folder)
    manifest = _parsed(folder)
    for name, record in manifest.files.items():
        path = folder / name
        if not _stays_inside(name) or not path.is_file():
            raise IncompleteCheckpointError(folder, f"{name} is missing")
        size = path.stat().st_size
        if size != record["size"]:
            raise IncompleteCheckpointError(folder, f"{name} has {size} bytes instead of {record['size']}")
        if verify and sha256_of(path) != record["sha256"]:
            raise IncompleteCheckpointError(folder, f"{name} has the right size, but other contents than were saved")
    return manifest


def latest(folder: Path) -> Path | None:
    """The complete `checkpoint-NNNNNN` with the highest number in a run's folder, or None."""
    steps = {int(found[1]): name for name in _names_in(folder) if (found := _STEP.fullmatch(name))}
    for step in sorted(steps, reverse=True):
        with contextlib.suppress(IncompleteCheckpointError, CheckpointMismatchError):
            read_manifest(folder / steps[step], verify=False)
            return folder / steps[step]
    return None


def git_hash() -> str:
    """The commit that this code was checked out from, with "+dirty" if files differ; "" outside a checkout."""
    here = Path(__file__).resolve()
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return ""  # an installed package, perhaps inside somebody else's repository
    commit, changes = _git(here.parent, "rev-parse", "HEAD"), _git(here.parent, "status", "--porcelain", "-uno")
    return f"{commit}{'+dirty' if changes else ''}" if commit else ""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parsed(folder: Path) -> Manifest:
    try:
        values = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise IncompleteCheckpointError(folder, f"there is no {MANIFEST_FILE}") from error
    except (ValueError, NotADirectoryError) as error:
        raise IncompleteCheckpointError(folder, f"{MANIFEST_FILE} is damaged") from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise CheckpointMismatchError(f"checkpoint '{folder}'", found=f"format {found!r}", wanted=f"{FORMAT!r}")
    try:
        manifest = Manifest(**values)
        complete = all({"size", "sha256"} <= set(record) for record in manifest.files.values())
    except (TypeError, AttributeError) as error:
        raise IncompleteCheckpointError(folder, f"{MANIFEST_FILE} is damaged ({error})") from error
    if not complete:
        raise IncompleteCheckpointError(folder, f"{MANIFEST_FILE} does not say what the files were")
    return manifest


def _stays_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _names_in(folder: Path) -> set[str]:
    """The names of the folders in it. A checkpoint that was being replaced counts under its own name."""
    if not folder.is_dir():
        return set()
    names = {path.name for path in folder.iterdir() if path.is_dir()}
    return names | {name[1 : -len(_PREVIOUS)] for name in names if name.startswith(".") and name.endswith(_PREVIOUS)}


def _claim(folder: Path) -> tuple[Path, int]:
    """→ (a hidden folder beside the target, a lock that is held until this process ends)."""
    with _locked(folder.parent):
        _remove_abandoned(folder)
        unfinished = folder.with_name(f".{folder.name}.writing-{secrets.token_hex(4)}")
        unfinished.mkdir()
        lock = os.open(unfinished, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return unfinished, lock


def _remove_abandoned(folder: Path) -> None:
    """Remove the hidden folders of killed writers of this name. A living writer's folder is locked and stays."""
    for path in folder.parent.glob(f".{glob.escape(folder.name)}.writing-*"):
        lock = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def _refuse_strangers(folder: Path) -> None:
    """Raise CheckpointWriteError if the folder holds something else than a checkpoint."""
    is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_free and not (folder / MANIFEST_FILE).is_file():
        raise CheckpointWriteError(folder, "something else is there that is no checkpoint; name another folder")


def _finish(unfinished: Path, manifest: Manifest) -> None:
    files = {}
    for path in sorted(path for path in unfinished.rglob("*") if path.is_file()):
        flush(path)
        files[path.relative_to(unfinished).as_posix()] = {"size": path.stat().st_size, "sha256": sha256_of(path)}
    for path in (path for path in unfinished.rglob("*") if path.is_dir()):
        flush(path)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    whole = replace(manifest, files=files, created=manifest.created or now)
    text = json.dumps(asdict(whole), indent=1, ensure_ascii=False, allow_nan=False)
    (unfinished / MANIFEST_FILE).write_text(text, encoding="utf-8")
    flush(unfinished / MANIFEST_FILE)
    flush(unfinished)


def _swap(unfinished: Path, folder: Path) -> None:
    """Rename the new checkpoint. Between two renames the old one is called `.NAME.previous`, see `_restore`."""
    previous = folder.with_name(f".{folder.name}{_PREVIOUS}")
    with _locked(folder.parent):
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            folder.rename(previous)
        try:
            unfinished.rename(folder)
        except OSError:
            if previous.exists():
                previous.rename(folder)
            raise
        flush(folder.parent)
        shutil.rmtree(previous, ignore_errors=True)


def _restore(folder: Path) -> None:
    """Give an old checkpoint its name back if the process replacing it died between the two renames."""
    previous = folder.with_name(f".{folder.name}{_PREVIOUS}")
    if folder.exists() or not previous.exists():
        return
    with contextlib.suppress(OSError), _locked(folder.parent):
        if not folder.exists():
            previous.rename(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time renames checkpoints in this folder."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def flush(path: Path) -> None:
    """Make a file, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    """The operating system's words, if the error has them."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _git(folder: Path, *arguments: str) -> str | None:
    """Git's answer, or None if it is missing, fails or hangs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            env=environment,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
