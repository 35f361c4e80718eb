"""Load and save a LLaVA, part by part or whole.

    projector.safetensors     one file; its header holds its configuration and widths, so it cannot be put between
                              the wrong parts unnoticed
    adapter/ or language/     LoRA in peft's format, or the whole language model with its tokenizer
    vision/                   only if the tower is not the base's
    state/                    to resume training, see `training.loop`

A checkpoint of a training stage (see `manifest`) is a folder with some of these. `open_trained` opens one, or
transformers' LLaVA, with its adapter merged; `save_merged` and `save_as_hf` write it for other programs. Weights keep
their stored number type: an adapter is added in float32, and the sum is rounded once.
"""

import json
import shutil
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from llava_model.checkpoints.hf import from_hf, image_processor, save_hf
from llava_model.checkpoints.manifest import MANIFEST_FILE, Manifest, fingerprint_of, git_hash, read_manifest, writing
from llava_model.errors import CheckpointMismatchError, MissingFileError, MissingPackageError, WrongBaseError
from llava_model.model.composition import LlavaModel, Projector
from llava_model.model.config import LlavaConfig
from llava_model.model.towers import TransformersTower, VisionTower, load_tower
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


TOKENIZER_FILES = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template*",
    "generation_config.json", "LICENSE*", "*.tiktoken",
)  # fmt: skip
"""The files of a language model's folder that are neither configuration nor weights."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.int8}


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model with its adapter merged, its tokenizer, and the manifest of its checkpoint."""

    model: LlavaModel
    tokenizer: Any
    tokenizer_folder: Path
    manifest: Manifest
    brings_tower: bool
    """Whether the checkpoint holds its own vision tower, which is then saved with it."""


def open_trained(folder: Path, *, language: Path | None = None, vision: Path | None = None) -> TrainedModel:
    """Open one of our checkpoints, or transformers' LLaVA. Raises MissingFileError if the folder is neither.

    See `load_trained` for `language` and `vision`.
    """
    if (folder / "config.json").is_file() and read_model_type(folder) == "llava":
        return _open_hf(folder)
    if not (folder / MANIFEST_FILE).is_file():
        raise MissingFileError(folder / MANIFEST_FILE, "checkpoint")
    manifest = read_manifest(folder, verify=False)  # `load_trained` reads every byte
    parts = parts_of(manifest)
    text_folder = language_folder(folder, language)
    stored = stored_dtype(text_folder)
    dtype = torch.float32 if ADAPTER in parts else stored
    model = load_trained(folder, language=language, vision=vision, dtype=dtype)
    model.language.to(stored)
    if PROJECTOR_FILE in parts:
        model.projector, _ = load_projector(folder)  # in the number type it was trained in
    return TrainedModel(
        model=model,
        tokenizer=load_tokenizer(text_folder),
        tokenizer_folder=text_folder,
        manifest=manifest,
        brings_tower=VISION in parts,
    )


def _open_hf(folder: Path) -> TrainedModel:
    model, tokenizer = from_hf(folder, dtype=stored_dtype(folder)), load_tokenizer(folder)
    manifest = Manifest(
        stage="import", step=0, seed=0, config={}, llava=model.config.to_json(), data_fingerprint="",
        git_hash=git_hash(), base={},
    )  # fmt: skip
    return TrainedModel(model=model, tokenizer=tokenizer, tokenizer_folder=folder, manifest=manifest, brings_tower=True)


def save_merged(trained: TrainedModel, folder: Path) -> None:
    """Write a checkpoint with the merged language model, its tokenizer and the projector.

    The vision tower is written if it was the checkpoint's own; otherwise the base's is still needed.
    """
    model = trained.model
    with writing(folder, replace(trained.manifest, stage="merged", files={}, created="")) as unfinished:
        language = cast(Any, model.language)
        language.save_pretrained(unfinished / LANGUAGE)
        copy_tokenizer(trained.tokenizer_folder, unfinished / LANGUAGE)
        if model.projector is not None:
            save_projector(unfinished / PROJECTOR_FILE, model.projector, model.config)
        if trained.brings_tower and isinstance(model.tower, TransformersTower):
            cast(Any, model.tower.network).save_pretrained(unfinished / VISION)
            image_processor(model.tower.preprocess).save_pretrained(unfinished / VISION)


def save_as_hf(trained: TrainedModel, folder: Path) -> tuple[str, ...]:
    """Write transformers' LLaVA with its processor (see `hf.save_hf`) and our manifest → notes for the user.

    Raises ExportError.
    """
    with writing(folder, replace(trained.manifest, stage="merged", files={}, created="")) as unfinished:
        save_hf(trained.model, unfinished, trained.tokenizer)
    notes = []
    if trained.model.config.projector == "linear":
        notes.append("vLLM has no place for a linear projector: serve this one with transformers or llavero")
    if not trained.tokenizer.chat_template:
        notes.append("the tokenizer brings no chat template: servers need one named")
    return tuple(notes)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the files byte for byte: a tokenizer that is loaded and saved may behave differently."""
    for pattern in TOKENIZER_FILES:
        for path in source.glob(pattern):
            if path.is_file():
                shutil.copyfile(path, target / path.name)


def stored_dtype(folder: Path) -> torch.dtype:
    """The number type of the weights, from the folder's configuration; float32 if it names none."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = values.get("text_config") or {}
    name = values.get("dtype") or values.get("torch_dtype") or text.get("dtype") or text.get("torch_dtype")
    return _DTYPES.get(str(name), torch.float32)


def choose_device(device: str) -> torch.device:
    """ "auto" is CUDA if there is one; anything else must exist."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointMismatchError("device", found="no CUDA device on this machine", wanted=f"'{device}'")
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """ "auto": bfloat16 where the hardware multiplies it, else float32. For large models see `checkpoints.int8`.

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
