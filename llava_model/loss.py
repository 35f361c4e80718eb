"""The training loss: cross-entropy of the answers' tokens, summed, to be divided by the tokens of the whole step.

A mean of means is wrong as soon as two passes, or two processes, hold differently many answer tokens; so a pass gives
a sum, and whoever takes the step divides by all its targets. Logits are made only where a target is: the output layer
of a small model costs as much as a fifth of the rest.

Legend: B rows, T tokens, E width of the language model, K targets, L vocabulary.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from llava_model.data.packing import Batch
from llava_model.model import LlavaModel
from llava_model.prefix import FrozenPrefix


def loss_sum(
    model: LlavaModel,
    batch: Batch,
    features_NPV: torch.Tensor | None,
    *,
    sparse: bool = True,
    prefix: FrozenPrefix | None = None,
) -> torch.Tensor:
    """The summed cross-entropy of the batch's targets, float32, one number. 0 with a gradient where there is none.

    `sparse=False` makes all logits first, as everybody else does: the oracle of the other way. With `prefix` the rows'
    common beginning is taken from there while the language model is frozen.
    """
    device = batch.ids_BT.device
    batch, kept = prefix.split(batch) if prefix else (batch, None)
    before_BT = batch.targets_BT.roll(-1, dims=1)  # the position whose logits tell the target; column 0 is never one
    embedded_BTE = touching_projector(model, model.embed(batch.ids_BT, features_NPV), features_NPV)
    with _only(model.language, before_BT) if sparse else _everywhere():
        output = model.run(
            embedded_BTE,
            attention_mask=_mask(model.language, batch.mask_B1TT, embedded_BTE),
            position_ids_BT=batch.positions_BT.to(device),
            cache=kept,
        )
    logits_KL = output.logits_BKL[0] if sparse else output.logits_BKL[before_BT]
    if not batch.targets:
        nothing: torch.Tensor = output.logits_BKL.float().sum() * 0.0
        return nothing
    summed: torch.Tensor = functional.cross_entropy(logits_KL.float(), batch.ids_BT[batch.targets_BT], reduction="sum")
    return summed


def touching_projector(
    model: LlavaModel, embedded_BTE: torch.Tensor, features_NPV: torch.Tensor | None
) -> torch.Tensor:
    """Words alone leave the projector without a gradient, and a process that waits for it hangs: run it on nothing."""
    if model.projector is None or features_NPV is not None or not torch.is_grad_enabled():
        return embedded_BTE
    weight = next(model.projector.parameters())
    blank_11V = torch.zeros(1, 1, model.projector.vision_width, device=weight.device, dtype=weight.dtype)
    nothing: torch.Tensor = model.projector(blank_11V).sum() * 0.0
    return embedded_BTE + nothing.to(embedded_BTE.dtype)


@contextmanager
def _only(language: nn.Module, keep_BT: torch.Tensor) -> Iterator[None]:
    """Let the output layer see only these positions: (B, T, E) becomes (1, K, E) on its way in.

    A hook, because transformers' `logits_to_keep` can only name the same positions in every row.
    """
    kept_BT = keep_BT if keep_BT.any() else _first(keep_BT)

    def select(_module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden_BTE, *rest = arguments
        return (hidden_BTE[kept_BT].unsqueeze(0), *rest)

    head: nn.Module = language.get_output_embeddings()  # type: ignore[operator]  # transformers'
    handle = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def _first(keep_BT: torch.Tensor) -> torch.Tensor:
    one_BT = torch.zeros_like(keep_BT)
    one_BT[0, 0] = True
    return one_BT


@contextmanager
def _everywhere() -> Iterator[None]:
    yield


def _mask(language: nn.Module, mask_B1TT: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
    """Eager attention adds its mask, the fused one takes truth values."""
    if mask_B1TT is None:
        return None
    mask_B1TT = mask_B1TT.to(like.device)
    if getattr(language.config, "_attn_implementation", "sdpa") != "eager":
        return mask_B1TT
    blocked = torch.zeros(mask_B1TT.shape, dtype=like.dtype, device=like.device)
    return blocked.masked_fill(~mask_B1TT, torch.finfo(like.dtype).min)
