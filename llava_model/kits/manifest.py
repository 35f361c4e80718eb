"""What a component's folder must hold: written last when it is installed, read whenever it is used."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_NAME = "manifest.json"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class InstalledFile:
    """One file as it was when the installation finished."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One file that is not as it was; `reason` completes the sentence "FILE …"."""

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
        """None when there is none, or none that can be read: then the component is not installed."""
        try:
            content = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
            files = {path: InstalledFile(**record) for path, record in content["files"].items()}
            return cls(pin=content["pin"], source=content["source"], commit=content.get("commit", ""), files=files)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @classmethod
    def of(cls, folder: Path, *, pin: str, source: str, commit: str = "") -> "ComponentManifest":
        """Hash what lies in `folder` now, and push it to the disk."""
        files = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE_NAME):
            flush(path)
            files[path.relative_to(folder).as_posix()] = InstalledFile(
                size_bytes=path.stat().st_size, sha256=sha256_of(path)
            )
        return cls(pin=pin, source=source, commit=commit, files=files)

    def write(self, folder: Path) -> None:
        """Appears whole or not at all, also when the power goes."""
        half_written = folder / f".{FILE_NAME}.partial"
        half_written.write_text(json.dumps(asdict(self), indent=1, sort_keys=True), encoding="utf-8")
        flush(half_written)
        half_written.replace(folder / FILE_NAME)
        flush(folder)

    def damage(self, folder: Path, *, read_contents: bool) -> Iterator[Damage]:
        """What differs on disk: presence and size, and the contents too if asked (reads every byte)."""
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


def sha256_of(path: Path, on_bytes: Callable[[int], None] = lambda count: None) -> str:
    """Hex; `on_bytes` hears the bytes read so far."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_CHUNK_BYTES):
            digest.update(block)
            done += len(block)
            on_bytes(done)
    return digest.hexdigest()


def flush(path: Path) -> None:
    """Make a file, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
