"""Checkpoint folders: complete or absent, each with a manifest that says what it holds.

    with writing(folder, manifest) as unfinished:
        save_projector(unfinished / PROJECTOR_FILE, projector, config)

The files are written into a hidden folder beside the target. When all are on the disk, `manifest.json` is written with
their checksums, and the folder is renamed. A process that dies earlier leaves the old checkpoint as it was, and a
hidden folder that the next writer of that name removes.

`fingerprint_of` names a set of weights, so that a manifest can say what a checkpoint was trained on.
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
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llava_model.errors import (
    CheckpointMismatchError,
    CheckpointWriteError,
    IncompleteCheckpointError,
    LlavaError,
    MissingFileError,
)

if TYPE_CHECKING:
    import torch
    from torch import nn


_BLOCK_BYTES = 1 << 22
_HEX_DIGITS = 32
_NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64", "int64": "I64", "int32": "I32"}


def fingerprint_of(folder_or_model: "Path | nn.Module") -> str:
    """A digest of the weights in a folder's safetensors (without subfolders), or of a model in memory.

    Only names, types, shapes and bytes of the tensors count. File names, order, headers and configuration do not, so a
    kit on another machine, or a model saved in other shards, has the same fingerprint.

    A model has the fingerprint of the folder it is saved to, unless its number type changes: for the base of a
    checkpoint use the folder. Reads every byte (about 1 GB/s); a folder's fingerprint is remembered until its files
    change. Raises MissingFileError if the folder holds no safetensors.
    """
    if not isinstance(folder_or_model, Path):
        return _of_model(folder_or_model)
    files = sorted(folder_or_model.glob("*.safetensors"))
    if not files:
        raise MissingFileError(folder_or_model / "model.safetensors", "weights")
    stamps = tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return _of_files(stamps)


def base_of(*, language: Path | None, vision: Path | None) -> dict[str, Any]:
    """`Manifest.base` for a run on these folders; None for a part that the run does not have."""
    parts = {"language": language, "vision": vision}
    return {
        part: {"name": folder.resolve().name, "fingerprint": fingerprint_of(folder)}
        for part, folder in parts.items()
        if folder is not None
    }


@lru_cache(maxsize=16)
def _of_files(stamps: tuple[tuple[str, int, int], ...]) -> str:
    tensors = {}
    for name, size, _ in stamps:
        start, header = _header(Path(name), size)
        for tensor, entry in header.items():
            if tensor != "__metadata__":
                tensors[tensor] = (entry["dtype"], entry["shape"], Path(name), start, entry["data_offsets"])
    digest = hashlib.sha256()
    for tensor in sorted(tensors):
        dtype, shape, path, start, (first, behind) = tensors[tensor]
        digest.update(_label(tensor, dtype, shape))
        with path.open("rb") as file:
            file.seek(start + first)
            left = behind - first
            while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
                digest.update(block)
                left -= len(block)
    return digest.hexdigest()[:_HEX_DIGITS]


def _header(path: Path, size: int) -> tuple[int, dict[str, Any]]:
    """Of a safetensors file → (where the tensors begin, the header that lists them)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size:
            raise CheckpointMismatchError(f"'{path}'", found="no safetensors header", wanted="safetensors")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
        except ValueError as error:
            raise CheckpointMismatchError(f"'{path}'", found="a damaged header", wanted="safetensors") from error
    return 8 + length, header


def _of_model(model: "nn.Module") -> str:
    tied: Mapping[str, str] = getattr(model, "all_tied_weights_keys", None) or {}
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in tied}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(_label(name, _NAMES.get(dtype, dtype.upper()), list(tensor.shape)))
        digest.update(_bytes(tensor))
    return digest.hexdigest()[:_HEX_DIGITS]


def _bytes(tensor: "torch.Tensor") -> memoryview:
    import torch

    view: memoryview = tensor.reshape(-1).view(torch.uint8).numpy().data
    return view


def _label(name: str, dtype: str, shape: list[int]) -> bytes:
    return f"{name}|{dtype}|{'x'.join(map(str, shape))}|".encode()


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
