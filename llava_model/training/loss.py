"""The training loss: cross-entropy of the answers' tokens, summed, to be divided by the tokens of the whole step.

A mean of means is wrong as soon as two passes, or two processes, hold different numbers of answer tokens. So a pass
returns a sum, and the training loop divides by all targets of the step. Logits are computed only where a target
follows: the output layer of a small model costs as much as a fifth of the rest.

Legend: B rows, T tokens, E width of the language model, K targets, L vocabulary.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from llava_model.data.packing import Batch
from llava_model.model.composition import LlavaModel, output_layer
from llava_model.training.prefix import FrozenPrefix


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
