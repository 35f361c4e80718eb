"""The parts of a LLaVA on disk: language model (with an adapter merged in), and the projector by itself.

A projector is one safetensors file whose header says how it is to be used, so that it cannot be put
between the wrong parts unnoticed.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llava_model.config import LlavaConfig
from llava_model.errors import CheckpointMismatchError, MissingFileError
from llava_model.projector import Projector

PROJECTOR_FILE = "projector.safetensors"
_FORMAT = "llavero-projector-1"


def save_projector(path: Path, projector: Projector, config: LlavaConfig) -> None:
    """Write weights and header; the file appears whole or not at all."""
    from safetensors.torch import save_file

    header = {
        "format": _FORMAT,
        "config": json.dumps(config.to_json()),
        "vision_width": str(projector.vision_width),
        "text_width": str(projector.text_width),
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in projector.state_dict().items()}
    unfinished = path.with_name(path.name + ".part")
    save_file(weights, unfinished, metadata=header)
    unfinished.replace(path)


def load_projector(path: Path) -> tuple[Projector, LlavaConfig]:
    """Read what `save_projector` wrote, from the file or the folder that holds it."""
    from safetensors import safe_open

    path = path / PROJECTOR_FILE if path.is_dir() else path
    if not path.is_file():
        raise MissingFileError(path, "projector")
    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
        if header.get("format") != _FORMAT:
            raise CheckpointMismatchError(f"projector '{path}'", found=header.get("format"), wanted=_FORMAT)
        config = LlavaConfig.from_json(json.loads(header["config"]))
        projector = Projector(
            config.projector, vision_width=int(header["vision_width"]), text_width=int(header["text_width"])
        )
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    try:
        projector.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointMismatchError(f"projector '{path}'", found=sorted(weights), wanted=config.projector) from error
    return projector, config


def load_language(folder: Path, *, dtype: torch.dtype, adapter: Path | None = None) -> nn.Module:
    """A causal language model from disk only, safetensors only; a LoRA adapter is merged into its weights."""
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").is_file():
        raise MissingFileError(folder / "config.json", "language model")
    language: nn.Module = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True
    )
    return merge_adapter(language, adapter) if adapter else language


def merge_adapter(language: nn.Module, adapter: Path) -> nn.Module:
    """Add the adapter's weights to the model's own. Raises CheckpointMismatchError if it was trained on another."""
    from peft import PeftModel

    if not (adapter / "adapter_config.json").is_file():
        raise MissingFileError(adapter / "adapter_config.json", "adapter")
    try:
        with warnings.catch_warnings():  # peft still asks transformers by an old name
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            adapted: Any = PeftModel.from_pretrained(language, adapter, local_files_only=True)
    except (RuntimeError, ValueError) as error:
        raise CheckpointMismatchError(f"adapter '{adapter}'", found="other layers", wanted=str(error)) from error
    merged: nn.Module = adapted.merge_and_unload()
    return merged


def read_model_type(folder: Path) -> str:
    """transformers' `model_type` of a checkpoint folder. Raises MissingFileError."""
    if not (folder / "config.json").is_file():
        raise MissingFileError(folder / "config.json", "model")
    return str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", ""))
