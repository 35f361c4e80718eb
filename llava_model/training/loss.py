"""The training loss: cross-entropy of the answers' tokens, summed, to be divided by the tokens of the whole step.

A mean of means is wrong as soon as two passes, or two processes, hold different numbers of answer tokens. So a pass
returns a sum, and the training loop divides by all targets of the step. Logits are computed only where a target
follows: the output layer of a small model costs as much as a fifth of the rest. The tokens that open every row are
computed once while the language model is frozen (`FrozenPrefix`).

Legend: B rows, T tokens, E width of the language model, K targets, L vocabulary.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import Cache, DynamicCache

from llava_model.data.batches import Batch
from llava_model.model.composition import LlavaModel, output_layer

_SHORTEST = 4  # tokens; a shorter prefix saves nothing
_PREFIXES_KEPT = 4  # a set has one prefix, a mixture a few


class FrozenPrefix:
    """Keeps, from step to step, the keys and values of the tokens that open all rows of a batch.

    Such tokens are a chat template's system message. While the language model is frozen, as in ALIGN, their keys and
    values are the same in every row and in every step. So the rows go through the model without them, and the rest of
    each row attends to the kept ones. The loss is the same; with short captions a third of the tokens is saved.

    The batch alone decides which tokens those are, so a resumed run computes what an undisturbed one does.
    """

    def __init__(self, model: LlavaModel) -> None:
        self._model = model
        self._kept: OrderedDict[tuple[int, ...], _PrefixCache] = OrderedDict()

    def split(self, batch: Batch) -> tuple[Batch, Cache | None]:
        """→ the batch without its prefix, and a cache that holds the prefix; or the whole batch and None."""
        length = self._length(batch)
        if length < _SHORTEST:
            return batch, None
        rest = replace(
            batch,
            ids_BT=batch.ids_BT[:, length:],
            positions_BT=batch.positions_BT[:, length:],
            targets_BT=batch.targets_BT[:, length:],
        )
        return rest, self._cache(batch.ids_BT[:1, :length])

    def _length(self, batch: Batch) -> int:
        """Tokens that all rows begin with, up to the first picture and the first token whose logits are learned."""
        if batch.mask_B1TT is not None or len(batch.ids_BT) == 1 or not _is_constant(self._model):
            return 0
        same_T = (batch.ids_BT == batch.ids_BT[0]).all(0) & (batch.ids_BT[0] != self._model.image_token_id)
        same_T &= ~batch.targets_BT.roll(-1, dims=1).any(0)
        return int(same_T.long().cumprod(0).sum())

    def _cache(self, ids_1P: torch.Tensor) -> Cache:
        key = tuple(ids_1P[0].tolist())
        if key not in self._kept:
            computed = DynamicCache()
            with torch.no_grad(), torch.compiler.set_stance("force_eager"):
                self._model.run(self._model.embed(ids_1P), cache=computed, logits_to_keep=1)
            self._kept[key] = _PrefixCache(computed)
            if len(self._kept) > _PREFIXES_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _is_constant(model: LlavaModel) -> bool:
    """Whether the language model computes the same keys and values in every step, and accepts a cache in training."""
    language: Any = model.language
    config = language.config
    learning = any(parameter.requires_grad for parameter in language.parameters())
    varies = getattr(config, "attention_dropout", 0.0) or getattr(config, "sliding_window", None)
    return not learning and not varies and not _recomputes(language)


def _recomputes(language: Any) -> bool:
    """Whether gradient checkpointing is on: transformers then drops caches."""
    return any(getattr(module, "gradient_checkpointing", False) for module in language.modules())


class _PrefixCache(Cache):
    """Gives every row the same first keys and values, and stores nothing of the rows.

    One tensor holds all layers, so that one compiled program serves any of them.

    Legend: L layers, H heads, P tokens of the prefix, D width of a head.
    """

    def __init__(self, computed: DynamicCache) -> None:
        super().__init__(layers=[])
        layers: list[Any] = list(computed.layers)
        self.keys_LHPD = torch.cat([layer.keys for layer in layers])
        self.values_LHPD = torch.cat([layer.values for layer in layers])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """→ keys and values (B, H, P + T, D): the prefix, then the rows' own."""
        rows = len(key_states)
        keys_BHPD = self.keys_LHPD[layer_idx].to(key_states.dtype).expand(rows, -1, -1, -1)
        values_BHPD = self.values_LHPD[layer_idx].to(value_states.dtype).expand(rows, -1, -1, -1)
        return torch.cat([keys_BHPD, key_states], dim=2), torch.cat([values_BHPD, value_states], dim=2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Length of the prefix in tokens."""
        return int(self.keys_LHPD.shape[2])

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """→ (number of keys, position of the first one)."""
        return self.get_seq_length() + query_length, 0


def loss_sum(
    model: LlavaModel,
    batch: Batch,
    features_NPV: torch.Tensor | None,
    *,
    sparse: bool = True,
    prefix: FrozenPrefix | None = None,
) -> torch.Tensor:
    """The summed cross-entropy of the batch's targets: one float32 number, 0 (with a gradient) without any target.

    `sparse=False` computes all logits first, as other training code does; tests compare the two. With `prefix` the
    tokens that open every row are computed once and kept, while the language model is frozen.
    """
    device = batch.ids_BT.device
    batch, kept = prefix.split(batch) if prefix else (batch, None)
    # the logits at a position predict the token after it; column 0 holds no target, so nothing wraps around
    before_BT = batch.targets_BT.roll(-1, dims=1)
    embedded_BTE = model.embed(batch.ids_BT, features_NPV)
    if features_NPV is None:
        embedded_BTE = touching_projector(model, embedded_BTE)
    with _logits_only_at(before_BT, model.language) if sparse else nullcontext():
        output = model.run(
            embedded_BTE,
            attention_mask=None if batch.mask_B1TT is None else _mask(model.language, batch.mask_B1TT, embedded_BTE),
            position_ids_BT=batch.positions_BT.to(device),
            cache=kept,
        )
    logits_KL = output.logits_BKL[0] if sparse else output.logits_BKL[before_BT]
    if not batch.targets:
        nothing: torch.Tensor = output.logits_BKL.float().sum() * 0.0
        return nothing
    summed: torch.Tensor = functional.cross_entropy(logits_KL.float(), batch.ids_BT[batch.targets_BT], reduction="sum")
    return summed


def touching_projector(model: LlavaModel, embedded_BTE: torch.Tensor) -> torch.Tensor:
    """Give the projector a gradient of 0 in a batch without pictures: DDP waits for a gradient of every parameter."""
    if model.projector is None or not torch.is_grad_enabled():
        return embedded_BTE
    weight = next(model.projector.parameters())
    blank_11V = torch.zeros(1, 1, model.projector.vision_width, device=weight.device, dtype=weight.dtype)
    nothing: torch.Tensor = model.projector(blank_11V).sum() * 0.0
    return embedded_BTE + nothing.to(embedded_BTE.dtype)


@contextmanager
def _logits_only_at(keep_BT: torch.Tensor, language: nn.Module) -> Iterator[None]:
    """Give the output layer only these positions: its input (B, T, E) becomes (1, K, E).

    A hook does it, because transformers' `logits_to_keep` can only name the same positions in every row.
    """
    kept_BT = keep_BT if keep_BT.any() else _first_position(keep_BT)

    def select(_module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden_BTE, *rest = arguments
        return (hidden_BTE[kept_BT].unsqueeze(0), *rest)

    handle = output_layer(language).register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def _first_position(keep_BT: torch.Tensor) -> torch.Tensor:
    """The output layer needs at least one position, also where nothing is learned."""
    one_BT = torch.zeros_like(keep_BT)
    one_BT[0, 0] = True
    return one_BT


def _mask(language: nn.Module, mask_B1TT: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The mask in the form that the attention takes: eager attention adds numbers, the fused one takes booleans."""
    mask_B1TT = mask_B1TT.to(like.device)
    if getattr(language.config, "_attn_implementation", "sdpa") != "eager":
        return mask_B1TT
    blocked = torch.zeros(mask_B1TT.shape, dtype=like.dtype, device=like.device)
    return blocked.masked_fill(~mask_B1TT, torch.finfo(like.dtype).min)
