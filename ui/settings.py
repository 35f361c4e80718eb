"""Everything a user can set, read once: defaults < llavero.toml in the library < environment < command line.

The parts own their settings (`indexing.settings`, `rag.settings`); this module only collects them. What is unknown or
out of bounds is a SettingsError.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from indexing.settings import IndexingSettings
from rag.settings import (
    AnswerSettings,
    GeneratorSettings,
    PromptSettings,
    RagSettings,
    RelevanceSettings,
    RetrievalSettings,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Section = TypeVar("Section", bound="DataclassInstance")

FILE_NAME = "llavero.toml"
DEFAULT_KIT = "pocket"


class SettingsError(Exception):
    """A setting is unknown or out of bounds; the message names the file and the key."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one open library; the workbench is built from them."""

    library: Path
    """The library folder, absolute."""
    kit: str = ""
    """The kit asked for; empty means the library's own, or pocket for a new one."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; a device named here that is missing is an error, never a silent fallback."""
    milvus_uri: str = ""
    """Address of a Milvus server (2.6.10 or newer); empty means Milvus Lite inside the library folder."""
    milvus_token: str = field(default="", repr=False)
    """user:password for that server; best given as LLAVERO_MILVUS_TOKEN."""
    indexing: IndexingSettings = field(default_factory=IndexingSettings)
    """How files are read and cut; section [indexing]."""
    rag: RagSettings = field(default_factory=RagSettings)
    """How questions are answered; sections [retrieval] [relevance] [prompt] [answer] [generator]."""

    @classmethod
    def load(cls, library: Path, *, environ: Mapping[str, str] = os.environ, **changes: Any) -> "Settings":
        """Read the library's file and the environment, then apply `changes` (from the command line).

        `generator_url` and `generator_model` in `changes` override the file's [generator] section.
        Raises SettingsError, naming the file and the key, for what is unknown or out of bounds.
        """
        library = library.expanduser().absolute()
        where = str(library / FILE_NAME)
        table = _read(library / FILE_NAME)
        table |= {name: environ[variable] for name, variable in _ENVIRONMENT.items() if environ.get(variable)}
        table |= changes
        generator = dict(table.pop("generator", {}))
        generator |= {key: table.pop(f"generator_{key}") for key in ("url", "model") if f"generator_{key}" in table}
        own = table.pop("library", {})  # the library's own identity, owned by indexing.library
        built_with = own.get("kit") if isinstance(own, dict) else None
        large = bool(generator) or (table.get("kit") or built_with or DEFAULT_KIT) != DEFAULT_KIT
        prompt = (FULL_PROMPT if large else {}) | dict(table.pop("prompt", {}))
        rag = RagSettings(
            retrieval=_section(RetrievalSettings, table.pop("retrieval", {}), where, "retrieval"),
            relevance=_section(RelevanceSettings, table.pop("relevance", {}), where, "relevance"),
            prompt=_section(PromptSettings, prompt, where, "prompt"),
            answer=_section(AnswerSettings, table.pop("answer", {}), where, "answer"),
            generator=_section(GeneratorSettings, generator, where, "generator") if generator else None,
        )
        indexing = _section(IndexingSettings, table.pop("indexing", {}), where, "indexing")
        known = {f.name for f in fields(cls)} - {"library", "indexing", "rag"}
        _refuse_unknown(set(table) - known, known, where)
        for name, value in table.items():
            if not isinstance(value, str):
                raise SettingsError(f"{where}: '{name}' must be a text in quotes")
        return cls(library=library, indexing=indexing, rag=rag, **table)


FULL_PROMPT = {"style": "full", "evidence_tokens": 2000, "max_evidence": 8, "max_pictures": 2, "history_tokens": 800}
"""What a model of half a billion parameters and more can read; the defaults suit the pocket kit's 135M."""

_ENVIRONMENT = {
    "kit": "LLAVERO_KIT",
    "device": "LLAVERO_DEVICE",
    "milvus_uri": "LLAVERO_MILVUS_URI",
    "milvus_token": "LLAVERO_MILVUS_TOKEN",
    "generator_url": "LLAVERO_GENERATOR_URL",
    "generator_model": "LLAVERO_GENERATOR_MODEL",
}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def _section(kind: type[Section], table: object, where: str, name: str) -> Section:
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: [{name}] must be a section, not a single value")
    known = {f.name for f in fields(kind)}
    _refuse_unknown(set(table) - known, known, f"{where}: [{name}]")
    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{where}: [{name}] {key}: {message}".replace(" : ", ": ")) from error


def _refuse_unknown(unknown: set[str], known: set[str], where: str) -> None:
    if unknown:
        fault = SettingsError(f"{where}: '{min(unknown)}' is not a setting")
        fault.add_note(f"Settings there: {', '.join(sorted(known))}")
        raise fault
