"""A trained model on disk, ours or transformers', with what belongs to it; and the two forms it can take for others:
a checkpoint with nothing left to merge, or transformers' LLaVA.

Weights keep the type they are stored in. An adapter is added in float32 and the sum rounded once.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from llava_model.checkpoint import (
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
from llava_model.convert import from_hf, image_processor, save_hf
from llava_model.errors import MissingFileError
from llava_model.manifest import MANIFEST_FILE, Manifest, git_hash, read_manifest, writing
from llava_model.model import LlavaModel
from llava_model.tokenize import load_tokenizer
from llava_model.towers import TransformersTower

TOKENIZER_FILES = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template*",
    "generation_config.json", "LICENSE*", "*.tiktoken",
)  # fmt: skip
"""What a language model's folder holds beside configuration and weights."""

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A composition, its adapter merged, and where it came from."""

    model: LlavaModel
    tokenizer: Any
    tokenizer_folder: Path
    manifest: Manifest
    brings_tower: bool
    """The vision tower is the checkpoint's own and goes wherever the checkpoint goes."""


def open_trained(folder: Path, *, language: Path | None = None, vision: Path | None = None) -> TrainedModel:
    """A checkpoint of ours (see `checkpoint.load_trained` for the folders it stands on), or transformers' LLaVA.

    Raises MissingFileError if the folder is neither.
    """
    if (folder / "config.json").is_file() and read_model_type(folder) == "llava":
        return _open_foreign(folder)
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
        model.projector, _ = load_projector(folder)  # as it was trained, not in the language model's type
    return TrainedModel(
        model=model,
        tokenizer=load_tokenizer(text_folder),
        tokenizer_folder=text_folder,
        manifest=manifest,
        brings_tower=VISION in parts,
    )


def _open_foreign(folder: Path) -> TrainedModel:
    model, tokenizer = from_hf(folder, dtype=stored_dtype(folder)), load_tokenizer(folder)
    manifest = Manifest(
        stage="import", step=0, seed=0, config={}, llava=model.config.to_json(), data_fingerprint="",
        git_hash=git_hash(), base={},
    )  # fmt: skip
    return TrainedModel(model=model, tokenizer=tokenizer, tokenizer_folder=folder, manifest=manifest, brings_tower=True)


def save_merged(trained: TrainedModel, folder: Path) -> None:
    """Write a checkpoint whose language model is whole: nothing to merge, tokenizer and projector beside it.

    The vision tower comes along if it was the checkpoint's own; otherwise it stays what it stands on.
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
    """Write transformers' LLaVA with its processor (see `convert.save_hf`), and the manifest beside it.

    Returns what a user should know. Raises ExportError.
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
    """Byte for byte: loading and saving a tokenizer again may change what it does."""
    for pattern in TOKENIZER_FILES:
        for path in source.glob(pattern):
            if path.is_file():
                shutil.copyfile(path, target / path.name)


def stored_dtype(folder: Path) -> torch.dtype:
    """The type a folder's configuration says its weights have; float32 where it says nothing."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = values.get("text_config") or {}
    name = values.get("dtype") or values.get("torch_dtype") or text.get("dtype") or text.get("torch_dtype")
    return _DTYPES.get(str(name), torch.float32)
