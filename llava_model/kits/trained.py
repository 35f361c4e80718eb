"""Weights that the project trained itself and that ship inside the package, by kit.

weights/<kit>/projector.safetensors   vision features → the language model's space
weights/<kit>/adapter/                LoRA of the language model (peft's format)
weights/<kit>/joint_space.safetensors pooled features → the text space, for search
weights/<kit>/README.md               the card: data, licences, configuration, seed, scores
"""

from dataclasses import dataclass
from pathlib import Path

_WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedWeights:
    """What there is for a kit; None for a part that was not trained."""

    projector: Path | None = None
    adapter: Path | None = None
    joint_space: Path | None = None


def trained_weights(kit: str, *, folder: Path = _WEIGHTS) -> TrainedWeights:
    """The shipped weights of a kit."""
    here = folder / kit

    def there(path: Path, proof: str = "") -> Path | None:
        return path if (path / proof if proof else path).is_file() else None

    return TrainedWeights(
        projector=there(here / "projector.safetensors"),
        adapter=there(here / "adapter", "adapter_model.safetensors"),
        joint_space=there(here / "joint_space.safetensors"),
    )
