"""Fit a new projector to captions in closed form, before the first step of ALIGN.

The first layer keeps its random weights. The last layer becomes a ridge regression from the first layer's output to the
mean of the language model's embeddings of the caption's words. This takes seconds and needs no gradient; training then
starts with pictures that lie near the words of their captions. LLaVA does not do this; docs/LOG.md has what it saves.

Legend: S samples, P positions per picture, V width of a vision feature, H width after the first layer, E width of the
language model.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llava_model.data.samples import Sample
from llava_model.errors import CheckpointMismatchError
from llava_model.model.composition import LlavaModel, input_embeddings

_GROUP_SAMPLES = 256

FeaturesOf = Callable[[Sequence[Path]], torch.Tensor]
"""Pictures → features_NPV."""


@torch.no_grad()
def fit_projector(
    model: LlavaModel, tokenizer: Any, samples: Iterable[Sample], features_of: FeaturesOf, *, ridge: float = 1e-3
) -> float:
    """Fit the last layer to captions. Samples without pictures, or with several, are skipped.

    `ridge` is relative to the mean square of the inputs. Returns the share of the targets' variance that is explained,
    0..1 (1 would be pictures that land exactly on their words).
    """
    if model.projector is None:
        raise CheckpointMismatchError("warm start", found="a model without a projector", wanted="one with a projector")
    *first_layers, last = model.projector.layers
    assert isinstance(last, nn.Linear)
    table = input_embeddings(model.language).weight.float().cpu()
    width = last.in_features + 1
    gram_HH, cross_HE = torch.zeros(width, width, dtype=torch.float64), torch.zeros(width, table.shape[1]).double()
    square, total_E, count = 0.0, torch.zeros(table.shape[1]).double(), 0
    for group in _in_groups(sample for sample in samples if len(sample.images) == 1):
        target_SE = torch.stack([_mean_embedding(sample, tokenizer, table) for sample in group]).double()
        hidden_SPH = _through(first_layers, features_of([sample.images[0] for sample in group]).float())
        ones = torch.ones(*hidden_SPH.shape[:2], 1)
        rows_NH = torch.cat([hidden_SPH, ones], dim=-1).flatten(0, 1).double()
        targets_NE = target_SE.repeat_interleave(hidden_SPH.shape[1], dim=0)
        gram_HH += rows_NH.T @ rows_NH
        cross_HE += rows_NH.T @ targets_NE
        square += float(targets_NE.square().sum())
        total_E += targets_NE.sum(0)
        count += len(targets_NE)
    if count == 0:
        return 0.0
    penalty = ridge * gram_HH.diagonal().mean() * torch.eye(width, dtype=torch.float64)
    penalty[-1, -1] = 0.0  # the bias is free
    fitted_HE = torch.linalg.solve(gram_HH + penalty, cross_HE)
    last.weight.copy_(fitted_HE[:-1].T)
    last.bias.copy_(fitted_HE[-1])
    missed = square - 2 * float((fitted_HE * cross_HE).sum()) + float((fitted_HE * (gram_HH @ fitted_HE)).sum())
    variance = square - float(total_E.square().sum()) / count
    return max(0.0, 1 - missed / variance) if variance > 0 else 1.0


def _through(layers: Sequence[nn.Module], features_SPV: torch.Tensor) -> torch.Tensor:
    for layer in layers:
        features_SPV = layer(features_SPV)
    return features_SPV


def _in_groups(samples: Iterable[Sample]) -> Iterable[list[Sample]]:
    group: list[Sample] = []
    for sample in samples:
        group.append(sample)
        if len(group) == _GROUP_SAMPLES:
            yield group
            group = []
    if group:
        yield group


def _mean_embedding(sample: Sample, tokenizer: Any, table: torch.Tensor) -> torch.Tensor:
    """→ the mean embedding (E) of the first answer's words, tokenised with a space in front, as within a sentence."""
    caption = next(message for message in sample.messages if message.role == "assistant")
    words = "".join(part for part in caption.parts if isinstance(part, str)).strip()
    ids = tokenizer.encode(f" {words}", add_special_tokens=False)
    return table[torch.tensor(ids)].mean(0)
