"""`llavero model evaluate`: ask a model a benchmark's questions and score what it says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui import terminal
from ui.benchmark_argument import BenchmarkArgument
from ui.model_score import DONE, WITH_PROBLEMS, show_score
from ui.rate_line import RateLine

if TYPE_CHECKING:
    from llava_model.evaluation.asking import Task
    from llava_model.evaluation.benchmarks import Benchmark
    from llava_model.evaluation.score import Score
    from llava_model.evaluation.weights import Weights


def evaluate(
    benchmark: BenchmarkArgument,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The benchmark's own files and pictures, or samples if it takes them."),
    ] = None,
    kit: Annotated[str, typer.Option("--kit", envvar="LLAVERO_KIT", help="The kit of weights.")] = "pocket",
    language: Annotated[Path | None, typer.Option("--language", help="A language model instead of the kit's.")] = None,
    vision: Annotated[Path | None, typer.Option("--vision", help="A vision tower instead of the kit's.")] = None,
    projector: Annotated[Path | None, typer.Option("--projector", help="A trained projector.")] = None,
    adapter: Annotated[Path | None, typer.Option("--adapter", help="A LoRA adapter of the language model.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="A run of `model train`, or a checkpoint: its trained parts.")
    ] = None,
    template: Annotated[str, typer.Option("--template", help="The conversation template.")] = "auto",
    device: Annotated[str, typer.Option("--device", envvar="LLAVERO_DEVICE", help="auto, cpu or cuda.")] = "auto",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Ask only N questions, spread evenly.")] = None,
    reasoning: Annotated[
        bool,
        typer.Option("--reasoning", help="The reasoning first, where the benchmark has a prompt for it."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="The answers (JSONL); a second run goes on with it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Ask a model a benchmark's questions, greedily; answers are kept, and a stopped run goes on where it was."""
    from llava_model.evaluation.benchmarks import find, task
    from llava_model.evaluation.weights import Weights, parts_in

    folder = _data_of(find(benchmark), data, reasoning=reasoning)
    asked = task(benchmark, folder, limit, reasoning=reasoning)
    if checkpoint is not None:
        if language or projector or adapter:
            raise typer.BadParameter("a checkpoint brings its own parts", param_hint="--checkpoint")
        language, projector, adapter = parts_in(checkpoint)
    weights = Weights.of(
        kit, language=language, vision=vision, projector=projector, adapter=adapter, template=template,
        sees=any(ask.images for ask in asked.asks),
    )  # fmt: skip
    answers = out or Path(f"{benchmark}.{weights.name}.jsonl")
    result = _answered(asked, weights, device, answers)
    if json:
        terminal.say_json(
            {"benchmark": benchmark, "score": result.headline, "answers": str(answers), **result.document()}
        )
    show_score(result, json=None if json else False)
    raise typer.Exit(WITH_PROBLEMS if result.problems else DONE)


def _data_of(benchmark: "Benchmark", data: Path | None, *, reasoning: bool) -> Path:
    """The data that were named, or that a package of the benchmark's brings."""
    from llava_model.evaluation.benchmarks import find, names

    found = data or (benchmark.installed_data() if benchmark.installed_data else None)
    if found is None:
        install = f" (or: {benchmark.install})" if benchmark.install else ""
        raise typer.BadParameter(
            f"say where {benchmark.name}'s questions and pictures lie{install}", param_hint="--data"
        )
    if reasoning and benchmark.reasoning_task is None:
        able = ", ".join(one.title for one in map(find, names()) if one.reasoning_task)
        raise typer.BadParameter(f"only {able} has a prompt for that", param_hint="--reasoning")
    return found


def _answered(asked: "Task", weights: "Weights", device: str, answers: Path) -> "Score":
    from llava_model.errors import ImagesNotSupportedError
    from llava_model.evaluation.asking import answer_all

    terminal.tell(f"loading {weights.name}; answers go to {answers}")
    engine = weights.load(device)
    if not engine.sees_images and any(ask.images for ask in asked.asks):
        raise ImagesNotSupportedError(weights.name, sum(len(ask.images) for ask in asked.asks))
    line = RateLine("answers")
    result = answer_all(
        asked,
        engine,
        answers,
        settings=weights.settings(),
        on_progress=lambda done: line.show(done.answered, done.asks),
    )
    line.close()
    return result
