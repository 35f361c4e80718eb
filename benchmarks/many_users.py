"""Fifty users of one service on a small machine, an indexing job, and a `kill -9` in the middle of both.

    python benchmarks/many_users.py [--minutes 10] [--users 50] [--think-seconds 20]

The sample collection in a new library, `llavero api` with a key for each user. A user searches (nine times in ten) or
asks (once in ten), reads for a while (--think-seconds, half to one and a half of it), and goes on. At a quarter of the
time an administrator hands in a job over many new files; while it runs the service is killed, and started again.

Expected, and the exit code is 1 where it is not so:
- no answer but 200 and the documented 429, from when the service is up until it is killed, and after it is back
- p95 of search below three times that of one user alone
- memory flat: in each life of the service of two minutes or more, the last third has at most 1.15 times the middle one
- after the restart the job goes on by itself, every file is there once, and `verify` finds nothing amiss
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from llavero_processes import SAMPLE, Service, llavero

from ui.api.access import KeyFile

_WORDS = ("family ticket", "who restored the lens", "opening hours", "softener cartridge", "polar bear", "a rocket")
_QUESTIONS = ("What does a family ticket cost?", "Who restored the lens?", "When is the museum closed?")
_ALLOWED = (200, 429)
_IDLE_SEARCHES = 40
_SHORTEST_LIFE_SECONDS = 120


@dataclass
class Seen:
    """What all users saw. `down` are requests that met no service while it was dead."""

    searches: list[tuple[float, float]] = field(default_factory=list)  # (when, seconds)
    asks: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    down: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Users:
    """Threads that search, ask and read."""

    def __init__(self, service: Service, keys: list[str], think_seconds: float) -> None:
        self.seen, self.is_down, self._ended = Seen(), threading.Event(), threading.Event()
        self._service, self._think = service, think_seconds
        self._threads = [threading.Thread(target=self._be, args=(n, key), daemon=True) for n, key in enumerate(keys)]

    def start(self) -> None:
        """All of them, each after a while of its own."""
        for each in self._threads:
            each.start()

    def end(self) -> None:
        """When each has its last answer."""
        self._ended.set()
        for each in self._threads:
            each.join(120)

    def _be(self, number: int, key: str) -> None:
        chance = random.Random(number)
        self._ended.wait(chance.random() * self._think)
        while not self._ended.is_set():
            asks = chance.random() < 0.1
            body = {"text": chance.choice(_QUESTIONS if asks else _WORDS)} | ({"stream": False} if asks else {})
            self._one("ask" if asks else "search", body, key)
            self._ended.wait((0.5 + chance.random()) * self._think)

    def _one(self, what: str, body: dict[str, Any], key: str) -> None:
        began, was_down = time.monotonic(), self.is_down.is_set()
        try:
            status, _ = self._service.asked("POST", what, body, key)
        except (OSError, ValueError) as error:
            with self.seen.lock:
                if was_down or self.is_down.is_set():
                    self.seen.down += 1
                else:
                    self.seen.faults.append(f"{what}: {type(error).__name__}: {error}")
            return
        took = time.monotonic() - began
        with self.seen.lock:
            self.seen.statuses[status] += 1
            if status not in _ALLOWED:
                self.seen.faults.append(f"{what}: {status}")
            elif status == 200 and what == "search":
                self.seen.searches.append((began, took))
            elif status == 200:
                self.seen.asks.append(took)


class Memory:
    """The service's memory with that of its workers, every second: a series for each of its lives."""

    def __init__(self) -> None:
        self.lives: list[list[float]] = []
        self._ended = threading.Event()

    def watch(self, process: int) -> None:
        """From now on this process: a new life."""
        life: list[float] = []
        self.lives.append(life)
        threading.Thread(target=self._look, args=(process, life), daemon=True).start()

    def _look(self, process: int, life: list[float]) -> None:
        while not self._ended.wait(1):
            try:
                watched = psutil.Process(process)
                tree = [watched, *watched.children(recursive=True)]
                life.append(sum(each.memory_info().rss for each in tree) / 1e6)
            except psutil.Error:
                return

    def end(self) -> None:
        """Look no more."""
        self._ended.set()


def main() -> int:
    """Print what was seen, and which expectation failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--think-seconds", type=float, default=20.0, help="what a user reads between two requests")
    parser.add_argument("--new-files", type=int, default=150, help="how many the indexing job has")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llavero-users-") as scratch:
        return run(Path(scratch), asked.minutes * 60, asked.users, asked.think_seconds, asked.new_files)


def run(scratch: Path, seconds: float, users: int, think_seconds: float, new_files: int) -> int:
    """The whole of it → the exit code."""
    library, files = scratch / "library", scratch / "new"
    llavero("index", SAMPLE, library=library)
    write_files(files, new_files)
    keyfile = KeyFile(scratch / "keys.json")
    admin = keyfile.add("admin", "admin")
    keys = [keyfile.add(f"user {number}", "read") for number in range(users)]
    service = Service(library, keys=scratch / "keys.json")
    memory = Memory()
    memory.watch(service.process.pid)
    everyone = Users(service, keys, think_seconds)
    try:
        service.asked("POST", "ask", {"text": _QUESTIONS[0], "stream": False}, admin)  # models are loaded from here on
        idle = [timed(service, keys[0]) for _ in range(_IDLE_SEARCHES)]
        began = time.monotonic()
        everyone.start()
        time.sleep(seconds / 4)
        status, document = service.asked("POST", "jobs", {"paths": [str(files)]}, admin)
        assert status == 202, (status, document)
        killed_at = wait_until_under_way(service, document["job"], admin)
        everyone.is_down.set()
        service.kill()
        down_at = time.monotonic()
        service.start()
        memory.watch(service.process.pid)
        back_after = time.monotonic() - down_at
        everyone.is_down.clear()
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        everyone.end()
        after = after_restart(service, document["job"], admin, new_files)
    finally:
        everyone.end()
        memory.end()
        service.end()
    return judged(everyone.seen, idle, memory, after, killed_at, back_after)


def write_files(folder: Path, count: int) -> None:
    """Notes that nothing in the sample collection is about, each a little longer than the one before."""
    folder.mkdir()
    chance = random.Random(7)
    words = ("moss", "lichen", "fern", "spore", "frond", "rhizome", "canopy", "bark", "humus", "loam", "sap", "bramble")
    for number in range(count):
        text = " ".join(chance.choice(words) for _ in range(200 + number))
        (folder / f"note-{number:04d}.txt").write_text(f"Note {number}. {text}.\n")


def timed(service: Service, key: str) -> float:
    """One search of a user who is alone."""
    began = time.monotonic()
    status, _ = service.asked("POST", "search", {"text": random.choice(_WORDS)}, key)
    assert status == 200, status
    return time.monotonic() - began


def wait_until_under_way(service: Service, job: int, key: str) -> int:
    """Until some files of the job are done → how many."""
    while True:
        _, document = service.asked("GET", f"jobs/{job}", None, key)
        done = (document.get("progress") or {}).get("done", 0)
        if done >= 10 or document["state"] not in ("waiting", "running"):
            return done
        time.sleep(0.2)


def after_restart(service: Service, job: int, key: str, new_files: int) -> dict[str, Any]:
    """What the library holds once the job has ended."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        status, document = service.asked("GET", f"jobs/{job}", None, key)
        if status != 200 or document["state"] in ("done", "failed", "stopped"):
            break
        time.sleep(0.5)
    _, files = service.asked("GET", "files", None, key)
    _, verified = service.asked("POST", "verify", {"repair": False}, key)
    expected = new_files + sum(path.is_file() for path in SAMPLE.rglob("*"))
    paths = [each["path"] for each in files["files"] if each["state"] == "indexed"]
    new = [path for path in paths if "/note-" in path]
    return {
        "job": document.get("state", status),
        "new files": len(new), "handed in": new_files,
        "once": len(paths) == len(set(paths)),
        "missing": verified["missing"], "orphaned": verified["orphaned"], "expected": expected, "files": len(paths),
    }  # fmt: skip


def judged(
    seen: Seen, idle: list[float], memory: Memory, after: dict[str, Any], killed_at: int, back_after: float
) -> int:
    """Print the figures → 1 where an expectation failed."""
    busy = sorted(took for _, took in seen.searches)
    alone, together = p95(idle), p95(busy)
    print(f"answers: {dict(seen.statuses)}; {seen.down} met no service while it was dead ({back_after:.1f} s)")
    print(f"killed when {killed_at} of {after['handed in']} new files were done")
    print(f"afterwards: {json.dumps(after)}")
    print(f"search, alone: median {ms(statistics.median(idle))}, p95 {ms(alone)}")
    print(f"search, {len(busy)} of all users: median {ms(statistics.median(busy))}, p95 {ms(together)}")
    if seen.asks:
        print(f"ask, {len(seen.asks)}: median {statistics.median(seen.asks):.1f} s, longest {max(seen.asks):.1f} s")
    growth = []
    for number, life in enumerate(memory.lives, start=1):
        if len(life) >= _SHORTEST_LIFE_SECONDS:  # before that, models are being loaded
            third = len(life) // 3
            middle, last = statistics.mean(life[third : 2 * third]), statistics.mean(life[2 * third :])
            growth.append(last / middle)
            print(f"memory, life {number}: {life[0]:.0f} MB at its start, {middle:.0f} then {last:.0f} MB")
    expectations = {
        f"nothing but 200 and 429 {seen.faults[:5]}": not seen.faults,
        f"p95 of search {together / alone:.1f} times that alone, below 3": together < 3 * alone,
        f"memory flat {[round(each, 2) for each in growth]}, at most 1.15": all(each <= 1.15 for each in growth),
        "the job went on after the restart": after["job"] == "done",
        "nothing lost, nothing doubled": after["new files"] == after["handed in"] and after["once"],
        "ledger and store agree": (after["missing"], after["orphaned"]) == (0, 0),
    }
    for words, holds in expectations.items():
        print(f"{'held  ' if holds else 'FAILED'}  {words}")
    return 0 if all(expectations.values()) else 1


def p95(values: list[float]) -> float:
    """The value that 95 of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def ms(seconds: float) -> str:
    """In milliseconds."""
    return f"{1000 * seconds:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
