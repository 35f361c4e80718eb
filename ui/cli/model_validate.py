"""`llavero model validate`: what is wrong with a training set, before hours are spent on it."""

import json as json_module
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.cli import terminal
from ui.cli.progress import ProgressLine
from ui.cli.terminal import DONE, WITH_PROBLEMS

if TYPE_CHECKING:
    from llava_model.data.leakage import TokenCounts, ValidationFinding, ValidationReport
    from llava_model.data.validate import ValidationProgress
    from llava_model.text.tokenize import PromptEncoder

_SHOWN = 20
_BAR_WIDTH = 40
_LLAVA_POSITIONS = 576  # LLaVA-1.5: 24 × 24 patches
_UNITS = {"reading": "bytes read", "samples": "samples", "pictures": "pictures"}


def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Training samples: a JSON array, or one object a line.")
    ],
    image_root: Annotated[
        Path | None,
        typer.Option("--image-root", metavar="DIR", help="Where pictures lie; default: each file's folder."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", metavar="FILE", help="Evaluation samples that must not be in; may be repeated."),
    ] = None,
    against_root: Annotated[
        Path | None, typer.Option("--against-root", metavar="DIR", help="Where their pictures lie, if elsewhere.")
    ] = None,
    language: Annotated[
        Path | None,
        typer.Option("--language", metavar="DIR", help="A language model's folder: count tokens with its tokenizer."),
    ] = None,
    template: Annotated[str, typer.Option("--template", help="The prompt template; auto is the tokenizer's.")] = "auto",
    tokens_per_image: Annotated[
        int | None,
        typer.Option(min=1, help="Positions of a picture; default: what the model says, or LLaVA-1.5's 576."),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Report samples longer than this.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Check training samples and their pictures; changes nothing. Exit code 3: problems were found (listed)."""
    from llava_model.data.validate import validate as validate_files

    encoder = _encoder(language, template, tokens_per_image) if language else None
    if encoder is None:
        unused = " (so --max-tokens has nothing to look at)" if max_tokens else ""
        terminal.tell(f"Token checks are skipped{unused}: name a tokenizer with --language DIR.")
    with ProgressLine() as line:
        report = validate_files(
            files,
            image_root=image_root,
            against=against or (),
            against_root=against_root,
            encoder=encoder,
            max_tokens=max_tokens,
            on_progress=lambda so_far: _show_progress(line, so_far),
        )
    if json:
        terminal.say_json(_document(report))
    else:
        for text in _lines(report):
            terminal.say(text)
    raise typer.Exit(WITH_PROBLEMS if report.problems else DONE)


def _encoder(language: Path, template: str, tokens_per_image: int | None) -> "PromptEncoder":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from llava_model.text.tokenize import PromptEncoder, load_tokenizer

    positions = tokens_per_image or _positions(language)
    if positions is None:
        positions = _LLAVA_POSITIONS
        terminal.tell(f"A picture is counted as {positions} positions, as in LLaVA-1.5; see --tokens-per-image.")
    return PromptEncoder(load_tokenizer(language), template, tokens_per_image=positions)


def _positions(language: Path) -> int | None:
    """What a whole LLaVA checkpoint says about itself."""
    try:
        values = json_module.loads((language / "config.json").read_text(encoding="utf-8"))
        return int(values["image_seq_length"]) if values.get("model_type") == "llava" else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _show_progress(line: ProgressLine, progress: "ValidationProgress") -> None:
    """A line for each step: `pictures: 4,120 of 60,000 · 812.4/s · 1 min 09 s left`."""
    line.step(progress.step)
    words = f"{_UNITS[progress.step]}: {progress.done:,} of {progress.total:,}"
    if progress.seconds > 1 and progress.done:
        rate = progress.done / progress.seconds
        words += f" · {rate:,.1f}/s · {terminal.duration((progress.total - progress.done) / rate)} left"
    line.show(words, share=progress.done / progress.total if progress.total else None)


def _document(report: "ValidationReport") -> dict[str, Any]:
    return {
        "files": [
            {"path": _clean(file.path), "samples": file.samples, "fingerprint": file.fingerprint}
            for file in report.files
        ],
        "samples": report.samples,
        "turns": report.turns,
        "pictures": report.pictures,
        "distinct_pictures": report.distinct_pictures,
        "text_only": report.text_only,
        "pictures_per_sample": {str(pictures): samples for pictures, samples in report.pictures_per_sample.items()},
        "tokens": _token_document(report.tokens),
        "counts": dict(report.by_kind()),
        "problems": [_finding_document(finding) for finding in report.problems],
        "warnings": [_finding_document(finding) for finding in report.warnings],
        "seconds": round(report.seconds, 3),
    }


def _token_document(tokens: "TokenCounts | None") -> dict[str, Any] | None:
    if tokens is None:
        return None
    return {
        "samples": tokens.samples,
        "total": tokens.total,
        "learned": tokens.learned,
        "shortest": tokens.shortest,
        "median": tokens.median,
        "p95": tokens.p95,
        "longest": tokens.longest,
        "histogram": [{"from": low, "below": high, "samples": count} for low, high, count in tokens.histogram],
    }


def _finding_document(finding: "ValidationFinding") -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "file": _clean(finding.file),
        "position": finding.position,
        "id": finding.id if finding.id is None else _clean(finding.id),
        "reason": _clean(finding.reason),
    }


def _lines(report: "ValidationReport") -> Iterator[str]:
    for file in report.files:
        yield f"{terminal.one_line(_clean(file.path))}: {file.samples:,} samples"
    yield (
        f"{report.samples:,} samples, {report.turns:,} turns, {report.pictures:,} pictures "
        f"({report.distinct_pictures:,} different files), {report.text_only:,} samples without a picture"
    )
    if len(report.pictures_per_sample) > 1 or any(count > 1 for count in report.pictures_per_sample):
        yield from _bars("pictures", [(str(count), n) for count, n in report.pictures_per_sample.items()])
    if report.tokens:
        yield from _token_lines(report.tokens)
    yield from _finding_lines(report.problems, "")
    yield from _finding_lines(report.warnings, "perhaps: ")
    problems, warnings = len(report.problems), len(report.warnings)
    found = f"{problems:,} problems" if problems else "No problems"
    yield f"{found}, {warnings:,} warnings in {terminal.duration(report.seconds)}"


def _token_lines(tokens: "TokenCounts") -> Iterator[str]:
    yield (
        f"{tokens.total:,} tokens, {tokens.learned:,} of them learned; a sample has {tokens.shortest:,} to "
        f"{tokens.longest:,}, median {tokens.median:,}, 95 % up to {tokens.p95:,}"
    )
    yield from _bars("tokens", [(f"{low}–{high - 1}", count) for low, high, count in tokens.histogram])


def _bars(unit: str, rows: list[tuple[str, int]]) -> Iterator[str]:
    """A bar for each row; the row with the most samples gets the longest one."""
    most, width = max(count for _, count in rows), max(len(label) for label, _ in rows)
    for label, count in rows:
        bar = "█" * max(round(_BAR_WIDTH * count / most), int(count > 0))
        yield f"  {label:>{width}} {unit} {bar:<{_BAR_WIDTH}} {count:,}"


def _finding_lines(findings: "tuple[ValidationFinding, ...]", prefix: str) -> Iterator[str]:
    from llava_model.data.leakage import MEANINGS

    for kind, meaning in MEANINGS.items():
        of_kind = [finding for finding in findings if finding.kind == kind]
        if not of_kind:
            continue
        yield f"{prefix}{len(of_kind):,} {meaning}:"
        for finding in of_kind[:_SHOWN]:
            yield "  " + terminal.shorten(_finding_line(finding), 240)
        if len(of_kind) > _SHOWN:
            yield f"  … and {len(of_kind) - _SHOWN:,} more; --json lists all"


def _finding_line(finding: "ValidationFinding") -> str:
    """`train.json #17 '000033': has the picture …`."""
    place = _clean(finding.file.name)
    if finding.position is not None:
        place += f" #{finding.position}"
    if finding.id is not None and finding.id != f"#{finding.position}":
        place += f" '{_clean(finding.id)}'"
    return f"{place}: {_clean(finding.reason)}"


def _clean(text: object) -> str:
    """Without the halves of characters that names of files can hold and no terminal can show."""
    return str(text).encode("utf-8", "backslashreplace").decode()
