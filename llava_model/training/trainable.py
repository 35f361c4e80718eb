"""Prepare a model for a stage: what learns, with which optimiser, and where a new projector begins.

    set_trainable    freezes the whole model, then unfreezes what the stage trains
    optimiser        AdamW over the parameters that learn
    fit_projector    the warm start: a new projector fitted to captions in closed form

Frozen parts keep the number format they were loaded in and get no gradients. Parameters that learn are float32,
whatever arithmetic the passes use.

Legend: S samples, P positions per picture, V width of a vision feature, H width after the projector's first layer,
E width of the language model, N rows of a regression.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llava_model.data.samples import Sample
from llava_model.errors import CheckpointMismatchError
from llava_model.model.composition import LlavaModel, input_embeddings
from llava_model.training.stages import Lora, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainableParameters:
    """The parameters that learn, by part and name."""

    projector: Mapping[str, nn.Parameter]
    language: Mapping[str, nn.Parameter]

    def count(self) -> int:
        """How many numbers learn."""
        return sum(each.numel() for each in (*self.projector.values(), *self.language.values()))


def set_trainable(
    model: LlavaModel, stage: Stage, *, adapter: Path | None = None, seed: int = 0
) -> TrainableParameters:
    """Freeze the whole model, then unfreeze what the stage trains.

    With the `adapter` of an earlier stage, training continues with it instead of a new one. Raises
    CheckpointMismatchError if the stage trains a part that the model lacks, or the adapter has another shape than the
    stage's.
    """
    model.requires_grad_(False)
    torch.manual_seed(seed)
    if "language" in stage.trains:
        if stage.lora:
            model.language = _with_lora(model.language, stage.lora, adapter)
        else:
            model.language.requires_grad_(True).float()
    if "projector" in stage.trains and model.projector is not None:
        model.projector.requires_grad_(True).float()
    if stage.trains == ("projector",) and model.projector is None:
        raise CheckpointMismatchError(
            f"stage '{stage.name}'", found="a model without a vision tower", wanted="a tower and a projector"
        )
    return trainable_parameters(model)


def trainable_parameters(model: LlavaModel) -> TrainableParameters:
    """The parameters that `set_trainable` left unfrozen."""
    projector = model.projector.named_parameters() if model.projector else ()
    return TrainableParameters(projector=_unfrozen(projector), language=_unfrozen(model.language.named_parameters()))


def _unfrozen(parameters: Iterable[tuple[str, nn.Parameter]]) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in parameters if parameter.requires_grad}


def _with_lora(language: nn.Module, lora: Lora, adapter: Path | None) -> nn.Module:
    from peft import LoraConfig, PeftModel, get_peft_model

    with warnings.catch_warnings():  # peft still asks transformers by an old name
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        if adapter is None:
            config: Any = LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            )
            adapted: nn.Module = get_peft_model(language, config)
            return adapted
        loaded: Any = PeftModel.from_pretrained(language, adapter, is_trainable=True, local_files_only=True)
    found = loaded.peft_config["default"]
    if (found.r, found.lora_alpha) != (lora.rank, lora.alpha):
        raise CheckpointMismatchError(
            f"adapter '{adapter}'",
            found=f"rank {found.r}, alpha {found.lora_alpha}",
            wanted=f"rank {lora.rank}, alpha {lora.alpha} of the stage",
        )
    continued: nn.Module = loaded
    return continued


def optimiser(parameters: TrainableParameters, stage: Stage, *, fused: bool) -> torch.optim.Optimizer:
    """AdamW with one group for the matrices of each part and one for its biases and norms, which do not decay.

    The training loop sets the learning rate of a group to its `peak` times the schedule's share.
    """
    rates = {"projector": stage.projector_rate or stage.learning_rate, "language": stage.learning_rate}
    groups: list[dict[str, Any]] = []
    for part, named in (("projector", parameters.projector), ("language", parameters.language)):
        for matrices in (True, False):
            group = [each for each in named.values() if (each.dim() > 1) == matrices]
            if group:
                decay = stage.weight_decay if matrices else 0.0
                groups.append({"params": group, "weight_decay": decay, "peak": rates[part], "lr": 0.0})
    if not groups:
        raise CheckpointMismatchError(f"stage '{stage.name}'", found="nothing that learns", wanted=stage.trains)
    return torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, fused=fused)


def describe(model: LlavaModel) -> str:
    """`projector 1.1 M learns · language 134.5 M frozen · tower 3.4 M frozen`."""
    parts = {"projector": model.projector, "language": model.language, "tower": model.tower}
    words = []
    for name, part in parts.items():
        if part is None:
            continue
        free = sum(each.numel() for each in part.parameters() if each.requires_grad)
        held = sum(each.numel() for each in part.parameters()) - free
        said = [f"{free / 1e6:.1f} M learns"] if free else []
        said += [f"{held / 1e6:.1f} M frozen"] if held else []
        words.append(f"{name} {', '.join(said)}")
    return " · ".join(words)


_GROUP_SAMPLES = 256
FeaturesOf = Callable[[Sequence[Path]], torch.Tensor]
"""Pictures → features_NPV."""


@torch.no_grad()
def fit_projector(
    model: LlavaModel, tokenizer: Any, samples: Iterable[Sample], features_of: FeaturesOf, *, ridge: float = 1e-3
) -> float:
    """Fit a new projector to captions in closed form, before the first step of ALIGN.

    The first layer keeps its random weights. The last layer becomes a ridge regression from the first layer's output
    to the mean of the language model's embeddings of the caption's words. This takes seconds and needs no gradient;
    training then starts with pictures that lie near the words of their captions. LLaVA does not do this; docs/LOG.md
    has what it saves. Samples without pictures, or with several, are skipped.

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
