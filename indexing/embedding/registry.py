"""Which embedder loads a kit's vision weights: every module of this package says at its end which format it loads.

    EMBEDDER = EmbedderFormat(format="open_clip", load=_from_kit)

The format is the one that the kit file gives its vision component. To add an embedder, add a module and a kit file
(docs/howto/add-an-embedder.md). The modules are found by that line of their text, and only the one that is wanted is
imported: each brings a library of its own.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import indexing.embedding
from indexing.embedding.protocol import Embedder, UnknownFormatError

_DECLARES_EMBEDDER = re.compile(r'^EMBEDDER = EmbedderFormat\(\s*format="([\w-]+)"', re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class KitParts:
    """What a kit has for an embedder."""

    vision: Path
    """Folder of the picture model."""
    text: Path
    """Folder of the sentence encoder."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The vision component's options in the kit file."""
    joint_space: Path | None = None
    """A file that the project trained for these two, where it ships one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedderFormat:
    """One format of weights and the function that makes an embedder of them."""

    format: str
    """The word of the kit file."""
    load: Callable[[KitParts, str], Embedder]
    """Parts and device ("auto", "cpu", "cuda" …) → the embedder. Raises EmbedderError."""
    name: Callable[[KitParts], str] | None = None
    """The embedder's name before anything is loaded, where the kit's name alone does not decide what it makes."""


def load_embedder(format: str, parts: KitParts, *, device: str) -> Embedder:
    """Raises UnknownFormatError, and what the embedder's own `load` raises."""
    return _of_format(format).load(parts, device)


def name_before_loading(format: str, parts: KitParts) -> str | None:
    """What the library records as the embedder's name; None where only the loaded embedder knows it."""
    name = _of_format(format).name
    return name(parts) if name is not None else None


def _of_format(format: str) -> EmbedderFormat:
    modules = dict(_modules())
    if format not in modules:
        raise UnknownFormatError(format, sorted(modules))
    found = import_module(modules[format]).EMBEDDER
    assert isinstance(found, EmbedderFormat)
    return found


def _modules() -> Iterator[tuple[str, str]]:
    """Formats with the modules that load them, in all folders of the package."""
    for folder in map(Path, indexing.embedding.__path__):
        for file in sorted(folder.glob("*.py")):
            declared = _DECLARES_EMBEDDER.search(file.read_text(encoding="utf-8"))
            if declared is not None:
                yield declared[1], f"indexing.embedding.{file.stem}"
