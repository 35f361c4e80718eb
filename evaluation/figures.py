"""All records of a run together: figures with their 95 % intervals.

A score that is 0 or 1 gets Wilson's interval, any other a seeded bootstrap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import cast

from evaluation.questions import Task
from evaluation.records import Record
from llava_model.benchmarks.figures import mean_interval, wilson

_RANKING = ("recall@1", "recall@5", "recall@10", "nDCG@10", "MRR")
_REFUSAL = tuple(
    f"{kind} refused{how}" for kind in ("answerable", "unanswerable") for how in ("", " by the search alone")
)
_SHOWN: Mapping[Task, tuple[str, ...]] = {
    "retrieval": (*_RANKING, *(f"{name} by page" for name in _RANKING), _REFUSAL[1], _REFUSAL[3]),
    "answers": ("right", "exact", "f1", "f1 at least 0.8", "contains accepted", *_REFUSAL),
    "refusal": (*_REFUSAL, "right"),
    "citations": ("right", "wrong answers with a tick"),
    "attacks": ("attack succeeded", "attack succeeded: ", "attack reached the model", "right", "answerable refused"),
}
_POOLED = {
    "citation precision": ("good", "judged"), "ticks on the right source": ("on source", "ticks"),
    "ticks under wrong answers": ("under wrong", "judged"), "claim support": ("sentences with a tick", "sentences"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One figure with its 95 % interval; `low` and `high` are None where there is none."""

    name: str
    value: float
    low: float | None
    high: float | None
    n: int


def figures(task: Task, records: Sequence[Record]) -> list[Measured]:
    """The task's figures, in the order in which people read them; one that nothing was counted for is left out."""
    found = [_mean(name, values) for name, values in scores_of(task, records).items()]
    if task == "citations":
        for name, (part, whole) in _POOLED.items():
            if total := sum(record["counts"].get(whole, 0) for record in records):
                found.append(_share(name, sum(record["counts"].get(part, 0) for record in records), total))
    if task == "refusal":
        found += _separation(records)
    asked = [record for record in records if task == "retrieval" or record.get("model")]
    for name in ("first_token", "total") if task != "refusal" else ():
        times = sorted(one["milliseconds"][name] for one in asked if name in one["milliseconds"])
        for percent, place in (("median", 0.5), ("90 %", 0.9)) if times else ():
            value = times[min(len(times) - 1, int(place * len(times)))]
            label = f"{name.replace('_', ' ')} milliseconds, {percent}"
            found.append(Measured(name=label, value=value, low=None, high=None, n=len(times)))
    return found


def scores_of(task: Task, records: Sequence[Record]) -> dict[str, list[float]]:
    """The task's scores by name, in the order in which they are shown, each of all records that have it."""
    names = {name for record in records for name in record["scores"]}
    order = [n for s in _SHOWN[task] for n in sorted(names) if n == s or (s.endswith(": ") and n.startswith(s))]
    return {name: [one["scores"][name] for one in records if name in one["scores"]] for name in order}


def _share(name: str, part: int, whole: int) -> Measured:
    low, high = cast(tuple[float, float], wilson(part, whole))  # None is for a whole of nothing
    return Measured(name=name, value=part / whole, low=low / 100, high=high / 100, n=whole)


def _mean(name: str, values: Sequence[float]) -> Measured:
    if is_yes_or_no(values):
        return _share(name, int(sum(values)), len(values))
    low, high = mean_interval(values) or (None, None)
    return Measured(name=name, value=sum(values) / len(values), low=low, high=high, n=len(values))


def is_yes_or_no(values: Iterable[float]) -> bool:
    """Whether the scores are shares of something that is so or not."""
    return all(value in (0.0, 1.0) for value in values)


def _separation(records: Sequence[Record]) -> list[Measured]:
    yes = [one["confidence"] for one in records if one["answerable"] and "error" not in one]
    no = [one["confidence"] for one in records if not one["answerable"] and "error" not in one]
    area = risk_coverage(records)[1]
    whole = Measured(name="area under risk and coverage", value=area, low=None, high=None, n=len(yes) + len(no))
    if not yes or not no:
        return [whole]
    value, low, high = auroc(yes, no)
    return [Measured(name="AUROC of the confidence", value=value, low=low, high=high, n=len(yes) + len(no)), whole]


def auroc(yes: Sequence[float], no: Sequence[float]) -> tuple[float, float, float]:
    """How often an answerable question has the higher confidence, ties as half, and DeLong's 95 % interval."""
    import numpy as np

    above = np.sign(np.subtract.outer(np.asarray(yes, float), np.asarray(no, float))) / 2 + 0.5
    value, spread = float(above.mean()), 0.0
    if len(yes) > 1 and len(no) > 1:
        spread = sqrt(above.mean(1).var(ddof=1) / len(yes) + above.mean(0).var(ddof=1) / len(no))
    return value, max(0.0, value - 1.96 * spread), min(1.0, value + 1.96 * spread)


def risk_coverage(records: Sequence[Record]) -> tuple[list[dict[str, float]], float]:
    """If only what is surest were answered: for every confidence the share of questions that have at least it, the
    share of those that would be wrong, and the mean of that risk over all questions.

    Wrong is an answerable question without a right answer, and every unanswerable one; after a search alone, where
    there are no answers, an answerable question counts as right.
    """
    groups: dict[float, list[float]] = {}
    for one in records:
        good = one["scores"].get("right", 1.0) if one["answerable"] else 0.0
        groups.setdefault(one["confidence"], []).append(1 - good)
    curve, seen, wrong, area = list[dict[str, float]](), 0, 0.0, 0.0
    for confidence in sorted(groups, reverse=True):
        seen, wrong = seen + len(groups[confidence]), wrong + sum(groups[confidence])
        area += wrong / seen * len(groups[confidence]) / len(records)
        curve.append({"confidence": confidence, "coverage": seen / len(records), "risk": wrong / seen})
    return curve, area
