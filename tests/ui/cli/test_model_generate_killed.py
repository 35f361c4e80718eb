"""`llavero model generate` as a real process against a server in every kind of trouble, killed at random moments."""

import hashlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from generating_world import coco
from writing_server import Trouble, good, serving

from llava_model.serving.engine import Reply, Turn
from llava_model.serving.http.access_control import listen
from llava_model.serving.http.server import ModelServer, ServerSettings

PICTURES = 40
USAGE = {"prompt_tokens": 500, "completion_tokens": 200}


class Unruly:
    """What it says to a request depends on the request alone, so that two runs can be compared byte for byte; what it
    does besides (fail, break off, be busy or slow) it does to a request's first try."""

    def __init__(self) -> None:
        self._lock, self._tries = threading.Lock(), Counter[str]()
        self.troubles = Counter[str]()
        self.answered = Counter[str]()
        self.spent = 0

    def __call__(self, body: dict[str, Any], number: int) -> Trouble:
        mark = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            self._tries[mark] += 1
            name, trouble = self._trouble(int(mark[:8], 16) % 12, self._tries[mark] == 1, body)
            self.troubles[name] += 1
            if trouble.status == 200:
                self.spent += sum(USAGE.values())
                self.answered[mark] += name != "broken off"
        return trouble

    def _trouble(self, kind: int, first: bool, body: dict[str, Any]) -> tuple[str, Trouble]:
        match kind:
            case 0:
                return "refusal", Trouble(text="I'm sorry, but I cannot help with that.", usage=USAGE)
            case 1:
                return "wrong format", Trouble(text="Sure! I would love to help with your pictures", usage=USAGE)
            case 2:
                return "truncated", Trouble(text=good(body)[:40], finish="length", usage=USAGE)
            case 3 if first:
                return "500", Trouble(status=500)
            case 4 if first:
                return "429", Trouble(status=429, retry_after="0.05")
            case 5 if first:
                return "broken off", Trouble(raw=b'{"choices": [{"message": {"content": "cut in the mid')
            case 6:
                return "slow", Trouble(text=good(body), delay_seconds=0.4, usage=USAGE)
        return "none", Trouble(text=good(body), delay_seconds=0.03, usage=USAGE)


class ScriptedEngine:
    """What `llavero serve` needs of an engine; it writes what a good model would, a word every few milliseconds."""

    name, context_tokens, sees_images, most_characters, most_images = "writer", 8192, False, 100_000, 0
    max_running = 1

    def __init__(self) -> None:
        self.asked, self.given_up = 0, 0

    def count_tokens(self, turns: list[Turn]) -> int:
        return 500

    def stream(self, turns: list[Turn], *, cancelled: Callable[[], bool], **_: Any) -> Reply:
        text = good({"messages": [{"role": turn.role, "content": turn.text} for turn in turns]})

        def write(reply: Reply) -> Iterator[str]:
            self.asked += 1
            for word in text.split(" "):
                if cancelled():
                    self.given_up += 1
                    return
                time.sleep(0.003)
                reply.completion_tokens += 1
                yield word if reply.completion_tokens == 1 else f" {word}"

        return Reply(write, prompt_tokens=500)


@contextmanager
def our_own(engine: ScriptedEngine, **settings: Any) -> Iterator[str]:
    """Our server around it; its address."""
    server = ModelServer(cast(Any, engine), listen("127.0.0.1", 0, api_key=""), ServerSettings(**settings))
    thread, url = threading.Thread(target=server.run), server.url
    thread.start()
    try:
        yield url
    finally:
        server.stop()
        thread.join()


def command(folder: Path, url: str, out: Path, *more: object) -> list[str]:
    """The command line that a person would type."""
    words = [
        "model", "generate", "--coco", folder / "captions.json", "--instances", folder / "instances.json",
        "--images", folder / "images", "--endpoint", url, "--model", "writer", "--out", out,
        "--concurrency", 4, "--json", *more,
    ]  # fmt: skip
    return [sys.executable, "-m", "ui.cli.main", *map(str, words)]


def killed(command: list[str], asked: Callable[[], int], moments: list[float]) -> int:
    """Run it once for each moment and kill it so many seconds behind its first request; how often that hit it alive."""
    hits = 0
    for seconds in moments:
        before = asked()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ends = time.monotonic() + 120
        while asked() == before and process.poll() is None and time.monotonic() < ends:
            time.sleep(0.005)
        time.sleep(seconds)
        hits += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    return hits


def finished(command: list[str]) -> dict[str, Any]:
    """Its report."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3) and "Traceback" not in done.stderr, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def ids_of(out: Path) -> list[str]:
    return [record["id"] for record in json.loads((out / "train.json").read_text("utf-8"))]


def random_moments(kills: int, seed: int) -> list[float]:
    draw = random.Random(seed)
    return [draw.uniform(0, 0.8) for _ in range(kills)]


@pytest.mark.slow
def test_ten_kills_under_every_trouble_lose_and_double_nothing(tmp_path: Path) -> None:
    coco(tmp_path, PICTURES)
    with serving(Unruly()) as calm:
        undisturbed = finished(command(tmp_path, calm.url, tmp_path / "undisturbed"))
    unruly = Unruly()
    with serving(unruly) as server:
        ours = command(tmp_path, server.url, tmp_path / "out")
        hits = killed(ours, lambda: len(server.bodies), random_moments(10, seed=4))
        report = finished(ours)
        again = finished(ours)
    assert hits == 10
    assert (tmp_path / "out/train.json").read_bytes() == (tmp_path / "undisturbed/train.json").read_bytes()
    for part in ("made_by_kind", "refused", "failed", "dropped", "dropped_exchanges", "repaired"):
        assert report[part] == undisturbed[part] == again[part], part
    made = ids_of(tmp_path / "out")
    elsewhere = [*report["refused"]["ids"], *(one["id"] for one in report["failed"])]
    elsewhere += [name for reason in report["dropped"].values() for name in reason["ids"]]
    assert len(made) == report["made"] and report["left"] == 0
    assert sorted(made + elsewhere) == sorted(
        f"{picture}-{kind}" for picture in range(1, PICTURES + 1) for kind in ("conversation", "detail", "complex")
    )
    assert set(unruly.troubles) == {"refusal", "wrong format", "truncated", "500", "429", "broken off", "slow", "none"}
    paid_twice = sum(times - 1 for times in unruly.answered.values())
    assert paid_twice <= 10 * 4 and again["requests"] == 0  # what was in flight at a kill, and no more


@pytest.mark.slow
def test_ten_kills_never_overspend_the_budget(tmp_path: Path) -> None:
    coco(tmp_path, PICTURES)
    unruly, limit = Unruly(), 90_000
    with serving(unruly) as server:
        ours = command(tmp_path, server.url, tmp_path / "out", "--max-tokens-total", limit)
        killed(ours, lambda: len(server.bodies), random_moments(10, seed=5))
        report = finished(ours)
    assert report["stopped"] == "budget" and report["left"]
    assert 0 < unruly.spent <= report["tokens"]["total"] <= limit
    assert len(ids_of(tmp_path / "out")) == report["made"]


@pytest.mark.slow
def test_ten_kills_against_our_own_server_lose_nothing_although_it_is_often_too_busy(tmp_path: Path) -> None:
    coco(tmp_path, 30)
    with our_own(ScriptedEngine()) as url:
        undisturbed = finished(command(tmp_path, url, tmp_path / "undisturbed", "--kinds", "detail"))
    engine = ScriptedEngine()
    with our_own(engine, most_waiting=1) as url:
        ours = command(tmp_path, url, tmp_path / "out", "--kinds", "detail")
        killed(ours, lambda: engine.asked, random_moments(10, seed=6))
        report = finished(ours)
    assert undisturbed["made"] == report["made"] == 30
    assert (tmp_path / "out/train.json").read_bytes() == (tmp_path / "undisturbed/train.json").read_bytes()
    assert engine.asked <= 30 + 10 * 2  # of each kill what was being written, and what waited next to it
