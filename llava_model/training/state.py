"""What a run needs to resume exactly: learned weights, optimiser state, random number generators, the next step.

The first process writes it as one file, however the weights are sharded (one process, DDP or FSDP2). It is read with
`weights_only=True`. Batches are a pure function of the step, so the data loader has no state to save.
"""

from collections.abc import Mapping
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

from llava_model.errors import IncompleteCheckpointError

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
