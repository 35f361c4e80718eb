"""How many false claims get a tick, and how many true ones do not, by kind and by language.

Each pair goes the product's way: its passage is the text of a chunk, its claim an answer that `claims.citations` cites.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from claims.citations import Cited, cite
from claims.settings import CitationSettings
from claims.support import Verifier
from indexing.records import Chunk
from recipes.small.pairs import Pair

ANYTHING = CitationSettings(least_support=0.0)
"""Every passage that the verifier reads supports the claim, with its probability: thresholds are tried afterwards."""


def cited(pair: Pair, verifier: Verifier | None, settings: CitationSettings = ANYTHING) -> Cited:
    """The claim as an answer from the passage alone."""
    chunk = Chunk(content_hash="c", path="/passage.txt", kind="text", ordinal=0, text=pair.passage)
    return cite(f"{pair.claim} [1]", {1: chunk}, question="", verifier=verifier, judge=None, settings=settings)


def probability(pair: Pair, verifier: Verifier | None) -> float:
    """Up to which `least_support` the claim is ticked: 1 where code decides alone, 0 where nothing ticks it."""
    found = cited(pair, verifier).citations
    return min((each.support if each.verified else 0.0 for each in found), default=0.0)


def interval(hits: int, count: int) -> tuple[float, float]:
    """95 % of Wilson for a share."""
    if not count:
        return 0.0, 1.0
    share, z = hits / count, 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def report(pairs: Sequence[Pair], ticked: Sequence[bool]) -> dict[str, Any]:
    """Shares of ticks with their intervals, and by kind and language as counts."""
    found: dict[str, Any] = {}
    for true, name in ((False, "false ticks"), (True, "true ticks")):
        of = [tick for pair, tick in zip(pairs, ticked, strict=True) if pair.true is true]
        low, high = interval(sum(of), len(of))
        found[name] = f"{sum(of)} of {len(of)} = {sum(of) / max(1, len(of)):.3f} ({low:.3f} to {high:.3f})"
    for key in ("kind", "language"):
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for pair, tick in zip(pairs, ticked, strict=True):
            name = f"{'true' if pair.true else 'false'}: {getattr(pair, key)}"
            counts[name][0] += tick
            counts[name][1] += 1
        found[key] = {name: f"{hits}/{count}" for name, (hits, count) in sorted(counts.items())}
    return found


def best_threshold(pairs: Sequence[Pair], values: Sequence[float], most_false: float) -> float:
    """The lowest probability from which at most this share of the false pairs is ticked."""
    false = sorted((value for pair, value in zip(pairs, values, strict=True) if not pair.true), reverse=True)
    allowed = min(int(most_false * len(false)), len(false) - 1)
    return min(0.999, false[allowed] + 1e-4) if false else 0.5


def scores(verifier: Verifier | None, pairs: Sequence[Pair], threshold: float | None = None) -> dict[str, Any]:
    """The report at a threshold; without one, at that for at most 1 % false ticks here."""
    values = [probability(pair, verifier) for pair in pairs]
    threshold = best_threshold(pairs, values, 0.01) if threshold is None else threshold
    return {"threshold": threshold, **report(pairs, [value >= threshold for value in values])}
