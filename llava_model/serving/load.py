"""Which parts, where, and in which number format."""

from pathlib import Path

import torch

from llava_model.checkpoints.hf import from_hf
from llava_model.checkpoints.parts import load_language, load_projector, merge_adapter, read_model_type
from llava_model.errors import CheckpointMismatchError
from llava_model.model.composition import LlavaModel
from llava_model.model.config import LlavaConfig
from llava_model.model.towers import load_tower

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(device: str) -> torch.device:
    """ "auto" is CUDA if there is one; anything else must exist."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointMismatchError("device", found="no CUDA device on this machine", wanted=f"'{device}'")
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """ "auto": bfloat16 where the hardware multiplies it, else float32.

    Measured on two Zen 5 cores (AVX512-BF16) with SmolLM2-135M and 1,000 tokens of prompt, in CPU time:
    bfloat16 1.4 s to read and 24 ms per token, float32 3.2 s and 46 ms. Without such instructions bfloat16
    is emulated and slower.
    """
    if dtype != "auto":
        if dtype not in _DTYPES:
            raise CheckpointMismatchError("dtype", found=f"'{dtype}'", wanted=f"auto, {', '.join(_DTYPES)}")
        return _DTYPES[dtype]
    if device.type == "cuda":
        return torch.bfloat16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def load_model(
    language: Path,
    *,
    image_token_id: int,
    vision: Path | None,
    projector: Path | None,
    adapter: Path | None,
    dtype: torch.dtype,
) -> LlavaModel:
    """The composition; see `Engine.load`. A separate vision tower stays in float32, it is small beside the rest."""
    if read_model_type(language) == "llava":
        if vision or projector:
            raise CheckpointMismatchError(
                f"'{language}'", found="a whole LLaVA checkpoint", wanted="no vision or projector beside it"
            )
        model = from_hf(language, dtype=dtype)
        if adapter:
            model.language = merge_adapter(model.language, adapter)
        return model
    text = load_language(language, dtype=dtype, adapter=adapter)
    bridge, config = load_projector(projector) if projector else (None, LlavaConfig())
    return LlavaModel(
        language=text,
        image_token_id=image_token_id,
        tower=load_tower(vision, config) if vision else None,
        projector=bridge.to(dtype) if bridge else None,
        config=config,
    )
