"""What the project trained to lie between the pocket kit's picture network and its words: the joint space.

Kernel ridge regression, both ways. A picture is compared with the stored ones it was fitted on and takes their words
by likeness; words are compared with the stored captions and take the looks of their pictures. A vector holds both,
so that one dot product compares them twice, and a number for pictures that are near to all kinds of words:

    picture   [ words (D) by likeness + class mixture | looks (Q)               | - how near it is to any caption ]
    question  [ words (D)                             | looks (Q) by likeness   | 1                               ]

The last is what "Scalable Cross-Modal Retrieval with Querybank Normalisation" (Bogolin et al., 2022) divides by.

Legend: B batch, C channels, H W places, D width of a word vector, E the same, narrowed, F features (1280), K classes,
P inputs, R width after the projection, Q width of looks, N stored pictures, M stored captions.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexing.embedding.protocol import Vectors, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

STAGES = 2  # the last stages whose statistics are inputs: textures and colours that the final features forgot
COLOUR_GRID = 8  # a picture's colours as 8 x 8 places: what tells one flag from another
NEAREST = 10  # captions that tell how near a picture is to any
_AT_ONCE = 256  # captions compared with all others, when the space is loaded

# Chosen, with a class's words, on 674 captioned drawings and photographs (Tux Paint's stamps) and 15 of
# scikit-image's; text→image MRR 0.160 → 0.177 and 0.85 → 0.84 against names alone at temperature 1.
TEMPERATURE = 1.5

NUMBERS = ("sharpness", "classes_weight", "word_sharpness", "looks_weight", "nearness_weight")
_BYTES = ("projection", "stored", "answers", "captions", "pictured")  # int8, rows with a factor in `<name>.factors`


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkOutputs:
    """All that the network says about a batch of pictures."""

    pixels_BCHW: "Tensor"  # uint8, as they came
    stages_BCHW: tuple["Tensor", ...]  # what its last stages hold, before the final features
    strongest_BF: "Tensor"  # each final feature where it is strongest
    features_BF: "Tensor"  # and its mean over all places
    logits_BK: "Tensor"


def look(network: Any, pixels_BHWC: "Tensor", scale_C: "Tensor", shift_C: "Tensor") -> NetworkOutputs:
    """Run the network once over uint8 pixels."""
    normalised_BHWC = pixels_BHWC.float().mul_(scale_C).add_(shift_C)
    final_BCHW, stages = network.forward_intermediates(normalised_BHWC.permute(0, 3, 1, 2), indices=STAGES)
    features_BF = network.forward_head(final_BCHW, pre_logits=True)
    logits_BK = network.get_classifier()(features_BF)
    return NetworkOutputs(
        pixels_BCHW=pixels_BHWC.permute(0, 3, 1, 2),
        stages_BCHW=tuple(stages),
        strongest_BF=final_BCHW.amax((2, 3)),
        features_BF=features_BF,
        logits_BK=logits_BK,
    )


def inputs(seen: NetworkOutputs) -> "Tensor":
    """(B, P): features, class probabilities, each stage's mean, deviation and maximum, the colours by place, and the
    features where they are strongest.

    Square roots bring counts and probabilities, most of them near zero, to a common scale.
    """
    import torch

    probabilities_BK = (seen.logits_BK / TEMPERATURE).softmax(-1)
    blocks = [seen.features_BF.clamp(min=0).sqrt(), probabilities_BK.sqrt()]
    for stage_BCHW in reversed(seen.stages_BCHW):
        blocks += [stage_BCHW.mean((2, 3)), stage_BCHW.std((2, 3)), stage_BCHW.amax((2, 3))]
    colours_BCHW = torch.nn.functional.adaptive_avg_pool2d(seen.pixels_BCHW.float() / 255, COLOUR_GRID)
    return torch.cat([*blocks, colours_BCHW.flatten(1), seen.strongest_BF.clamp(min=0).sqrt()], dim=-1)


class JointSpace:
    """Fitted by `recipes/pocket/joint_space.py`; vectors of both sides have unit length."""

    def __init__(self, tensors: dict[str, "Tensor"]) -> None:
        self._shift_P, self._scale_P = tensors["shift"], tensors["scale"]
        self._projection_RP, self._stored_NR, self._answers_ND, self._captions_ME, self._pictured_MQ = (
            tensors[key].float() * tensors[f"{key}.factors"][:, None] for key in _BYTES
        )
        self._map_DD, self._narrow_DE = tensors["text_map"].float(), tensors["narrow"].float()
        self._centre_R, self._looks_RQ = tensors["looks.centre"], tensors["looks"].float()
        self._numbers = {key: float(tensors[key]) for key in NUMBERS}
        self._look_of_captions_MQ = self._look_of_all(self._captions_ME)
        self.dimensions = len(self._map_DD) + self._looks_RQ.shape[1] + 1

    def images(self, seen: NetworkOutputs, classes_BD: "Tensor") -> "Tensor":
        """(B, dimensions). `classes_BD` is the pictures' mixture of class vectors."""
        return self.place(inputs(seen), classes_BD)

    def place(self, inputs_BP: "Tensor", classes_BD: "Tensor") -> "Tensor":
        """The same for inputs that were made before."""
        import torch

        narrow_BR = _unit(_unit((inputs_BP - self._shift_P) * self._scale_P) @ self._projection_RP.T)
        learned_BD = self._likeness(narrow_BR, self._stored_NR, "sharpness") @ self._answers_ND
        words_BD = _unit(learned_BD + self._numbers["classes_weight"] * (classes_BD @ self._map_DD))
        looks_BQ = self._numbers["looks_weight"] * _unit((narrow_BR - self._centre_R) @ self._looks_RQ)
        near_BM = words_BD @ self._narrow_DE @ self._captions_ME.T
        near_BM += self._numbers["looks_weight"] * (looks_BQ @ self._look_of_captions_MQ.T)
        nearest_B1 = near_BM.topk(min(NEAREST, near_BM.shape[1])).values.mean(-1, keepdim=True)
        return _unit(torch.cat([words_BD, looks_BQ, -self._numbers["nearness_weight"] * nearest_B1], dim=-1))

    def queries(self, relative_BD: Vectors) -> Vectors:
        """(B, dimensions). Words are given relative to the mean class."""
        import torch

        given_BD = torch.from_numpy(relative_BD).to(self._map_DD.device)
        words_BD = _unit(given_BD @ self._map_DD)
        looks_BQ = self._numbers["looks_weight"] * self._look_of(_unit(words_BD @ self._narrow_DE))
        vectors: Vectors = (
            _unit(torch.cat([words_BD, looks_BQ, torch.ones_like(words_BD[:, :1])], dim=-1)).cpu().numpy()
        )
        return vectors

    def _look_of_all(self, words_BE: "Tensor") -> "Tensor":
        """The same for many, a few at a time: each is compared with every stored caption."""
        import torch

        starts = range(0, len(words_BE), _AT_ONCE)
        return torch.cat([self._look_of(words_BE[start : start + _AT_ONCE]) for start in starts])

    def _look_of(self, words_BE: "Tensor") -> "Tensor":
        return _unit(self._likeness(words_BE, self._captions_ME, "word_sharpness") @ self._pictured_MQ)

    def _likeness(self, one_BR: "Tensor", other_NR: "Tensor", sharpness: str) -> "Tensor":
        return ((one_BR @ other_NR.T - 1) * (2 * self._numbers[sharpness])).exp()


def _unit(vectors_BD: "Tensor") -> "Tensor":
    from torch.nn.functional import normalize

    return normalize(vectors_BD, dim=-1)


def load_joint_space(file: Path, *, network: Any, dimensions: int, device: str) -> JointSpace:
    """Read the file. Raises WeightsError naming the shapes when it was fitted for other networks."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(file, device=device)
    except (OSError, SafetensorError) as error:
        raise WeightsError(file, str(error)) from error
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    wanted = _shapes(network, dimensions, found)
    if found != wanted:
        raise WeightsError(file, f"it holds {found}, this kit's joint space has {wanted}")
    return JointSpace(tensors)


def name_of(file: Path) -> str:
    """What a library records of the file: another one, even of the same name, makes other vectors."""
    return f"{file.stem}-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}"


def _shapes(network: Any, dimensions: int, found: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """How much is stored, and how wide, is the file's own business; all else follows from the networks."""
    stages = 3 * sum(int(stage["num_chs"]) for stage in network.feature_info[-STAGES:])
    width = 2 * int(network.num_features) + int(network.num_classes) + stages + 3 * COLOUR_GRID**2
    stored, narrow = (*found.get("stored", ()), 0, 0)[:2]
    captions, narrow_words = (*found.get("captions", ()), 0, 0)[:2]
    looks = (*found.get("pictured", ()), 0, 0)[1]
    rows = {
        "projection": (narrow, width),
        "stored": (stored, narrow),
        "answers": (stored, dimensions),
        "captions": (captions, narrow_words),
        "pictured": (captions, looks),
    }
    return {
        "shift": (width,),
        "scale": (width,),
        "text_map": (dimensions, dimensions),
        "narrow": (dimensions, narrow_words),
        "looks.centre": (narrow,),
        "looks": (narrow, looks),
        **rows,
        **{f"{key}.factors": shape[:1] for key, shape in rows.items()},
        **dict.fromkeys(NUMBERS, (1,)),
    }
