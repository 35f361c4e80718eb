"""What opens every row of a batch alike (a chat template's system message), computed once instead of in every row.

While the language model is frozen, as in ALIGN, the keys and values of the tokens before the first picture are the same
in every row and in every step. The rows then go through the model without those tokens and look at the kept ones: the
same sums with a third of the tokens less where captions are short.

Legend: B rows, T tokens, P tokens of the prefix, L layers, H heads, D width of a head.
"""

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import torch
from transformers import Cache, DynamicCache

from llava_model.data.packing import Batch
from llava_model.model import LlavaModel

_LEAST = 4  # shorter ones are not worth the bother
_KEPT = 4  # a set has one prefix, a mixture a few


class FrozenPrefix:
    """Keys and values of the tokens that open all rows of a batch, kept from step to step.

    Which tokens those are is a function of the batch alone, so a resumed run computes what an undisturbed one does.
    """

    def __init__(self, model: LlavaModel) -> None:
        self._model = model
        self._kept: OrderedDict[tuple[int, ...], _PrefixCache] = OrderedDict()

    def split(self, batch: Batch) -> tuple[Batch, Cache | None]:
        """→ the batch without its prefix, and the cache that holds it; the batch as it is where there is none."""
        length = self._length(batch)
        if length < _LEAST:
            return batch, None
        rest = replace(
            batch,
            ids_BT=batch.ids_BT[:, length:],
            positions_BT=batch.positions_BT[:, length:],
            targets_BT=batch.targets_BT[:, length:],
        )
        return rest, self._cache(batch.ids_BT[:1, :length])

    def _length(self, batch: Batch) -> int:
        """Tokens that all rows have in common, before anything is a picture or tells what is learned."""
        if batch.mask_B1TT is not None or len(batch.ids_BT) == 1 or not _stays(self._model):
            return 0
        same_T = (batch.ids_BT == batch.ids_BT[0]).all(0) & (batch.ids_BT[0] != self._model.image_token_id)
        same_T &= ~batch.targets_BT.roll(-1, dims=1).any(0)
        return int(same_T.long().cumprod(0).sum())

    def _cache(self, ids_1P: torch.Tensor) -> Cache:
        key = tuple(ids_1P[0].tolist())
        if key not in self._kept:
            made = DynamicCache()
            with torch.no_grad(), torch.compiler.set_stance("force_eager"):
                self._model.run(self._model.embed(ids_1P), cache=made, logits_to_keep=1)
            self._kept[key] = _PrefixCache(made)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _stays(model: LlavaModel) -> bool:
    """Whether the language model answers alike in every step, and takes a cache while something else learns."""
    language: Any = model.language
    config = language.config
    learning = any(parameter.requires_grad for parameter in language.parameters())
    draws = getattr(config, "attention_dropout", 0.0) or getattr(config, "sliding_window", None)
    return not learning and not draws and not _recomputes(language)


def _recomputes(language: Any) -> bool:
    """Whether activations are computed twice, for which transformers drops caches."""
    return any(getattr(module, "gradient_checkpointing", False) for module in language.modules())


class _PrefixCache(Cache):
    """Gives every row the same first keys and values and remembers nothing of the rows.

    In one tensor for all layers, so that a compiled layer can be any of them.
    """

    def __init__(self, made: DynamicCache) -> None:
        super().__init__(layers=[])
        layers: list[Any] = list(made.layers)
        self.keys_LHPD = torch.cat([layer.keys for layer in layers])
        self.values_LHPD = torch.cat([layer.values for layer in layers])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The prefix before what the rows have (B, H, T, D)."""
        rows = len(key_states)
        keys_BHPD = self.keys_LHPD[layer_idx].to(key_states.dtype).expand(rows, -1, -1, -1)
        values_BHPD = self.values_LHPD[layer_idx].to(value_states.dtype).expand(rows, -1, -1, -1)
        return torch.cat([keys_BHPD, key_states], dim=2), torch.cat([values_BHPD, value_states], dim=2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens of the prefix."""
        return int(self.keys_LHPD.shape[2])

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """Keys in all, and the first one's place."""
        return self.get_seq_length() + query_length, 0
