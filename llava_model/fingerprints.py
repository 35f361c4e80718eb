"""A digest of a set of weights: the same for the same tensors, however they are divided into files.

Only names, types, shapes and bytes of the tensors count. File names, order, headers and configuration do not, so a kit
on another machine, or a model saved in other shards, has the same fingerprint.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llava_model.errors import CheckpointMismatchError, MissingFileError

if TYPE_CHECKING:
    import torch
    from torch import nn

_BLOCK_BYTES = 1 << 22
_HEX_DIGITS = 32
_NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64", "int64": "I64", "int32": "I32"}


def fingerprint_of(folder_or_model: "Path | nn.Module") -> str:
    """The fingerprint of a folder's safetensors (without subfolders), or of a model in memory.

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
