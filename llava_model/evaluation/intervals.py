"""How far a figure may be off by chance: 95 % intervals in per cent."""

from collections.abc import Sequence
from math import sqrt

_Z = 1.959963984540054
_RESAMPLES = 2000


def wilson(correct: int, n: int) -> tuple[float, float] | None:
    """Of a share of right answers (Wilson 1927): stays inside 0–100 and works at the ends."""
    if not n:
        return None
    share, weight = correct / n, _Z * _Z / n
    centre = (share + weight / 2) / (1 + weight)
    half = _Z * sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


def mean_f1(counts: Sequence[tuple[int, int, int, int]], *, seed: int = 0) -> tuple[float, float] | None:
    """Of the mean F1 over sets of (tp, fp, tn, fn), by drawing every set's answers again (bootstrap, seeded)."""
    import numpy as np

    random = np.random.default_rng(seed)
    drawn = [random.multinomial(sum(one), np.asarray(one) / sum(one), size=_RESAMPLES) for one in counts if sum(one)]
    if not drawn:
        return None
    f1s = [2 * d[:, 0] / np.maximum(2 * d[:, 0] + d[:, 1] + d[:, 3], 1) for d in drawn]
    low, high = np.percentile(100 * np.mean(f1s, axis=0), [2.5, 97.5])
    return float(low), float(high)


def ratio_of_means(pairs: Sequence[tuple[float, float]], *, seed: int = 0) -> tuple[float, float] | None:
    """Of 100 · mean(second) / mean(first), by drawing whole pairs again (bootstrap, 2,000 times, seeded)."""
    import numpy as np

    if len(pairs) < 2:
        return None
    values = np.asarray(pairs, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(values), size=(_RESAMPLES, len(values)))
    first, second = values[drawn, 0].mean(1), values[drawn, 1].mean(1)
    if (first <= 0).any():
        return None
    low, high = np.percentile(100 * second / first, [2.5, 97.5])
    return float(low), float(high)


def mean_interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float] | None:
    """Of a mean, by drawing the values again (bootstrap, seeded); on the values' own scale."""
    import numpy as np

    if len(values) < 2:
        return None
    own = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(own), size=(_RESAMPLES, len(own)))
    low, high = np.percentile(own[drawn].mean(1), [2.5, 97.5])
    return float(low), float(high)
