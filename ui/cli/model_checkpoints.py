"""`llavero model convert` and `export`: checkpoints in the forms that other programs read, and theirs in ours.

convert   a checkpoint with its LoRA merged, as transformers' LLaVA, or the original LLaVA's folder as a checkpoint
export    the two GGUF files that llama.cpp runs
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ui.cli import terminal
from ui.cli.progress import ProgressLine

if TYPE_CHECKING:
    from llava_model.checkpoints.parts import TrainedModel


class Target(StrEnum):
    """What `convert` can write."""

    CHECKPOINT = "checkpoint"
    MERGED = "merged"
    HF = "hf"


class NumberFormat(StrEnum):
    """How the weights are written in GGUF."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"


LanguageOption = Annotated[
    Path | None, typer.Option("--language", metavar="DIR", help="The language model that the checkpoint stands on.")
]
VisionOption = Annotated[
    Path | None, typer.Option("--vision", metavar="DIR", help="The vision tower that the checkpoint stands on.")
]
BaseKitOption = Annotated[str, typer.Option("--kit", help="Take both from this installed kit.")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Write OUT anew if it is there already.")]


def convert(
    paths: Annotated[list[Path], typer.Argument(metavar="[CHECKPOINT] OUT", help="What to read, and what to write.")],
    to: Annotated[
        Target | None,
        typer.Option(
            "--to", help="merged: nothing left to merge; hf: transformers' LLaVA; checkpoint: as --from-llava has it."
        ),
    ] = None,
    from_llava: Annotated[
        Path | None,
        typer.Option("--from-llava", metavar="DIR", help="Read a folder of the original LLaVA instead of CHECKPOINT."),
    ] = None,
    language: LanguageOption = None,
    vision: VisionOption = None,
    kit: BaseKitOption = "",
    replace: ReplaceOption = False,
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Merge a LoRA, write transformers' LLaVA (for vLLM and SGLang), or read the original LLaVA's folders."""
    source, out = _source_and_out(paths, from_llava)
    target = to or (Target.CHECKPOINT if from_llava else None)
    if target is None:
        raise typer.BadParameter("say what to write: merged or hf", param_hint="--to")
    if target is Target.CHECKPOINT and not from_llava:
        raise typer.BadParameter("'checkpoint' goes with --from-llava", param_hint="--to")
    check_out(out, source, replace=replace)
    language, vision = base_folders(kit, language, vision)
    notes: tuple[str, ...] = ()
    with TemporaryDirectory(prefix="llavero-import-", dir=_existing_parent(out)) as scratch:
        if from_llava:
            imported = out if target is Target.CHECKPOINT else Path(scratch) / "imported"
            _import(from_llava, imported, language, vision)
            source = imported
        if target is not Target.CHECKPOINT:
            notes = _write(open_model(source, language, vision), out, target)
    tell_result(out, notes, json=json)


def _source_and_out(paths: list[Path], from_llava: Path | None) -> tuple[Path, Path]:
    wanted = 1 if from_llava else 2
    if len(paths) != wanted:
        raise typer.BadParameter("give OUT alone with --from-llava, otherwise CHECKPOINT and OUT", param_hint="OUT")
    return (from_llava or paths[0]), paths[-1]


def check_out(out: Path, source: Path, *, replace: bool) -> None:
    """Check, before hours are spent, that OUT is free, or a checkpoint that may be replaced."""
    from llava_model.errors import CheckpointWriteError

    if out.resolve() == source.resolve() or out.resolve() in source.resolve().parents:
        raise typer.BadParameter(f"'{out}' holds what is to be read; name another folder", param_hint="OUT")
    if not replace and out.exists() and (not out.is_dir() or any(out.iterdir())):
        error = CheckpointWriteError(out, "something is there already")
        error.add_note("Name another folder, or add --replace if it is an older conversion.")
        raise error


def base_folders(kit: str, language: Path | None, vision: Path | None) -> tuple[Path | None, Path | None]:
    """The folders that were named, and the kit's for those that were not."""
    if not kit:
        return language, vision
    from llava_model.kits import find

    chosen = find(kit)
    return language or chosen.path("language"), vision or chosen.path("vision")


def open_model(source: Path, language: Path | None, vision: Path | None) -> "TrainedModel":
    """Read a checkpoint, saying how long it takes."""
    from llava_model.checkpoints.parts import open_trained
    from ui.opening import without_loading_bars

    without_loading_bars()
    with working(f"reading {source}"):
        return open_trained(source, language=language, vision=vision)


def model_bytes(trained: "TrainedModel") -> int:
    """How much there is to write, roughly."""
    return sum(weight.numel() * weight.element_size() for weight in trained.model.parameters())


def _write(trained: "TrainedModel", out: Path, target: Target) -> tuple[str, ...]:
    from llava_model.checkpoints.parts import save_as_hf, save_merged

    with working(f"writing {out}", folder=out, expected_bytes=model_bytes(trained)):
        if target is Target.HF:
            return save_as_hf(trained, out)
        save_merged(trained, out)
        return ()


def _import(source: Path, out: Path, language: Path | None, vision: Path | None) -> None:
    from llava_model.checkpoints.llava_original import import_llava

    expected = sum(path.stat().st_size for path in source.glob("*") if path.is_file())
    with working(f"importing {source}", folder=out, expected_bytes=expected):
        import_llava(source, out, language=language, vision=vision)


def _existing_parent(out: Path) -> Path:
    """The nearest folder above OUT that exists: temporary files belong on the disk of the result."""
    out.parent.mkdir(parents=True, exist_ok=True)
    return out.parent


@contextmanager
def working(what: str, *, folder: Path | None = None, expected_bytes: int = 0) -> Iterator[None]:
    """Show a line with the time, and with how much of `folder` has been written."""
    done, start = threading.Event(), time.monotonic()

    def watch() -> None:
        with ProgressLine() as line:
            while not done.wait(1.0):
                written = _written(folder)
                share = min(1.0, written / expected_bytes) if written and expected_bytes else None
                line.show(_progress(what, time.monotonic() - start, written, expected_bytes), share=share)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _written(folder: Path | None) -> int:
    """Bytes in the hidden folder that is renamed to this one at the end (see `llava_model.checkpoints.manifest`)."""
    if folder is None:
        return 0
    total = 0
    for path in folder.parent.glob(f".{folder.name}.writing-*/**/*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # renamed meanwhile
            continue
    return total


def _progress(what: str, seconds: float, written: int, expected: int) -> str:
    """`writing out · 1.2 GB of 13.5 GB · 210.0 MB/s · 58 s left`."""
    if not written or not expected:
        return f"{what} · {terminal.duration(seconds)}"
    rate = written / seconds
    left = terminal.duration(max(expected - written, 0) / rate)
    sizes = f"{terminal.size(written)} of {terminal.size(max(expected, written))}"
    return f"{what} · {sizes} · {terminal.size(rate)}/s · {left} left"


def tell_result(out: Path, notes: tuple[str, ...], *, json: bool) -> None:
    """The files on stdout, notes about them on stderr."""
    files = {path.relative_to(out).as_posix(): path.stat().st_size for path in sorted(out.rglob("*")) if path.is_file()}
    if json:
        terminal.say_json({"out": str(out), "files": files, "notes": list(notes)})
        return
    for name, size_bytes in files.items():
        terminal.say(f"{terminal.size(size_bytes):>9s}  {out / name}")
    for note in notes:
        terminal.tell(f"Note: {note}")


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A trained checkpoint, or a folder with transformers' LLaVA.")],
    gguf: Annotated[Path, typer.Option("--gguf", metavar="OUT", help="The folder that the two files go into.")],
    numbers: Annotated[NumberFormat, typer.Option("--numbers", help="How weights are written.")] = NumberFormat.F16,
    name: Annotated[str, typer.Option("--name", help="What the files are called; by default as the checkpoint.")] = "",
    language_only: Annotated[
        bool, typer.Option("--language-only", help="Only the language model, for towers llama.cpp does not know.")
    ] = False,
    language: LanguageOption = None,
    vision: VisionOption = None,
    kit: BaseKitOption = "",
    replace: ReplaceOption = False,
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Write a language model and its vision part (mmproj) as GGUF, for llama.cpp and what is built on it."""
    check_out(gguf, checkpoint, replace=replace)
    language, vision = base_folders(kit, language, vision)
    trained = open_model(checkpoint, language, vision)
    from llava_model.checkpoints.gguf import export_gguf

    with working(f"writing {gguf}", folder=gguf, expected_bytes=model_bytes(trained)):
        result = export_gguf(
            trained,
            gguf,
            name=_file_name(name or checkpoint.resolve().name),
            number_format=numbers.value,
            language_only=language_only,
        )
    tell_result(gguf, result.notes, json=json)


def _file_name(name: str) -> str:
    """Letters, digits, points and dashes; llama.cpp's tools are called from shells."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"
