"""Open a trained model, in our format or transformers', and save it in a form for other programs: with its adapter
merged, or as transformers' LLaVA.

Weights keep their stored number type. An adapter is added in float32, and the sum is rounded once.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from llava_model.checkpoints.hf import from_hf, image_processor, save_hf
from llava_model.checkpoints.manifest import MANIFEST_FILE, Manifest, git_hash, read_manifest, writing
from llava_model.checkpoints.parts import (
    ADAPTER,
    LANGUAGE,
    PROJECTOR_FILE,
    VISION,
    language_folder,
    load_projector,
    load_trained,
    parts_of,
    read_model_type,
    save_projector,
)
from llava_model.errors import MissingFileError
from llava_model.model.composition import LlavaModel
from llava_model.model.towers import TransformersTower
from llava_model.text.tokenize import load_tokenizer

TOKENIZER_FILES = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template*",
    "generation_config.json", "LICENSE*", "*.tiktoken",
)  # fmt: skip
"""The files of a language model's folder that are neither configuration nor weights."""

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model with its adapter merged, its tokenizer, and the manifest of its checkpoint."""

    model: LlavaModel
    tokenizer: Any
    tokenizer_folder: Path
    manifest: Manifest
    brings_tower: bool
    """Whether the checkpoint holds its own vision tower, which is then saved with it."""


def open_trained(folder: Path, *, language: Path | None = None, vision: Path | None = None) -> TrainedModel:
    """Open one of our checkpoints, or transformers' LLaVA. Raises MissingFileError if the folder is neither.

    See `checkpoint.load_trained` for `language` and `vision`.
    """
    if (folder / "config.json").is_file() and read_model_type(folder) == "llava":
        return _open_hf(folder)
    if not (folder / MANIFEST_FILE).is_file():
        raise MissingFileError(folder / MANIFEST_FILE, "checkpoint")
    manifest = read_manifest(folder, verify=False)  # `load_trained` reads every byte
    parts = parts_of(manifest)
    text_folder = language_folder(folder, language)
    stored = stored_dtype(text_folder)
    dtype = torch.float32 if ADAPTER in parts else stored
    model = load_trained(folder, language=language, vision=vision, dtype=dtype)
    model.language.to(stored)
    if PROJECTOR_FILE in parts:
        model.projector, _ = load_projector(folder)  # in the number type it was trained in
    return TrainedModel(
        model=model,
        tokenizer=load_tokenizer(text_folder),
        tokenizer_folder=text_folder,
        manifest=manifest,
        brings_tower=VISION in parts,
    )


def _open_hf(folder: Path) -> TrainedModel:
    model, tokenizer = from_hf(folder, dtype=stored_dtype(folder)), load_tokenizer(folder)
    manifest = Manifest(
        stage="import", step=0, seed=0, config={}, llava=model.config.to_json(), data_fingerprint="",
        git_hash=git_hash(), base={},
    )  # fmt: skip
    return TrainedModel(model=model, tokenizer=tokenizer, tokenizer_folder=folder, manifest=manifest, brings_tower=True)


def save_merged(trained: TrainedModel, folder: Path) -> None:
    """Write a checkpoint with the merged language model, its tokenizer and the projector.

    The vision tower is written if it was the checkpoint's own; otherwise the base's is still needed.
    """
    model = trained.model
    with writing(folder, replace(trained.manifest, stage="merged", files={}, created="")) as unfinished:
        language = cast(Any, model.language)
        language.save_pretrained(unfinished / LANGUAGE)
        copy_tokenizer(trained.tokenizer_folder, unfinished / LANGUAGE)
        if model.projector is not None:
            save_projector(unfinished / PROJECTOR_FILE, model.projector, model.config)
        if trained.brings_tower and isinstance(model.tower, TransformersTower):
            cast(Any, model.tower.network).save_pretrained(unfinished / VISION)
            image_processor(model.tower.preprocess).save_pretrained(unfinished / VISION)


def save_as_hf(trained: TrainedModel, folder: Path) -> tuple[str, ...]:
    """Write transformers' LLaVA with its processor (see `convert.save_hf`) and our manifest → notes for the user.

    Raises ExportError.
    """
    with writing(folder, replace(trained.manifest, stage="merged", files={}, created="")) as unfinished:
        save_hf(trained.model, unfinished, trained.tokenizer)
    notes = []
    if trained.model.config.projector == "linear":
        notes.append("vLLM has no place for a linear projector: serve this one with transformers or llavero")
    if not trained.tokenizer.chat_template:
        notes.append("the tokenizer brings no chat template: servers need one named")
    return tuple(notes)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the files byte for byte: a tokenizer that is loaded and saved may behave differently."""
    for pattern in TOKENIZER_FILES:
        for path in source.glob(pattern):
            if path.is_file():
                shutil.copyfile(path, target / path.name)


def stored_dtype(folder: Path) -> torch.dtype:
    """The number type of the weights, from the folder's configuration; float32 if it names none."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = values.get("text_config") or {}
    name = values.get("dtype") or values.get("torch_dtype") or text.get("dtype") or text.get("torch_dtype")
    return _DTYPES.get(str(name), torch.float32)
