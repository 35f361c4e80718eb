"""How the parts of a LLaVA are put together. Every checkpoint holds this beside its weights."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn

ProjectorKind = Literal["linear", "mlp2x_gelu"]
FeatureSelect = Literal["default", "full"]

IMAGE_TOKEN = "<image>"


@dataclass(frozen=True, kw_only=True, slots=True)
class LlavaConfig:
    """What the tower's and the language model's own configurations do not say."""

    projector: ProjectorKind = "mlp2x_gelu"
    """`linear` as in the first LLaVA paper, `mlp2x_gelu` as in LLaVA-1.5."""

    feature_layer: int = -2
    """The layer of a transformer tower whose hidden states are the features; LLaVA takes the last but one. A
    convolutional tower ignores this: its features are its final grid."""

    feature_select: FeatureSelect = "default"
    """`default` drops the first position (CLIP's class token), `full` keeps all (SigLIP has no class token)."""

    pooled_grid: int | None = None
    """Average the square grid of patches down to this many rows and columns; None keeps every patch."""

    def __post_init__(self) -> None:
        if self.projector not in get_args(ProjectorKind):
            raise ValueError(f"unknown projector '{self.projector}'; known: {', '.join(get_args(ProjectorKind))}")
        if self.feature_select not in get_args(FeatureSelect):
            raise ValueError(f"feature_select is 'default' or 'full', not '{self.feature_select}'")
        if self.pooled_grid is not None and self.pooled_grid < 1:
            raise ValueError(f"pooled_grid must be at least 1, not {self.pooled_grid}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for a checkpoint's header."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "LlavaConfig":
        """The inverse of `to_json`. Raises ValueError for an unknown key, which a newer version may have written."""
        unknown = set(values) - set(cls.__dataclass_fields__)
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)} in a checkpoint; was it made by a newer Llavero?")
        return cls(**values)


# ---
# Vision features → vectors in the language model's space.
#
# Legend: N pictures, P positions per picture, V width of a feature, E width of the language model.
# ---


class Projector(nn.Module):
    """`linear`: one layer (LLaVA v1). `mlp2x_gelu`: two with an exact GELU between them (LLaVA-1.5)."""

    def __init__(self, kind: ProjectorKind, *, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.kind, self.vision_width, self.text_width = kind, vision_width, text_width
        layers: list[nn.Module] = [nn.Linear(vision_width, text_width)]
        if kind == "mlp2x_gelu":
            layers += [nn.GELU(), nn.Linear(text_width, text_width)]
        self.layers = nn.Sequential(*layers)

    def forward(self, features_NPV: torch.Tensor) -> torch.Tensor:
        """→ projected_NPE"""
        projected_NPE: torch.Tensor = self.layers(features_NPV)
        return projected_NPE
