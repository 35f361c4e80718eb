"""A trained model → the two files that llama.cpp runs: the language model, and `mmproj-…` with tower and projector.

    vocabulary   the tokenizer as llama.cpp's loader wants it
    language     Llama, Mistral, Qwen2, Qwen3: names, metadata, order of rotated rows
    vision       CLIP or SigLIP with LLaVA's projector
    files        writes tensors to disk, one at a time

The rules are those of ggml-org/llama.cpp (`conversion/`, `tools/mtmd/clip.cpp` and its legacy LLaVA scripts); tensor
names come from the tables of its package gguf.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from llava_model.convert import exportable
from llava_model.errors import MissingPackageError
from llava_model.gguf_export.files import NumberFormat, write_file
from llava_model.gguf_export.language import language_content
from llava_model.gguf_export.vision import vision_content
from llava_model.manifest import writing
from llava_model.trained import TrainedModel


@dataclass(frozen=True, kw_only=True)
class GgufExport:
    """The files written, and notes for their user."""

    language: Path
    vision: Path | None
    notes: tuple[str, ...]


def export_gguf(
    trained: TrainedModel, folder: Path, *, name: str, number_format: NumberFormat = "f16", language_only: bool = False
) -> GgufExport:
    """Write `NAME-FORMAT.gguf` and `mmproj-NAME-FORMAT.gguf` into `folder`, both or nothing.

    Raises ExportError for parts that llama.cpp's files cannot hold, MissingPackageError without gguf, and
    CheckpointWriteError.
    """
    if find_spec("gguf") is None:
        raise MissingPackageError("gguf", purpose="writing GGUF files", install="'llavero[kits]'")
    language = language_content(trained.model.language, trained.tokenizer, name=name, number_format=number_format)
    contents = {f"{name}-{number_format}.gguf": language}
    if not language_only:
        tower, projector = exportable(trained.model, "llama.cpp")
        vision = vision_content(tower, projector, name=name, number_format=number_format)
        contents[f"mmproj-{name}-{number_format}.gguf"] = vision
    with writing(folder, trained.manifest) as unfinished:
        for file, content in contents.items():
            write_file(unfinished / file, content)
    paths = [folder / file for file in contents]
    notes = tuple(note for content in contents.values() for note in content.notes)
    return GgufExport(language=paths[0], vision=paths[1] if len(paths) > 1 else None, notes=notes)
