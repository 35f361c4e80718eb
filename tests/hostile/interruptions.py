"""A full disk, and `kill -9` at random moments. Run again, each leaves the library that an undisturbed run leaves."""

import shutil
import subprocess
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from findings import Findings, say
from looking import looked
from makers import World
from makers.mutations import SAMPLE
from processes import Ran, kill, llavero, started
from traps import Traps

_FILES = ("documents/*.pdf", "mail/*", "notes/*", "drawings/stamp*", "photos/museum/IMG*")
_KILLS = 3
_DISK_BYTES = 32_000_000
_LONGEST_WAIT_SECONDS = 60

Listing = dict[str, tuple[Any, ...]]


def attack(world: World, traps: Traps, findings: Findings, folder: Path, asked: Namespace) -> None:
    """Both, where asked for; `folder` gets the files and a library for each."""
    kinds = [kind for kind in ("full disk", "kill -9") if asked.only in kind]
    if not kinds:
        return
    files, undisturbed = folder / "few files", folder / "undisturbed"
    files.mkdir()
    for pattern in _FILES:
        for path in SAMPLE.glob(pattern):
            shutil.copy(path, files)
    say("a full disk and kills")
    ran = llavero("index", files, "--library", undisturbed, traps=traps)
    findings.check(kinds[0], "the undisturbed run is sound", ran.faults(0))
    if "full disk" in kinds:
        _fill(findings, traps, folder, files, undisturbed)
    if "kill -9" in kinds:
        _kill(findings, traps, world.random, files, folder / "killed", undisturbed)


def _fill(findings: Findings, traps: Traps, folder: Path, files: Path, undisturbed: Path) -> None:
    kind, expected = "full disk", _listing(undisturbed, traps)
    half = sum(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file()) // 2
    with _disk(folder / "disk") as (disk, refused):
        if disk is None:
            findings.add(kind, "a run on a disk with too little room", skipped=refused)
            return
        (disk / "ballast").write_bytes(bytes(_DISK_BYTES - half))
        ran = llavero("index", files, "--library", disk / "library", traps=traps)
        findings.check(kind, "it ends with one sentence and exit code 1", [*ran.faults(1), *_not_one_sentence(ran)])
        failed = [path for path, (state, *_) in _listing(disk / "library", traps).items() if state == "failed"]
        findings.check(kind, "no file is blamed", [f"'{Path(path).name}' is marked failed" for path in failed])
        (disk / "ballast").unlink()
        again = llavero("index", files, "--library", disk / "library", traps=traps)
        findings.check(
            kind, "with room again everything is read", [*again.faults(0), *_others(disk / "library", expected, traps)]
        )
        verified = llavero("verify", "--library", disk / "library", traps=traps)
        findings.check(kind, "verify is clean", verified.faults(0))


def _not_one_sentence(ran: Ran) -> list[str]:
    said = [line for line in ran.err.splitlines() if line.startswith("llavero:")]
    return [] if len(said) == 1 else [f"it said {len(said)} sentences: {said}"]


@contextmanager
def _disk(folder: Path) -> Iterator[tuple[Path | None, str]]:
    """A small file system in memory; None, and why, where mounting is not allowed."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", folder]
    try:
        mounted = subprocess.run(["mount", *options], capture_output=True, check=False)
    except OSError as error:
        yield None, f"mount cannot be run: {error}"
        return
    if mounted.returncode:
        yield None, f"mounting is not allowed here ({mounted.stderr.decode(errors='replace').strip()})"
        return
    try:
        yield folder, ""
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _kill(findings: Findings, traps: Traps, random: Random, files: Path, library: Path, undisturbed: Path) -> None:
    kind = "kill -9"
    for number in range(1, _KILLS + 1):
        findings.check(kind, f"kill {number} meets it at work", _killed(traps, files, library, random.uniform(0, 3)))
    again = llavero("index", files, "--library", library, traps=traps)
    same = _others(library, _listing(undisturbed, traps), traps)
    findings.check(kind, "the next run leaves the library of an undisturbed one", [*again.faults(0), *same])
    findings.check(kind, "verify is clean", llavero("verify", "--library", library, traps=traps).faults(0))
    left = [path.name for path in (library / "spool").glob("*")]
    findings.check(kind, "nothing half written is left", [f"spool holds {left}"] if left else [])


def _killed(traps: Traps, files: Path, library: Path, seconds: float) -> list[str]:
    """Killed so many seconds after its readers began to write."""
    with started("index", files, "--library", library, traps=traps) as process:
        deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
        while not any((library / "spool").glob("*/*")) and process.poll() is None:
            if time.monotonic() > deadline:
                return [f"no reader had begun after {_LONGEST_WAIT_SECONDS} s"]
            time.sleep(0.02)
        time.sleep(seconds)
        ended = process.poll()
        kill(process)
    return [] if ended in (None, 0) else [f"it had ended with {ended}"]


def _others(library: Path, expected: Listing, traps: Traps) -> list[str]:
    found = _listing(library, traps)
    differing = [path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path)]
    return [
        f"'{Path(path).name}' is {found.get(path)}, not {expected.get(path)}"[:400] for path in sorted(differing)[:3]
    ]


def _listing(library: Path, traps: Traps) -> Listing:
    return {
        entry["path"]: (entry["state"], entry["reason"], entry["chunks"], entry["notes"], entry["text"])
        for entry in looked(library, traps)
    }
