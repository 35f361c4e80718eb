"""How long one search of the store takes, per channel, at several sizes. `python benchmarks/search_latency.py`.

Rows are like those of a library of documents: unit vectors of the pocket kit's width (or --dimensions), eighty words
drawn by Zipf's law, a body of about a kilobyte. Each number is the median of --repeats searches, warm, limit 50.
Beside it, as the floor, the plain numpy product and partial sort over the same vectors.
"""

import argparse
import json
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import numpy as np

from indexing.records import Chunk
from indexing.store import MilvusStore, Row
from indexing.store.protocol import Filter

WORDS = [f"word{number}" for number in range(20_000)]
LIMIT = 50


def milliseconds(search: Callable[[], object], repeats: int) -> float:
    """Median of warm calls."""
    search()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        search()
        taken.append(1_000 * (time.perf_counter() - started))
    return round(statistics.median(taken), 1)


def fill(store: MilvusStore, vectors_ND: np.ndarray) -> None:
    """One row for each vector, in both vector channels."""
    draw = random.Random(0)
    weights = list(accumulate(1 / rank for rank in range(1, len(WORDS) + 1)))
    for start in range(0, len(vectors_ND), 500):
        rows = []
        for number in range(start, min(start + 500, len(vectors_ND))):
            text = " ".join(draw.choices(WORDS, cum_weights=weights, k=80))
            chunk = Chunk(
                content_hash=f"{number // 5:064x}",
                path=f"/files/{number % 10}/{number // 5}.pdf",
                kind="text",
                ordinal=number % 5,
                text=text,
                page=1 + number % 5,
                title=f"document {number // 5}",
            )
            rows.append(Row(chunk=chunk, clip=vectors_ND[number], text=vectors_ND[-1 - number]))
        store.upsert(rows)


def measure(size: int, *, dimensions: int, repeats: int) -> dict[str, float]:
    """One library of `size` rows, made for the purpose and thrown away."""
    noise = np.random.default_rng(0)
    vectors_ND = noise.standard_normal((size, dimensions), dtype=np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    query_D = vectors_ND[size // 2]
    with tempfile.TemporaryDirectory() as folder:
        store = MilvusStore.open(Path(folder) / "milvus.db", clip_dimensions=dimensions, text_dimensions=dimensions)
        started = time.perf_counter()
        fill(store, vectors_ND)
        rows_per_second = size / (time.perf_counter() - started)
        store.ready()
        inside = Filter(where=(("folder", "/files/3"),))
        result = {
            "rows": size,
            "rows_per_second": round(rows_per_second),
            "clip": milliseconds(lambda: store.search_vector("clip", query_D, limit=LIMIT), repeats),
            "text": milliseconds(lambda: store.search_vector("text", query_D, limit=LIMIT), repeats),
            "clip_in_a_folder": milliseconds(
                lambda: store.search_vector("clip", query_D, limit=LIMIT, filter=inside), repeats
            ),
            "bm25_rare": milliseconds(lambda: store.search_words("word9000 word15000", limit=LIMIT), repeats),
            "bm25_common": milliseconds(lambda: store.search_words("word1 word40 word900", limit=LIMIT), repeats),
            "numpy": milliseconds(lambda: np.argpartition(-(vectors_ND @ query_D), LIMIT)[:LIMIT], repeats),
            "megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000),
        }
        store.close()
    return result


def main() -> None:
    """Print a table, then the same as one JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    arguments.add_argument("--dimensions", type=int, default=384)
    arguments.add_argument("--repeats", type=int, default=9)
    chosen = arguments.parse_args()
    load = os.getloadavg()[0]
    results = [measure(size, dimensions=chosen.dimensions, repeats=chosen.repeats) for size in chosen.sizes]
    names = list(results[0])
    print(" | ".join(f"{name:>16}" for name in names))
    for result in results:
        print(" | ".join(f"{result[name]:16,}" for name in names))
    print(json.dumps({"dimensions": chosen.dimensions, "load_before": load, "results": results}))


if __name__ == "__main__":
    main()
