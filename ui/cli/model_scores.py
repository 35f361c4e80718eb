"""The verbs of `llavero model` that are about benchmarks.

samples    a benchmark's training questions as samples, for the TASK stage
evaluate   ask a model a benchmark's questions and score what it says
score      figures from prediction files in the benchmark's own format, without a model
judge      a text model's scores for answers, beside those for reference answers
compare    several models' scores beside the published ones, and a page to read their answers side by side

No benchmark has a name here: which there are, what each reads and how it scores is found in `llava_model.benchmarks`.
"""

import json as json_module
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from llava_model.benchmarks import names
from ui.cli import terminal
from ui.cli.progress import ProgressLine
from ui.cli.terminal import DONE, WITH_PROBLEMS

if TYPE_CHECKING:
    from llava_model.benchmarks import Benchmark
    from llava_model.benchmarks.asking import Task, Weights
    from llava_model.benchmarks.figures import Problem, Score
    from llava_model.chat_client import ChatServer

    BenchmarkName = str  # a type checker cannot know the names
else:
    BenchmarkName = Literal[names()]

BenchmarkArgument = Annotated[BenchmarkName, typer.Argument(help="The benchmark.", show_default=False)]
_IDS_SHOWN = 12


def samples(
    benchmark: BenchmarkArgument,
    data: Annotated[Path, typer.Argument(help="The benchmark's folder, with its questions and pictures.")],
    out: Annotated[Path, typer.Option("--out", help="The samples (JSONL).")],
    split: Annotated[
        str, typer.Option("--split", help="train, val, test, or another split of the benchmark's own.")
    ] = "train",
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Write a benchmark's training questions as samples, as its paper trains on them. Train with --image-root DATA."""
    from llava_model.benchmarks import find
    from llava_model.data.samples import to_record
    from llava_model.synthesis.generate import write_whole

    samples_of = find(benchmark).samples
    if samples_of is None:
        able = ", ".join(name for name in names() if find(name).samples)
        raise typer.BadParameter(f"'{benchmark}' has no training questions, only: {able}", param_hint="BENCHMARK")
    root = data if data.is_dir() else data.parent
    records = [to_record(each, root=root) for each in samples_of(data, split)]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, ["\n".join(json_module.dumps(record, ensure_ascii=False) for record in records)])
    pictured = sum(bool(record["images"]) for record in records)
    document = {"source": benchmark, "split": split, "samples": len(records), "pictures": pictured, "out": str(out)}
    if json:
        terminal.say_json(document)
    else:
        terminal.say(f"{len(records):,} samples of '{split}', {pictured:,} with a picture, in {out}")
        terminal.tell(f"Check them: llavero model validate {out} --image-root {root}")


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
    from llava_model.benchmarks import find, task
    from llava_model.benchmarks.asking import Weights, parts_in

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
    from llava_model.benchmarks import find

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
    from llava_model.benchmarks.asking import answer_all
    from llava_model.errors import ImagesNotSupportedError
    from ui.opening import without_loading_bars

    without_loading_bars()
    terminal.tell(f"loading {weights.name}; answers go to {answers}")
    engine = weights.load(device)
    if not engine.sees_images and any(ask.images for ask in asked.asks):
        raise ImagesNotSupportedError(weights.name, sum(len(ask.images) for ask in asked.asks))
    with ProgressLine() as line:
        return answer_all(
            asked,
            engine,
            answers,
            settings=weights.settings(),
            on_progress=lambda so_far: line.count(so_far.answered, so_far.asks, "answers"),
        )


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
    from llava_model.benchmarks import score as score_files

    result = score_files(benchmark, predictions, references)
    show_score(result, json=json)
    raise typer.Exit(WITH_PROBLEMS if result.problems else DONE)


def show_score(result: "Score", *, json: bool | None) -> None:
    """Print the figures on stdout, notes and problems on stderr.

    With `json` one document on stdout holds all of them; None prints no figures.
    """
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


def judge(
    references: Annotated[Path, typer.Argument(help="The reference answers (JSONL); they get the first score.")],
    answers: Annotated[Path, typer.Argument(help="The answers to judge (JSONL).")],
    questions: Annotated[
        Path, typer.Option("--questions", help="The questions (JSONL); for an ensemble ScienceQA's problems.json.")
    ],
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="An OpenAI-compatible server; nothing is sent elsewhere.")
    ] = "",
    model: Annotated[str, typer.Option("--model", help="The judge's name at --endpoint.")] = "",
    contexts: Annotated[
        Path | None, typer.Option("--contexts", help="What the pictures show, in words (JSONL by image).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The reviews; a second run goes on with them.")] = Path(
        "reviews.jsonl"
    ),
    rubric: Annotated[
        Path | None, typer.Option("--rubric", help="The judge's task, instead of the shipped one.")
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Judge N times: mean and spread.")] = 1,
    swap: Annotated[bool, typer.Option("--swap", help="Judge in both orders and take the mean.")] = False,
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Ask N times until two scores can be read.")] = 3,
    parallel: Annotated[int, typer.Option("--parallel", min=1, help="How many requests at once.")] = 4,
    ensemble: Annotated[
        str, typer.Option("--ensemble", help="ScienceQA: complement or judge; REFERENCES are a text model's results.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Judge answers against reference answers (LLaVA-Bench), or join two models on ScienceQA (--ensemble)."""
    if ensemble not in ("", "complement", "judge"):
        raise typer.BadParameter(f"'{ensemble}' is neither complement nor judge", param_hint="--ensemble")
    from llava_model.chat_client import JUDGE, ChatServer

    if ensemble:
        server = ChatServer(url=endpoint, model=model, role=JUDGE) if ensemble == "judge" else None
        _join(references, answers, questions, out, server, json=json)
        return
    from llava_model.benchmarks import llava_bench
    from llava_model.benchmarks.judge import RUBRIC, JudgeSettings, judge, read_cases, read_rubric, review_paths

    server = ChatServer(url=endpoint, model=model, role=JUDGE)
    cases, problems = read_cases(questions, references, answers, contexts)
    settings = JudgeSettings(
        rubric=read_rubric(rubric or RUBRIC), swap=swap, repeat=repeat, attempts=attempts, parallel=parallel
    )
    with ProgressLine() as line:
        tally = judge(cases, server, out, settings, on_progress=lambda done, total: line.count(done, total, "reviews"))
    terminal.tell(
        f"{tally.judged} judged, {tally.kept} kept from before, {len(tally.repaired)} read from the judge's words, "
        f"{len(tally.asked_again)} asked again, {len(tally.failed)} without scores"
    )
    result = llava_bench.score_files(review_paths(out, repeat), questions)
    tell_problems(problems)
    if json:
        extra = {"reviews": [str(path) for path in review_paths(out, repeat)], "repaired": tally.repaired}
        document = result.document()
        document["problems"] = [*(problem.document() for problem in problems), *document["problems"]]
        terminal.say_json({**document, **extra, "asked_again": len(tally.asked_again)})
        show_score(result, json=None)
    else:
        show_score(result, json=False)
    raise typer.Exit(WITH_PROBLEMS if problems or result.problems else DONE)


def _join(
    text_model: Path, ours: Path, problems_file: Path, out: Path, server: "ChatServer | None", *, json: bool
) -> None:
    """ScienceQA's two ensembles; the options go into a result file at `out`."""
    from llava_model.benchmarks import judge as ensemble
    from llava_model.benchmarks import scienceqa

    if server is None:
        options, _, problems = ensemble.combine(text_model, ours, problems_file)
    else:
        decisions = out.with_name(f"{out.stem}.decisions.jsonl")
        with ProgressLine() as line:
            options, problems = ensemble.arbitrate(
                text_model, ours, problems_file, server, decisions,
                on_progress=lambda done, total: line.count(done, total, "decisions"),
            )  # fmt: skip
    part = out.with_name(out.name + ".part")
    part.write_text(json_module.dumps(ensemble.result_file(options, problems_file), indent=2) + "\n", "utf-8")
    part.replace(out)
    tell_problems(problems)
    result = scienceqa.score(out, problems_file)
    show_score(result, json=json)
    raise typer.Exit(WITH_PROBLEMS if problems or result.problems else DONE)


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
    from llava_model.benchmarks import compare as comparing
    from llava_model.benchmarks import find
    from llava_model.benchmarks.compare import published, row_of

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
        terminal.say_table(comparing.table(table, rows))
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
