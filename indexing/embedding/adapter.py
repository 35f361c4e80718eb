"""What the project trained to lie between the pocket kit's picture network and its words.

Two formats, told apart by their tensors:

    linear        `weight` (D, F), `bias` (D,): a linear function of the features, added to the class mixture
    joint space   kernel ridge regression over all that the classifier saw: a picture is compared with the stored ones
                  it was fitted on, and takes their words by likeness; added to the class mixture. A map that both the
                  class mixture and the words go through spreads directions that all words share

Legend: B batch, C channels, H W places, D width of a vector, F features (1280), K classes, P inputs, R width after
the projection, N stored pictures.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from indexing.embedding.errors import WeightsError
from indexing.embedding.protocol import Vectors

if TYPE_CHECKING:
    from torch import Tensor

STAGES = 2  # the last stages whose statistics are inputs: textures and colours that the final features forgot
COLOUR_GRID = 8  # a picture's colours as 8 x 8 places: what tells one flag from another

# Chosen, with a class's words, on 674 captioned drawings and photographs (Tux Paint's stamps) and 15 of
# scikit-image's; text→image MRR 0.160 → 0.177 and 0.85 → 0.84 against names alone at temperature 1.
TEMPERATURE = 1.5

_BYTES = ("projection", "stored", "answers")  # int8, each row with a factor of its own in `<name>.factors`


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """All that the network says about a batch of pictures."""

    pixels_BCHW: "Tensor"  # uint8, as they came
    stages_BCHW: tuple["Tensor", ...]  # what its last stages hold, before the final features
    features_BF: "Tensor"
    logits_BK: "Tensor"


def look(network: Any, pixels_BHWC: "Tensor", scale_C: "Tensor", shift_C: "Tensor") -> Seen:
    """Run the network once over uint8 pixels."""
    normalised_BHWC = pixels_BHWC.float().mul_(scale_C).add_(shift_C)
    final_BCHW, stages = network.forward_intermediates(normalised_BHWC.permute(0, 3, 1, 2), indices=STAGES)
    features_BF = network.forward_head(final_BCHW, pre_logits=True)
    logits_BK = network.get_classifier()(features_BF)
    return Seen(
        pixels_BCHW=pixels_BHWC.permute(0, 3, 1, 2),
        stages_BCHW=tuple(stages),
        features_BF=features_BF,
        logits_BK=logits_BK,
    )


def inputs(seen: Seen) -> "Tensor":
    """(B, P): features, class probabilities, each stage's mean, deviation and maximum, and the colours by place.

    Square roots bring counts and probabilities, most of them near zero, to a common scale.
    """
    import torch

    probabilities_BK = (seen.logits_BK / TEMPERATURE).softmax(-1)
    blocks = [seen.features_BF.clamp(min=0).sqrt(), probabilities_BK.sqrt()]
    for stage_BCHW in reversed(seen.stages_BCHW):
        blocks += [stage_BCHW.mean((2, 3)), stage_BCHW.std((2, 3)), stage_BCHW.amax((2, 3))]
    colours_BCHW = torch.nn.functional.adaptive_avg_pool2d(seen.pixels_BCHW.float() / 255, COLOUR_GRID)
    return torch.cat([*blocks, colours_BCHW.flatten(1)], dim=-1)


class Adapter(Protocol):
    """Vectors are not yet of unit length on either side."""

    name: str

    def images(self, seen: Seen, classes_BD: "Tensor") -> "Tensor":
        """Pictures in the joint space; `classes_BD` is their mixture of class vectors."""

    def queries(self, relative_BD: Vectors) -> Vectors:
        """Words, given relative to the mean class, in the joint space."""


class LinearAdapter:
    """A linear function of the features is added; words stay where they are."""

    def __init__(self, name: str, tensors: dict[str, "Tensor"]) -> None:
        self.name = name
        self._weight_DF, self._bias_D = tensors["weight"].float(), tensors["bias"].float()

    def images(self, seen: Seen, classes_BD: "Tensor") -> "Tensor":
        """Class mixture and linear function, summed."""
        return classes_BD + seen.features_BF @ self._weight_DF.T + self._bias_D

    def queries(self, relative_BD: Vectors) -> Vectors:
        """Unchanged."""
        return relative_BD


class JointSpace:
    """Radial kernel over projected inputs of unit length; class mixture and words pass one map."""

    def __init__(self, name: str, tensors: dict[str, "Tensor"]) -> None:
        self.name = name
        self._shift_P, self._scale_P = tensors["shift"], tensors["scale"]
        self._projection_RP, self._stored_NR, self._answers_ND = (
            tensors[key].float() * tensors[f"{key}.factors"][:, None] for key in _BYTES
        )
        self._sharpness, self._classes_weight = tensors["sharpness"], tensors["classes_weight"]
        self._map_DD = tensors["text_map"].float()
        self._text_map_DD: Vectors = self._map_DD.cpu().numpy()

    def images(self, seen: Seen, classes_BD: "Tensor") -> "Tensor":
        """Weighted class mixture, mapped, and the stored pictures' words by likeness, summed."""
        likeness_BN = ((self.projected(inputs(seen)) @ self._stored_NR.T - 1) * 2 * self._sharpness).exp()
        return likeness_BN @ self._answers_ND + self._classes_weight * (classes_BD @ self._map_DD)

    def projected(self, inputs_BP: "Tensor") -> "Tensor":
        """(B, R), of unit length."""
        from torch.nn.functional import normalize

        unit_BP = normalize((inputs_BP - self._shift_P) * self._scale_P, dim=-1)
        return normalize(unit_BP @ self._projection_RP.T, dim=-1)

    def queries(self, relative_BD: Vectors) -> Vectors:
        """Mapped."""
        mapped_BD: Vectors = relative_BD @ self._text_map_DD
        return mapped_BD


def load_adapter(file: Path, *, network: Any, dimensions: int, device: str) -> Adapter:
    """Read either format. Raises WeightsError naming the shapes when it was trained for other networks."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(file, device=device)
    except (OSError, SafetensorError) as error:
        raise WeightsError(file, str(error)) from error
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    joint = "text_map" in found
    wanted = _joint_shapes(network, dimensions, found) if joint else _linear_shapes(network, dimensions)
    if found != wanted:
        raise WeightsError(file, f"it holds {found}, this kit's adapter has {wanted}")
    if joint:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
        return JointSpace(f"{file.stem}-{digest}", tensors)
    return LinearAdapter(file.stem, tensors)


def _linear_shapes(network: Any, dimensions: int) -> dict[str, tuple[int, ...]]:
    return {"weight": (dimensions, int(network.num_features)), "bias": (dimensions,)}


def _joint_shapes(network: Any, dimensions: int, found: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """How many pictures are stored, and how wide, is the file's own business; all else follows from the networks."""
    stages = 3 * sum(int(stage["num_chs"]) for stage in network.feature_info[-STAGES:])
    width = int(network.num_features) + int(network.num_classes) + stages + 3 * COLOUR_GRID**2
    stored, narrow = (*found.get("stored", ()), 0, 0)[:2]
    return {
        "shift": (width,),
        "scale": (width,),
        "projection": (narrow, width),
        "projection.factors": (narrow,),
        "stored": (stored, narrow),
        "stored.factors": (stored,),
        "answers": (stored, dimensions),
        "answers.factors": (stored,),
        "text_map": (dimensions, dimensions),
        "sharpness": (1,),
        "classes_weight": (1,),
    }
