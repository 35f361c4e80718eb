"""Downloaded weights → the folder that Llavero loads; safetensors only.

The kit file names the recipe: `options.recipe`.
"""

import contextlib
import errno
import io
import json
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

from llava_model.kits.definition import Component, ConversionError, HubSource, MissingExtraError, kits_home
from llava_model.kits.fetch import files_in

Recipe = Callable[[Component, Path, Path], None]  # component, unpacked download, empty target folder


def convert(component: Component, unpacked: Path, target: Path) -> None:
    """Run the component's recipe, which fills the folder `target`. Raises ConversionError, MissingExtraError."""
    from safetensors import SafetensorError

    name = component.options.get("recipe", "as-is")
    if name not in _RECIPES:
        raise ConversionError(component.name, f"there is no recipe '{name}', only {', '.join(_RECIPES)}")
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars of libraries, which cannot all be switched off
            _RECIPES[name](component, unpacked, target)
    except ImportError as error:
        raise MissingExtraError(error.name or str(error)) from error
    except pickle.UnpicklingError as error:
        raise ConversionError(component.name, "the download wants to run code, or holds no weights") from error
    except SafetensorError as error:
        if (full := os.strerror(errno.ENOSPC)) in str(error):
            raise OSError(errno.ENOSPC, full) from error
        raise ConversionError(component.name, str(error)) from error


def _as_is(component: Component, unpacked: Path, target: Path) -> None:
    """Copy the files that the repository's source or `options.files` names; without either, all of them."""
    source = component.source
    patterns = list(source.files) if isinstance(source, HubSource) else component.options.get("files", ["*"])
    downloaded, wanted = files_in(unpacked), set()
    for pattern in patterns:
        matching = {name for name in downloaded if fnmatch(name, pattern)}
        if not matching:
            raise ConversionError(component.name, f"the download holds no {pattern}")
        wanted |= matching
    for name in sorted(wanted):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _place(unpacked / name, target / name)


def _place(source: Path, target: Path) -> None:
    """Link to our own downloads, to save gigabytes; copy a person's files, which may change later."""
    if source.is_relative_to(kits_home()) and not source.is_symlink():
        with contextlib.suppress(OSError):
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)


def _timm_from_efficientnet_pytorch(component: Component, unpacked: Path, target: Path) -> None:
    """lukemelas' EfficientNet-PyTorch has the same tensors as timm, in the same order, under other names.

    Its preprocessing `(x - 127) / 128` on 0..255 is timm's `(x / 255 - mean) / std` with mean 127/255 and std 128/255.
    The result is a folder in timm's own format: `timm.create_model("local-dir:FOLDER")` loads it.
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
    """Unpack the quantised blocks once. The result loads like any checkpoint, without the gguf package."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    if find_spec("gguf") is None:  # transformers would say so late, and in many lines
        raise MissingExtraError("gguf")
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
    _drop_keys(target / "tokenizer_config.json", "is_local", "local_files_only")  # true on this machine only


def _drop_keys(file: Path, *keys: str) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if key not in keys}
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")


_RECIPES: Mapping[str, Recipe] = {
    "as-is": _as_is,
    "timm-from-efficientnet-pytorch": _timm_from_efficientnet_pytorch,
    "causal-lm-from-gguf": _causal_lm_from_gguf,
}
