"""What a library's owner saves a terminal, and what searching costs while others work.

    python benchmarks/library_service.py

The sample collection in a new library. Each verb is a process of its own, as a person starts it: once by itself, and
then five times beside `llavero api`, medians. Then searches over HTTP: alone, and beside a loop of `ask` and one of
uploads.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LLAVERO = str(Path(sys.executable).with_name("llavero"))
PORT = 8795
ROUNDS = 5
VERBS = {
    "search": ("search", "family ticket"),
    "stats": ("stats",),
    "ask (pocket)": ("ask", "What does a family ticket cost?"),
    "ask, empty": ("ask", ""),
    "ask, wrong address": ("ask", "a", "--generator", "http://127.0.0.1:9/v1"),
}


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long searches run in each setting")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llavero-service-") as scratch:
        library = Path(scratch) / "library"
        run("index", str(ROOT / "examples" / "sample" / "collection"), library=library)
        alone = {name: seconds(lambda words=words: run(*words, library=library)) for name, words in VERBS.items()}
        with served(library):
            run("ask", "What does a family ticket cost?", library=library)  # models are loaded from here on
            print(f"{'':22s} {'by itself':>10s} {'beside its owner':>17s}")
            for name, words in VERBS.items():
                beside = [seconds(lambda words=words: run(*words, library=library)) for _ in range(ROUNDS)]
                print(f"{name:22s} {alone[name]:8.2f} s {statistics.median(beside):15.2f} s")
            print()
            for name, others in (("alone", ()), ("beside ask and uploads", (asking, uploading))):
                took = sorted(searches(chosen.seconds, [lambda each=each: each(library) for each in others]))
                print(
                    f"search over HTTP, {name}: {len(took) / chosen.seconds:.1f} a second, median "
                    f"{1000 * statistics.median(took):.0f} ms, 95 % {1000 * took[int(0.95 * len(took))]:.0f} ms"
                )


def run(*words: str, library: Path) -> None:
    """One verb as a process; what it prints does not matter here."""
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run([LLAVERO, *words, "--library", str(library)], env=quiet, capture_output=True, check=False)


def seconds(work: Callable[[], Any]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def served(library: Path) -> Iterator[None]:
    """`llavero api` for this library."""
    words = [
        LLAVERO,
        "api",
        "--library",
        str(library),
        "--port",
        str(PORT),
        "--keys",
        str(library.parent / "keys.json"),
    ]
    service = subprocess.Popen(words, stderr=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=2):
                    break
            except OSError:
                time.sleep(0.2)
        yield
    finally:
        service.terminate()
        service.wait(30)


def asked(method: str, path: str, body: Any) -> Any:
    """A request to the service; `body` is bytes, or something that becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/v1/libraries/library/{path}",
        data,
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())


def asking(library: Path) -> None:
    """One question from a terminal."""
    run("ask", "Who restored the lens?", library=library)


def uploading(_: Path) -> None:
    """One small file, indexed."""
    data = f"The winch was greased at {time.time()}.\n".encode()
    begun = asked("POST", "uploads", {"name": f"{time.time_ns()}.txt", "size": len(data)})
    asked("PATCH", f"uploads/{begun['upload']}?offset=0", data)
    time.sleep(2)


def searches(for_seconds: float, others: list[Callable[[], None]]) -> list[float]:
    """Seconds of each search, one after the other, while the others go on."""
    ended = threading.Event()

    def again(work: Callable[[], None]) -> None:
        while not ended.is_set():
            work()

    threads = [threading.Thread(target=again, args=(work,)) for work in others]
    for thread in threads:
        thread.start()
    took, until = [], time.monotonic() + for_seconds
    while time.monotonic() < until:
        took.append(seconds(lambda: asked("POST", "search", {"text": "who mends the lighthouse lamp", "k": 8})))
    ended.set()
    for thread in threads:
        thread.join()
    return took


if __name__ == "__main__":
    main()
