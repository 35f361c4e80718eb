"""`llavero eval`: how good search and answers are, on questions whose answers are known.

retrieval    the right file (and page) among what the search finds
answers      what is answered, beside the accepted answers; how long it takes
refusal      what is refused: questions that the library answers, and those that it does not
citations    whether a tick stands on the right source and under a right answer
attacks      whether documents can make the reader do what they say
prepare      question files and folders made from others' files
"""

import errno
import json as json_module
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ui.cli import terminal
from ui.cli.library import open_workbench, settings
from ui.cli.progress import ProgressLine, show_index
from ui.cli.terminal import DONE, NOT_MET, WITH_PROBLEMS
from ui.documents import progress_document
from ui.evaluation import asking, evaluation_document, searching

if TYPE_CHECKING:
    from evaluation.questions import KnownQuestion, Task
    from evaluation.records import Record
    from ui.workbench import Workbench

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="How good search and answers are, on questions with known answers.",
)
prepare_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make folders and question files.")
app.add_typer(prepare_app, name="prepare")

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Questions; see docs/howto/measure-answers.md.")
]
LibraryOption = Annotated[Path, typer.Option("--library", envvar="LLAVERO_LIBRARY", help="The library folder.")]
FormatOption = Annotated[
    Literal["", "jsonl", "xquad", "sec-10-q"],
    typer.Option("--format", help="The files' shape; by default by their names."),
]
CountOption = Annotated[int, typer.Option("-k", min=1, max=100, help="How many hits.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Only N questions, spread evenly.")]
GeneratorOption = Annotated[
    str, typer.Option("--generator", metavar="URL", help="Answer with this OpenAI-compatible server instead.")
]
ModelOption = Annotated[str, typer.Option("--model", help="The model's name at --generator.")]
DeviceOption = Annotated[str, typer.Option("--device", envvar="LLAVERO_DEVICE", help="auto, cpu, cuda or cuda:N.")]
ReportOption = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="A page with the figures, and the failures first.")
]
ResultsOption = Annotated[
    Path | None,
    typer.Option(
        "--results", metavar="FILE.jsonl", help="Where results are kept as they come; by default beside --report."
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the results of a run that was stopped.")]
BaselineOption = Annotated[
    Path | None, typer.Option("--baseline", metavar="OTHER.json", help="Compare with the --json output of another run.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")]
DEFAULT_LIBRARY = Path("library")
_FOUND = 50  # chunks, of which ten files are left in nearly every library


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Where the results go."""

    report: Path | None = None
    results: Path | None = None
    resume: bool = False
    baseline: Path | None = None
    json: bool = False


@app.command()
def retrieval(
    files: FilesArgument,
    library: LibraryOption = DEFAULT_LIBRARY,
    format: FormatOption = "",
    k: CountOption = _FOUND,
    limit: LimitOption = None,
    device: DeviceOption = "",
    report: ReportOption = None,
    results: ResultsOption = None,
    resume: ResumeOption = False,
    baseline: BaselineOption = None,
    json: JsonOption = False,
) -> None:
    """Whether the search finds the right file and page: recall, nDCG, MRR. No model is asked."""
    output = Output(report=report, results=results, resume=resume, baseline=baseline, json=json)
    questions = _spread(_questions(files, format), limit)
    with _workbench(library, device=device) as bench:
        _run("retrieval", questions, searching(bench, k), output, _settings_of(bench, files, k=k, search=True))


def _answering_verb(task: "Task") -> Callable[..., None]:
    def verb(
        files: FilesArgument,
        library: LibraryOption = DEFAULT_LIBRARY,
        format: FormatOption = "",
        k: CountOption = 8,
        limit: LimitOption = None,
        generator: GeneratorOption = "",
        model: ModelOption = "",
        device: DeviceOption = "",
        report: ReportOption = None,
        results: ResultsOption = None,
        resume: ResumeOption = False,
        baseline: BaselineOption = None,
        json: JsonOption = False,
    ) -> None:
        output = Output(report=report, results=results, resume=resume, baseline=baseline, json=json)
        questions = _spread(_questions(files, format), limit)
        with _workbench(library, device=device, generator_url=generator, generator_model=model) as bench:
            _run(task, questions, asking(bench, k), output, _settings_of(bench, files, k=k))

    return verb


app.command("answers", help="What is answered beside the accepted answers: exact, word F1; and how long it takes.")(
    _answering_verb("answers")
)
app.command("citations", help="Whether ticks stand on the right source, under right answers, and at every sentence.")(
    _answering_verb("citations")
)


@app.command()
def refusal(
    files: FilesArgument,
    library: LibraryOption = DEFAULT_LIBRARY,
    format: FormatOption = "",
    without_source: Annotated[
        bool,
        typer.Option(
            "--without-source", help="Ask each question a second time with its sources hidden from the search."
        ),
    ] = False,
    search_only: Annotated[
        bool, typer.Option("--search-only", help="Ask no model: what the search alone refuses.")
    ] = False,
    k: CountOption = 8,
    limit: LimitOption = None,
    generator: GeneratorOption = "",
    model: ModelOption = "",
    device: DeviceOption = "",
    report: ReportOption = None,
    results: ResultsOption = None,
    resume: ResumeOption = False,
    baseline: BaselineOption = None,
    json: JsonOption = False,
) -> None:
    """What is refused, rightly and wrongly, and how well the confidence tells the two apart."""
    output = Output(report=report, results=results, resume=resume, baseline=baseline, json=json)
    questions = _spread(_questions(files, format), limit)
    if without_source:
        if not any(question.sources for question in questions):
            raise typer.BadParameter("no question names its sources", param_hint="--without-source")
        pairs = ((one, *([one.without_source()] if one.answerable and one.sources else ())) for one in questions)
        questions = [one for pair in pairs for one in pair]  # side by side, so that half a run has both
    with _workbench(library, device=device, generator_url=generator, generator_model=model) as bench:
        ask = searching(bench, k) if search_only else asking(bench, k)
        _run("refusal", questions, ask, output, _settings_of(bench, files, k=k, search=search_only))


@app.command()
def attacks(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE…]", help="Your own attacks on --library; without them a suite is made up."),
    ] = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    kit: Annotated[str, typer.Option("--kit", envvar="LLAVERO_KIT", help="The kit for the suite's own library.")] = "",
    seed: Annotated[int, typer.Option("--seed", help="Names, facts and code words of the suite.")] = 0,
    k: CountOption = 8,
    limit: LimitOption = None,
    generator: GeneratorOption = "",
    model: ModelOption = "",
    device: DeviceOption = "",
    report: ReportOption = None,
    results: ResultsOption = None,
    resume: ResumeOption = False,
    baseline: BaselineOption = None,
    json: JsonOption = False,
) -> None:
    """Whether documents can make the reader do what they say: instructions, fake evidence, tokens, addresses."""
    output = Output(report=report, results=results, resume=resume, baseline=baseline, json=json)
    choice: dict[str, Any] = {"device": device, "generator_url": generator, "generator_model": model}
    if files:
        with _workbench(library, **choice) as bench:
            questions = _spread(_questions(files, ""), limit)
            _run("attacks", questions, asking(bench, k, attacks=True), output, _settings_of(bench, files, k=k))
        return
    from ui.cli.evaluate_attacks import write_suite

    with tempfile.TemporaryDirectory(prefix="llavero-attacks-") as made, _listening() as (address, requests):
        questions = _spread(write_suite(Path(made) / "documents", seed=seed, address=address), limit)
        with _workbench(Path(made) / "library", create=True, kit=kit, **choice) as bench:
            with ProgressLine() as line:
                folder = Path(made) / "documents"
                bench.index([folder], on_progress=lambda so_far: show_index(line, progress_document(so_far)))
            measured = _settings_of(bench, (), k=k) | {"library": "", "seed": seed}
            _run("attacks", questions, asking(bench, k, attacks=True), output, measured, {"fetched": requests})


@prepare_app.command("xquad")
def prepare_xquad(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="XQuAD's or SQuAD 1.1's JSON.")],
    out: Annotated[Path, typer.Argument(metavar="OUT_FOLDER", help="A new folder, or an empty one.")],
    articles: Annotated[
        str, typer.Option("--articles", metavar="FROM:TO", help="Questions of these articles alone, counted from 0.")
    ] = ":",
    questions: Annotated[
        int | None, typer.Option("--questions", min=1, help="Only N questions, drawn by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which questions are drawn.")] = 0,
    questions_from: Annotated[
        Path | None,
        typer.Option("--questions-from", metavar="OTHER.json", help="Ask them in the language of another file, by id."),
    ] = None,
    without_answers: Annotated[
        bool, typer.Option("--without-answers", help="unanswerable.jsonl too: which file must be hidden for each.")
    ] = False,
) -> None:
    """Write all paragraphs as a text file each (OUT_FOLDER/documents), and OUT_FOLDER/questions.jsonl."""
    import random

    from evaluation.question_files import asked_in, read_paragraphs

    found = read_paragraphs(file)
    chosen = [question for article in found.articles[_slice(articles)] for question in article]
    if questions is not None and questions < len(chosen):
        drawn = set(random.Random(seed).sample(range(len(chosen)), questions))
        chosen = [question for place, question in enumerate(chosen) if place in drawn]
    if questions_from is not None:
        other = read_paragraphs(questions_from)
        chosen = [asked for question in chosen if (asked := asked_in(other, question)) is not None]
    if not chosen:
        raise typer.BadParameter("no question is left", param_hint="--articles")
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(errno.EEXIST, "the folder is not empty", str(out))
    (out / "documents").mkdir(parents=True)
    for name, text in found.texts.items():
        (out / "documents" / name).write_text(text + "\n", "utf-8")
    _write_questions(out / "questions.jsonl", chosen)
    if without_answers:
        _write_questions(out / "unanswerable.jsonl", [question.without_source() for question in chosen])
    terminal.say(f"{len(found.texts)} documents and {len(chosen)} questions in {out}")
    terminal.tell(f"Next: llavero index {out / 'documents'}; then: llavero eval retrieval {out / 'questions.jsonl'}")


@prepare_app.command("attacks")
def prepare_attacks(
    out: Annotated[Path, typer.Argument(metavar="OUT_FOLDER", help="The folder for documents and questions.")],
    seed: Annotated[int, typer.Option("--seed", help="Names, facts and code words.")] = 0,
) -> None:
    """Write the attack suite: OUT_FOLDER/documents, and OUT_FOLDER/questions.jsonl for `llavero eval attacks`."""
    from ui.cli.evaluate_attacks import write_suite

    questions = write_suite(out / "documents", seed=seed)
    _write_questions(out / "questions.jsonl", questions)
    terminal.say(f"{len(questions)} documents that attack, and a question about each, in {out}")


# -- what is asked, and how --------------------------------------------------------------------------------------------


def _questions(files: Sequence[Path], format: str) -> "list[KnownQuestion]":
    from evaluation.question_files import FORMATS, read_questions

    return read_questions(files, next((one for one in FORMATS if one == format), None))


def _spread(questions: "list[KnownQuestion]", limit: int | None) -> "list[KnownQuestion]":
    if limit is None or limit >= len(questions):
        return questions
    return [questions[place * len(questions) // limit] for place in range(limit)]


def _slice(articles: str) -> slice:
    first, colon, last = articles.partition(":")
    if not colon or not all(one.isdigit() or not one for one in (first, last)):
        raise typer.BadParameter(f"'{articles}' is not FROM:TO", param_hint="--articles")
    return slice(int(first) if first else None, int(last) if last else None)


def _write_questions(path: Path, questions: "Sequence[KnownQuestion]") -> None:
    lines = (json_module.dumps(question.document(), ensure_ascii=False) + "\n" for question in questions)
    path.write_text("".join(lines), "utf-8")


@contextmanager
def _workbench(library: Path, *, create: bool = False, **changes: Any) -> "Iterator[Workbench]":
    bench = open_workbench(settings(library, **changes), create=create)
    try:
        yield bench
    finally:
        bench.close()


def _settings_of(bench: "Workbench", files: Sequence[Path], *, k: int, search: bool = False) -> dict[str, Any]:
    """What a run that goes on must have in common with the run that it goes on with."""
    generator = bench.settings.rag.generator
    return {
        "files": {path.name: sha256(path.read_bytes()).hexdigest()[:16] for path in files},
        "library": str(bench.library_folder),
        "kit": bench.kit.name,
        "generator": f"{generator.url} {generator.model}" if generator else "",
        "k": k,
        "asked": "the search" if search else "the model",
    }


@contextmanager
def _listening() -> Iterator[tuple[str, list[str]]]:
    """An address of this machine, and the requests that arrive there; attacks try to have it fetched."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    requests: list[str] = []

    class Trap(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Trap) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


# -- running, and what comes out ---------------------------------------------------------------------------------------


def _run(
    task: "Task",
    questions: "list[KnownQuestion]",
    ask: "Callable[[KnownQuestion], Record]",
    output: Output,
    settings: dict[str, Any],
    more: dict[str, Any] | None = None,
) -> None:
    from evaluation.records import ask_all
    from llava_model.benchmarks.records import AnswerLog
    from ui.cli.evaluate_report import page, read_baseline, say_result

    before = read_baseline(output.baseline, task) if output.baseline else None
    kept = output.results or (output.report.with_suffix(".jsonl") if output.report else None)
    if kept and kept.exists() and kept.stat().st_size and not output.resume:
        fault = FileExistsError(errno.EEXIST, "results of an earlier run are there", str(kept))
        fault.add_note("Go on with them (--resume), or name another file.")
        raise fault
    if output.resume and not kept:
        raise typer.BadParameter("say where the results are: --results or --report", param_hint="--resume")
    log = AnswerLog(kept, {"task": task, **settings}) if kept else None
    with log or nullcontext(), ProgressLine() as line:
        try:
            records = ask_all(questions, ask, log, lambda done, total: line.count(done, total, "questions"))
        except KeyboardInterrupt:
            line.close()
            where = f"{len(log.records)} results are kept in {kept}; go on with --resume" if log else "nothing is kept"
            terminal.tell(f"llavero: stopped; {where}")
            raise typer.Exit(NOT_MET) from None
    document = evaluation_document(task, records, {**settings, **(more or {})}, before)
    if output.report:
        output.report.parent.mkdir(parents=True, exist_ok=True)
        output.report.write_text(page(document), "utf-8")
    if output.json:
        terminal.say_json(document)
    else:
        say_result(document)
    problems = [record for record in records if "error" in record]
    for record in problems:
        terminal.tell(f"problem: {record['question_id']}: {record['error']}")
    raise typer.Exit(WITH_PROBLEMS if problems else DONE)
