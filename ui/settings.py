"""Everything a user can set, read once: defaults < the kit's < llavero.toml of the library < environment < arguments.

The parts own their settings (`indexing.settings`, `rag.settings`, `aggregation.settings`); this module only collects
them. What is unknown or out of bounds is a SettingsError.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from aggregation.settings import CollectionSettings
from claims.settings import CitationSettings
from indexing.addresses import AddressError, canonical
from indexing.settings import IndexingSettings
from indexing.sources.access import SourceAccess
from rag.settings import (
    AnswerSettings,
    GeneratorSettings,
    PromptSettings,
    RagSettings,
    RelevanceSettings,
    RetrievalSettings,
)
from ui.sign_in import SignIn, SignInError

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
    sources: Mapping[str, SourceAccess] = field(default_factory=dict)
    """Addresses that are read, and who one is there; sections [sources."s3://…"]. Clients may name these alone."""
    sign_in: SignIn | None = None
    """Who signs in to the page, and where; section [sign_in]. None: nobody has to."""
    rag: RagSettings = field(default_factory=RagSettings)
    """How questions are answered; sections [retrieval] [relevance] [prompt] [answer] [citations] [generator]."""
    collection: CollectionSettings = field(default_factory=CollectionSettings)
    """How far questions about all files go; section [collection]."""
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """What of it the user set, section by section."""

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
        table |= _secrets_from_files(environ)
        table |= changes
        generator = dict(table.pop("generator", {}))
        generator |= {key: table.pop(f"generator_{key}") for key in ("url", "model") if f"generator_{key}" in table}
        table.pop("library", None)  # the library's own identity, owned by indexing.library
        chosen = {name: table.pop(name) for name in _SECTIONS if name in table}
        if generator:
            chosen["generator"] = generator
        sections: dict[str, Any] = {
            "rag": _rag({}, chosen, where),
            "indexing": _section(IndexingSettings, table.pop("indexing", {}), where, "indexing"),
            "collection": _section(CollectionSettings, table.pop("collection", {}), where, "collection"),
            "sources": _sources(table.pop("sources", {}), where),
            "sign_in": _sign_in(table.pop("sign_in", {}), environ, where),
        }
        known = {f.name for f in fields(cls)} - {"library", "chosen", *sections}
        _refuse_unknown(set(table) - known, known, where)
        for name, value in table.items():
            if not isinstance(value, str):
                raise SettingsError(f"{where}: '{name}' must be a text in quotes")
        return cls(library=library, chosen=chosen, **sections, **table)

    def rag_for(self, defaults: Mapping[str, Mapping[str, Any]]) -> RagSettings:
        """The same with a kit's own defaults under what the user set. Raises SettingsError naming the key."""
        if self.chosen.get("generator"):  # a model by address writes; the kit only finds
            defaults = {name: each for name, each in defaults.items() if name in ("retrieval", "relevance")}
        return _rag(defaults, self.chosen, "the kit's defaults")


_SECTIONS: Mapping[str, Any] = {
    "retrieval": RetrievalSettings,
    "relevance": RelevanceSettings,
    "prompt": PromptSettings,
    "answer": AnswerSettings,
    "citations": CitationSettings,
}
_CAPABLE_PROMPT = {"instructions": "capable", "evidence_tokens": 2000, "max_evidence": 8, "history_tokens": 800}
"""What a model of several billion parameters, by address, can read."""

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


def _rag(defaults: Mapping[str, Mapping[str, Any]], chosen: Mapping[str, Any], where: str) -> RagSettings:
    generator = chosen.get("generator")
    under = {"prompt": _CAPABLE_PROMPT} | dict(defaults) if generator else defaults
    sections: dict[str, Any] = {}
    for name, kind in _SECTIONS.items():
        table = chosen.get(name, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{where}: [{name}] must be a section, not a single value")
        sections[name] = _section(kind, {**under.get(name, {}), **table}, where, name)
    if generator:
        sections["generator"] = _section(GeneratorSettings, generator, where, "generator")
    return RagSettings(**sections)


def _secrets_from_files(environ: Mapping[str, str]) -> dict[str, str]:
    """What containers mount as a file; the variable itself goes before it. Raises SettingsError."""
    variable = _ENVIRONMENT["milvus_token"]
    file = environ.get(f"{variable}_FILE", "")
    if not file or environ.get(variable):
        return {}
    try:
        return {"milvus_token": Path(file).read_text(encoding="utf-8").strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}_FILE: {file} cannot be read: {error}") from error


def _sign_in(table: object, environ: Mapping[str, str], where: str) -> SignIn | None:
    try:
        return SignIn.load(table, environ)
    except SignInError as error:
        raise SettingsError(f"{where}: [sign_in] {error}") from error


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


def _sources(table: object, where: str) -> dict[str, SourceAccess]:
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: [sources] must be a section, not a single value")
    found: dict[str, SourceAccess] = {}
    for written, access in table.items():
        try:
            address = canonical(written)
        except AddressError as error:
            raise SettingsError(f"{where}: [sources]: {error}") from error
        if isinstance(access, dict) and (secret := _SECRETS.intersection(access)):
            fault = SettingsError(f"{where}: [sources.\"{address}\"]: '{min(secret)}' does not belong into a file")
            fault.add_note(f'Put it into an environment variable, and name that: {min(secret)}_variable = "NAME".')
            raise fault
        found[address] = _section(SourceAccess, access, where, f'sources."{address}"')
    return found


_SECRETS = frozenset({"password", "secret", "key"})


def _refuse_unknown(unknown: set[str], known: set[str], where: str) -> None:
    if unknown:
        fault = SettingsError(f"{where}: '{min(unknown)}' is not a setting")
        fault.add_note(f"Settings there: {', '.join(sorted(known))}")
        raise fault
