"""`llavero model score`: figures from prediction files in the benchmarks' original formats, without a model."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui import terminal
from ui.cli_model import model_app

if TYPE_CHECKING:
    from llava_model.evaluation.score import Score

_DONE, _WITH_PROBLEMS = 0, 3
_IDS_SHOWN = 12


class Benchmark(StrEnum):
    """The benchmarks that can be scored."""

    LLAVA_BENCH = "llava-bench"
    SCIENCEQA = "scienceqa"
    POPE = "pope"
    MME = "mme"
    EASY_VQA = "easy-vqa"
    VQA = "vqa"


@model_app.command()
def score(
    benchmark: Annotated[Benchmark, typer.Argument(help="The benchmark.", show_default=False)],
    predictions: Annotated[
        Path, typer.Option("--predictions", help="The file (llava-bench, pope: or folder; mme: folder) of answers.")
    ],
    references: Annotated[
        Path | None,
        typer.Option("--references", help="Labels: problems.json, POPE's label file or folder, questions.json …"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Score prediction files in their original formats. Exit code 3: scored, but with problems (listed)."""
    from llava_model.evaluation.benchmarks import score as score_files

    result = score_files(benchmark.value, predictions, references)
    show_score(result, json=json)
    raise typer.Exit(_WITH_PROBLEMS if result.problems else _DONE)


def show_score(result: "Score", *, json: bool) -> None:
    """The figures on stdout; notes and problems on stderr (in JSON they are inside)."""
    if json:
        terminal.say_json(result.document())
    else:
        for line in _lines(result.values):
            terminal.say(line)
        terminal.say(f"{'n':24s} {result.n}")
        if result.interval:
            terminal.say(f"{'95 % interval':24s} {result.interval[0]:.1f} to {result.interval[1]:.1f}")
        for note in result.notes:
            terminal.tell(f"note: {note}")
    for problem in result.problems:
        shown = ", ".join(problem.ids[:_IDS_SHOWN]) + (" …" if len(problem.ids) > _IDS_SHOWN else "")
        terminal.tell(f"problem: {problem.message}" + (f": {shown}" if shown else ""))


def _lines(values: Any, prefix: str = "") -> list[str]:
    """A nested result, one figure a line: `settings.random.f1  87.2`."""
    lines: list[str] = []
    for name, value in values.items():
        if isinstance(value, dict):
            lines += _lines(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            lines.append(f"{prefix + name:24s} {value:.2f}")
        elif isinstance(value, list):
            lines.append(f"{prefix + name:24s} {' '.join(map(str, value[:_IDS_SHOWN]))}")
        else:
            lines.append(f"{prefix + name:24s} {'-' if value is None else value}")
    return lines
