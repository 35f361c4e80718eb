"""`llavero model generate`: training data about pictures, written by a text model from captions and boxes."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.cli import terminal
from ui.cli.progress import ProgressLine
from ui.cli.terminal import DONE, NOT_MET, WITH_PROBLEMS

if TYPE_CHECKING:
    from indexing.records import Chunk
    from llava_model.chat_client import Usage
    from llava_model.synthesis.generate import GenerationProgress, GenerationReport
    from llava_model.synthesis.sources import PictureSource
    from rag.prompt import CountTokens

_SHOWN = 12
_GROUND = "ground"


def generate(
    coco: Annotated[Path | None, typer.Option("--coco", metavar="FILE", help="Captions in COCO's JSON.")] = None,
    instances: Annotated[
        Path | None, typer.Option("--instances", metavar="FILE", help="Boxes in COCO's JSON, beside --coco.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="image, caption, label, x0, y0, x1, y1 in a CSV, instead."),
    ] = None,
    from_library: Annotated[
        bool, typer.Option("--from-library", help="Pages and pictures of an indexed library, instead.")
    ] = False,
    library: Annotated[
        Path, typer.Option("--library", envvar="LLAVERO_LIBRARY", help="The library for --from-library.")
    ] = Path("library"),
    held_out: Annotated[
        float, typer.Option("--held-out", min=0.0, max=0.9, help="Share of the library's documents not to train on.")
    ] = 0.2,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Where the pictures lie; default: the file's folder.")
    ] = None,
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="An OpenAI-compatible server; nothing is sent elsewhere.")
    ] = "",
    model: Annotated[str, typer.Option("--model", help="The text model's name at --endpoint.")] = "",
    kinds: Annotated[
        str,
        typer.Option(
            "--kinds",
            help="Of conversation, detail, complex, reading (pages), brief (the captions); or ground alone: questions "
            "with evidence from a library's labelled values and tables, without a text model.",
        ),
    ] = "",
    count: Annotated[int | None, typer.Option("--count", min=1, help="Use only N pictures, drawn by --seed.")] = None,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", metavar="DIR", help="Prompt files of your own, by the same names.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="en, de, fr, es, it, pt or nl.")] = "en",
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=512, help="Requests at once.")] = 8,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, max=2.0)] = 0.7,
    timeout: Annotated[float, typer.Option("--timeout", min=1.0, help="Seconds for one reply.")] = 120.0,
    max_tokens_total: Annotated[
        int | None,
        typer.Option("--max-tokens-total", min=1, help="Stop before more tokens are spent, all runs together."),
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0.0, help="Stop before more is spent; needs prices.")
    ] = None,
    price_in: Annotated[float, typer.Option("--price-in", min=0.0, help="Of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option("--price-out", min=0.0, help="Of a million written tokens.")] = 0.0,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A second run goes on with it.")] = Path(
        "generated"
    ),
    seed: Annotated[int, typer.Option("--seed")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Make training data from captions and boxes with a text model; a stopped run goes on where it was."""
    if sum((coco is not None, csv is not None, from_library)) != 1:
        raise typer.BadParameter("say what to make data from: one of --coco FILE, --csv FILE, --from-library")
    if instances is not None and coco is None:
        raise typer.BadParameter("boxes go with captions: --coco FILE --instances FILE", param_hint="--instances")
    if kinds.strip() == _GROUND:
        if not from_library:
            raise typer.BadParameter("'ground' needs --from-library", param_hint="--kinds")
        _ground(library, out, held_out, seed, json=json)
        return
    from llava_model.chat_client import WRITER, ChatServer
    from llava_model.synthesis.generate import GenerationSettings, generate
    from llava_model.synthesis.prompts import load_prompts
    from llava_model.synthesis.runner import Limits

    _check_language(language)
    chosen = _kinds(kinds, "reading,conversation,detail" if from_library else "conversation,detail,complex")
    asks = chosen != ("brief",)
    writer = ChatServer(url=endpoint, model=model, role=WRITER, timeout_seconds=timeout) if asks else None
    more: dict[str, Any] = {}
    if from_library:
        from rag.prompt import REFUSAL

        more["refusal"] = REFUSAL
    settings = GenerationSettings(
        kinds=chosen,
        count=count, seed=seed, language=language, temperature=temperature, concurrency=concurrency,
        limits=Limits(max_tokens_total=max_tokens_total, max_cost=max_cost, price_in=price_in, price_out=price_out),
        **more,
    )  # fmt: skip
    said = load_prompts(prompts, language=language)
    if from_library:
        source, root = _from_library(library, held_out, seed, language), library
    else:
        root = images or (coco or csv or Path()).parent
        source = _from_file(coco, instances, csv, root, language)
    terminal.tell(f"{len(source.items):,} pictures; replies are kept in {out / 'replies.jsonl'}")
    with ProgressLine() as line:
        report = generate(source, writer, out, said, settings, on_progress=_progress_on(line))
    leaks = _leaks(out, root) if from_library else None
    _show(report, leaks, root, json=json)


def _from_file(
    coco: Path | None, instances: Path | None, csv: Path | None, images: Path, language: str
) -> "PictureSource":
    from llava_model.synthesis.sources import read_coco, read_csv

    if csv is not None:
        return read_csv(csv, images, language=language)
    assert coco is not None, "checked by the caller"
    return read_coco(coco, instances, images, language=language)


def _from_library(library: Path, held_out: float, seed: int, language: str) -> "PictureSource":
    from llava_model.synthesis.sources import check_items
    from training_data.library_items import items_from

    _, chunks = _chunks(library)
    return check_items(items_from(chunks, held_out=held_out, seed=seed), library, language=language)


def _chunks(library: Path) -> "tuple[str, list[Chunk]]":
    """→ the name of the library's kit, and all of its chunks."""
    from ui.settings import Settings
    from ui.workbench import Workbench

    bench = Workbench.open(Settings.load(library))
    try:
        paths = [entry.path for entry in bench.files() if entry.state == "indexed"]
        return bench.kit.name, [chunk for path in paths for chunk in bench.chunks(path)]
    finally:
        bench.close()


def _ground(library: Path, out: Path, held_out: float, seed: int, *, json: bool) -> None:
    """Questions from labelled values and tables, as `<out>/train.jsonl` and `<out>/held_out.jsonl`."""
    from json import dumps

    from llava_model.errors import GenerationError
    from llava_model.synthesis.generate import write_whole
    from training_data.synthetic_questions import synthetic_samples

    kit, chunks = _chunks(library)
    made = synthetic_samples(chunks, held_out=held_out, seed=seed, count_tokens=_token_counter(kit))
    if not made.train:
        nothing = GenerationError("the library holds no labelled values ('Total: 17.00') and no tables to ask about")
        nothing.add_note("Let a text model write questions: --kinds reading --endpoint URL --model NAME")
        raise nothing
    out.mkdir(parents=True, exist_ok=True)
    files = {"train.jsonl": made.train, "held_out.jsonl": made.held_out}
    for name, records in files.items():
        write_whole(out / name, ["\n".join(dumps(record, ensure_ascii=False) for record in records)])
    counts = {name: len(records) for name, records in files.items()}
    outcomes = dict(made.tally.outcomes)
    if json:
        terminal.say_json({"files": {str(out / name): count for name, count in counts.items()}, "questions": outcomes})
        return
    for name, count in counts.items():
        terminal.say(f"{terminal.one_line(out / name)}: {count:,} samples")
    terminal.tell("questions: " + ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items()))


def _token_counter(kit: str) -> "CountTokens":
    """Counts tokens as the kit's engine does."""
    from llava_model.kits import find
    from llava_model.text.templates import Message
    from llava_model.text.tokenize import PromptEncoder, load_tokenizer

    encoder = PromptEncoder(load_tokenizer(find(kit).path("language")))
    return lambda turns: len(encoder.encode([Message.of(turn.role, turn.text) for turn in turns], open_reply=False).ids)


def _leaks(out: Path, root: Path) -> list[dict[str, str]]:
    """What the training file shares with the held-out file, found as `llavero model validate --against` does."""
    from llava_model.data.validate import validate
    from llava_model.synthesis.generate import HELD_OUT, TRAIN

    if not (out / HELD_OUT).is_file():
        return []
    found = validate([out / TRAIN], image_root=root, against=[out / HELD_OUT], against_root=root)
    kinds = ("leaked-picture", "leaked-answer", "lookalike")
    return [
        {"kind": finding.kind, "id": finding.id or "", "reason": finding.reason}
        for finding in found.findings
        if finding.kind in kinds
    ]


def _check_language(language: str) -> None:
    from llava_model.synthesis.prompts import LANGUAGES

    if language not in LANGUAGES:
        raise typer.BadParameter(f"'{language}' is none of {', '.join(LANGUAGES)}", param_hint="--language")


def _kinds(text: str, default: str) -> Any:
    from llava_model.synthesis.prompts import KINDS

    chosen = tuple(dict.fromkeys(kind.strip() for kind in (text or default).split(",") if kind.strip()))
    for kind in chosen:
        if kind not in KINDS:
            raise typer.BadParameter(f"'{kind}' is none of {', '.join(KINDS)}", param_hint="--kinds")
    return chosen


def _progress_on(line: ProgressLine) -> "Callable[[GenerationProgress], None]":
    """`120 of 3,000 samples · 2.1 samples/s · 184,201 tokens · cost 0.0921 · 23 min 10 s left`."""
    first: Usage | None = None

    def show(progress: "GenerationProgress") -> None:
        nonlocal first
        if (
            first is None or progress.usage == first
        ):  # replies of earlier runs pass quickly and cost nothing, so the rate begins after them
            first = progress.usage
            line.start(progress.done)
        rate = line.rate(progress.done)
        words = f"{progress.done:,} of {progress.total:,} samples"
        words += f" · {rate:.1f} samples/s" if rate else ""
        words += f" · {progress.usage.tokens:,} tokens"
        words += f" · cost {progress.cost:.4f}" if progress.cost else ""
        words += f" · {terminal.duration((progress.total - progress.done) / rate)} left" if rate else ""
        share = progress.done / progress.total if progress.total else None
        line.show(words, share=share, final=progress.done == progress.total)

    return show


def _show(report: "GenerationReport", leaks: list[dict[str, str]] | None, images: Path, *, json: bool) -> None:
    from llava_model.synthesis.sources import MEANINGS

    for kind, number in Counter(problem.kind for problem in report.problems).items():
        ids = [problem.id for problem in report.problems if problem.kind == kind]
        terminal.tell(f"{number:,} {MEANINGS[kind]}: {_listed(ids)}")
    for name, reason in list(report.totals.failed.items())[:_SHOWN]:
        terminal.tell(f"failed: {name}: {terminal.shorten(reason, 160)}")
    for leak in (leaks or [])[:_SHOWN]:
        terminal.tell(f"leak: {leak['id']} {terminal.shorten(leak['reason'], 160)}")
    if json:
        terminal.say_json({**report.document(), **({} if leaks is None else {"leaks": leaks}), "images": str(images)})
    else:
        terminal.say(report.line())
        for path in report.files:
            terminal.say(f"{terminal.one_line(path)}: {report.totals.by_file[path.name]:,} samples")
    if report.stopped == "budget":
        terminal.tell(
            f"stopped at the budget with {len(report.totals.left):,} samples left; a higher one goes on from here"
        )
    elif report.stopped:
        terminal.tell(f"llavero: {report.stopped}")
        terminal.tell("  What it has written is kept; the same command goes on from there.")
        raise typer.Exit(NOT_MET)
    raise typer.Exit(DONE if report.is_clean and not leaks else WITH_PROBLEMS)


def _listed(ids: list[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else "")
