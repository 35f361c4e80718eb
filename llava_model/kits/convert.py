"""Downloaded weights → the folder that the product loads; safetensors only.

Which recipe applies stands in the kit file: `options.recipe`.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from llava_model.kits.definition import Component
from llava_model.kits.errors import ConversionError, MissingExtraError

Recipe = Callable[[Component, Path, Path], None]  # component, unpacked download, empty target folder


def convert(component: Component, unpacked: Path, target: Path) -> None:
    """Run the component's recipe. `target` holds the finished folder afterwards."""
    name = component.options.get("recipe", "copy")
    if name not in _RECIPES:
        raise ConversionError(component.name, f"there is no recipe '{name}', only {', '.join(_RECIPES)}")
    try:
        _RECIPES[name](component, unpacked, target)
    except ImportError as error:
        raise MissingExtraError(error.name or str(error)) from error


def _copy(component: Component, unpacked: Path, target: Path) -> None:
    """As it is: all files, or those that `options.files` names."""
    names = component.options.get("files") or [
        path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()
    ]
    for name in names:
        if not (unpacked / name).is_file():
            raise ConversionError(component.name, f"the download holds no {name}")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(unpacked / name, target / name)


def _timm_from_efficientnet_pytorch(component: Component, unpacked: Path, target: Path) -> None:
    """lukemelas' EfficientNet-PyTorch names the same tensors in the same order as timm does.

    `(x - 127) / 128` on 0..255 is timm's `(x / 255 - mean) / std` with mean 127/255 and std 128/255.
    The result is a folder as timm writes it itself: `timm.create_model("local-dir:FOLDER")`.
    """
    import timm
    import torch
    from safetensors.torch import save_file

    options = component.options
    foreign = torch.load(unpacked / options["weights"], map_location="cpu", weights_only=True)
    network = timm.create_model(options["architecture"], pretrained=False)
    own = network.state_dict()
    if len(foreign) != len(own):
        raise ConversionError(component.name, f"{len(foreign)} tensors came, {len(own)} were expected")
    renamed = {}
    for (foreign_name, tensor), (name, expected) in zip(foreign.items(), own.items(), strict=True):
        if tensor.shape != expected.shape or foreign_name.rsplit(".", 1)[-1] != name.rsplit(".", 1)[-1]:
            raise ConversionError(component.name, f"{foreign_name} {tuple(tensor.shape)} does not fit {name}")
        renamed[name] = tensor.contiguous()
    network.load_state_dict(renamed)
    save_file(renamed, target / "model.safetensors")
    config = {
        "architecture": options["architecture"],
        "num_classes": network.num_classes,
        "num_features": network.num_features,
        "pretrained_cfg": dict(options["preprocessing"]),
    }
    (target / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _causal_lm_from_gguf(component: Component, unpacked: Path, target: Path) -> None:
    """Unpack the quantised blocks once; what follows loads like any checkpoint, without the gguf package."""
    import gguf  # noqa: F401  (transformers says only late and at length that it is missing)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    weights = component.options["weights"]
    tokenizer = AutoTokenizer.from_pretrained(
        unpacked, gguf_file=weights, model_max_length=component.options["context_tokens"], local_files_only=True
    )
    if not tokenizer.chat_template:
        raise ConversionError(component.name, f"{weights} carries no chat template")
    model = AutoModelForCausalLM.from_pretrained(
        unpacked,
        gguf_file=weights,
        quantization_config=GgufConfig(dequantize=True),
        dtype=getattr(torch, component.options["dtype"]),
        local_files_only=True,
    )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    _drop_keys(target / "tokenizer_config.json", "is_local", "local_files_only")  # true only of this machine


def _drop_keys(file: Path, *keys: str) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if key not in keys}
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")


_RECIPES: Mapping[str, Recipe] = {
    "copy": _copy,
    "timm-from-efficientnet-pytorch": _timm_from_efficientnet_pytorch,
    "causal-lm-from-gguf": _causal_lm_from_gguf,
}
