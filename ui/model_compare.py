"""`llavero model compare`: several models' scores beside the published ones, and a page to read their answers."""

from pathlib import Path
from typing import Annotated

import typer

from ui import terminal
from ui.benchmark_argument import BenchmarkArgument
from ui.model_ablate import say_table
from ui.model_score import DONE, WITH_PROBLEMS


def compare(
    benchmark: BenchmarkArgument,
    predictions: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE…", help="What `model score` takes, per model.")
    ],
    references: Annotated[Path | None, typer.Option("--references", help="As for `model score`.")] = None,
    coco: Annotated[
        bool, typer.Option("--coco", help="Beside the rows of the COCO questions, where the benchmark has both.")
    ] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with pictures and answers here.")] = None,
    questions: Annotated[Path | None, typer.Option("--questions", help="For the page: the questions (JSONL).")] = None,
    images: Annotated[Path | None, typer.Option("--images", help="For the page: the pictures' folder.")] = None,
    answers: Annotated[
        list[str] | None, typer.Option("--answers", metavar="NAME=FILE", help="For the page, where NAME is reviewed.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Set several models' scores beside the published rows; --html adds a page of answers side by side."""
    from llava_model.evaluation import compare as comparing
    from llava_model.evaluation.benchmarks import find
    from llava_model.evaluation.published import published, row_of

    chosen = find(benchmark)
    files = _named(predictions, "NAME=FILE")
    said = _named(answers or [], "--answers")
    scores = {name: chosen.score(file, references) for name, file in files.items()}
    table = chosen.coco_table if coco and chosen.coco_table else benchmark
    rows = [*published(table), *(row_of(name, one, str(files[name])) for name, one in scores.items())]
    if html is not None:
        if questions is None:
            raise typer.BadParameter("the page needs the questions", param_hint="--questions")
        entries = [
            comparing.read_entry(name, said.get(name, file), file if chosen.takes_reviews and file.is_file() else None)
            for name, file in files.items()
        ]
        html.write_text(comparing.page(table, rows, comparing.read_shown(questions, images), entries), "utf-8")
        terminal.tell(f"the page is at {html}")
    if json:
        cells = [{"model": r.model, "source": r.source, "ours": r.ours, "values": dict(r.values)} for r in rows]
        terminal.say_json({"benchmark": benchmark, "rows": cells})
    else:
        say_table(comparing.table(table, rows))
    for name, one in scores.items():
        for problem in one.problems:
            terminal.tell(f"problem: {name}: {problem.message}")
    raise typer.Exit(WITH_PROBLEMS if any(one.problems for one in scores.values()) else DONE)


def _named(pairs: list[str], where: str) -> dict[str, Path]:
    """`llava=answers.jsonl` → {"llava": Path}; a bare file is named after itself."""
    named: dict[str, Path] = {}
    for pair in pairs:
        name, equals, file = pair.partition("=")
        path = Path(file if equals else pair)
        key = name if equals else path.stem
        if key in named:
            raise typer.BadParameter(f"'{key}' is named twice", param_hint=where)
        named[key] = path
    return named
