"""`llavero model evaluate`: ask a model a benchmark's questions and score what it says."""

from pathlib import Path
from typing import Annotated

import typer

from ui import terminal
from ui.cli_model import model_app
from ui.model_score import Benchmark, show_score
from ui.rate_line import RateLine

_DONE, _WITH_PROBLEMS = 0, 3


@model_app.command()
def evaluate(
    benchmark: Annotated[Benchmark, typer.Argument(help="The benchmark.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="The benchmark's own files and pictures; for easy-vqa, vqa and ground also samples."
        ),
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
        typer.Option("--reasoning", help="ScienceQA: the reasoning first, as a model of `model samples` learns it."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="The answers (JSONL); a second run goes on with it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Ask a model a benchmark's questions, greedily; answers are kept, and a stopped run goes on where it was."""
    data = data or _installed_data(benchmark.value)
    if data is None:
        raise typer.BadParameter(
            f"say where {benchmark.value}'s questions and pictures lie"
            + (" (or: pip install --no-deps easy-vqa)" if benchmark.value == "easy-vqa" else ""),
            param_hint="--data",
        )
    if reasoning and benchmark is not Benchmark.SCIENCEQA:
        raise typer.BadParameter("only ScienceQA has a prompt for that", param_hint="--reasoning")
    from llava_model.errors import ImagesNotSupportedError
    from llava_model.evaluation.asking import answer_all
    from llava_model.evaluation.benchmarks import task
    from llava_model.evaluation.weights import Weights, parts_in

    asked = task(benchmark.value, data, limit, reasoning=reasoning)
    if checkpoint is not None:
        if language or projector or adapter:
            raise typer.BadParameter("a checkpoint brings its own parts", param_hint="--checkpoint")
        language, projector, adapter = parts_in(checkpoint)
    weights = Weights.of(
        kit, language=language, vision=vision, projector=projector, adapter=adapter, template=template,
        sees=any(ask.images for ask in asked.asks),
    )  # fmt: skip
    answers = out or Path(f"{benchmark.value}.{weights.name}.jsonl")
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
    document = {"benchmark": benchmark.value, "score": result.headline, "answers": str(answers), **result.document()}
    if json:
        terminal.say_json(document)
        show_score(result, json=None)
    else:
        show_score(result, json=False)
    raise typer.Exit(_WITH_PROBLEMS if result.problems else _DONE)


def _installed_data(benchmark: str) -> Path | None:
    """The data that the `easy-vqa` package brings, where somebody has installed it; it is looked for, not imported."""
    if benchmark != "easy-vqa":
        return None
    from importlib.util import find_spec

    found = find_spec("easy_vqa")
    folder = Path(found.origin).parent / "data" / "test" if found is not None and found.origin else None
    return folder if folder is not None and folder.is_dir() else None
