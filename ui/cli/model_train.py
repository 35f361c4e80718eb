"""`llavero model train` and `ablate`: training, watched from a terminal; a stopped run goes on where it was.

train    one stage of training
ablate   which types of instruction data help: the LLaVA paper's question, asked of any model
"""

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.cli import terminal
from ui.cli.progress import ProgressLine
from ui.cli.terminal import NOT_MET, WITH_PROBLEMS

if TYPE_CHECKING:
    from llava_model.ablation.run import AblationReport, Watch
    from llava_model.data.batches import Layout
    from llava_model.data.features import FillProgress
    from llava_model.model.config import LlavaConfig
    from llava_model.training.report import StepMetrics, TrainReport
    from llava_model.training.run import DataFile, StageRun
    from llava_model.training.stages import Stage

_STAGES = ("align", "instruct", "task", "ground")
_LAYOUTS: "dict[str, Layout]" = {"padded": "padded", "packed": "packed"}
_LONG_SECONDS = 600
_SETTLED = 3  # steps after which the estimate means something
_STEPS_EVERY_SECONDS = 2.0  # where no terminal rewrites the line


def train(
    stage: Annotated[str, typer.Argument(help="align, instruct, task or ground.", metavar="STAGE")],
    data: Annotated[
        list[str], typer.Option("--data", metavar="FILE[:WEIGHT]", help="Samples, LLaVA's JSON or ours; repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The run's folder. With a checkpoint of this run: go on.")],
    preset: Annotated[
        str,
        typer.Option(
            "--preset", help="llava-v1, llava-v1-code, llava-1.5, llava-1.5-lora, scienceqa, pocket, pocket-cpu, small."
        ),
    ] = "pocket",
    start: Annotated[
        Path | None,
        typer.Option(
            "--start", help="The run or checkpoint of the stage before, to learn on from; 'kit': the kit's own weights."
        ),
    ] = None,
    kit: Annotated[str, typer.Option("--kit", help="Whose language model and vision tower are trained.")] = "pocket",
    language: Annotated[Path | None, typer.Option("--language", help="Another language model's folder.")] = None,
    vision: Annotated[Path | None, typer.Option("--vision", help="Another vision tower's folder.")] = None,
    image_root: Annotated[
        Path | None, typer.Option("--image-root", help="Where the pictures lie; by default beside each file.")
    ] = None,
    words_only: Annotated[bool, typer.Option("--words-only", help="No tower and no projector.")] = False,
    epochs: Annotated[float | None, typer.Option("--epochs", min=0.001)] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Samples a step, over all processes.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", min=0.0, help="Peak learning rate.")] = None,
    grid: Annotated[
        int | None, typer.Option("--pooled-grid", min=1, help="Rows and columns of features a new projector gets.")
    ] = None,
    projector: Annotated[
        str, typer.Option("--projector-kind", help="linear or mlp2x_gelu, for a new one.")
    ] = "mlp2x_gelu",
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Fit a new projector to the captions before the first step.")
    ] = False,
    template: Annotated[str, typer.Option("--template", help="Prompt template; auto is the tokenizer's own.")] = "auto",
    dtype: Annotated[str, typer.Option("--dtype", help="auto, float32 or bfloat16 arithmetic.")] = "auto",
    layout: Annotated[str, typer.Option("--layout", help="auto, padded or packed.")] = "auto",
    pass_tokens: Annotated[
        int | None, typer.Option("--pass-tokens", min=16, help="Tokens that go through at once.")
    ] = None,
    features: Annotated[Path | None, typer.Option("--features", help="Cache of the tower's features.")] = None,
    feature_dtype: Annotated[str, typer.Option("--feature-dtype", help="float32, bfloat16 or int8.")] = "float32",
    shown: Annotated[Path | None, typer.Option("--shown", help="Held-out samples for the report.")] = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    checkpoint_every: Annotated[int, typer.Option("--checkpoint-every", min=1)] = 200,
    keep: Annotated[int, typer.Option("--keep", min=1, help="Checkpoints that stay.")] = 2,
    most_steps: Annotated[
        int | None, typer.Option("--most-steps", min=1, help="Stop early, with a checkpoint.")
    ] = None,
    gradient_checkpointing: Annotated[bool, typer.Option("--gradient-checkpointing")] = False,
    quantize: Annotated[
        str,
        typer.Option(
            "--quantize", help="none, or nf4: frozen weights in 4 bits under LoRA (QLoRA; a GPU, or slowly a CPU)."
        ),
    ] = "none",
    compiled: Annotated[bool, typer.Option("--compile", help="torch.compile the language model's layers.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave unusable samples out, counted and named.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Train one stage: align, instruct, task or ground.

    Several processes: accelerate launch -m ui.cli.main model train … (DDP or FSDP2, as accelerate is configured).
    """
    if stage not in _STAGES:
        raise typer.BadParameter(f"'{stage}' is none of {', '.join(_STAGES)}", param_hint="STAGE")
    if layout not in ("auto", *_LAYOUTS):
        raise typer.BadParameter(f"'{layout}' is none of auto, {', '.join(_LAYOUTS)}", param_hint="--layout")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    chosen = _chosen_stage(preset, stage, quantize, epochs=epochs, batch=batch, learning_rate=rate)
    config = _config(projector, grid)
    import torch

    from llava_model.checkpoints.parts import choose_device, choose_dtype
    from llava_model.kits import find, weights_folder
    from llava_model.training.loop import RunSettings
    from llava_model.training.run import StageRun, run_stage

    parts = find(kit)
    if start == Path("kit") and not start.exists():
        start = weights_folder(kit)
    base_language = language or parts.path("language")
    run = StageRun(
        stage=chosen,
        data=_files(data, image_root),
        language=base_language,
        vision=None if words_only else vision or parts.path("vision"),
        start=start,
        config=config,
        settings=RunSettings(
            out=out,
            tokenizer=base_language,
            seed=seed,
            autocast=choose_dtype(dtype, choose_device("auto")) == torch.bfloat16,
            checkpoint_every=checkpoint_every,
            keep=keep,
            most_steps=most_steps,
            gradient_checkpointing=gradient_checkpointing,
            compile=compiled,
            tensorboard=tensorboard,
        ),
        warm_start=warm_start,
        template=template,
        layout=_LAYOUTS.get(layout),
        pass_tokens=pass_tokens,
        feature_cache=features,
        feature_dtype=feature_dtype,
        shown=shown,
        skip_bad=skip_bad,
    )
    report = _watched(run, run_stage)
    _tell_report(report, as_json=as_json)
    if report.left_out:
        raise typer.Exit(WITH_PROBLEMS)


def _chosen_stage(preset: str, stage: str, quantize: str, **overrides: Any) -> "Stage":
    """The preset's stage with the user's own numbers."""
    from dataclasses import replace

    from llava_model.training.stages import stage_of, with_overrides

    try:
        chosen = with_overrides(stage_of(preset, stage), **overrides)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--preset") from error
    if quantize == "none":
        return chosen
    if quantize != "nf4" or chosen.lora is None:
        problem = f"'{quantize}' is neither none nor nf4" if quantize != "nf4" else f"{stage} has no LoRA there"
        raise typer.BadParameter(problem, param_hint="--quantize")
    return replace(chosen, lora=replace(chosen.lora, quantize="nf4"))


def _config(projector: str, grid: int | None) -> "LlavaConfig":
    from llava_model.model.config import LlavaConfig

    try:
        return LlavaConfig.from_json({"projector": projector, "pooled_grid": grid})
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--projector-kind") from error


def _tell_report(report: "TrainReport", *, as_json: bool) -> None:
    state = "finished" if report.finished else "stopped; the same command goes on from there"
    loss = report.loss if math.isfinite(report.loss) else None  # a run that was finished already took no step
    said = "" if loss is None else f", loss {loss:.4f}"
    terminal.tell(f"{state}: {report.steps:,} steps{said}, {report.checkpoint}")
    for reason in report.left_out[:20]:
        terminal.tell(f"left out: {reason}")
    if as_json:
        terminal.say_json(
            {
                "checkpoint": str(report.checkpoint),
                "steps": report.steps,
                "finished": report.finished,
                "loss": loss,
                "left_out": list(report.left_out),
            }
        )
    else:
        terminal.say(str(report.checkpoint))


def _files(data: list[str], image_root: Path | None) -> "tuple[DataFile, ...]":
    from llava_model.training.run import DataFile

    files = []
    for each in data:
        name, colon, weight = each.rpartition(":")
        if colon and not Path(each).exists():
            try:
                files.append(DataFile(path=Path(name), weight=float(weight), image_root=image_root))
            except ValueError as error:
                raise typer.BadParameter(f"'{weight}' is no weight", param_hint="--data") from error
        else:
            files.append(DataFile(path=Path(each), image_root=image_root))
    return tuple(files)


def _watched(run: "StageRun", run_stage: "Callable[..., TrainReport]") -> "TrainReport":
    """Run the stage and show its progress. SIGTERM and Ctrl-C end it after the current step, with a checkpoint."""
    from accelerate import Accelerator

    from llava_model.checkpoints.parts import choose_device

    accelerator = Accelerator(cpu=choose_device("auto").type == "cpu")
    progress = TrainingProgress(quiet=not accelerator.is_main_process, compiled=run.settings.compile)
    with closing(progress), _stop_asked_for("stopping after this step, with a checkpoint") as should_stop:
        return run_stage(
            run,
            accelerator=accelerator,
            on_step=progress.step,
            on_fill=progress.fill,
            announce=progress.tell,
            should_stop=should_stop,
        )


@contextmanager
def _stop_asked_for(words: str) -> Iterator[Callable[[], bool]]:
    """Catch SIGTERM and Ctrl-C: they print `words`. Yields a function that says whether one of them has come."""
    stop = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        terminal.tell(words)
        stop.set()

    earlier = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop.is_set
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


class TrainingProgress:
    """Shows a run: sentences that stay, the features being computed, the steps being taken."""

    def __init__(self, *, quiet: bool, compiled: bool) -> None:
        self._features = ProgressLine(at_once=True, quiet=quiet)
        self._steps = ProgressLine(every_seconds=_STEPS_EVERY_SECONDS, at_once=True, quiet=quiet)
        self._compiled = compiled

    def tell(self, words: str) -> None:
        """Print a sentence."""
        self._features.close()
        self._steps.tell(words)

    def fill(self, progress: "FillProgress") -> None:
        """Show how many pictures the tower has gone through."""
        _show_fill(self._features, progress)

    def step(self, metrics: "StepMetrics") -> None:
        """Show a step. Early in a long run, say also what would shorten it."""
        self._features.close()
        if metrics.step == _SETTLED and metrics.seconds_left > _LONG_SECONDS and not self._compiled:
            self.tell("a long run: with --compile its steps are about 1.3 times as fast (it needs a C++ compiler)")
        words = (
            f"step {metrics.step:,}/{metrics.steps:,}  loss {metrics.loss:.4f}  rate {metrics.rate:.2e}  "
            f"{metrics.samples_per_second:.1f} samples/s  {metrics.tokens_per_second:,.0f} tokens/s"
        )
        if metrics.utilisation is not None:
            words += f"  MFU {metrics.utilisation:.0%}"
        words += f"  {_clock(metrics.seconds_left)} left"
        self._steps.show(words, share=metrics.step / metrics.steps, final=metrics.step == metrics.steps)

    def close(self) -> None:
        """End the lines."""
        self._features.close()
        self._steps.close()


def _show_fill(line: ProgressLine, progress: "FillProgress") -> None:
    share = progress.done / progress.total if progress.total else None
    line.show(f"features of pictures: {progress.done:,} of {progress.total:,}", share=share)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def ablate(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The plan (TOML), see recipes/scenes/ablation.toml.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A second run goes on with it.")],
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Train on full data, detail + complex, conversation + a little, conversation and nothing, and compare.

    All five start from one checkpoint and are asked the same held-out questions. Finished parts are not made again.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from llava_model.ablation.plan import read_plan
    from llava_model.ablation.run import Bases, ablate
    from llava_model.kits import find

    plan = read_plan(config)
    language, vision = plan.language, plan.vision
    if language is None or vision is None:
        kit = find(plan.kit)
        language, vision = language or kit.path("language"), vision or kit.path("vision")
    if plan.judge is not None:
        _check_judge(plan.judge.endpoint, plan.judge.model)
    report = _stoppable(lambda watch: ablate(plan, out, Bases(language=language, vision=vision), watch))
    _show(report, judge=plan.judge.model if plan.judge else "", json=json)
    if not report.finished:
        terminal.tell("stopped; the same command goes on from there")
        raise typer.Exit(NOT_MET)


def _check_judge(url: str, model: str) -> None:
    """Check the judge's address before hours of training."""
    from llava_model.chat_client import JUDGE, ChatServer

    ChatServer(url=url, model=model, role=JUDGE)


def _stoppable(run: Callable[["Watch"], "AblationReport"]) -> "AblationReport":
    """Run the ablation. SIGTERM and Ctrl-C end it after the current step or answer; what is done is kept."""
    with ProgressLine() as line, _stop_asked_for("stopping after this step or answer") as should_stop:
        return run(_watch(line, should_stop))


def _watch(line: ProgressLine, should_stop: Callable[[], bool]) -> "Watch":
    from llava_model.ablation.run import Watch

    def step(title: str, metrics: "StepMetrics") -> None:
        words = (
            f"{title}: step {metrics.step:,} of {metrics.steps:,} · loss {metrics.loss:.3f} · "
            f"{metrics.samples_per_second:.1f} samples/s · {terminal.duration(metrics.seconds_left)} left"
        )
        line.show(words, share=metrics.step / metrics.steps, final=metrics.step == metrics.steps)

    def part(words: str, done: int, total: int) -> None:
        line.show(words, share=done / total if total else None, final=done == total)

    return Watch(
        announce=line.tell,
        on_step=step,
        on_fill=lambda progress: _show_fill(line, progress),
        on_answer=lambda title, p: part(f"{title}: {p.answered:,} of {p.asks:,} answers", p.answered, p.asks),
        on_review=lambda done, total: part(f"{done:,} of {total:,} reviews", done, total),
        should_stop=should_stop,
    )


def _show(report: "AblationReport", *, judge: str, json: bool) -> None:
    from llava_model.ablation import plan as table
    from llava_model.ablation.plan import VARIANTS

    measure = table.JUDGED.format(judge=judge) if judge else table.OFFLINE
    for kind, count in report.left_out.items():
        terminal.tell(f"{count:,} samples of the kind '{kind}' are none of the paper's types; left out")
    if json:
        paper = [{"title": v.title, "values": dict(table.paper_row(v.title).values)} for v in VARIANTS]
        results = [one.document() for one in report.results]
        terminal.say_json(
            {"finished": report.finished, "measure": measure, "results": results, "paper": paper,
             "paper_source": table.paper_row(VARIANTS[0].title).source}
        )  # fmt: skip
        return
    terminal.say_table(table.main_table(report.results, judge))
    terminal.say(table.PAPER)
    terminal.say(measure)
    terminal.say()
    terminal.say_table(table.more_table(report.results))
