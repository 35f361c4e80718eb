"""How many false sentences get a tick and how many true ones do: 1,000 pairs from documents that training never saw.

    apt-get download installation-guide-amd64 debian-faq debian-faq-de debian-faq-fr aptitude-doc-en aptitude-doc-es …
    for each of them: dpkg -x FILE PACKAGES/NAME
    python benchmarks/citations.py --packages PACKAGES --embedder "$(llavero kit path small)/text"

Both kits: `pocket`, whose code decides alone, and `small` with its verifier; by kind and language, with 95 % intervals.
The kinds `new_report` and `new_roles` are put together from frames that training never saw either. Then the time that
one pair takes.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from claims.settings import CitationSettings
from claims.verifier import CrossVerifier, load_verifier
from recipes.small.pairs import Pair, make
from recipes.small.prose import paragraphs
from recipes.small.score import scores

_WEIGHTS = Path(__file__).parent.parent / "llava_model" / "kits" / "weights" / "small" / "verifier.safetensors"


def milliseconds(verifier: CrossVerifier, pairs: list[Pair]) -> dict[str, float]:
    """Of one pair alone: on the clock, and of this process."""
    clock: list[float] = []
    process: list[float] = []
    for pair in pairs:
        started, used = time.perf_counter(), time.process_time()
        verifier.probabilities([(pair.claim, pair.passage)])
        clock.append((time.perf_counter() - started) * 1000)
        process.append((time.process_time() - used) * 1000)
    return {"median clock": statistics.median(clock), "median process": statistics.median(process)}


def main() -> None:
    """Score both kits and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=_WEIGHTS)
    parser.add_argument("--part", default="test", choices=["test", "dev"])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--threshold", type=float, default=CitationSettings().least_support)
    args = parser.parse_args()
    pairs = list(make(paragraphs(args.packages, args.part), seed=args.seed, count=args.pairs, held_out=True))
    verifier = load_verifier(args.embedder, args.weights)
    found = {"pocket": scores(None, pairs, 0.5), "small": scores(verifier, pairs, args.threshold)}
    short = [pair for pair in pairs if 150 < len(pair.claim) + len(pair.passage) < 330][:60]  # up to about 96 tokens
    print(json.dumps({**found, "milliseconds a pair": milliseconds(verifier, short)}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
