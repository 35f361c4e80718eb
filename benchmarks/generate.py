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
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "tests/llava_model")]

from generating_world import coco, run  # noqa: E402  # they lie among the tests
from writing_server import Trouble, WritingServer, good, serving  # noqa: E402


def alone(server: WritingServer, bodies: list[bytes], concurrency: int) -> float:
    """Requests a second of plain clients with open connections."""
    host = urlsplit(server.url).netloc

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


def ours(server: WritingServer, folder: Path, out: Path, requests: int, concurrency: int) -> float:
    """Samples a second of a whole run, reading the captions and writing the files included."""
    began = time.perf_counter()
    report = run(folder, server.url, out, kinds=("conversation",), concurrency=concurrency)
    assert report.samples == requests, report.line()
    return requests / (time.perf_counter() - began)


def main() -> None:
    """Compare in turns, so that what else the machine does falls on both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        coco(folder, options.requests)
        with serving(lambda body, number: Trouble(text=good(body), delay_seconds=options.seconds)) as server:
            ours(server, folder, folder / "warm", options.requests, options.concurrency)
            bodies = [json.dumps(body).encode() for body in server.bodies]
            for turn in range(options.rounds):
                plain = alone(server, bodies, options.concurrency)
                made = ours(server, folder, folder / f"out{turn}", options.requests, options.concurrency)
                ratios.append(made / plain)
                print(f"server alone {plain:.1f}/s, generate {made:.1f}/s, ratio {ratios[-1]:.3f}")
    print(
        f"median ratio {statistics.median(ratios):.3f} ({options.concurrency} at once, {options.seconds:g} s a reply)"
    )


if __name__ == "__main__":
    main()
