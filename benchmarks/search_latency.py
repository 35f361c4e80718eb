"""How long one search of the store takes, per channel, at several sizes. `python benchmarks/search_latency.py`.

Rows are like those of a library of documents: unit vectors of the usual widths (--dimensions), eighty words drawn by
Zipf's law, a body of about a kilobyte. Each number is the median of --repeats searches in milliseconds, warm, limit 50,
asked of Milvus Lite, of the same library in memory, and, as the floor, of numpy: the plain product and partial sort
over the same vectors. --memory-only fills the memory straight from made-up rows: Milvus Lite takes hours for millions.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from indexing.records import CHANNELS, Channel, Chunk
from indexing.store import InMemorySearch, MilvusStore, Row, Store
from indexing.store.bm25 import Rarity, query_vector
from indexing.store.protocol import EVERYTHING, Filter
from indexing.store.row_arrays import RowArrays
from indexing.store.schema import to_entity
from rag.fuse import Ranking, fuse

WORDS = [f"word{number}" for number in range(20_000)]
LIMIT = 50
COMMON = "word1 word40 word900"
Result = dict[str, Any]


def milliseconds(search: Callable[[], object], repeats: int) -> float:
    """Median of warm calls."""
    search()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        search()
        taken.append(1_000 * (time.perf_counter() - started))
    return round(statistics.median(taken), 1)


def unit_vectors(count: int, width: int, seed: int) -> np.ndarray:
    """Evenly spread, [count, width]."""
    vectors_ND = np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return vectors_ND


def made_rows(clip_ND: np.ndarray, text_ND: np.ndarray) -> Iterator[Row]:
    """One row for each pair of vectors."""
    draw = random.Random(0)
    weights = list(accumulate(1 / rank for rank in range(1, len(WORDS) + 1)))
    for number, (clip, text) in enumerate(zip(clip_ND, text_ND, strict=True)):
        chunk = Chunk(
            content_hash=f"{number // 5:064x}",
            path=f"/files/{number % 10}/{number // 5}.pdf",
            kind="text",
            ordinal=number % 5,
            text=" ".join(draw.choices(WORDS, cum_weights=weights, k=80)),
            page=1 + number % 5,
            title=f"document {number // 5}",
        )
        yield Row(chunk=chunk, clip=clip, text=text)


def searched(store: Store, clip_D: np.ndarray, text_D: np.ndarray, repeats: int) -> dict[str, float]:
    """Each channel by itself, filters, and what one question takes: three channels and their fusion."""
    folder, file = Filter(where=(("folder", "/files/3"),)), Filter(where=(("path", "/files/3/3.pdf"),))

    def vector(channel: Channel, chosen: Filter = EVERYTHING) -> Any:
        asked = clip_D if channel == "clip" else text_D
        return store.search_vector(channel, asked, limit=LIMIT, filter=chosen)

    def words(text: str) -> Any:
        return store.search_words(text, limit=LIMIT)

    def question() -> object:
        found = [vector("clip"), vector("text"), words(COMMON)]
        rankings = zip(CHANNELS, found, strict=True)
        return fuse([Ranking(channel=channel, weight=1.0, found=each) for channel, each in rankings], constant=60.0)

    ids = [chunk.id for chunk, _ in vector("clip")]
    return {
        "clip": milliseconds(lambda: vector("clip"), repeats),
        "text": milliseconds(lambda: vector("text"), repeats),
        "bm25_rare": milliseconds(lambda: words("word9000 word15000"), repeats),
        "bm25_common": milliseconds(lambda: words(COMMON), repeats),
        "question": milliseconds(question, repeats),
        "in_a_folder": milliseconds(lambda: vector("clip", folder), repeats),
        "in_a_file": milliseconds(lambda: vector("clip", file), repeats),
        "get_50": milliseconds(lambda: store.get(ids), repeats),
    }


def floor(clip_ND: np.ndarray, text_ND: np.ndarray, clip_D: np.ndarray, text_D: np.ndarray, repeats: int) -> Result:
    """The product of all vectors alone."""

    def nearest(vectors_ND: np.ndarray, query_D: np.ndarray) -> object:
        return np.argpartition(-(vectors_ND @ query_D), LIMIT)[:LIMIT]

    return {
        "clip": milliseconds(lambda: nearest(clip_ND, clip_D), repeats),
        "text": milliseconds(lambda: nearest(text_ND, text_D), repeats),
    }


def measure(size: int, *, widths: Sequence[int], repeats: int) -> list[Result]:
    """One library of `size` rows, made for the purpose and thrown away."""
    clip_ND, text_ND = unit_vectors(size, widths[0], 0), unit_vectors(size, widths[1], 1)
    clip_D, text_D = unit_vectors(1, widths[0], 2)[0], unit_vectors(1, widths[1], 3)[0]
    with tempfile.TemporaryDirectory() as folder:
        store = MilvusStore.open(Path(folder) / "milvus.db", clip_dimensions=widths[0], text_dimensions=widths[1])
        rows = made_rows(clip_ND, text_ND)
        while batch := [row for row, _ in zip(rows, range(500), strict=False)]:
            store.upsert(batch)
        store.ready()
        memory, started, cpu = InMemorySearch(store), time.perf_counter(), time.process_time()
        assert memory.wait()
        filled = {"fill_s": round(time.perf_counter() - started, 1), "fill_cpu_s": round(time.process_time() - cpu, 1)}
        ways: dict[str, Result] = {
            "in memory": searched(memory, clip_D, text_D, repeats) | filled,
            "numpy": floor(clip_ND, text_ND, clip_D, text_D, repeats),
            "Milvus Lite": searched(store, clip_D, text_D, repeats),
        }
        memory.close()
    return [{"rows": size, "way": way, **result} for way, result in ways.items()]


def measure_memory(size: int, *, widths: Sequence[int], repeats: int) -> list[Result]:
    """Rows in memory alone; ten thousand different texts and bodies, over and over, with vectors of their own."""
    dimensions: dict[Channel, int] = {"clip": widths[0], "text": widths[1]}
    texts = made_rows(unit_vectors(10_000, widths[0], 0), unit_vectors(10_000, widths[1], 1))
    patterns = [to_entity(row, channels=CHANNELS, dimensions=dimensions) for row in texts]
    arrays, before = RowArrays(dimensions), resident_megabytes()
    for start in range(0, size, len(patterns)):
        fresh = [unit_vectors(len(patterns), width, start + width) for width in widths]
        numbered = zip(range(start, start + len(patterns)), patterns, *fresh, strict=True)
        arrays.put([row | {"id": f"{i:032x}", "clip": clip, "text": text} for i, row, clip, text in numbered])
    took = resident_megabytes() - before
    rarity = Rarity.of(row["bm25"] for row in patterns)
    clip_D, text_D = unit_vectors(1, widths[0], 2)[0], unit_vectors(1, widths[1], 3)[0]

    def vector(channel: Channel, query_D: np.ndarray) -> object:
        return arrays.nearest(channel, query_D, limit=LIMIT, chosen=EVERYTHING)

    def words() -> object:
        return arrays.sharing(query_vector(COMMON, rarity), limit=LIMIT, chosen=EVERYTHING)

    result = {
        "clip": milliseconds(lambda: vector("clip", clip_D), repeats),
        "text": milliseconds(lambda: vector("text", text_D), repeats),
        "bm25_common": milliseconds(words, repeats),
        "megabytes": took,
    }
    return [{"rows": size, "way": "arrays alone", **result}]


def resident_megabytes() -> int:
    """What this process holds."""
    import psutil

    return round(psutil.Process().memory_info().rss / 1_000_000)


def main() -> None:
    """Print a table, then the same as one JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    arguments.add_argument("--memory-only", type=int, nargs="*", default=[])
    arguments.add_argument("--dimensions", type=int, nargs=2, metavar=("CLIP", "TEXT"), default=[512, 384])
    arguments.add_argument("--repeats", type=int, default=9)
    chosen = arguments.parse_args()
    load = os.getloadavg()[0]
    results = [row for n in chosen.sizes for row in measure(n, widths=chosen.dimensions, repeats=chosen.repeats)]
    for size in chosen.memory_only:
        results += measure_memory(size, widths=chosen.dimensions, repeats=chosen.repeats)
    names = list(dict.fromkeys(name for result in results for name in result))
    print(" | ".join(f"{name:>12}" for name in names))
    for result in results:
        print(" | ".join(f"{result.get(name, ''):>12}" for name in names))
    print(json.dumps({"dimensions": chosen.dimensions, "load_before": load, "results": results}))


if __name__ == "__main__":
    main()
