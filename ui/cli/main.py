"""The `llavero` command: the verbs of a library are here, those of the model in a file for each group.

    llavero index, search, ask, …     here
    llavero kit …                     here
    llavero eval …                    evaluate
    llavero extract                   extract
    llavero serve                     serve_model
    llavero model …                   model_validate, model_generate, model_train, model_scores, model_checkpoints

Nothing heavy is imported before a verb runs, so `--help` answers at once.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.cli import (
    evaluate,
    model_checkpoints,
    model_generate,
    model_scores,
    model_train,
    model_validate,
    progress,
    terminal,
)
from ui.cli.extract import extract
from ui.cli.serve_model import serve
from ui.cli.terminal import DONE, NOT_MET, WITH_PROBLEMS

if TYPE_CHECKING:
    from indexing.records import Kind
    from indexing.store import Filter
    from ui.settings import Settings
    from ui.workbench import Workbench

app = typer.Typer(
    name="llavero",
    help="Ask questions about image collections and scanned documents; answers come with sources you can check.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
kit_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Named, pinned sets of weights.")
model_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Train, convert and judge the answering model."
)
app.add_typer(kit_app, name="kit")
app.add_typer(model_app, name="model")
app.add_typer(evaluate.app, name="eval")
for _verb in (
    model_train.ablate,
    model_scores.compare,
    model_checkpoints.convert,
    model_scores.evaluate,
    model_checkpoints.export,
    model_generate.generate,
    model_scores.judge,
    model_scores.samples,
    model_scores.score,
    model_train.train,
    model_validate.validate,
):
    model_app.command()(_verb)

LibraryOption = Annotated[
    Path, typer.Option("--library", envvar="LLAVERO_LIBRARY", help="The library folder.", show_default=True)
]
KitOption = Annotated[
    str,
    typer.Option("--kit", envvar="LLAVERO_KIT", help="The kit of weights; by default the library's own, or pocket."),
]
DeviceOption = Annotated[str, typer.Option("--device", envvar="LLAVERO_DEVICE", help="auto, cpu, cuda or cuda:N.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")]
CountOption = Annotated[int, typer.Option("-k", min=1, max=100, help="How many hits.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="FIELD=VALUE", help="Only this path, folder, name, extension, title or page."),
]
KindOption = Annotated[
    list[str] | None, typer.Option("--kind", help="Only image, page, text, table or figure; may be repeated.")
]
GeneratorOption = Annotated[
    str,
    typer.Option(
        "--generator", metavar="URL", help="Answer with this OpenAI-compatible server instead of the model in process."
    ),
]
ModelOption = Annotated[str, typer.Option("--model", help="The model's name at --generator.")]
DEFAULT_LIBRARY = Path("library")


def main() -> None:
    """Entry point: errors made for people become one line and exit code 1, never a traceback."""
    from ui.wording import expected_faults

    # Before torch is loaded: threads that spin while they wait make small models several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except KeyboardInterrupt:
        terminal.tell("llavero: stopped; what was finished is kept, and the same command goes on from there")
        sys.exit(NOT_MET)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(NOT_MET)
    except Exception as error:
        if not isinstance(error, expected_faults()):
            raise
        terminal.tell_fault(error)
        sys.exit(NOT_MET)


@contextmanager
def _workbench(settings: "Settings", *, create: bool = False) -> "Iterator[Workbench]":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # only `kit install` may reach a hub
    from indexing.embedding.protocol import keep_freed_memory
    from ui.workbench import Workbench

    keep_freed_memory()
    bench = Workbench.open(settings, create=create)
    try:
        yield bench
    finally:
        bench.close()


def _settings(library: Path, **changes: Any) -> "Settings":
    from ui.settings import Settings

    return Settings.load(library, **{name: value for name, value in changes.items() if value not in ("", None)})


def _filter(kinds: list[str] | None, where: list[str] | None) -> "Filter":
    from indexing.records import KINDS
    from indexing.store import Filter

    for kind in kinds or ():
        if kind not in KINDS:
            raise typer.BadParameter(f"'{kind}' is none of {', '.join(KINDS)}", param_hint="--kind")
    pairs = []
    for condition in where or ():
        field, equals, value = condition.partition("=")
        if not equals or not field:
            raise typer.BadParameter(f"'{condition}' is not FIELD=VALUE", param_hint="--where")
        pairs.append((field.strip(), value))
    chosen: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind in (kinds or ()))
    return Filter(kinds=chosen, where=tuple(pairs))


@app.command()
def index(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to index.")],
    library: LibraryOption = DEFAULT_LIBRARY,
    kit: KitOption = "",
    device: DeviceOption = "",
    retry_failed: Annotated[bool, typer.Option(help="Read files again that failed before, though unchanged.")] = False,
    json: JsonOption = False,
) -> None:
    """Index pictures and documents; a second run reads only what is new or changed."""
    if not any(path.exists() for path in paths):
        raise FileNotFoundError(errno.ENOENT, "there is no such file or folder", str(paths[0]))
    settings = _settings(library, kit=kit, device=device)
    with progress.ProgressLine() as line, _workbench(settings, create=True) as bench:
        report = bench.index(
            [path.absolute() for path in paths],
            on_progress=lambda so_far: progress.show_index(line, so_far),
            retry_failed=retry_failed,
        )
    if json:
        terminal.say_json(terminal.report_document(report))
    else:
        for text in terminal.report_lines(report):
            terminal.say(text)
    if not report.failed and not any((report.added, report.updated, report.unchanged)):
        terminal.tell("no files found there")
    raise typer.Exit(WITH_PROBLEMS if report.failed or report.read_in_part else DONE)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="Words to search for.")] = "",
    image: Annotated[Path | None, typer.Option("--image", help="A picture to search by; both count.")] = None,
    k: CountOption = 8,
    kind: KindOption = None,
    where: WhereOption = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    device: DeviceOption = "",
    json: JsonOption = False,
) -> None:
    """Search by words, by a picture, or by both."""
    if not query.strip() and image is None:
        raise typer.BadParameter("say what to search for: words, --image FILE, or both")
    from rag.retrieve import SearchRequest

    chosen = _filter(kind, where)
    with _workbench(_settings(library, device=device)) as bench:
        picture = bench.open_picture(image) if image else None
        retrieval = bench.search(SearchRequest(text=query, image=picture, k=k, filter=chosen))
    if json:
        terminal.say_json(terminal.retrieval_document(retrieval))
        return
    for number, hit in enumerate(retrieval.hits, start=1):
        terminal.say(terminal.hit_line(number, hit))
    for note in retrieval.notes:
        terminal.tell(note)
    if not retrieval.hits:
        terminal.tell("nothing found")


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    image: Annotated[list[Path] | None, typer.Option("--image", help="A picture the question is about.")] = None,
    k: CountOption = 8,
    kind: KindOption = None,
    where: WhereOption = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    generator: GeneratorOption = "",
    model: ModelOption = "",
    device: DeviceOption = "",
    show_prompt: Annotated[bool, typer.Option("--show-prompt", help="Print the model's input on stderr.")] = False,
    json: JsonOption = False,
) -> None:
    """Ask one question; the answer names its sources."""
    chosen = _filter(kind, where)
    with _workbench(_settings(library, device=device, generator_url=generator, generator_model=model)) as bench:
        pictures = tuple(bench.open_picture(path) for path in image or ())
        events = bench.ask(question, images=pictures, k=k, filter=chosen)
        answer = terminal.show_answer(events, stream=not json)
    if show_prompt:
        for turn in answer.prompt:
            terminal.tell(f"--- {turn.role}" + (f" ({len(turn.images)} pictures)" if turn.images else ""))
            terminal.tell(turn.text)
    if json:
        terminal.say_json(terminal.answer_document(answer))


@app.command()
def chat(
    k: CountOption = 8,
    where: WhereOption = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    generator: GeneratorOption = "",
    model: ModelOption = "",
    device: DeviceOption = "",
) -> None:
    """Ask one question after the other; follow-ups know what was said. An empty line or Ctrl-D ends it."""
    chosen = _filter(None, where)
    with _workbench(_settings(library, device=device, generator_url=generator, generator_model=model)) as bench:
        history: list[Any] = []
        while question := terminal.read_question():
            answer = terminal.show_answer(bench.ask(question, history=tuple(history), k=k, filter=chosen), stream=True)
            history += bench.as_history(question, answer)


@app.command(name="list")
def list_files(
    library: LibraryOption = DEFAULT_LIBRARY,
    failed: Annotated[bool, typer.Option("--failed", help="Only the files that could not be read.")] = False,
    notes: Annotated[bool, typer.Option("--notes", help="Only the files that were read with notes.")] = False,
    json: JsonOption = False,
) -> None:
    """List the library's files with their state, and with notes on what was not read."""
    with _workbench(_settings(library)) as bench:
        entries = [entry for entry in bench.files() if not failed or entry.state == "failed"]
    if notes:
        entries = [entry for entry in entries if entry.notes]
    if json:
        terminal.say_json({"files": [terminal.file_document(entry) for entry in entries]})
        return
    for entry in entries:
        terminal.say(terminal.file_line(entry))
    if not entries:
        terminal.tell("no such files" if failed or notes else "no files; add some with: llavero index FOLDER")


@app.command()
def remove(
    what: Annotated[str, typer.Argument(metavar="PATH|ID", help="A file, a folder, or the id of a hit's file.")],
    library: LibraryOption = DEFAULT_LIBRARY,
    json: JsonOption = False,
) -> None:
    """Take a file or folder out of the library; the files themselves stay where they are."""
    with _workbench(_settings(library)) as bench:
        report = bench.remove(what)
    if json:
        terminal.say_json({"removed": report.files, "chunks": report.chunks})
    else:
        terminal.say(f"{report.files} files and {report.chunks} chunks removed from the library")


@app.command()
def stats(library: LibraryOption = DEFAULT_LIBRARY, json: JsonOption = False) -> None:
    """Count what the library holds, in the store itself."""
    with _workbench(_settings(library)) as bench:
        document = terminal.stats_document(bench.stats())
    if json:
        terminal.say_json(document)
        return
    for name, value in document.items():
        terminal.say(f"{name:12s} {terminal.plain(value)}")


@app.command()
def verify(
    library: LibraryOption = DEFAULT_LIBRARY,
    repair: Annotated[bool, typer.Option("--repair", help="Write missing rows again and drop orphaned ones.")] = False,
    json: JsonOption = False,
) -> None:
    """Compare the ledger with the store: rows that are missing, and rows nobody owns."""
    with _workbench(_settings(library)) as bench:
        report = bench.verify(repair=repair)
    document = {"missing": report.missing, "orphaned": report.orphaned, "repaired": report.repaired}
    if json:
        terminal.say_json(document)
    else:
        terminal.say(" · ".join(f"{value} {name}" for name, value in document.items()))
    raise typer.Exit(NOT_MET if (report.missing or report.orphaned) and not report.repaired else DONE)


@app.command()
def doctor(library: LibraryOption = DEFAULT_LIBRARY, json: JsonOption = False) -> None:
    """Check this machine, the kits and the library, and say what to do about what is wrong."""
    from ui.doctor import examine

    findings = examine(_settings(library))
    if json:
        terminal.say_json({"checks": [finding.document() for finding in findings]})
    else:
        for finding in findings:
            terminal.say(finding.line())
    raise typer.Exit(NOT_MET if any(finding.state == "wrong" for finding in findings) else DONE)


@app.command()
def ui(
    library: LibraryOption = DEFAULT_LIBRARY,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The page's port.")] = 8501,
    address: Annotated[str, typer.Option(help="Where to listen; not only for this machine.")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    generator: GeneratorOption = "",
    model: ModelOption = "",
    kit: KitOption = "",
    device: DeviceOption = "",
) -> None:
    """Open the page: chat, search, library and upload."""
    from ui.launch import serve_page

    settings = _settings(library, kit=kit, device=device, generator_url=generator, generator_model=model)
    raise typer.Exit(serve_page(settings, port=port, address=address, open_browser=browser, on_ready=terminal.tell))


app.command()(serve)
app.command()(extract)


@kit_app.command("list")
def kit_list(json: JsonOption = False) -> None:
    """The kits, what they hold, and which are installed."""
    from llava_model.kits import available

    kits = [terminal.kit_document(kit) for kit in available()]
    if json:
        terminal.say_json({"kits": kits})
        return
    for kit in kits:
        mark = "installed" if kit["installed"] else "not installed"
        terminal.say(f"{kit['name']:8s} {mark:14s} {terminal.size(kit['bytes']):>9s}  {kit['title']}")


@kit_app.command("install")
def kit_install(
    name: Annotated[str, typer.Argument(help="The kit's name, see `llavero kit list`.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="A local folder with the kit's archives or checkpoints.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what has been downloaded before.")] = False,
) -> None:
    """Download, verify and convert a kit's weights; goes on where an earlier try stopped."""
    from llava_model.kits import find, install

    with progress.ProgressLine() as line:
        folder = install(
            find(name), source=source, offline=offline, on_progress=lambda so_far: progress.show_install(line, so_far)
        )
    terminal.say(str(folder))


@kit_app.command("path")
def kit_path(name: Annotated[str, typer.Argument(help="The kit's name.")]) -> None:
    """Print the folder of an installed kit."""
    from llava_model.kits import find

    kit = find(name)
    for component in kit.components:
        kit.path(component.name)  # says what to do where it is missing
    terminal.say(str(kit.folder))


@kit_app.command("verify")
def kit_verify(name: Annotated[str, typer.Argument(help="The kit's name.")]) -> None:
    """Compare every file of an installed kit with its checksum."""
    from llava_model.kits import find, verify

    damaged = verify(find(name))
    for file in damaged:
        terminal.say(f"{file.component}: {file.path} {file.reason}")
    if damaged:
        terminal.tell(f"Install it again: llavero kit install {name}")
        raise typer.Exit(NOT_MET)
    terminal.say("all files are as installed")


if __name__ == "__main__":
    main()
