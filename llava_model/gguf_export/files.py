"""The content of one GGUF file, and writing it without a second copy of the weights in memory."""

import errno
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from llava_model.errors import ExportError

NumberFormat = Literal["f32", "f16", "bf16"]

_FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32}  # gguf.LlamaFileType
_QUANTISATION_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """One tensor of the file. Vectors are float32, as in llama.cpp's converter; matrices have the file's format."""

    name: str
    values: Callable[[], torch.Tensor]
    """Called when the tensor is written, so that at most one permuted copy is in memory."""

    shape: tuple[int, ...]
    number_format: NumberFormat


@dataclass(frozen=True, kw_only=True)
class GgufContent:
    """Everything that a file will hold."""

    architecture: str
    number_format: NumberFormat
    describe: Callable[[Any], None]
    """Writes the metadata with a `gguf.GGUFWriter`."""

    tensors: tuple[GgufTensor, ...]
    notes: tuple[str, ...] = ()


def tensor_of(name: str, tensor: torch.Tensor, number_format: NumberFormat) -> GgufTensor:
    """A tensor that is written as it is, in the format that `GgufTensor` describes."""
    return GgufTensor(
        name=name,
        values=lambda: tensor,
        shape=tuple(tensor.shape),
        number_format=number_format if tensor.dim() > 1 else "f32",
    )


def write_file(path: Path, content: GgufContent) -> None:
    """Write header, metadata and tensors. Raises ExportError for a number that the format cannot hold."""
    import gguf

    writer: Any = gguf.GGUFWriter(path, content.architecture)
    writer.add_file_type(_FILE_TYPES[content.number_format])
    writer.add_quantization_version(_QUANTISATION_VERSION)
    content.describe(writer)
    for tensor in content.tensors:
        kind = gguf.GGMLQuantizationType[tensor.number_format.upper()]
        width = np.dtype(np.float32 if tensor.number_format == "f32" else np.float16)
        writer.add_tensor_info(tensor.name, tensor.shape, width, math.prod(tensor.shape) * width.itemsize, kind)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in content.tensors:
            writer.write_tensor_data(_numbers(tensor))
    except OSError as error:
        if error.errno is None:  # numpy reports the bytes it could not write, but not why
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        writer.close()


def _numbers(tensor: GgufTensor) -> "np.ndarray[Any, Any]":
    values = tensor.values().detach().cpu()
    if tensor.number_format == "f32":
        return values.float().contiguous().numpy()
    if tensor.number_format == "bf16":
        return values.to(torch.bfloat16).contiguous().view(torch.int16).numpy()
    halves = values.to(torch.float16).contiguous()
    if not torch.isfinite(halves).all():
        largest = values.abs().max().item()
        error = ExportError(f"'{tensor.name}' holds {largest:g}, float16 ends at 65504")
        error.add_note("Choose bf16 or f32.")
        raise error
    return halves.numpy()
