"""The training loop of one stage, up to checkpoints that can be served; the same code for one process and for many.

    batches (made in a thread) → passes → summed loss / targets of the whole step → backward → clip → AdamW → checkpoint

The loss of a step is the mean over all its answer tokens, however they are spread over passes and processes. A run that
is stopped anywhere and resumed takes the same steps, bit for bit, on a CPU.
"""

import math
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
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

from llava_model.checkpoints.manifest import Manifest, latest, writing
from llava_model.checkpoints.parts import ADAPTER, LANGUAGE, PROJECTOR_FILE, copy_tokenizer, save_projector
from llava_model.data.batches import Batch, BatchLoader, StepBatches
from llava_model.errors import IncompleteCheckpointError, TrainingStoppedError
from llava_model.model.composition import LlavaModel, Projector, input_embeddings, output_layer
from llava_model.training.loss import FrozenPrefix, loss_sum
from llava_model.training.report import Meter, MetricsLog, OnStep, TrainReport
from llava_model.training.stages import Stage, rate_share, total_steps
from llava_model.training.trainable import optimiser, trainable_parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSettings:
    """How a stage is run. What it learns, and how fast, is set in the `Stage`."""

    out: Path
    """The run's folder: checkpoints, metrics, report."""
    tokenizer: Path | None = None
    """Folder whose tokenizer is copied beside a language model that was trained whole."""
    seed: int = 0
    """Decides the order of samples, drawn instructions, new weights and dropout."""
    autocast: bool = False
    """bfloat16 arithmetic; weights that learn stay float32."""
    checkpoint_every: int = 200
    """Steps between checkpoints; there is always one at the end."""
    keep: int = 2
    """Checkpoints to keep; older ones are removed when a newer one is complete."""
    most_steps: int | None = None
    """Stop after this many steps, with a checkpoint; learning rates are those of the whole stage."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, a third more time."""
    compile: bool = False
    """torch.compile on the language model's layers: 1.3 to 1.4 times the steps a second, after half a minute."""
    tensorboard: bool = False
    """Also write TensorBoard's files; needs the extra."""


class _LossOfPass(nn.Module):
    """The module that DDP and FSDP wrap: a batch in, the summed loss out."""

    def __init__(self, model: LlavaModel, *, prefix: FrozenPrefix | None) -> None:
        super().__init__()
        self.model = model
        self._prefix = prefix

    def forward(self, batch: Batch) -> torch.Tensor:
        """→ the loss summed over the batch's targets."""
        return loss_sum(self.model, batch, self.model.features_of(batch.pictures), prefix=self._prefix)


def train(
    model: LlavaModel,
    loader: BatchLoader,
    stage: Stage,
    settings: RunSettings,
    manifest: Manifest,
    *,
    accelerator: Any = None,
    on_step: OnStep = lambda metrics: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainReport:
    """Train `model`, prepared by `trainable.set_trainable`, and write checkpoints to `settings.out`.

    A run that finds a checkpoint of its own there resumes from it. Every checkpoint's manifest is `manifest` with the
    step filled in. When `should_stop` (a signal, a button) returns true, the run ends after the current step, with a
    checkpoint. Raises TrainingStoppedError if the loss is not a finite number, BadSampleError for an unusable sample.
    """
    return _Training(model, loader, stage, settings, manifest, accelerator).run(on_step, should_stop)


class _Training:
    """One run: the wrapped model, its optimiser, and the next step."""

    def __init__(
        self,
        model: LlavaModel,
        loader: BatchLoader,
        stage: Stage,
        settings: RunSettings,
        manifest: Manifest,
        accelerator: Any,
    ) -> None:
        self.accelerator = accelerator or _accelerator_for(model)
        self.model, self.loader, self.stage, self.settings, self.manifest = model, loader, stage, settings, manifest
        self.steps = total_steps(loader.samples_per_epoch, stage)
        if settings.gradient_checkpointing:
            cast(Any, model.language).gradient_checkpointing_enable({"use_reentrant": False})
        if settings.compile:
            compile_layers(model.language)
        self.flops = flops(model, stage)
        adamw = optimiser(trainable_parameters(model), stage, fused=not self._is_sharded())
        prefix = None if self._is_sharded() else FrozenPrefix(model)
        self.module, self.optimizer = self.accelerator.prepare(_LossOfPass(model, prefix=prefix), adamw)
        self.device: torch.device = self.accelerator.device

    def run(self, on_step: OnStep, should_stop: Callable[[], bool]) -> TrainReport:
        """Resume, take the steps that are left, and save."""
        first = self._resume()
        end = min(self.steps, self.settings.most_steps or self.steps)
        loss, left_out = math.nan, []
        meter = Meter(
            steps=self.steps, flops_per_token=self.flops[0], flops_per_target=self.flops[1], device=self.device
        )
        checkpoint = latest(self.settings.out)
        step = first
        self.module.train()
        with self._log(first) as log:
            for batches in self.loader.steps(first, end):
                loss, gradient, rate, stop = self._step(batches, should_stop())
                step = batches.step + 1
                left_out += [str(error) for error in batches.left_out]
                metrics = meter.measure(batches, loss=loss, rate=rate, gradient=gradient, left_out=len(left_out))
                if log:
                    log.write(metrics)
                    on_step(metrics)
                if stop or step == end or step % self.settings.checkpoint_every == 0:
                    checkpoint = self._checkpoint(step)
                if stop:
                    break
        if checkpoint is None:
            checkpoint = self._checkpoint(step)
        return TrainReport(
            checkpoint=checkpoint, steps=step, finished=step >= self.steps, loss=loss, left_out=tuple(left_out)
        )

    def _step(self, batches: StepBatches, stop: bool) -> tuple[float, float, float, bool]:
        """One optimiser step → (loss per target, norm of the gradient, learning rate, whether a process must stop)."""
        processes = self.accelerator.num_processes
        total = torch.zeros((), device=self.device)
        for number, batch in enumerate(batches.passes):
            is_last = number == len(batches.passes) - 1
            with nullcontext() if is_last else self.accelerator.no_sync(self.module):
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.autocast):
                    loss = self.module(batch.to(self.device))
                # DDP and FSDP average gradients over processes, but the loss needs their sum
                self.accelerator.backward(loss * (processes / max(1, batches.targets)))
            total += loss.detach()
        total_loss, stop = self._sum_over_processes(total, stop)
        mean = total_loss / max(1, batches.targets)
        samples = tuple(name for batch in batches.passes for name in batch.samples)
        if not math.isfinite(mean):
            raise TrainingStoppedError("loss", step=batches.step + 1, samples=samples)
        limit = self.stage.max_gradient or math.inf
        gradient = float(self.accelerator.clip_grad_norm_(self.module.parameters(), limit))
        if not math.isfinite(gradient):
            raise TrainingStoppedError("gradient", step=batches.step + 1, samples=samples)
        return mean, gradient, self._update_weights(batches.step), stop

    def _update_weights(self, step: int) -> float:
        """Let the optimiser take its step → the learning rate of the first group of parameters."""
        share = rate_share(step, self.steps, self.stage)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(self.optimizer.param_groups[0]["lr"])

    def _sum_over_processes(self, total: torch.Tensor, stop: bool) -> tuple[float, bool]:
        """The loss of all processes together, and whether any of them must stop: then all do."""
        if self.accelerator.num_processes == 1:
            return float(total), stop
        both = torch.stack([total.float(), torch.tensor(float(stop), device=self.device)])
        summed = self.accelerator.reduce(both, reduction="sum")
        return float(summed[0]), bool(summed[1] > 0)

    def _resume(self) -> int:
        """Load the run's latest checkpoint, if it has one → the next step."""
        checkpoint = latest(self.settings.out)
        if checkpoint is None:
            return 0
        return restore_snapshot(checkpoint, self.module, self.optimizer, process=self.accelerator.process_index)

    def _log(self, after: int) -> Any:
        if not self.accelerator.is_main_process:
            return nullcontext()
        return MetricsLog(self.settings.out, after=after, tensorboard=self.settings.tensorboard)

    def _checkpoint(self, step: int) -> Path:
        """Collect the state on all processes, and write it on the first."""
        snapshot = take_snapshot(self.module, self.optimizer, step=step)
        folder = self.settings.out / f"checkpoint-{step:06d}"
        if self.accelerator.is_main_process:
            # `_projector_copy` draws random numbers, and saving a checkpoint must not change the run's own
            with torch.random.fork_rng(devices=[]), writing(folder, replace(self.manifest, step=step)) as unfinished:
                self._write_parts(unfinished, snapshot)
                write_snapshot(unfinished, snapshot)
            self._drop_old()
        self.accelerator.wait_for_everyone()
        return folder

    def _write_parts(self, folder: Path, snapshot: "Snapshot") -> None:
        """Write the parts that serving needs: the projector, and what was learned of the language model."""
        projector, weights = self.model.projector, snapshot.weights
        if projector is not None:
            held = {name: tensor.detach().cpu() for name, tensor in projector.state_dict().items()}
            held |= _weights_of("projector", weights)
            save_projector(folder / PROJECTOR_FILE, _projector_copy(projector, held), self.model.config)
        if self.stage.lora:
            self._write_adapter(folder / ADAPTER, _weights_of("language", weights))
        elif "language" in self.stage.trains:
            cast(Any, self.model.language).save_pretrained(
                folder / LANGUAGE, state_dict=_weights_of("language", weights)
            )
            if self.settings.tokenizer:
                copy_tokenizer(self.settings.tokenizer, folder / LANGUAGE)

    def _write_adapter(self, folder: Path, weights: dict[str, torch.Tensor]) -> None:
        cast(Any, self.model.language).save_pretrained(folder, state_dict=weights, safe_serialization=True)
        (folder / "README.md").unlink(missing_ok=True)  # peft's blank model card

    def _drop_old(self) -> None:
        checkpoints = sorted(self.settings.out.glob("checkpoint-" + "[0-9]" * 6))
        for old in checkpoints[: -max(1, self.settings.keep)]:
            shutil.rmtree(old, ignore_errors=True)

    def _is_sharded(self) -> bool:
        return str(self.accelerator.distributed_type).endswith("FSDP")


def _accelerator_for(model: LlavaModel) -> Any:
    from accelerate import Accelerator

    return Accelerator(cpu=next(model.language.parameters()).device.type == "cpu")


def _weights_of(part: str, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of one part of the model, by their names in that part."""
    prefix = f"model.{part}."  # `_LossOfPass` holds the model as `model`
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _projector_copy(projector: Projector, weights: Mapping[str, torch.Tensor]) -> Projector:
    """A projector of that shape on the CPU with these weights. The run's own may be sharded over processes."""
    copy = Projector(projector.kind, vision_width=projector.vision_width, text_width=projector.text_width)
    copy.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return copy


def compile_layers(language: nn.Module) -> None:
    """torch.compile every decoder layer, with one program for all of them."""
    # without this, every layer is compiled again, because its number differs
    torch._dynamo.config.allow_unspec_int_on_nn_module = True
    for layer in _decoder_layers(language):
        layer.compile()


def _decoder_layers(language: nn.Module) -> list[nn.Module]:
    """The decoder layers of any of transformers' language models: its longest ModuleList."""
    lists = [list(module) for module in language.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len, default=[])


def flops(model: LlavaModel, stage: Stage) -> tuple[float, float]:
    """Floating-point operations of a training step → (per token, per target).

    The output layer counts per target only, everything else per token. Each weight takes two operations forward, two
    backward for the gradient of its input, and two more if it learns. Attention's products between tokens are left out.
    """
    head, embeddings = output_layer(model.language).weight, input_embeddings(model.language).weight
    body = sum(each.numel() for each in model.language.parameters()) - embeddings.numel()
    body -= 0 if head is embeddings else head.numel()
    per_weight = 6 if "language" in stage.trains and stage.lora is None else 4
    return float(per_weight * body), float(per_weight * head.numel())


STATE_FILE = "state/trainer.pt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What a run needs to resume exactly, with full tensors on the CPU; the same on every process.

    The first process writes it as one file, however the weights are sharded (one process, DDP or FSDP2). It is read
    with `weights_only=True`. Batches are a pure function of the step, so the data loader has no state to save.
    """

    weights: Mapping[str, torch.Tensor]
    """Of the parameters that learn, by their names in the trained module."""
    optimizer: Mapping[str, Any]
    random: list[torch.Tensor]
    """The state of torch's generator in every process: CPU, then GPU if there is one."""
    step: int
    """Optimiser steps taken."""


def take_snapshot(module: nn.Module, optimizer: torch.optim.Optimizer, *, step: int) -> Snapshot:
    """Collect the state. Every process must call this at the same step."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    return Snapshot(
        weights=cast("Mapping[str, torch.Tensor]", get_model_state_dict(module, options=options)),
        optimizer=get_optimizer_state_dict(module, optimizer, options=options),
        random=_random_of_all(),
        step=step,
    )


def write_snapshot(folder: Path, snapshot: Snapshot) -> None:
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


def restore_snapshot(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, *, process: int) -> int:
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
