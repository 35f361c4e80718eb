"""Attacks Llavero with hostile files, requests, a full disk and kills, and prints what was tried, held and failed.

    python tests/hostile/run.py [--only WORD] [--seed N] [--files N] [--keep FOLDER]

Everything comes from a seed. Exit code 1 when anything failed. `make hostile` runs it.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import indexing_attack
import interruptions
import page_attack
import serving_attack
from findings import Findings, say
from makers import World
from traps import HERE, Traps


def main() -> int:
    asked = _asked()
    began, findings = time.monotonic(), Findings()
    with _folder(asked.keep) as folder:
        traps = Traps(folder / "traps")
        say(f"seed {asked.seed}, in {folder}")
        for part in (indexing_attack, interruptions, serving_attack, page_attack):
            random = Random(asked.seed)  # of its own: what another part drew changes nothing
            world = World(random=random, canary=traps.canary, address=traps.listener.url, corpus=_corpus())
            try:
                part.attack(world, traps, findings, folder, asked)
            except (RuntimeError, OSError) as error:  # a server that does not come up, a library that is not there
                findings.add("the attack itself", part.__name__, f"{type(error).__name__}: {error}")
    say("")
    for line in findings.table():
        say(line)
    say(f"{time.monotonic() - began:.0f} s")
    say(f"{findings.passed} passed, {findings.failed} failed")
    return 1 if findings.failed else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Attack Llavero and print what held.")
    parser.add_argument("--only", default="", metavar="WORD", help="only kinds of attack whose name contains it")
    parser.add_argument("--seed", type=int, default=2026, metavar="N", help="another one damages other bytes")
    parser.add_argument("--files", type=int, default=410, metavar="N", help="how many hostile files")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a new folder that stays, to look at what failed")
    return parser.parse_args()


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="llavero-hostile-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _corpus() -> Path | None:
    """Other people's files are never needed."""
    folder = Path(os.environ.get("LLAVERO_TEST_CORPUS", HERE.parents[2] / "shared" / "corpus"))
    return folder if folder.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
