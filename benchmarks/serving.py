"""Several replies at once against one after the other: the same weights, the same requests, in one run.

    OMP_NUM_THREADS=2 python benchmarks/serving.py [--kit pocket] [--requests 8] [--rounds 5] [--new-tokens 64]
    python benchmarks/serving.py --dtype float32 --rounds 1     (the replies are the same, token for token)
    python benchmarks/serving.py --memory [--prompt-tokens 1500]

All requests share evidence and differ in their question; end marks are ignored, so that each reply has the same length.

    at once          the engine, from a thread for each request
    one at a time    the same engine with --at-once 1: it finds the shared evidence in its memory too
    transformers     `generate` with the prompts padded into one batch
    first token      of a question about evidence that was read before, against the first question about it

The rounds take turns, so that what else the machine does falls on all. `--memory`: the peak with that many requests of
that length at once, the worst case, in which they share nothing.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from llava_model.serving.engine import Engine, Turn
from llava_model.serving.generate import Sampling
from llava_model.serving.opening import open_engine

ENGLISH = "In {year} the factory of town number {number} made {chairs} chairs and {tables} tables for {other} schools."


def evidence(tokens: int, engine: Engine, seed: int = 0) -> str:
    """Sentences that take about so many tokens."""
    lines: list[str] = []
    while engine.count_tokens([Turn(role="system", text=" ".join(lines))]) < tokens:
        number = len(lines) + seed * 1000
        lines.append(
            ENGLISH.format(year=1900 + number % 100, number=number, chairs=number * 37 % 91, tables=number * 53 % 97,
                           other=number * 7 % 31)
        )  # fmt: skip
    return " ".join(lines)


def asked(text: str, number: int) -> list[Turn]:
    """Question number `number` about the evidence."""
    question = f"What did town number {number} make, and for whom? Tell it in your own words."
    return [Turn(role="system", text=f"Answer from the evidence. {text}"), Turn(role="user", text=question)]


def forget(engine: Engine) -> None:
    """A cold start without loading the weights again."""
    engine._batcher.pool.clear()


def say(engine: Engine, turns: list[Turn], new_tokens: int) -> tuple[float, list[int]]:
    """Seconds to the first token, and all tokens."""
    began = time.perf_counter()
    prompt = engine._prompt(engine._encode(turns), [])
    first, tokens = 0.0, []
    with closing(engine._handed_over(prompt, new_tokens, Sampling(), lambda: False)) as ids:
        for token in ids:
            first = first or time.perf_counter() - began
            tokens.append(token)
    return first, tokens


def at_once(engine: Engine, requests: list[list[Turn]], new_tokens: int) -> tuple[float, list[list[int]]]:
    """Tokens a second, reading included, and the replies."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(requests)) as pool:
        replies = list(pool.map(lambda turns: say(engine, turns, new_tokens)[1], requests))
    return sum(map(len, replies)) / (time.perf_counter() - began), replies


def one_at_a_time(engine: Engine, requests: list[list[Turn]], new_tokens: int) -> tuple[float, list[list[int]]]:
    """Tokens a second, reading included, and the replies."""
    began = time.perf_counter()
    replies = [say(engine, turns, new_tokens)[1] for turns in requests]
    return sum(map(len, replies)) / (time.perf_counter() - began), replies


@torch.inference_mode()
def transformers_batch(engine: Engine, requests: list[list[Turn]], new_tokens: int) -> float:
    """Tokens a second of one padded batch, reading included."""
    language: Any = engine._model.language
    ids = [engine._encode(turns).ids for turns in requests]
    longest = max(map(len, ids))
    began = time.perf_counter()
    ids_BT = torch.tensor([[0] * (longest - len(one)) + list(one) for one in ids])
    mask_BT = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in ids])
    output = language.generate(
        input_ids=ids_BT, attention_mask=mask_BT, max_new_tokens=new_tokens, min_new_tokens=new_tokens,
        do_sample=False, pad_token_id=0,
    )  # fmt: skip
    assert output.shape[1] == longest + new_tokens
    return len(ids) * new_tokens / (time.perf_counter() - began)


def rounds(options: argparse.Namespace) -> Iterator[dict[str, float]]:
    """One round after the other, all ways in each."""
    many = open_engine(kit=options.kit, device="cpu", max_running=options.at_once)
    if options.dtype == "float32":
        many._model.float()
    one = Engine(many._model, many._encoder, name="one", context_tokens=many.context_tokens, max_running=1)
    for engine in (many, one):
        engine._stop_ids = frozenset()
    text = evidence(options.evidence_tokens, many)
    requests = [asked(text, number) for number in range(options.requests)]
    print(
        f"{options.requests} requests of about {many.count_tokens(requests[0])} tokens, {options.new_tokens} new ones"
    )
    say(one, asked("", 0), 4)  # what only the first pass of a process needs
    for number in range(options.rounds):
        for engine in (many, one):
            forget(engine)
        fast, together = at_once(many, requests, options.new_tokens)
        slow, apart = one_at_a_time(one, requests, options.new_tokens)
        same = sum(mine == alone for mine, alone in zip(together, apart, strict=True)) / len(requests)
        seen = {"at once": fast, "one at a time": slow, "same": same}
        seen["transformers"] = transformers_batch(many, requests, options.new_tokens)
        forget(one)
        first, _ = say(one, requests[number % len(requests)], 1)
        again, _ = say(one, asked(text, 100 + number), 1)
        yield seen | {"first token": first, "follow-up": again}


def from_system(field: str) -> int:
    """KiB, as Linux counts them for this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1])


def memory(options: argparse.Namespace) -> None:
    """The peak of the process beside what the loaded model takes. Linux only."""
    engine = open_engine(kit=options.kit, device="cpu", max_running=options.at_once)
    engine._stop_ids = frozenset()
    say(engine, asked("", 0), 4)
    requests = [
        asked(evidence(options.prompt_tokens, engine, seed=number + 1), number) for number in range(options.requests)
    ]
    tokens = sum(map(engine.count_tokens, requests))
    loaded = from_system("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on, loading left out
    at_once(engine, requests, options.new_tokens)
    peak = from_system("VmHWM")
    kept = engine._batcher.pool.bytes
    print(f"{options.requests} requests, {tokens:,} tokens of prompts that share next to nothing")
    print(f"model {loaded / 1024:,.0f} MiB, peak {peak / 1024:,.0f} MiB, kept afterwards {kept / 2**20:,.0f} MiB")


def main() -> None:
    """Print each round, and the medians of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kit", default="pocket")
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--evidence-tokens", type=int, default=700)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--dtype", choices=["auto", "float32"], default="auto")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--prompt-tokens", type=int, default=1500)
    options = parser.parse_args()
    if options.memory:
        memory(options)
        return
    seen = []
    for one in rounds(options):
        seen.append(one)
        rates = ", ".join(f"{name} {one[name]:.1f}/s" for name in ("at once", "one at a time", "transformers"))
        rates += f"; {one['same']:.0%} of the replies the same"
        print(f"{rates}; first token {one['first token']:.2f} s, follow-up {one['follow-up']:.2f} s", flush=True)
    for name, below in (("at once", "one at a time"), ("at once", "transformers")):
        print(f"{name} / {below}: median {statistics.median(one[name] / one[below] for one in seen):.2f}")
    shares = [one["follow-up"] / one["first token"] for one in seen]
    print(f"follow-up's first token / first: median {statistics.median(shares):.2f}")


if __name__ == "__main__":
    main()
