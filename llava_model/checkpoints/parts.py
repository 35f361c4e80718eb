"""Load and save the parts of a LLaVA: the language model with its adapter, the projector, or a whole checkpoint.

A projector is one safetensors file. Its header holds its configuration and widths, so it cannot be put between the
wrong parts unnoticed. A checkpoint of a training stage (see `manifest`) is a folder with some of

    projector.safetensors          adapter/ (in peft's format) or language/ (the whole model with its tokenizer)
    vision/ (only if it is not the base's)            state/ (to resume training, see `state`)
"""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llava_model.checkpoints.manifest import Manifest, fingerprint_of, read_manifest
from llava_model.errors import CheckpointMismatchError, MissingFileError, MissingPackageError, WrongBaseError
from llava_model.model.composition import LlavaModel
from llava_model.model.config import LlavaConfig, Projector
from llava_model.model.towers import VisionTower, load_tower
from llava_model.text.tokenize import image_token_id, load_tokenizer

PROJECTOR_FILE = "projector.safetensors"
ADAPTER, LANGUAGE, VISION = "adapter", "language", "vision"
_FORMAT = "llavero-projector-1"


def save_projector(path: Path, projector: Projector, config: LlavaConfig) -> None:
    """Write weights and header. The file appears complete or not at all."""
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
    """Read what `save_projector` wrote, from the file or from its folder."""
    from safetensors import safe_open
    from safetensors.torch import load_file

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
    weights = load_file(path)
    try:
        projector.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointMismatchError(f"projector '{path}'", found=sorted(weights), wanted=config.projector) from error
    return projector, config


def load_language(folder: Path, *, dtype: torch.dtype, adapter: Path | None = None) -> nn.Module:
    """A causal language model, from safetensors on disk only. A LoRA adapter is merged into its weights."""
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").is_file():
        raise MissingFileError(folder / "config.json", "language model")
    language: nn.Module = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True
    )
    return merge_adapter(language, adapter) if adapter else language


def load_quantized(folder: Path, *, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """A causal language model with its matrices in 4 bits (NF4, double quantisation), for QLoRA. Slow on a CPU.

    Raises MissingPackageError.
    """
    from importlib.util import find_spec

    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise MissingPackageError("bitsandbytes", purpose="QLoRA", install="'llavero[qlora]'")
    make_config: Any = BitsAndBytesConfig  # without types
    config = make_config(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    language: nn.Module = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        quantization_config=config,
        device_map={"": device},
        local_files_only=True,
        use_safetensors=True,
    )
    return language


def merge_adapter(language: nn.Module, adapter: Path) -> nn.Module:
    """Add a LoRA adapter to the model's weights. Raises CheckpointMismatchError if its shapes do not fit."""
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


def load_trained(folder: Path, *, language: Path | None, vision: Path | None, dtype: torch.dtype) -> LlavaModel:
    """The model that a training stage saved, with its adapter merged.

    `language` and `vision` are the folders of the base that it was trained on. A part that the checkpoint holds itself
    is read from there instead. The tower stays in float32. Raises IncompleteCheckpointError; WrongBaseError for a
    folder with other weights than it was trained on; CheckpointMismatchError if a folder is needed and not given.
    """
    manifest = read_manifest(folder)
    parts = parts_of(manifest)
    text_folder = _part(folder, manifest, LANGUAGE, language, what=ADAPTER if ADAPTER in parts else "projector")
    adapter = folder / ADAPTER if ADAPTER in parts else None
    text = load_language(text_folder, dtype=dtype, adapter=adapter)
    projector, config = load_projector(folder) if PROJECTOR_FILE in parts else (None, LlavaConfig())
    tower_folder = _part(folder, manifest, VISION, vision, what="projector") if projector else None
    return LlavaModel(
        language=text,
        image_token_id=image_token_id(load_tokenizer(text_folder)),
        tower=_tower(tower_folder, config, manifest) if tower_folder else None,
        projector=projector.to(dtype) if projector else None,
        config=config,
    )


def language_folder(folder: Path, language: Path | None) -> Path:
    """The folder of a checkpoint's tokenizer: its own, or that of the language model it was trained on."""
    own = folder / LANGUAGE
    if language is None and not own.is_dir():
        raise MissingFileError(own, "language model")
    return own if own.is_dir() or language is None else language


def parts_of(manifest: Manifest) -> set[str]:
    """The names of the files and folders at the top of a checkpoint."""
    return {name.split("/")[0] for name in manifest.files}


def _part(folder: Path, manifest: Manifest, part: str, given: Path | None, *, what: str) -> Path:
    """The checkpoint's own folder for a part, or the given one if it holds what the checkpoint was trained on."""
    if part in parts_of(manifest):
        return folder / part
    base = manifest.base.get(part) or {}
    name, wanted = base.get("name", "another model"), base.get("fingerprint")
    if given is None:
        raise CheckpointMismatchError(
            f"checkpoint '{folder}'", found=f"no {part} model of its own", wanted=f"'{name}', which it was trained on"
        )
    if wanted and (found := fingerprint_of(given)) != wanted:
        raise WrongBaseError(
            f"the {what} in '{folder}'",
            trained_on=f"'{name}' (weights {wanted[:8]})",
            found=f"'{given}' (weights {found[:8]})",
        )
    return given


def _tower(folder: Path, config: LlavaConfig, manifest: Manifest) -> VisionTower:
    tower = load_tower(folder, config)
    if manifest.config.get("image_aspect_ratio") == "pad":  # LLaVA-1.5 trains on padded pictures, its tower did not
        tower.preprocess = replace(tower.preprocess, mode="pad")
    return tower
