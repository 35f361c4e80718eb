"""Which weights a benchmark is asked of: a kit's, with trained parts in place of its own."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llava_model.errors import MissingFileError

if TYPE_CHECKING:
    from llava_model.serving.engine import Engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Folders; `vision` and `projector` go together, without them the model reads words only."""

    name: str
    language: Path
    vision: Path | None
    projector: Path | None
    adapter: Path | None
    template: str

    @classmethod
    def of(
        cls,
        kit: str,
        *,
        language: Path | None,
        vision: Path | None,
        projector: Path | None,
        adapter: Path | None,
        template: str,
        sees: bool,
    ) -> "Weights":
        """The kit's parts where nothing else is named. Raises KitError, MissingFileError.

        `sees`: the questions have pictures, so a projector is used (and the kit's vision tower with it) if the kit has
        one. A language model that is named without a vision tower may be a whole LLaVA checkpoint.
        """
        from llava_model.kits import find
        from llava_model.kits.trained import shipped_weights

        for path, what in ((language, "language model"), (vision, "vision tower"), (projector, "projector")):
            _check(path, what)
        _check(adapter, "adapter")
        found = None if language is not None and (vision is not None or projector is None) else find(kit)
        if language is None:
            assert found is not None
            language = found.path("llava" if found.has("llava") else "language")
            shipped = shipped_weights(kit)
            if projector is None and adapter is None:  # parts of one training: never one of ours with one of the user's
                projector, adapter = shipped.projector if sees else None, shipped.adapter
        if projector is not None and vision is None:
            vision = (found or find(kit)).path("vision")
        name = "-".join(part.name for part in (language, projector, adapter) if part is not None)
        return cls(
            name=f"{kit}-{name}" if found else name,
            language=language,
            vision=vision,
            projector=projector,
            adapter=adapter,
            template=template,
        )

    def load(self, device: str) -> "Engine":
        """The model, ready to answer."""
        from llava_model.serving.engine import Engine

        return Engine.load(
            self.language,
            vision=self.vision,
            projector=self.projector,
            adapter=self.adapter,
            template=self.template,
            device=device,
            name=self.name,
        )

    def settings(self) -> dict[str, Any]:
        """What makes answers those of this model: changes when a file of weights is written again."""
        parts = {"language": self.language, "vision": self.vision, "projector": self.projector, "adapter": self.adapter}
        return {name: _state(path) for name, path in parts.items()} | {"template": self.template}


def parts_in(checkpoint: Path) -> tuple[Path | None, Path | None, Path | None]:
    """Language model, projector and adapter of a training run's last checkpoint, each where it has one.

    Raises IncompleteCheckpointError.
    """
    from llava_model.checkpoint import ADAPTER, LANGUAGE, PROJECTOR_FILE, parts_of
    from llava_model.manifest import latest, read_manifest

    folder = latest(checkpoint) or checkpoint
    held = parts_of(read_manifest(folder))

    def part(name: str) -> Path | None:
        return folder / name if name in held else None

    return part(LANGUAGE), part(PROJECTOR_FILE), part(ADAPTER)


def _check(path: Path | None, what: str) -> None:
    if path is not None and not path.exists():
        raise MissingFileError(path, what)


def _state(folder: Path | None) -> str | None:
    """Folder or file, and a digest of its files' names, sizes and times."""
    if folder is None:
        return None
    files = [folder] if folder.is_file() else sorted(file for file in folder.rglob("*") if file.is_file())
    facts = [f"{f.relative_to(folder)} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files]
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]
    return f"{folder.resolve()} {digest}"
