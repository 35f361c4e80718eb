"""LLaVA: vision tower → projector → any causal language model.

The token ids already hold the image token once for each position of a picture (see `tokenize`); `embed` puts the
projected features there. Pictures are given in reading order: all of row 0, then all of row 1.

Legend: B batch, T tokens, E width of the language model, N pictures, P positions per picture, V width of a
vision feature, C H W colour channels and pixels, K kept positions, L vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import nn

from llava_model.errors import CheckpointMismatchError, ImageCountMismatchError, ImagesNotSupportedError
from llava_model.model.config import LlavaConfig, ProjectorKind
from llava_model.model.towers import VisionTower


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


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pictures that the vision tower has not read yet, prepared for it (see `images`)."""

    pixels_NCHW: torch.Tensor

    def to(self, device: torch.device) -> "Pixels":
        """The same pictures on a device."""
        return Pixels(self.pixels_NCHW.to(device))


@dataclass(frozen=True, slots=True)
class CachedFeatures:
    """Features that the vision tower has computed earlier (see `data.features`)."""

    features_NPV: torch.Tensor

    def to(self, device: torch.device) -> "CachedFeatures":
        """The same pictures on a device."""
        return CachedFeatures(self.features_NPV.to(device))


Pictures = Pixels | CachedFeatures


@dataclass(frozen=True, kw_only=True, slots=True)
class LlavaOutput:
    """The result of one forward pass."""

    logits_BKL: torch.Tensor
    cache: Any  # transformers' Cache, or None


class LlavaModel(nn.Module):
    """Vision tower, projector and language model; without the first two it reads words only."""

    def __init__(
        self,
        *,
        language: nn.Module,
        image_token_id: int,
        tower: VisionTower | None = None,
        projector: Projector | None = None,
        config: LlavaConfig | None = None,
    ) -> None:
        super().__init__()
        self.language, self.tower, self.projector = language, tower, projector
        self.image_token_id, self.config = image_token_id, config or LlavaConfig()
        if (tower is None) != (projector is None):
            raise CheckpointMismatchError(
                "vision", found="a tower" if tower else "a projector", wanted="both a tower and a projector, or neither"
            )
        if tower and projector:
            found = (projector.vision_width, projector.text_width)
            wanted = (tower.width, self.text_width)
            if found != wanted:
                raise CheckpointMismatchError("projector widths (vision, text)", found=found, wanted=wanted)

    @property
    def text_width(self) -> int:
        """Width of the language model's embeddings."""
        return int(input_embeddings(self.language).weight.shape[1])

    @property
    def tokens_per_image(self) -> int:
        """Positions that one picture takes; 0 without a tower."""
        return self.tower.tokens_per_image if self.tower else 0

    def features_of(self, pictures: Pictures | None) -> torch.Tensor | None:
        """→ features_NPV: read from the pictures, or computed from them; None for a batch of words alone."""
        if isinstance(pictures, Pixels):
            return self.image_features(pictures.pixels_NCHW)
        return pictures.features_NPV if pictures else None

    def image_features(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """→ features_NPV of the frozen tower. Raises ImagesNotSupportedError for a model without one."""
        if self.tower is None:
            raise ImagesNotSupportedError(type(self.language).__name__, len(pixels_NCHW))
        features_NPV: torch.Tensor = self.tower(pixels_NCHW)
        return features_NPV

    def embed(self, token_ids_BT: torch.Tensor, features_NPV: torch.Tensor | None = None) -> torch.Tensor:
        """→ embedded_BTE: the tokens' embeddings, with the projected features at the image tokens.

        Raises ImageCountMismatchError if the positions are not exactly N × P.
        """
        is_image_BT = token_ids_BT == self.image_token_id
        # The image token's id may be larger than the embedding table, so another id is looked up in its place.
        embedded_BTE: torch.Tensor = input_embeddings(self.language)(token_ids_BT.masked_fill(is_image_BT, 0))
        images = 0 if features_NPV is None else len(features_NPV)
        per_image = self.tokens_per_image if features_NPV is None else features_NPV.shape[1]
        if int(is_image_BT.sum()) != images * per_image:
            raise ImageCountMismatchError(
                placeholders=int(is_image_BT.sum()), images=images, tokens_per_image=per_image
            )
        if features_NPV is None or self.projector is None:
            return embedded_BTE
        weight = next(self.projector.parameters())
        projected_NPE = self.projector(features_NPV.to(weight.device, weight.dtype))
        return embedded_BTE.masked_scatter(is_image_BT.unsqueeze(-1), projected_NPE.to(embedded_BTE))

    def forward(
        self,
        token_ids_BT: torch.Tensor,
        *,
        pixels_NCHW: torch.Tensor | None = None,
        features_NPV: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids_BT: torch.Tensor | None = None,
        cache: Any = None,
        logits_to_keep: int | torch.Tensor = 0,
        **language_options: Any,
    ) -> LlavaOutput:
        """Give pictures as pixels or as features of the tower, or neither for text alone.

        `attention_mask` is (B, T) with 0 at padding on either side, or any mask that the language model takes
        (packed samples: (B, 1, T, T) with `position_ids_BT`, without a cache). Without `position_ids_BT`, positions
        count from the first real token. `logits_to_keep`: 0 keeps all, k the last k, a tensor those positions.
        """
        if pixels_NCHW is not None and features_NPV is not None:
            raise ValueError("give pixels or features, not both")
        if pixels_NCHW is not None:
            features_NPV = self.image_features(pixels_NCHW)
        if position_ids_BT is None and attention_mask is not None and attention_mask.dim() == 2:
            position_ids_BT = positions_of(attention_mask)[:, -token_ids_BT.shape[1] :]
        embedded_BTE = self.embed(token_ids_BT, features_NPV)
        return self.run(
            embedded_BTE,
            attention_mask=attention_mask,
            position_ids_BT=position_ids_BT,
            cache=cache,
            logits_to_keep=logits_to_keep,
            **language_options,
        )

    def run(
        self,
        embedded_BTE: torch.Tensor,
        *,
        attention_mask: torch.Tensor | None = None,
        position_ids_BT: torch.Tensor | None = None,
        cache: Any = None,
        logits_to_keep: int | torch.Tensor = 0,
        **language_options: Any,
    ) -> LlavaOutput:
        """Run the language model on embeddings that `embed` made; with a cache it continues the text in the cache."""
        output = self.language(
            inputs_embeds=embedded_BTE,
            attention_mask=attention_mask,
            position_ids=position_ids_BT,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=logits_to_keep,
            **language_options,
        )
        return LlavaOutput(logits_BKL=output.logits, cache=cache)

    def load_projector(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Load trained weights into the projector. Raises CheckpointMismatchError if their shapes differ."""
        if self.projector is None:
            raise CheckpointMismatchError("projector", found="weights", wanted="no projector: there is no vision tower")
        try:
            self.projector.load_state_dict(dict(weights))
        except RuntimeError as error:
            found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
            wanted = {name: tuple(tensor.shape) for name, tensor in self.projector.state_dict().items()}
            raise CheckpointMismatchError("projector", found=found, wanted=wanted) from error


def input_embeddings(language: nn.Module) -> nn.Embedding:
    """The embedding table of any of transformers' language models, whose own method has no type."""
    return cast(nn.Embedding, cast(Any, language).get_input_embeddings())


def output_layer(language: nn.Module) -> nn.Linear:
    """The layer that makes logits, of any of transformers' language models."""
    return cast(nn.Linear, cast(Any, language).get_output_embeddings())


def set_attention(language: nn.Module, implementation: Literal["eager", "sdpa"]) -> None:
    """Choose how any of transformers' language models computes attention."""
    cast(Any, language).set_attn_implementation(implementation)


def positions_of(attention_mask_BT: torch.Tensor) -> torch.Tensor:
    """→ position_ids_BT that count real tokens from 0, whichever side the padding is on."""
    return (attention_mask_BT.long().cumsum(-1) - 1).clamp(min=0)
