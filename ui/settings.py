"""Everything a user can set, read once: defaults < llavero.toml in the library < environment < command line.

SettingsError
The parts own their settings (`indexing.settings`, `rag.settings`); this module only collects them.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from indexing.settings import IndexingSettings
from rag.settings import GeneratorSettings, RagSettings

Section = TypeVar("Section")

FILE_NAME = "llavero.toml"
DEFAULT_KIT = "pocket"


class SettingsError(Exception):
    """A setting is unknown or out of bounds; the message names the file and the key."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One value for the composition root."""

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
    rag: RagSettings = field(default_factory=RagSettings)
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)

    @classmethod
    def load(cls, library: Path, *, environ: Mapping[str, str] = os.environ, **changes: Any) -> "Settings":
        """Read the library's file and the environment, then apply `changes` (from the command line).

        `generator_url` and `generator_model` in `changes` override the file's [generator] section.
        """
        library = library.expanduser().absolute()
        table = _read(library / FILE_NAME)
        generator_changes = {
            name.removeprefix("generator_"): changes.pop(name)
            for name in ("generator_url", "generator_model")
            if name in changes
        }
        for name, variable in _ENVIRONMENT.items():
            if environ.get(variable):
                table[name] = environ[variable]
        table |= changes
        sections = {
            "indexing": _section(IndexingSettings, table.pop("indexing", {}), library, "indexing"),
            "rag": _section(RagSettings, table.pop("rag", {}), library, "rag"),
            "generator": replace(
                _section(GeneratorSettings, table.pop("generator", {}), library, "generator"), **generator_changes
            ),
        }
        known = {f.name for f in fields(cls)} - {"library", *sections}
        table.pop("library", None)  # the library's own identity, owned by indexing.library
        _refuse_unknown(set(table) - known, known, library, "")
        wrong = [name for name, value in table.items() if not isinstance(value, str)]
        if wrong:
            raise SettingsError(f"{library / FILE_NAME}: '{wrong[0]}' must be a text in quotes")
        return cls(library=library, **table, **sections)


_ENVIRONMENT = {
    "kit": "LLAVERO_KIT",
    "device": "LLAVERO_DEVICE",
    "milvus_uri": "LLAVERO_MILVUS_URI",
    "milvus_token": "LLAVERO_MILVUS_TOKEN",
}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def _section(kind: type[Section], table: object, library: Path, name: str) -> Section:
    if not isinstance(table, dict):
        raise SettingsError(f"{library / FILE_NAME}: [{name}] must be a section, not a single value")
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]  # every section is a dataclass
    _refuse_unknown(set(table) - known, known, library, f"[{name}] ")
    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{library / FILE_NAME}: [{name}] {key}: {first['msg']}") from error


def _refuse_unknown(unknown: set[str], known: set[str], library: Path, where: str) -> None:
    if unknown:
        fault = SettingsError(f"{library / FILE_NAME}: {where}'{min(unknown)}' is not a setting")
        fault.add_note(f"Settings there: {', '.join(sorted(known))}")
        raise fault
