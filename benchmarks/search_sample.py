"""How long a search of the sample library takes once it is open, embedding the question included.

    python benchmarks/search_sample.py [--rounds 5]

Every question of examples/sample/questions.jsonl, round after round, through what `llavero search` and the page use:
question vectors, three channels, fusion, relevance. Beside it, as the floor, the question's two vectors alone.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from indexing.embedding.protocol import Embedder, keep_freed_memory
from rag.retrieve import SearchRequest
from ui.settings import Settings
from ui.workbench import Workbench

SAMPLE = Path(__file__).parent.parent / "examples" / "sample"


def milliseconds(work: Callable[[], object]) -> float:
    """Of one call."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _vectors(embedder: Embedder, text: str) -> None:
    embedder.embed_questions([text])
    embedder.embed_image_queries([text])


def main() -> None:
    """Index the sample collection, ask, print medians as text and as one JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    chosen = arguments.parse_args()
    keep_freed_memory()
    lines = (SAMPLE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Workbench.open(Settings.load(Path(folder) / "library"), create=True)) as bench,
    ):
        bench.index([SAMPLE / "collection"])
        embedder = bench.embedder
        whole: list[float] = []
        floor: list[float] = []
        bench.search(SearchRequest(text=questions[0], k=8))  # warm
        for number in range(chosen.rounds):
            for question in questions:
                asked = question if number == 0 else f"{question} {number}"  # never the same twice
                floor.append(milliseconds(partial(_vectors, embedder, asked)))
                request = SearchRequest(text=f"{asked} please", k=8)  # other words, lest the first warmed the second
                whole.append(milliseconds(partial(bench.search, request)))
    result = {
        "searches": len(whole),
        "median_ms": round(statistics.median(whole), 1),
        "p95_ms": round(sorted(whole)[int(0.95 * len(whole))], 1),
        "vectors_alone_median_ms": round(statistics.median(floor), 1),
        "load": round(os.getloadavg()[0], 1),
    }
    alone = result["vectors_alone_median_ms"]
    print(f"search {result['median_ms']} ms (95 % up to {result['p95_ms']} ms), its two vectors alone {alone} ms")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
