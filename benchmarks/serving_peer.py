"""`llavero serve` beside `transformers serve`: the same weights, the same requests over HTTP, in one run.

    python benchmarks/serving_peer.py [--kit pocket] [--requests 8] [--rounds 5] [--new-tokens 64]

Both serve the kit's language model as it came, in the same number format, on two threads each, and only one of them
works at a time. The requests of a round share evidence and differ in their question; each round has evidence of its
own, so that nothing of the round before helps. Counted are the tokens that were written, reading included. The peer
runs twice: as it starts by itself, and with its `--continuous-batching` where that works on this machine.

Expected with eight requests: at least three times the peer's tokens a second, because what they share is read once.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from llavero_processes import COMMAND, environment, free_port

from llava_model.kits.definition import find

_READY_SECONDS = 180.0
_TOWN = "In {year} the factory of town number {number} made {chairs} chairs and {tables} tables for {other} schools."


@dataclass(frozen=True, kw_only=True)
class Server:
    """A process that answers `/v1/chat/completions`."""

    name: str
    url: str
    model: str


@contextmanager
def served(name: str, words: Sequence[str], model: str, folder: Path) -> Iterator[Server]:
    """Started, and ended afterwards. `words` has `PORT` where its number belongs."""
    port = free_port()
    command = [word.replace("PORT", str(port)) for word in words]
    with (folder / f"{name}.log").open("wb") as log:
        quiet = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment() | quiet)
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not come up: {(folder / f'{name}.log').read_text()[-2000:]}")
            time.sleep(0.3)
        yield Server(name=name, url=f"http://127.0.0.1:{port}/v1/chat/completions", model=model)
    finally:
        process.terminate()
        process.wait(60)


def _listens(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def evidence(round_number: int, sentences: int) -> str:
    """Sentences that no other round has."""
    return " ".join(
        _TOWN.format(year=1900 + n % 100, number=n, chairs=n * 37 % 91, tables=n * 53 % 97, other=n * 7 % 31)
        for n in range(round_number * 1000, round_number * 1000 + sentences)
    )


def reply_tokens(server: Server, text: str, number: int, new_tokens: int) -> int:
    """One request → how many tokens were written."""
    question = (
        f"Write a long story about town number {number}: its factory, its schools, its people. Do not stop early."
    )
    messages = [
        {"role": "system", "content": f"Answer from the evidence. {text}"},
        {"role": "user", "content": question},
    ]
    body = {"model": server.model, "messages": messages, "max_tokens": new_tokens, "temperature": 0}
    answer = httpx.post(server.url, json=body, timeout=600)
    answer.raise_for_status()
    return int(answer.json()["usage"]["completion_tokens"])


def tokens_a_second(server: Server, text: str, requests: int, new_tokens: int) -> float:
    """All requests at once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(requests) as pool:
        written = sum(pool.map(lambda number: reply_tokens(server, text, number, new_tokens), range(requests)))
    return written / (time.perf_counter() - began)


def main() -> None:
    """Print each round, and the medians of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kit", default="pocket")
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=25, help="of evidence; one is about 28 tokens")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument(
        "--dtype", default="float32", help="of the peer; Llavero's choice is printed by `llavero doctor`"
    )
    options = parser.parse_args()
    weights = find(options.kit).path("language")
    program = Path(sys.executable).with_name("transformers")
    peer = [str(program), "serve", str(weights), "--device", "cpu", "--dtype", options.dtype, "--port", "PORT"]
    ours = [*COMMAND, "serve", "--kit", options.kit, "--untrained", "--port", "PORT", "--device", "cpu"]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(served("llavero", ours, "", folder))
        known = httpx.get(server.url.replace("chat/completions", "models"), timeout=60).json()["data"]
        servers = [replace(server, model=known[0]["id"])]
        for title, more in (("transformers", ()), ("transformers, batching", ("--continuous-batching",))):
            try:
                server = stack.enter_context(served(title, [*peer, *more], str(weights), folder))
                reply_tokens(server, "", 0, 4)
            except (RuntimeError, httpx.HTTPError) as error:
                print(f"{title}: left out, {error}", flush=True)
                continue
            servers.append(server)
        reply_tokens(servers[0], "", 0, 4)  # what only the first pass of a process needs
        seen: list[dict[str, float]] = []
        for number in range(1, options.rounds + 1):
            text = evidence(number, options.sentences)
            rates = {s.name: tokens_a_second(s, text, options.requests, options.new_tokens) for s in servers}
            seen.append(rates)
            print(", ".join(f"{name} {rate:.1f}/s" for name, rate in rates.items()), flush=True)
        for server in servers[1:]:
            ratios = [rates["llavero"] / rates[server.name] for rates in seen]
            print(f"llavero / {server.name}: median {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
