"""How much of a server's throughput `llavero model generate` uses: samples a second against the server alone.

    python benchmarks/generate.py [--requests 400] [--concurrency 8] [--seconds 0.1] [--rounds 5]

A scripted server takes `--seconds` for each reply. Alone: the same requests from threads that do nothing but send
them, each over a connection of its own. Prints the rates of every round and the median of their ratios; 0.9 or more
is wanted.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "tests/llava_model")]

from generating_world import coco, run  # noqa: E402  # they lie among the tests
from writing_server import Trouble, good, serving  # noqa: E402  # they lie among the tests


@contextmanager
def apart(seconds: float) -> Iterator[str]:
    """The server in a process of its own, as it is in life; its address."""
    command = [sys.executable, __file__, "--serve", "--seconds", str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def alone(url: str, bodies: list[bytes], concurrency: int) -> float:
    """Requests a second of plain clients with open connections."""
    host = urlsplit(url).netloc

    def send(share: list[bytes]) -> None:
        connection = http.client.HTTPConnection(host)
        for body in share:
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            connection.getresponse().read()
        connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(send, [bodies[start::concurrency] for start in range(concurrency)]))
    return len(bodies) / (time.perf_counter() - began)


def ours(url: str, folder: Path, out: Path, requests: int, concurrency: int) -> float:
    """Samples a second of a whole run, reading the captions and writing the files included."""
    began = time.perf_counter()
    report = run(folder, url, out, kinds=("conversation",), concurrency=concurrency)
    assert report.samples == requests, report.line()
    return requests / (time.perf_counter() - began)


def main() -> None:
    """Compare in turns, so that what else the machine does falls on both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        with serving(lambda body, number: Trouble(text=good(body), delay_seconds=options.seconds)) as server:
            print(server.url, flush=True)
            threading.Event().wait()
    ratios = []
    with tempfile.TemporaryDirectory() as name, apart(options.seconds) as url:
        folder = Path(name)
        coco(folder, options.requests)
        with serving() as seen:
            ours(seen.url, folder, folder / "warm", options.requests, options.concurrency)
        bodies = [json.dumps(body).encode() for body in seen.bodies]
        for turn in range(options.rounds):
            plain = alone(url, bodies, options.concurrency)
            made = ours(url, folder, folder / f"out{turn}", options.requests, options.concurrency)
            ratios.append(made / plain)
            print(f"server alone {plain:.1f}/s, generate {made:.1f}/s, ratio {ratios[-1]:.3f}")
    median = statistics.median(ratios)
    print(f"median ratio {median:.3f} ({options.concurrency} at once, {options.seconds:g} s a reply)")


if __name__ == "__main__":
    main()
