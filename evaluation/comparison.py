"""Two runs over the same questions, by paired tests: McNemar's for scores that are 0 or 1, else a bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

from evaluation.figures import is_yes_or_no, scores_of
from evaluation.questions import Task
from evaluation.records import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A figure of two runs over the `n` questions that both have asked."""

    name: str
    now: float
    before: float
    n: int
    better: int
    """Questions with a higher score now."""
    worse: int
    p: float
    test: Literal["McNemar", "bootstrap"]


def compared(task: Task, records: Sequence[Record], before: Sequence[Record]) -> list[Difference]:
    """Every score of the task by a paired, two-sided test."""
    earlier = {one["question_id"]: one["scores"] for one in before}
    found = []
    for name in scores_of(task, records):
        both = [(one["scores"], earlier[one["question_id"]]) for one in records if one["question_id"] in earlier]
        pairs = [(now[name], then[name]) for now, then in both if name in now and name in then]
        if pairs:
            better, worse = sum(now > then for now, then in pairs), sum(now < then for now, then in pairs)
            exact = is_yes_or_no(value for pair in pairs for value in pair)
            p = mcnemar(better, worse) if exact else paired_bootstrap([now - then for now, then in pairs])
            now, then = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
            found.append(
                Difference(
                    name=name, now=now, before=then, n=len(pairs), better=better, worse=worse, p=p,
                    test="McNemar" if exact else "bootstrap",
                )
            )  # fmt: skip
    return found


def mcnemar(better: int, worse: int) -> float:
    """The exact two-sided p of so many questions that changed one way and the other.

    >>> mcnemar(8, 2)
    0.109375
    """
    n = better + worse
    return float(min(1.0, 2 * sum(comb(n, k) for k in range(min(better, worse) + 1)) / 2**n))


def paired_bootstrap(differences: Sequence[float], *, seed: int = 0, draws: int = 5000) -> float:
    """The two-sided p that the mean difference is 0: the share of drawn means on the other side, doubled."""
    import numpy as np

    own = np.asarray(differences, dtype=np.float64)
    means = own[np.random.default_rng(seed).integers(0, len(own), size=(draws, len(own)))].mean(1)
    tail = (1 + min(int((means <= 0).sum()), int((means >= 0).sum()))) / (draws + 1)
    return min(1.0, 2 * tail)
