"""The features of one picture as bytes of fixed length, and back.

    float32    P·V values of 4 bytes
    bfloat16   P·V values of 2 bytes, rounded to 8 bits of precision
    int8       P scales of 4 bytes, then P·V values of 1 byte: each position's largest feature becomes ±127

Legend: P positions per picture, V width of a feature.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

FeatureType = Literal["float32", "bfloat16", "int8"]

_LARGEST_INT8 = 127


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureFormat:
    """How features are stored. They are read back as bfloat16 if stored so, else as float32."""

    dtype: FeatureType
    positions: int
    width: int

    def __post_init__(self) -> None:
        if self.dtype not in get_args(FeatureType):
            raise ValueError(f"features are stored as {', '.join(get_args(FeatureType))}, not '{self.dtype}'")

    @property
    def returned(self) -> torch.dtype:
        """The number type of the tensors that `unpack` returns."""
        return torch.bfloat16 if self.dtype == "bfloat16" else torch.float32

    @property
    def record_bytes(self) -> int:
        """How many bytes one picture takes."""
        values = self.positions * self.width
        return {"float32": 4 * values, "bfloat16": 2 * values, "int8": values + 4 * self.positions}[self.dtype]

    def pack(self, features_PV: torch.Tensor) -> bytes:
        """float32 features on the CPU → bytes. Features must be finite."""
        if self.dtype == "float32":
            return _bytes(features_PV)
        if self.dtype == "bfloat16":
            return _bytes(features_PV.to(torch.bfloat16))
        scale_P1 = features_PV.abs().amax(dim=1, keepdim=True) / _LARGEST_INT8
        levels_PV = (features_PV / scale_P1.clamp_min(torch.finfo(torch.float32).tiny)).round()
        return _bytes(scale_P1) + _bytes(levels_PV.clamp(-_LARGEST_INT8, _LARGEST_INT8).to(torch.int8))

    def unpack(self, content: bytes | memoryview) -> torch.Tensor:
        """→ features_PV, a copy of the bytes."""
        shape = (self.positions, self.width)
        if self.dtype != "int8":
            return _tensor(content, self.returned).reshape(shape)
        scale_P1 = _tensor(content[: 4 * self.positions], torch.float32)[:, None]
        return _tensor(content[4 * self.positions :], torch.int8).reshape(shape) * scale_P1


def relative_errors(features_PV: torch.Tensor, stored_PV: torch.Tensor) -> tuple[float, float]:
    """Of one picture → (largest deviation / largest feature, norm of the deviation / norm of the features)."""
    deviation_PV = features_PV - stored_PV.float()
    measures: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (lambda t: t.abs().max(), torch.linalg.norm)
    largest, whole = (float(measure(deviation_PV)) / (float(measure(features_PV)) or math.inf) for measure in measures)
    return largest, whole


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _tensor(content: bytes | memoryview, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy()).view(dtype)
