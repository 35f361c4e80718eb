"""Which parameters of a model learn in a stage: set, listed and described here only.

Frozen parts keep the number format they were loaded in and get no gradients. Parameters that learn are float32,
whatever arithmetic the passes use.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from llava_model.errors import CheckpointMismatchError, IncompleteCheckpointError
from llava_model.model.composition import LlavaModel
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


# ---
# What a run needs to resume exactly: learned weights, optimiser state, random number generators, the next step.
#
# The first process writes it as one file, however the weights are sharded (one process, DDP or FSDP2). It is read with
# `weights_only=True`. Batches are a pure function of the step, so the data loader has no state to save.
# ---

STATE_FILE = "state/trainer.pt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The state of a run, with full tensors on the CPU; the same on every process."""

    weights: Mapping[str, torch.Tensor]
    """Of the parameters that learn, by their names in the trained module."""
    optimizer: Mapping[str, Any]
    random: list[torch.Tensor]
    """The state of torch's generator in every process: CPU, then GPU if there is one."""
    step: int
    """Optimiser steps taken."""


def take(module: nn.Module, optimizer: torch.optim.Optimizer, *, step: int) -> Snapshot:
    """Collect the state. Every process must call this at the same step."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    return Snapshot(
        weights=cast("Mapping[str, torch.Tensor]", get_model_state_dict(module, options=options)),
        optimizer=get_optimizer_state_dict(module, optimizer, options=options),
        random=_random_of_all(),
        step=step,
    )


def write(folder: Path, snapshot: Snapshot) -> None:
    """Write the state into the folder of a checkpoint that is being written."""
    (folder / STATE_FILE).parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "weights": dict(snapshot.weights),
            "optimizer": dict(snapshot.optimizer),
            "random": snapshot.random,
            "step": snapshot.step,
        },
        folder / STATE_FILE,
    )


def restore(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, *, process: int) -> int:
    """Load the state on every process. Returns the optimiser steps taken. Raises IncompleteCheckpointError."""
    if not (folder / STATE_FILE).is_file():
        raise IncompleteCheckpointError(folder, f"it has no '{STATE_FILE}': it can be used, but not gone on from")
    saved = torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, strict=False)
    set_model_state_dict(module, saved["weights"], options=options)
    set_optimizer_state_dict(module, optimizer, saved["optimizer"], options=options)
    if process < len(saved["random"]):
        _set_random(saved["random"][process])
    return int(saved["step"])


def _random_of_all() -> list[torch.Tensor]:
    mine = torch.get_rng_state()
    if torch.cuda.is_available():
        mine = torch.cat([mine, torch.cuda.get_rng_state()])
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized():
        return [mine]
    gathered: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, mine)
    return gathered


def _set_random(saved: torch.Tensor) -> None:
    length = len(torch.get_rng_state())
    torch.set_rng_state(saved[:length].clone())
    if torch.cuda.is_available() and len(saved) > length:
        torch.cuda.set_rng_state(saved[length:].clone())
