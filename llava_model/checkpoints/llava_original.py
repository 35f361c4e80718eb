"""Import checkpoints of the original LLaVA, tensor by tensor.

Three layouts are in use (haotian-liu/LLaVA, `model/builder.py` and `train/llava_trainer.py`):

    mm_projector.bin                                    after stage 1: the projector alone
    non_lora_trainables.bin, adapter_model.*            after LoRA: projector and adapter
    pytorch_model-*.bin | model-*.safetensors           whole: language model, projector, sometimes the tower

`.bin` files are pickles. They are opened with `weights_only=True`; a file with anything but tensors is refused.
"""

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from llava_model.checkpoints.manifest import Manifest, base_of, git_hash, writing
from llava_model.checkpoints.parts import ADAPTER, LANGUAGE, PROJECTOR_FILE, copy_tokenizer, save_projector
from llava_model.errors import CheckpointMismatchError, MissingFileError, MissingPackageError, UnsafeFileError
from llava_model.model.composition import Projector
from llava_model.model.config import LlavaConfig, ProjectorKind

Tensors = dict[str, torch.Tensor]

_PROJECTOR_KEY = re.compile(r"(?:^|\.)mm_projector\.(.+)$")
_IN_PROJECTOR = {
    "linear": {"weight": "layers.0.weight", "bias": "layers.0.bias"},
    "mlp2x_gelu": {f"{layer}.{name}": f"layers.{layer}.{name}" for layer in (0, 2) for name in ("weight", "bias")},
}
_LANGUAGES = {
    "llava": ("llama", "LlamaForCausalLM"),
    "llava_llama": ("llama", "LlamaForCausalLM"),
    "llava_mistral": ("mistral", "MistralForCausalLM"),
    "llava_qwen": ("qwen2", "Qwen2ForCausalLM"),
}
_NOT_THE_LANGUAGE = re.compile(r"(?:^|\.)(?:mm_projector|vision_tower|image_newline)(?:\.|$)|rotary_emb\.inv_freq$")
_MULTIMODAL = re.compile(
    r"^(?:mm_|image_|tune_mm|use_mm|freeze_mm|unfreeze_mm|vision_|pretrain_mm|auto_map$|_name_or_path$"
    r"|tokenizer_(?:model_max_length|padding_side)$|architectures$|model_type$|transformers_version$)"
)


def import_llava(source: Path, target: Path, *, language: Path | None = None, vision: Path | None = None) -> Manifest:
    """Write the weights in `source` as one of our checkpoints → its manifest, without the list of files.

    `language` and `vision` are the folders of the base, if they are at hand: the manifest then holds their
    fingerprints, which later loading compares, and otherwise only their names. Raises MissingFileError,
    UnsafeFileError, and CheckpointMismatchError for settings that our model does not have (several crops per picture,
    marks around pictures).
    """
    settings = _settings(source)
    config = _llava_config(settings)
    base = {"language": {"name": _language_name(source, settings)}, "vision": {"name": settings.get("mm_vision_tower")}}
    manifest = Manifest(
        stage="import",
        step=0,
        seed=0,
        config=settings,
        llava=config.to_json(),
        data_fingerprint="",
        git_hash=git_hash(),
        base=base | base_of(language=language, vision=vision),
    )
    with writing(target, manifest) as unfinished:
        if (source / "adapter_config.json").is_file():
            trained = _trained_beside_lora(source)
            _import_adapter(source, unfinished / ADAPTER)
        elif _weight_files(source):
            trained = _import_language(source, unfinished / LANGUAGE, settings)
        else:
            trained = _in_projector(_opened(source / "mm_projector.bin"))
        save_projector(unfinished / PROJECTOR_FILE, _projector(trained, config), config)
    return manifest


def _settings(source: Path) -> dict[str, Any]:
    if not (source / "config.json").is_file():
        raise MissingFileError(source / "config.json", "LLaVA's configuration")
    values = _read_json(source / "config.json")
    if "mm_vision_tower" not in values:
        raise CheckpointMismatchError(
            f"'{source}'", found="no mm_vision_tower in config.json", wanted="a folder of the original LLaVA"
        )
    return values


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointMismatchError(f"'{path}'", found="damaged JSON", wanted="settings") from error
    if not isinstance(values, dict):
        raise CheckpointMismatchError(f"'{path}'", found=type(values).__name__, wanted="settings")
    return values


def _llava_config(settings: Mapping[str, Any]) -> LlavaConfig:
    """The original's settings as ours. Raises CheckpointMismatchError naming a setting that ours lack."""
    kind = settings.get("mm_projector_type") or "linear"  # the first releases had nothing else and did not say so
    if kind not in _IN_PROJECTOR:
        raise CheckpointMismatchError("mm_projector_type", found=f"'{kind}'", wanted="'linear' or 'mlp2x_gelu'")
    if settings.get("mm_use_im_start_end"):
        raise CheckpointMismatchError(
            "mm_use_im_start_end", found="marks around every picture", wanted="prompts without them"
        )
    if settings.get("image_aspect_ratio") == "anyres" or "unpad" in settings.get("mm_patch_merge_type", "flat"):
        raise CheckpointMismatchError(
            "image_aspect_ratio", found="several crops per picture", wanted="'pad' or 'square'"
        )
    selected = settings.get("mm_vision_select_feature") or "patch"
    if selected not in ("patch", "cls_patch"):
        raise CheckpointMismatchError(
            "mm_vision_select_feature", found=f"'{selected}'", wanted="'patch' or 'cls_patch'"
        )
    without_class_token = "siglip" in str(settings["mm_vision_tower"]).lower()
    projector: ProjectorKind = "linear" if kind == "linear" else "mlp2x_gelu"
    return LlavaConfig(
        projector=projector,
        feature_layer=int(settings.get("mm_vision_select_layer", -2)),
        feature_select="full" if selected == "cls_patch" or without_class_token else "default",
    )


def _language_name(source: Path, settings: Mapping[str, Any]) -> str:
    if (source / "adapter_config.json").is_file():
        adapter = _read_json(source / "adapter_config.json")
        return str(adapter.get("base_model_name_or_path") or "unknown")
    return str(settings.get("_name_or_path") or "unknown")


def _opened(path: Path) -> Tensors:
    """Read a file of tensors without running code from it. Raises UnsafeFileError, MissingFileError."""
    if not path.is_file():
        raise MissingFileError(path, "weights")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        raise UnsafeFileError(path) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise CheckpointMismatchError(f"'{path}'", found="a damaged file", wanted="a file of tensors") from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise UnsafeFileError(path)
    return tensors


def _is_zip(path: Path) -> bool:
    """Whether the file has torch's format since 1.6, the only one that can be memory-mapped."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _in_projector(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The projector's tensors without the original's prefixes."""
    return {found[1]: tensor for name, tensor in tensors.items() if (found := _PROJECTOR_KEY.search(name))}


def _projector(tensors: Tensors, config: LlavaConfig) -> Projector:
    names = _IN_PROJECTOR[config.projector]
    if set(tensors) != set(names):
        raise CheckpointMismatchError(
            f"projector '{config.projector}'", found=sorted(tensors) or "no mm_projector", wanted=sorted(names)
        )
    weights = {names[name]: tensor.float() for name, tensor in tensors.items()}
    text_width, vision_width = weights["layers.0.weight"].shape
    projector = Projector(config.projector, vision_width=vision_width, text_width=text_width)
    try:
        projector.load_state_dict(weights)
    except RuntimeError as error:
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        raise CheckpointMismatchError("projector", found=found, wanted=config.projector) from error
    return projector


def _trained_beside_lora(source: Path) -> Tensors:
    """The projector in `non_lora_trainables.bin`. Raises CheckpointMismatchError if other parts were trained too."""
    tensors = _opened(source / "non_lora_trainables.bin")
    others = sorted(name for name in tensors if not _PROJECTOR_KEY.search(name))
    if others:
        raise CheckpointMismatchError(
            f"'{source / 'non_lora_trainables.bin'}'", found=f"{others[0]} trained as well", wanted="the projector only"
        )
    return _in_projector(tensors)


def _import_adapter(source: Path, target: Path) -> None:
    """Copy the adapter, which has peft's format; a pickled one becomes safetensors."""
    from safetensors.torch import save_file

    name = "adapter_model.safetensors"
    weights = _opened(source / name if (source / name).is_file() else source / "adapter_model.bin")
    strangers = [tensor for tensor in weights if ".lora_" not in tensor]
    if strangers:
        raise CheckpointMismatchError(f"adapter in '{source}'", found=strangers[0], wanted="LoRA matrices only")
    settings = _read_json(source / "adapter_config.json")
    settings["base_model_name_or_path"] = None  # a folder of somebody else's, or a hub's address
    target.mkdir()
    save_file({key: tensor.contiguous() for key, tensor in weights.items()}, target / name, metadata={"format": "pt"})
    (target / "adapter_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class _Shard:
    """One file of the language model's weights."""

    path: Path
    name: str  # of the file that is written


def _import_language(source: Path, target: Path, settings: Mapping[str, Any]) -> Tensors:
    """Copy the language model shard by shard, one in memory at a time → the projector's tensors."""
    from safetensors.torch import save_file

    target.mkdir()
    projector: Tensors = {}
    places: dict[str, str] = {}
    for shard in _shards(source):
        tensors = _opened(shard.path)
        projector |= {name: tensor.clone() for name, tensor in _in_projector(tensors).items()}
        kept = {name: tensor.contiguous() for name, tensor in tensors.items() if not _NOT_THE_LANGUAGE.search(name)}
        if kept:
            save_file(kept, target / shard.name, metadata={"format": "pt"})
            places |= dict.fromkeys(kept, shard.name)
    index = {"metadata": {}, "weight_map": places}
    (target / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (target / "config.json").write_text(json.dumps(_language_settings(settings), indent=1), encoding="utf-8")
    copy_tokenizer(source, target)
    _add_fast_tokenizer(target)
    return projector


def _add_fast_tokenizer(folder: Path) -> None:
    """Add a fast tokenizer, which gives offsets; the original's folders hold only sentencepiece's model."""
    if (folder / "tokenizer.json").is_file() or not (folder / "tokenizer.model").is_file():
        return
    if find_spec("sentencepiece") is None:
        raise MissingPackageError("sentencepiece", purpose="reading tokenizer.model", install="sentencepiece protobuf")
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(folder, local_files_only=True).save_pretrained(folder)


def _weight_files(source: Path) -> list[Path]:
    return sorted(source.glob("model*.safetensors")) or sorted(source.glob("pytorch_model*.bin"))


def _shards(source: Path) -> list[_Shard]:
    paths = _weight_files(source)
    for index in source.glob("*.index.json"):  # find shards that were not downloaded
        wanted = set(_read_json(index).get("weight_map", {}).values())
        if missing := sorted(
            name for name in wanted if Path(name).suffix == paths[0].suffix and not (source / name).is_file()
        ):
            raise MissingFileError(source / Path(missing[0]).name, "weights")
    return [
        _Shard(path=path, name=f"model-{number:05d}-of-{len(paths):05d}.safetensors")
        for number, path in enumerate(paths, start=1)
    ]


def _language_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The language model's configuration, taken out of LLaVA's."""
    kind = str(settings.get("model_type"))
    if kind not in _LANGUAGES:
        raise CheckpointMismatchError("model_type", found=f"'{kind}'", wanted=f"one of {', '.join(_LANGUAGES)}")
    model_type, architecture = _LANGUAGES[kind]
    own = {name: value for name, value in settings.items() if not _MULTIMODAL.search(name)}
    return own | {"model_type": model_type, "architectures": [architecture]}
