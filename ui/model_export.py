"""`llavero model export`: the two GGUF files that llama.cpp runs."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ui.model_convert import (
    BaseKitOption,
    LanguageOption,
    ReplaceOption,
    VisionOption,
    base_folders,
    check_out,
    model_bytes,
    open_model,
    tell_result,
    working,
)


class NumberFormat(StrEnum):
    """How weights are written."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"


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
    from llava_model.gguf_export import export_gguf

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
