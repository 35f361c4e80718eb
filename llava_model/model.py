"""LLaVA: vision tower → projector → any causal language model.

The text arrives with `<image>` already repeated once per position (see `tokenize`); here the features take
those positions. Rows are flattened in order, so the pictures of a batch are given in reading order: all of
sample 0, then all of sample 1.

Legend: B batch, T tokens, E width of the language model, N pictures, P positions per picture, V width of a
vision feature, C H W colour channels and pixels, K kept positions, L vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from llava_model.config import LlavaConfig
from llava_model.errors import CheckpointMismatchError, ImageCountMismatchError, ImagesNotSupportedError
from llava_model.projector import Projector
from llava_model.towers import VisionTower


@dataclass(frozen=True, kw_only=True, slots=True)
class LlavaOutput:
    """What one pass gives."""

    logits_BKL: torch.Tensor
    cache: Any  # transformers' Cache, or None


class LlavaModel(nn.Module):
    """Composes the three parts; without tower and projector it is the language model alone."""

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
        return int(self._embeddings().weight.shape[1])

    @property
    def tokens_per_image(self) -> int:
        """Positions that one picture takes; 0 without a tower."""
        return self.tower.tokens_per_image if self.tower else 0

    def _embeddings(self) -> nn.Embedding:
        embeddings: nn.Embedding = self.language.get_input_embeddings()  # type: ignore[operator]  # transformers'
        return embeddings

    def image_features(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """→ features_NPV of the frozen tower, what may be cached on disk."""
        if self.tower is None:
            raise ImagesNotSupportedError(type(self.language).__name__, len(pixels_NCHW))
        features_NPV: torch.Tensor = self.tower(pixels_NCHW)
        return features_NPV

    def embed(self, token_ids_BT: torch.Tensor, features_NPV: torch.Tensor | None = None) -> torch.Tensor:
        """→ embedded_BTE, with the projected features in the image positions.

        Raises ImageCountMismatchError if the positions are not exactly N × P.
        """
        is_image_BT = token_ids_BT == self.image_token_id
        # The image token may lie behind the embedding table; its own vector is never used.
        embedded_BTE: torch.Tensor = self._embeddings()(token_ids_BT.masked_fill(is_image_BT, 0))
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
        """Pictures as pixels, or as features of the tower from a cache; neither for text alone.

        `attention_mask` is (B, T) with 0 at padding on either side, or whatever the language model takes
        (packed samples: (B, 1, T, T) with `position_ids_BT`, without a cache). Positions count from the
        first real token unless given. `logits_to_keep`: 0 all, k the last k, or indices of positions.
        Nothing is remembered between calls without a `cache`.
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
        """The language model alone, on what `embed` made; with a cache it continues behind what that holds."""
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
        """Put trained weights into the projector. Raises CheckpointMismatchError if they have another shape."""
        if self.projector is None:
            raise CheckpointMismatchError("projector", found="weights", wanted="no projector: there is no vision tower")
        try:
            self.projector.load_state_dict(dict(weights))
        except RuntimeError as error:
            found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
            wanted = {name: tuple(tensor.shape) for name, tensor in self.projector.state_dict().items()}
            raise CheckpointMismatchError("projector", found=found, wanted=wanted) from error


def positions_of(attention_mask_BT: torch.Tensor) -> torch.Tensor:
    """position_ids_BT that count real tokens from 0 whichever side the padding is on."""
    return (attention_mask_BT.long().cumsum(-1) - 1).clamp(min=0)
