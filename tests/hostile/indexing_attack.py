"""Three hundred hostile files through the real `llavero index`, and what must be true of each afterwards.

files → index (once) → list, verify, the words in the store → index again (embeds nothing)
"""

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from findings import Findings, say
from looking import looked
from makers import HostileFile, World
from makers.all_files import hostile_files
from processes import Ran, llavero
from traps import Traps

from indexing.settings import ReadLimits

MOST_MEMORY_BYTES = 2_500_000_000
MOST_WORKER_BYTES = ReadLimits().max_memory_bytes
_READER_SECONDS = 25
"""What one parser may take here; the product's own limit is 120 s. What is slow because of a hole takes longer."""
_RUN_SECONDS = 600
_INVISIBLE = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)))) - {
    "\n"
}
_STOPPED = "did not finish"

Entries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Written:
    """A hostile file on disk; `path` as Llavero names it, bytes that are no UTF-8 written as \\xNN."""

    file: HostileFile
    path: str


def attack(world: World, traps: Traps, findings: Findings, folder: Path, asked: Namespace) -> None:
    """Everything about files. `folder` gets `files/` and `library/`."""
    written = _write(world, findings, folder / "files", number=asked.files, only=asked.only)
    if not written:
        return
    library = folder / "library"
    library.mkdir()
    limits = f"[indexing.limits]\nseconds = {_READER_SECONDS}\nseconds_per_megabyte = 1\n"
    (library / "llavero.toml").write_text(limits, encoding="utf-8")
    say(f"indexing {len(written)} hostile files")
    before = _seen(folder / "files")
    seconds = _RUN_SECONDS + 2 * len(written)
    ran = llavero("index", folder / "files", "--library", library, "--json", traps=traps, timeout_seconds=seconds)
    _judge_run(ran, traps, findings)
    changed = {path for path, _ in before ^ _seen(folder / "files")}
    kind = "the run over all files"
    findings.check(kind, "the files are as they were", [f"'{path}' has changed" for path in sorted(changed)[:3]])
    findings.check(kind, "the temporary folder is empty", traps.left_over())
    strangers = {each.name for each in folder.iterdir()} - {"files", "library", "traps"}
    findings.check(kind, "nothing is written beside the library", [f"'{each}' is there" for each in strangers])
    entries: Entries = {entry["path"]: entry for entry in looked(library, traps)}
    for one in written:
        findings.add(one.file.kind, one.file.name, _fault(one, entries.get(one.path), traps.secret))
    _judge_library(folder, traps, findings, written)


def _write(world: World, findings: Findings, folder: Path, *, number: int, only: str) -> list[Written]:
    written = []
    for file in hostile_files(world, number=number, only=only):
        place = folder / file.kind.replace(":", "").replace(" ", "-")
        try:
            path = file.write(place)
        except OSError as error:
            findings.add(file.kind, file.name, skipped=f"this file system does not take it ({error.strerror})")
        else:
            shown = str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")
            written.append(Written(file=file, path=shown))
    return written


def _judge_run(ran: Ran, traps: Traps, findings: Findings) -> None:
    kind = "the run over all files"
    findings.check(kind, "it ends by itself, with 0 or 3, and without a traceback", ran.faults(0, 3))
    findings.check(kind, "no program, no address, nothing written elsewhere", traps.sprung())
    findings.check(kind, "nothing invisible goes to a terminal", _invisible(ran))
    say(f"peak memory of the run, its own and its readers': {ran.memory}; {ran.seconds:.0f} s")
    most = f"it took {ran.memory}, the limit is {MOST_MEMORY_BYTES / 1e9:.1f} GB"
    findings.check(kind, "memory", [most] if ran.memory.peak_bytes > MOST_MEMORY_BYTES else [])
    largest = max(ran.memory.parts[1:], default=0)
    over = f"one held {largest / 1e9:.1f} GB, the limit is {MOST_WORKER_BYTES / 1e9:.1f} GB"
    findings.check(kind, "no reader over its memory", [over] if largest > MOST_WORKER_BYTES else [])


def _seen(folder: Path) -> set[tuple[str, tuple[int, int]]]:
    """Every file with its size and time of change."""
    found = ((path, path.lstat()) for path in folder.rglob("*") if not path.is_dir())
    return {(str(path), (status.st_size, status.st_mtime_ns)) for path, status in found}


def _invisible(ran: Ran) -> list[str]:
    """Control characters and marks that turn the line round, on either stream."""
    found = {letter for letter in ran.out + ran.err if letter in _INVISIBLE}
    return [f"U+{ord(letter):04X} was printed" for letter in sorted(found)]


def _judge_library(folder: Path, traps: Traps, findings: Findings, written: Sequence[Written]) -> None:
    kind, library = "the library afterwards", folder / "library"
    verified = llavero("verify", "--library", library, traps=traps)
    findings.check(kind, "verify is clean", verified.faults(0))
    listed = llavero("list", "--library", library, "--json", traps=traps)
    missing = _not_listed(listed, written)
    findings.check(kind, "list names every file", [*listed.faults(0), *missing])
    findings.check(kind, "list prints nothing invisible", _invisible(listed))
    again = llavero("index", folder / "files", "--library", library, "--json", traps=traps)
    findings.check(kind, "a second run embeds nothing", [*again.faults(0, 3), *_did_more(again)])
    findings.check(kind, "and springs no trap", traps.sprung())


def _not_listed(listed: Ran, written: Sequence[Written]) -> list[str]:
    try:
        known = {file["path"] for file in json.loads(listed.out)["files"]}
    except ValueError:
        return ["it printed no JSON"]
    missing = [one for one in written if one.file.fate != "left out" and one.path not in known]
    return [f"{len(missing)} are missing, such as '{missing[0].file.name}'"] if missing else []


def _did_more(again: Ran) -> list[str]:
    try:
        report = json.loads(again.out)
    except ValueError:
        return ["it printed no JSON"]
    return [f"{report[name]} {name}" for name in ("added", "updated", "removed", "chunks") if report[name]]


def _fault(one: Written, entry: Mapping[str, Any] | None, secret: str) -> str:
    """Why this file did not come out as it must; "" where it did."""
    file = one.file
    if file.fate == "left out":
        return f"it is no file, and {entry['state']}" if entry else ""
    if entry is None:
        return "missing: neither indexed nor failed"
    if secret in entry["text"]:
        return "the canary's secret was drawn into its text"
    if entry["state"] == "failed":
        return _fault_of_failed(file, entry["reason"])
    if entry["state"] != "indexed":
        return f"left {entry['state']}"
    return _fault_of_indexed(file, entry)


def _fault_of_failed(file: HostileFile, reason: str) -> str:
    if not reason.strip():
        return "failed without a reason"
    if file.fate == "read" or (file.words and _STOPPED in reason):
        return f"it should have been read, and failed: {reason}"
    return ""


def _fault_of_indexed(file: HostileFile, entry: Mapping[str, Any]) -> str:
    if not entry["chunks"] and not entry["notes"]:
        return "indexed without chunks and without a note"
    if file.most_chunks and entry["chunks"] > file.most_chunks:
        return f"{entry['chunks']:,} chunks, where {file.most_chunks:,} are plenty"
    gone = [word for word in file.words if word not in entry["text"]]
    if gone and not entry["notes"]:
        return f"the word '{gone[0]}' is neither found nor noted as cut"
    return ""
