"""Folders of parts → one model that answers."""

from pathlib import Path

import torch

from llava_model.checkpoints.hf import from_hf
from llava_model.checkpoints.int8 import load_int8
from llava_model.checkpoints.parts import load_language, load_projector, merge_adapter, read_model_type
from llava_model.errors import CheckpointMismatchError
from llava_model.model.composition import LlavaModel
from llava_model.model.config import LlavaConfig
from llava_model.model.towers import load_tower


def load_model(
    language: Path,
    *,
    image_token_id: int,
    vision: Path | None,
    projector: Path | None,
    adapter: Path | None,
    dtype: torch.dtype,
) -> LlavaModel:
    """Compose a model of these folders (see `Engine.load`). A separate vision tower stays in float32: it is small.

    `dtype` int8 holds the language model in 8 bits, with float32 between its layers.
    """
    if read_model_type(language) == "llava":
        if vision or projector:
            raise CheckpointMismatchError(
                f"'{language}'", found="a whole LLaVA checkpoint", wanted="no vision or projector beside it"
            )
        model = from_hf(language, dtype=dtype)
        if adapter:
            model.language = merge_adapter(model.language, adapter)
        return model
    if dtype == torch.int8:
        text, dtype = load_int8(language, adapter=adapter), torch.float32
    else:
        text = load_language(language, dtype=dtype, adapter=adapter)
    bridge, config = load_projector(projector) if projector else (None, LlavaConfig())
    return LlavaModel(
        language=text,
        image_token_id=image_token_id,
        tower=load_tower(vision, config) if vision else None,
        projector=bridge.to(dtype) if bridge else None,
        config=config,
    )
