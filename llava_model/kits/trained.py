"""Weights that the project trained itself and that ship inside the package, by kit.

weights/<kit>/projector.safetensors   vision features → the language model's space
weights/<kit>/adapter/                LoRA of the language model (peft's format)
weights/<kit>/joint_space.safetensors pooled features → the text space, for search
weights/<kit>/README.md               the card: data, licences, configuration, seed, scores
weights/<kit>/run.json                how projector and adapter were trained, as a checkpoint's manifest says it
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.kits.errors import KitError

_WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedWeights:
    """What there is for a kit; None for a part that was not trained."""

    projector: Path | None = None
    adapter: Path | None = None
    joint_space: Path | None = None


def shipped_weights(kit: str, *, folder: Path = _WEIGHTS) -> ShippedWeights:
    """The shipped weights of a kit."""
    here = folder / kit

    def there(path: Path, proof: str = "") -> Path | None:
        return path if (path / proof if proof else path).is_file() else None

    return ShippedWeights(
        projector=there(here / "projector.safetensors"),
        adapter=there(here / "adapter", "adapter_model.safetensors"),
        joint_space=there(here / "joint_space.safetensors"),
    )


def weights_folder(kit: str, *, folder: Path = _WEIGHTS) -> Path:
    """Where a kit's trained projector and adapter lie, to train on from. Raises KitError for a kit without any."""
    if not is_shipped(folder / kit):
        error = KitError(f"the kit '{kit}' brings no trained projector and adapter")
        error.add_note("Train from its own parts, without --start, or name a checkpoint.")
        raise error
    return folder / kit


def is_shipped(folder: Path) -> bool:
    """Whether a folder is shaped as the shipped weights are."""
    return (folder / "run.json").is_file() and not (folder / "manifest.json").exists()


def shipped_config(folder: Path) -> Any:
    """The configuration of the training that they come from."""
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))["config"]
