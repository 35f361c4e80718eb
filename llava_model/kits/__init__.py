"""Named, pinned sets of weights: kit file (TOML) → install → one folder for each component.

definition (what a kit is) → fetch (the only downloads) → installer (converts to safetensors; writes sizes and SHA-256
last). Other code asks `find("pocket").path("vision")` for a folder. What can go wrong is in errors.

For some kits this package brings weights that Llavero's authors trained:

weights/<kit>/projector.safetensors   vision features → the language model's space
weights/<kit>/adapter/                LoRA of the language model (peft's format)
weights/<kit>/joint_space.safetensors pooled features → the text space, for search
weights/<kit>/verifier.safetensors  LoRA and head on the text embedder: whether a passage bears a sentence out
weights/<kit>/whole_collection.safetensors  on questions' vectors: whether one is about the whole collection
weights/<kit>/README.md               the card: data, licences, configuration, seed, scores
weights/<kit>/run.json                the training configuration of projector and adapter, as in a checkpoint's manifest
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.kits.definition import Component, HubSource, Kit, PackageSource, available, find, kits_home
from llava_model.kits.errors import KitDamagedError, KitError, KitNotFoundError, KitNotInstalledError
from llava_model.kits.installer import DamagedFile, InstallProgress, install, verify

__all__ = [
    "Component",
    "DamagedFile",
    "HubSource",
    "InstallProgress",
    "Kit",
    "KitDamagedError",
    "KitError",
    "KitNotFoundError",
    "KitNotInstalledError",
    "PackageSource",
    "available",
    "find",
    "install",
    "kits_home",
    "verify",
]


_WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedWeights:
    """The files that ship for a kit; None for a part that was not trained."""

    projector: Path | None = None
    adapter: Path | None = None
    joint_space: Path | None = None
    verifier: Path | None = None
    whole_collection: Path | None = None


def shipped_weights(kit: str, *, folder: Path = _WEIGHTS) -> ShippedWeights:
    """The shipped weights of a kit. Kits with the same picture network share a joint space: `options.joint_space`."""
    projector, adapter = folder / kit / "projector.safetensors", folder / kit / "adapter"
    joint_space = folder / _joint_space_of(kit) / "joint_space.safetensors"
    verifier = folder / kit / "verifier.safetensors"
    whole_collection = folder / kit / "whole_collection.safetensors"
    return ShippedWeights(
        projector=projector if projector.is_file() else None,
        adapter=adapter if (adapter / "adapter_model.safetensors").is_file() else None,
        joint_space=joint_space if joint_space.is_file() else None,
        verifier=verifier if verifier.is_file() else None,
        whole_collection=whole_collection if whole_collection.is_file() else None,
    )


def _joint_space_of(kit: str) -> str:
    """The kit whose joint space a kit uses, by the options of its vision component; mostly its own."""
    try:
        return str(find(kit).component("vision").options.get("joint_space", kit))
    except (KitNotFoundError, KeyError):
        return kit


def weights_folder(kit: str, *, folder: Path = _WEIGHTS) -> Path:
    """The folder of a kit's shipped projector and adapter, to start training from. Raises KitError if it has none."""
    if not is_shipped(folder / kit):
        error = KitError(f"the kit '{kit}' brings no trained projector and adapter")
        error.add_note("Train from its own parts, without --start, or name a checkpoint.")
        raise error
    return folder / kit


def is_shipped(folder: Path) -> bool:
    """Whether a folder has the layout of shipped weights."""
    return (folder / "run.json").is_file() and not (folder / "manifest.json").exists()


def shipped_config(folder: Path) -> Any:
    """The training configuration of the shipped weights in a folder."""
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))["config"]
