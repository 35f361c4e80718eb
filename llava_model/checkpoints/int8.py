"""A language model in 8 bits (`model.int8`), prepared once and then mapped from its file.

Merging an adapter and rounding three gigabytes takes a minute; the file that holds what comes out opens in seconds, and
processes share its pages. It lies beside the model's folder and is named after all that went into it; a file of other
weights is removed when a new one is written. Where nothing can be written, the model is prepared in memory each time.
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from llava_model.checkpoints.parts import load_language, merge_adapter, read_model_type
from llava_model.errors import MissingFileError
from llava_model.model.int8 import hold_in_int8

_FORMAT = "1"
_LARGE_BYTES = 2 << 30


def suits_int8(language: Path) -> bool:
    """Whether the processor multiplies 8 bits, and a folder holds a language model whose weights take over 2 GiB and
    are all linear layers and tables."""
    if not torch.cpu._is_vnni_supported():  # without it sums of products may be cut off, and nothing is gained
        return False
    if sum(file.stat().st_size for file in language.glob("*.safetensors")) < _LARGE_BYTES:
        return False
    if read_model_type(language) == "llava":
        return False
    model = _empty(language)
    layers = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Embedding)]
    held = {id(weight) for layer in layers for weight in layer.parameters()}
    return all(weight.dim() == 1 or id(weight) in held for weight in model.parameters())


def load_int8(language: Path, *, adapter: Path | None = None) -> nn.Module:
    """The model of a folder with its adapter merged, in 8 bits. Raises MissingFileError, CheckpointMismatchError."""
    if not (language / "config.json").is_file():
        raise MissingFileError(language / "config.json", "language model")
    prepared = prepared_file(language, adapter)
    if prepared.is_file():
        with contextlib.suppress(SafetensorError, RuntimeError):  # it was damaged, and is made again
            return _mapped(language, prepared)
    model = hold_in_int8(_merged(language, adapter))
    return _mapped(language, prepared) if _kept(model, prepared) else model


def prepared_file(language: Path, adapter: Path | None) -> Path:
    """Where the prepared model lies, whether it exists or not."""
    digest = hashlib.sha256(f"{_FORMAT}\0{torch.int8}".encode())
    for file in sorted(language.glob("*.safetensors")):
        state = file.stat()
        digest.update(f"{file.name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    digest.update((language / "config.json").read_bytes())
    for file in sorted(adapter.glob("adapter_*")) if adapter else ():
        digest.update(file.read_bytes())
    return language.parent / "prepared" / f"{language.name}-int8-{digest.hexdigest()[:16]}.safetensors"


def _merged(language: Path, adapter: Path | None) -> nn.Module:
    model = load_language(language, dtype=torch.bfloat16)
    return merge_adapter(model, adapter) if adapter else model


def _kept(model: nn.Module, target: Path) -> bool:
    """Write the file, whole or not at all, and remove those of other weights. False where that is not possible."""
    from safetensors.torch import save_file

    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, part)
        part.replace(target)
    except (OSError, SafetensorError):  # safetensors says of a full disk what it says of all else
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        return False
    for other in target.parent.glob(f"{target.name.split('-int8-')[0]}-int8-*"):
        if other != target:
            with contextlib.suppress(OSError):
                other.unlink()
    return True


def _mapped(language: Path, prepared: Path) -> nn.Module:
    from safetensors.torch import load_file
    from transformers import GenerationConfig

    model = _empty(language)
    hold_in_int8(model).load_state_dict(load_file(prepared), assign=True)
    if (language / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(language, local_files_only=True)
    made: nn.Module = model.eval()
    return made


def _empty(language: Path) -> Any:
    """The network of a folder without its weights."""
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    config: Any = AutoConfig.from_pretrained(language, local_files_only=True)
    with init_empty_weights(include_buffers=False):
        return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
