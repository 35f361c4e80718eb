"""One stage of training, from settings to a checkpoint that serves; the same code for one process and for many.

    data → batches (a thread) → passes → loss sum / targets of the whole step → backward → clip → AdamW → checkpoint

Exactness: a step's loss is the mean over all its answer tokens, however they are spread over passes and processes; a
run that is stopped anywhere and goes on takes the same steps, bit for bit, on a CPU.

Legend: B rows, T tokens, N pictures, P positions per picture, V width of a vision feature.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llava_model import state
from llava_model.batches import BatchLoader, StepBatches
from llava_model.checkpoint import save_projector
from llava_model.data.packing import Batch
from llava_model.errors import TrainingStoppedError
from llava_model.loss import loss_sum
from llava_model.manifest import Manifest, latest, writing
from llava_model.model import LlavaModel
from llava_model.prefix import FrozenPrefix
from llava_model.schedule import rate_share, total_steps
from llava_model.stages import Stage
from llava_model.trainable import optimiser, trainable_parameters
from llava_model.trained import copy_tokenizer
from llava_model.watching import Meter, MetricsLog, OnStep


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSettings:
    """How a stage is run; what it learns and how fast is the stage's own."""

    out: Path
    """The run's folder: checkpoints, metrics, report."""
    tokenizer: Path | None = None
    """Folder whose tokenizer goes beside a language model that was trained whole."""
    seed: int = 0
    """Of the order of samples, drawn instructions, new weights and dropout."""
    autocast: bool = False
    """bfloat16 arithmetic; what learns stays float32."""
    checkpoint_every: int = 200
    """Steps between checkpoints; there is always one at the end."""
    keep: int = 2
    """Checkpoints that stay; older ones are removed when a newer one is whole."""
    most_steps: int | None = None
    """Stop after so many steps, with a checkpoint; the schedule is that of the whole stage."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, a third more time."""
    compile: bool = False
    """torch.compile on the language model's layers: 1.3 to 1.4 times the steps a second, after half a minute."""
    tensorboard: bool = False
    """Also write TensorBoard's files; needs the extra."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainReport:
    """What a run came to."""

    checkpoint: Path
    steps: int
    finished: bool
    """False when it was stopped before the stage's end."""
    loss: float
    """Of the last step."""
    left_out: tuple[str, ...]
    """Samples that could not be used, with reasons."""


class _Pass(nn.Module):
    """The unit that DDP and FSDP wrap: a batch in, the summed loss out."""

    def __init__(self, model: LlavaModel, *, prefix: FrozenPrefix | None) -> None:
        super().__init__()
        self.model = model
        self._prefix = prefix

    def forward(self, batch: Batch, pictures: torch.Tensor | None) -> torch.Tensor:
        """`pictures`: features_NPV from a cache, or pixels_NCHW for the tower."""
        features_NPV = pictures
        if pictures is not None and pictures.dim() == 4:
            features_NPV = self.model.image_features(pictures)
        return loss_sum(self.model, batch, features_NPV, prefix=self._prefix)


def _never() -> bool:
    return False


def train(
    model: LlavaModel,
    feed: BatchLoader,
    stage: Stage,
    settings: RunSettings,
    manifest: Manifest,
    *,
    samples_per_epoch: int,
    accelerator: Any = None,
    on_step: OnStep = lambda metrics: None,
    should_stop: Callable[[], bool] = _never,
) -> TrainReport:
    """Train `model`, whose parts `trainable.set_up` has frozen and freed, and leave checkpoints in `settings.out`.

    A run that finds a checkpoint of its own there goes on from it. `manifest` is the template of every checkpoint's.
    `should_stop` (a signal, a button) ends the run after the step under way, with a checkpoint. Raises
    TrainingStoppedError for a loss that is no number and BadSampleError for a sample that cannot be used.
    """
    return _Training(model, stage, settings, manifest, accelerator, samples_per_epoch).run(feed, on_step, should_stop)


class _Training:
    def __init__(
        self,
        model: LlavaModel,
        stage: Stage,
        settings: RunSettings,
        manifest: Manifest,
        accelerator: Any,
        samples_per_epoch: int,
    ) -> None:
        from accelerate import Accelerator  # type: ignore[import-untyped]  # it brings no types

        self.accelerator = accelerator or Accelerator(cpu=next(model.language.parameters()).device.type == "cpu")
        self.model, self.stage, self.settings, self.manifest = model, stage, settings, manifest
        self.steps = total_steps(samples_per_epoch, stage)
        if settings.gradient_checkpointing:
            model.language.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]  # transformers'
        if settings.compile:
            compile_layers(model.language)
        self.flops = flops(model, stage)
        found = optimiser(trainable_parameters(model), stage, fused=not self._sharded())
        prefix = None if self._sharded() else FrozenPrefix(model)
        self.module, self.optimizer = self.accelerator.prepare(_Pass(model, prefix=prefix), found)
        self.device: torch.device = self.accelerator.device

    def run(self, feed: BatchLoader, on_step: OnStep, should_stop: Callable[[], bool]) -> TrainReport:
        first = self._resume()
        behind = min(self.steps, self.settings.most_steps or self.steps)
        loss, left_out = math.nan, []
        meter = Meter(
            steps=self.steps, flops_per_token=self.flops[0], flops_per_target=self.flops[1], device=self.device
        )
        checkpoint = latest(self.settings.out)
        step = first
        self.module.train()
        with self._log(first) as log:
            for batches in feed.steps(first, behind):
                loss, gradient, rate, stop = self._step(batches, should_stop())
                step = batches.step + 1
                left_out += [str(error) for error in batches.left_out]
                metrics = meter.step(
                    step,
                    samples=batches.samples,
                    tokens=batches.tokens,
                    targets=batches.targets,
                    epoch=batches.epoch,
                    loss=loss,
                    rate=rate,
                    gradient=gradient,
                    left_out=len(left_out),
                )
                if log:
                    log.write(metrics)
                    on_step(metrics)
                if stop or step == behind or step % self.settings.checkpoint_every == 0:
                    checkpoint = self._checkpoint(step)
                if stop:
                    break
        if checkpoint is None:
            checkpoint = self._checkpoint(step)
        return TrainReport(
            checkpoint=checkpoint, steps=step, finished=step >= self.steps, loss=loss, left_out=tuple(left_out)
        )

    def _step(self, batches: StepBatches, stop: bool) -> tuple[float, float, float, bool]:
        """One optimiser step → (loss per target, norm of the gradient, rate, whether anybody wants to stop)."""
        processes = self.accelerator.num_processes
        total = torch.zeros((), device=self.device)
        for number, (batch, pictures) in enumerate(batches.passes):
            last = number == len(batches.passes) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.module):
                loss = self._loss(batch, pictures)
                # DDP and FSDP average over processes: the sum over them is wanted
                self.accelerator.backward(loss * (processes / max(1, batches.targets)))
            total += loss.detach()
        loss_value, wanted = self._agreed(total, stop)
        mean = loss_value / max(1, batches.targets)
        samples = tuple(name for batch, _ in batches.passes for name in batch.samples)
        if not math.isfinite(mean):
            raise TrainingStoppedError("loss", step=batches.step + 1, samples=samples)
        limit = self.stage.max_gradient or math.inf
        gradient = float(self.accelerator.clip_grad_norm_(self.module.parameters(), limit))
        if not math.isfinite(gradient):
            raise TrainingStoppedError("gradient", step=batches.step + 1, samples=samples)
        rate = self._take(batches.step)
        return mean, gradient, rate, wanted

    def _loss(self, batch: Batch, pictures: torch.Tensor | None) -> torch.Tensor:
        moved = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.autocast):
            loss: torch.Tensor = self.module(moved, None if pictures is None else pictures.to(self.device))
        return loss

    def _take(self, step: int) -> float:
        share = rate_share(step, self.steps, self.stage)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(self.optimizer.param_groups[0]["lr"])

    def _agreed(self, total: torch.Tensor, stop: bool) -> tuple[float, bool]:
        """The loss of all processes together; and all stop when one wants to."""
        if self.accelerator.num_processes == 1:
            return float(total), stop
        both = torch.stack([total.float(), torch.tensor(float(stop), device=self.device)])
        summed = self.accelerator.reduce(both, reduction="sum")
        return float(summed[0]), bool(summed[1] > 0)

    def _resume(self) -> int:
        found = latest(self.settings.out)
        if found is None:
            return 0
        return state.restore(found, self.module, self.optimizer, process=self.accelerator.process_index)

    def _log(self, after: int) -> Any:
        if not self.accelerator.is_main_process:
            return nullcontext()
        return MetricsLog(self.settings.out, after=after, tensorboard=self.settings.tensorboard)

    def _checkpoint(self, step: int) -> Path:
        """All processes collect, the first one writes."""
        from dataclasses import replace

        snapshot = state.take(self.module, self.optimizer, step=step)
        folder = self.settings.out / f"checkpoint-{step:06d}"
        if self.accelerator.is_main_process:
            # a new module draws random numbers, and the run must not notice that a checkpoint was written
            with torch.random.fork_rng(devices=[]), writing(folder, replace(self.manifest, step=step)) as unfinished:
                self._write_parts(unfinished, snapshot)
                state.write(unfinished, snapshot)
            self._drop_old()
        self.accelerator.wait_for_everyone()
        return folder

    def _write_parts(self, folder: Path, snapshot: state.Snapshot) -> None:
        """The parts that serve: always the projector, and what has been learned of the language model."""
        model, weights = self.model, snapshot.weights
        if model.projector is not None:
            held = {name: tensor.detach().cpu() for name, tensor in model.projector.state_dict().items()}
            held |= _below("model.projector.", weights)
            save_projector(folder / "projector.safetensors", _with_weights(model, held), model.config)
        if self.stage.lora:
            self._write_adapter(folder / "adapter", _below("model.language.", weights))
        elif "language" in self.stage.trains:
            language: Any = model.language
            language.save_pretrained(folder / "language", state_dict=_below("model.language.", weights))
            if self.settings.tokenizer:
                copy_tokenizer(self.settings.tokenizer, folder / "language")

    def _write_adapter(self, folder: Path, weights: dict[str, torch.Tensor]) -> None:
        language: Any = self.model.language
        language.save_pretrained(folder, state_dict=weights, safe_serialization=True)
        (folder / "README.md").unlink(missing_ok=True)  # peft's blank model card

    def _drop_old(self) -> None:
        import shutil

        checkpoints = sorted(self.settings.out.glob("checkpoint-" + "[0-9]" * 6))
        for old in checkpoints[: -max(1, self.settings.keep)]:
            shutil.rmtree(old, ignore_errors=True)

    def _sharded(self) -> bool:
        return str(self.accelerator.distributed_type).endswith("FSDP")


def _below(prefix: str, weights: Any) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _with_weights(model: LlavaModel, weights: dict[str, torch.Tensor]) -> Any:
    """A projector on the CPU with these weights: the model's own may lie in shards."""
    from llava_model.projector import Projector

    own: Any = model.projector
    copy = Projector(own.kind, vision_width=own.vision_width, text_width=own.text_width)
    copy.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return copy


def compile_layers(language: nn.Module) -> None:
    """torch.compile every decoder layer, with one program for all of them."""
    # a layer's number is no reason to compile it anew
    torch._dynamo.config.allow_unspec_int_on_nn_module = True
    for layer in _layers(language):
        layer.compile()


def _layers(language: nn.Module) -> list[nn.Module]:
    """The decoder layers of any of transformers' models: the longest ModuleList."""
    lists = [list(module) for module in language.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len, default=[])


def flops(model: LlavaModel, stage: Stage) -> tuple[float, float]:
    """Floating-point operations a token (without output layer) and a target (its output layer), both directions.

    Two for each weight forward, two backward for what lies before it, two more where it learns itself; attention's
    products between tokens are left out.
    """
    head = model.language.get_output_embeddings().weight.numel()  # type: ignore[operator]  # transformers'
    embeddings = model.language.get_input_embeddings().weight.numel()  # type: ignore[operator]  # as above
    body = sum(each.numel() for each in model.language.parameters()) - embeddings
    body -= 0 if head == embeddings and _tied(model.language) else head
    times = 6 if "language" in stage.trains and stage.lora is None else 4
    return float(times * body), float(times * head)


def _tied(language: Any) -> bool:
    return language.get_output_embeddings().weight is language.get_input_embeddings().weight
