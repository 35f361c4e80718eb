"""How long every verb takes from the shell: the first time, by itself, and beside a service that has the library open.

    python benchmarks/verb_times.py [--rounds 5] [--only WORD] [--save NOW.json] [--before EARLIER.json]

The sample collection in a new library; every verb is a process of its own, as a person starts it. "first" is its first
process (the files that it imports may not be in memory yet), "by itself" the median of the next ones, "beside" the
median beside `llavero api`. --save keeps the figures, and --before shows those of another version.

Expected on two quiet cores with the kit pocket: help and refusals below 0.6 s; beside the service `search` at most 0.4
s and `ask` at most 0.5 s plus the model's own time. Verbs that are slow or leave files are run once for each column.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llavero_processes import COMMAND, ROOT, SAMPLE, Service, environment, llavero

Times = Mapping[str, Mapping[str, float | None]]
_QUESTION = "What does a family ticket cost?"
_PHOTO = SAMPLE / "photos" / "talks" / "P1030277.jpg"


@dataclass(frozen=True, kw_only=True)
class Verb:
    """Words after `llavero`; NEW stands for a file that is not there yet."""

    words: tuple[str, ...]
    takes_library: bool = True
    once: bool = False
    """Slow, or leaves something behind: one round."""
    fails: bool = False
    """A refusal is what is timed."""


VERBS: Mapping[str, Verb] = {
    "--help": Verb(words=("--help",), takes_library=False),
    "search --help": Verb(words=("search", "--help"), takes_library=False),
    "ask, empty": Verb(words=("ask", ""), fails=True),
    "ask, wrong address": Verb(words=("ask", "a", "--generator", "http://127.0.0.1:9/v1"), fails=True),
    "search, no library": Verb(words=("search", "a", "--library", "/nowhere"), takes_library=False, fails=True),
    "kit list": Verb(words=("kit", "list"), takes_library=False),
    "key list": Verb(words=("key", "list"), takes_library=False),
    "doctor": Verb(words=("doctor",)),
    "stats": Verb(words=("stats",)),
    "list": Verb(words=("list",)),
    "search": Verb(words=("search", "family ticket")),
    "search --image": Verb(words=("search", "--image", str(_PHOTO))),
    "search --where": Verb(words=("search", "ticket", "--where", "extension=html")),
    "ask": Verb(words=("ask", _QUESTION)),
    "extract": Verb(words=("extract", "company, total:money", str(SAMPLE / "scans")), once=True),
    "index, nothing new": Verb(words=("index", str(SAMPLE))),
    "verify": Verb(words=("verify",)),
    "backup": Verb(words=("backup", "NEW"), once=True),
    "eval retrieval": Verb(
        words=("eval", "retrieval", str(ROOT / "examples" / "sample" / "questions.jsonl"), "--limit", "5"), once=True
    ),
    "rebuild": Verb(words=("rebuild",), once=True),
}  # fmt: skip
"""Those that a person uses every day; training and benchmarks of models are timed by their own scripts."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", metavar="WORD", help="only verbs whose name contains it")
    parser.add_argument("--save", type=Path, metavar="FILE.json")
    parser.add_argument("--before", type=Path, metavar="FILE.json")
    asked = parser.parse_args()
    before = json.loads(asked.before.read_text()) if asked.before else {}
    chosen = {name: verb for name, verb in VERBS.items() if asked.only in name}
    times: dict[str, dict[str, float | None]] = {name: {} for name in chosen}
    with tempfile.TemporaryDirectory(prefix="llavero-verbs-") as scratch:
        folder, library = Path(scratch), Path(scratch) / "library"
        llavero("index", SAMPLE, library=library)
        for name, verb in chosen.items():
            times[name]["first"] = seconds(verb, folder, library)
            again = [] if verb.once else [seconds(verb, folder, library) for _ in range(asked.rounds)]
            times[name]["by itself"] = median(again)
        service = Service(library, keys=folder / "nokeys.json")
        try:
            llavero("ask", _QUESTION, library=library)  # models are loaded from here on
            for name, verb in chosen.items():
                rounds = 1 if verb.once else asked.rounds
                beside = [seconds(verb, folder, library) for _ in range(rounds)] if verb.takes_library else []
                times[name]["beside"] = median(beside)
        finally:
            service.end()
    print_table(times, before)
    if asked.save:
        asked.save.write_text(json.dumps(times, indent=1))


def seconds(verb: Verb, folder: Path, library: Path) -> float | None:
    """One process of it; None where it does not do what it is timed for, such as beside a service that refuses it."""
    words = [str(folder / f"new-{time.monotonic_ns()}") if word == "NEW" else word for word in verb.words]
    began = time.perf_counter()
    if verb.takes_library:
        code = llavero(*words, library=library, check=False).returncode
    else:
        code = subprocess.run([*COMMAND, *words], env=environment(), capture_output=True, check=False).returncode
    took = time.perf_counter() - began
    return took if (code != 0) == verb.fails else None


def median(values: list[float | None]) -> float | None:
    """Of those that there are."""
    found = [value for value in values if value is not None]
    return statistics.median(found) if found else None


def print_table(times: Times, before: Times) -> None:
    """Seconds, and below each other those of before."""
    columns = ("first", "by itself", "beside")
    print(f"{'':24s}" + "".join(f"{column:>11s}" for column in columns) + ("   before" if before else ""))
    for name, row in times.items():
        earlier = before.get(name, {})
        told = "".join(f"{written(row.get(column)):>11s}" for column in columns)
        print(f"{name:24s}{told}" + ("   " + " / ".join(written(earlier.get(c)) for c in columns) if before else ""))


def written(value: float | None) -> str:
    """In seconds."""
    return f"{value:.2f} s" if value is not None else "—"


if __name__ == "__main__":
    sys.exit(main())
