"""The list of files in an installed component: written last by the installation, read at every use."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from llava_model.checkpoints.manifest import flush, sha256_of

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
    """The files of a component, and the definition (`Component.pin`) they were made from."""

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
