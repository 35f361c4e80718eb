"""How the parts of a LLaVA are put together. Every checkpoint holds this beside its weights."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

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
