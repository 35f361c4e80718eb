"""`llavero model score`: figures from prediction files in the benchmarks' original formats, without a model."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui import terminal
from ui.benchmark_argument import BenchmarkArgument

if TYPE_CHECKING:
    from llava_model.evaluation.score import Problem, Score

DONE, WITH_PROBLEMS = 0, 3
_IDS_SHOWN = 12


def score(
    benchmark: BenchmarkArgument,
    predictions: Annotated[
        Path, typer.Option("--predictions", help="Answers in a format of the benchmark's own: a file, or a folder.")
    ],
    references: Annotated[
        Path | None,
        typer.Option("--references", help="The benchmark's questions and labels: a file, or the folder they lie in."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Score prediction files in their original formats. Exit code 3: scored, but with problems (listed)."""
    from llava_model.evaluation.benchmarks import score as score_files

    result = score_files(benchmark, predictions, references)
    show_score(result, json=json)
    raise typer.Exit(WITH_PROBLEMS if result.problems else DONE)


def show_score(result: "Score", *, json: bool | None) -> None:
    """The figures on stdout; notes and problems on stderr (in JSON they are inside). `json` None: no figures."""
    if json:
        terminal.say_json(result.document())
    elif json is not None:
        for line in _lines(result.values):
            terminal.say(line)
        terminal.say(_row("n", result.n))
        if result.interval:
            terminal.say(_row("95 % interval", f"{result.interval[0]:.1f} to {result.interval[1]:.1f}"))
        for note in result.notes:
            terminal.tell(f"note: {note}")
    tell_problems(result.problems)


def tell_problems(problems: "Iterable[Problem]") -> None:
    """One line for each, with the first of its ids."""
    for problem in problems:
        shown = ", ".join(problem.ids[:_IDS_SHOWN]) + (" …" if len(problem.ids) > _IDS_SHOWN else "")
        terminal.tell(f"problem: {problem.message}" + (f": {shown}" if shown else ""))


def _lines(values: Any, prefix: str = "") -> list[str]:
    """A nested result; a group of plain figures becomes one line: `settings.random  accuracy 88.04, …`."""
    lines: list[str] = []
    for name, value in values.items():
        if not isinstance(value, dict):
            lines.append(_row(prefix + name, _plain(value)))
        elif any(isinstance(part, dict) for part in value.values()):
            lines += _lines(value, f"{prefix}{name}.")
        elif value:
            lines.append(_row(prefix + name, ", ".join(f"{key} {_plain(part)}" for key, part in value.items())))
    return lines


def _row(name: str, value: object) -> str:
    return f"{name:18s} {value}"


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return " ".join(map(str, value[:_IDS_SHOWN])) + (" …" if len(value) > _IDS_SHOWN else "")
    return "-" if value is None else str(value)
