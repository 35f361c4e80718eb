"""What the work of this process takes, for Prometheus: search by channel, first token, answers, writing, indexing.

`indexing.spans` tells of each stretch that has ended; stretches are the same for every library and every door.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from indexing import spans
from indexing.spans import Count

_FAST = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
_SLOW = (0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
_registry = CollectorRegistry()
_search = Histogram(
    "llavero_search_seconds", "Steps of a search; clip, text and bm25 are the store's", ["step"], buckets=_FAST,
    registry=_registry,
)  # fmt: skip
_first_token = Histogram(
    "llavero_first_token_seconds", "From the finished prompt to the model's first word", buckets=_SLOW,
    registry=_registry,
)  # fmt: skip
_answer = Histogram(
    "llavero_answer_seconds", "From a question to the end of its answer", buckets=_SLOW, registry=_registry
)
_pieces = Counter("llavero_generated_pieces", "Pieces of text (mostly tokens) that models wrote", registry=_registry)
_rows = Counter("llavero_indexed_rows", "Rows written to the store", registry=_registry)
_write = Histogram("llavero_store_write_seconds", "Batches of rows", buckets=_FAST, registry=_registry)


def _listen(name: str, seconds: float, counts: Mapping[str, Count]) -> None:
    if name == "search" or name.startswith("search."):
        _search.labels(name.removeprefix("search.") if name != "search" else "all").observe(seconds)
    elif name == "generate.first_token":
        _first_token.observe(seconds)
    elif name == "answer":
        _answer.observe(seconds)
    elif name == "generate":
        _pieces.inc(float(counts.get("pieces", 0)))
    elif name == "index.write":
        _write.observe(seconds)
        _rows.inc(float(counts.get("rows", 0)))


def text() -> bytes:
    """Prometheus's text format."""
    return generate_latest(_registry)


spans.listen_with(_listen)
