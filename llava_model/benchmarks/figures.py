"""A benchmark's figures: a Score, how far it may be off by chance, and how close answers are to reference answers.

Score, Problem        what one file scores, and what was wrong with the files it comes from
wilson, mean_f1, …    95 % intervals in per cent
likeness              figures that need no judge: word F1 and exact answers
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Literal

ProblemKind = Literal["missing", "extra", "duplicate", "unreadable", "unparsed", "mismatch", "incomplete"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A fault in the files that changes the figures. `ids` are all questions, reviews or lines that have it."""

    kind: ProblemKind
    message: str
    ids: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {"kind": self.kind, "message": self.message, "count": len(self.ids), "ids": list(self.ids)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What one file scores. `values` holds the benchmark's own figures (percentages 0–100 unless named otherwise)."""

    benchmark: str
    values: Mapping[str, Any]
    headline: float | None
    """The one number that a comparison shows; None where none can be given."""
    n: int
    interval: tuple[float, float] | None = None
    """95 %, of the headline."""
    notes: Sequence[str] = ()
    problems: Sequence[Problem] = field(default_factory=tuple)

    def document(self) -> dict[str, Any]:
        """For JSON: the benchmark's figures first."""
        return {
            "benchmark": self.benchmark,
            **self.values,
            "n": self.n,
            "interval": list(self.interval) if self.interval else None,
            "notes": list(self.notes),
            "problems": [problem.document() for problem in self.problems],
        }


def percent(part: float, whole: float) -> float | None:
    """100 · part / whole; None if `whole` is 0, because an empty group has no percentage."""
    return 100 * part / whole if whole else None


def id_problem(kind: ProblemKind, ids: Iterable[object], message: str) -> list[Problem]:
    """One problem for all these ids, or none; `{n}` in the message is their number."""
    names = tuple(str(one) for one in ids)
    return [Problem(kind=kind, message=message.format(n=len(names)), ids=names)] if names else []


_Z = 1.959963984540054
_RESAMPLES = 2000


def wilson(correct: int, n: int) -> tuple[float, float] | None:
    """The interval of a share of right answers (Wilson 1927). It never leaves 0–100, not even when all are right."""
    if not n:
        return None
    share, weight = correct / n, _Z * _Z / n
    centre = (share + weight / 2) / (1 + weight)
    half = _Z * sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


def mean_f1(counts: Sequence[tuple[int, int, int, int]], *, seed: int = 0) -> tuple[float, float] | None:
    """The interval of a mean F1 over sets of (tp, fp, tn, fn), each resampled by itself (seeded bootstrap)."""
    import numpy as np

    random = np.random.default_rng(seed)
    drawn = [random.multinomial(sum(one), np.asarray(one) / sum(one), size=_RESAMPLES) for one in counts if sum(one)]
    if not drawn:
        return None
    f1s = [2 * d[:, 0] / np.maximum(2 * d[:, 0] + d[:, 1] + d[:, 3], 1) for d in drawn]
    low, high = np.percentile(100 * np.mean(f1s, axis=0), [2.5, 97.5])
    return float(low), float(high)


def ratio_of_means(pairs: Sequence[tuple[float, float]], *, seed: int = 0) -> tuple[float, float] | None:
    """The interval of 100 · mean(second) / mean(first), with the pairs resampled (seeded bootstrap, 2,000 times)."""
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
    """The interval of a mean, on the values' own scale, with the values resampled (seeded bootstrap)."""
    import numpy as np

    if len(values) < 2:
        return None
    own = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(own), size=(_RESAMPLES, len(own)))
    low, high = np.percentile(own[drawn].mean(1), [2.5, 97.5])
    return float(low), float(high)


_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """How close `n` answers are to reference answers: means in per cent, and the 95 % interval of f1.

    `f1` is SQuAD's: how many words answer and reference have in common; case, punctuation and articles do not count.
    `exact` is the share of answers whose words are the reference's; it means something for short answers only. Both
    reward the reference's wording: a right answer in other words scores low, and a fluent wrong one scores above 0.
    """

    f1: float
    exact: float
    n: int
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {"f1": self.f1, "exact": self.exact, "n": self.n, "interval": list(self.interval or ()) or None}


def likeness(references: Mapping[str, str], answers: Mapping[str, str]) -> Likeness:
    """Compare answers with all references. A missing answer counts as empty. Raises ValueError without references."""
    if not references:
        raise ValueError("there is no reference answer to compare with")
    shares = [100 * token_f1(answers.get(name, ""), reference) for name, reference in references.items()]
    same = [words(answers.get(name, "")) == words(reference) for name, reference in references.items()]
    return Likeness(
        f1=sum(shares) / len(shares), exact=100 * sum(same) / len(same), n=len(shares), interval=mean_interval(shares)
    )


def token_f1(answer: str, reference: str) -> float:
    """F1 of the words in common, 0 to 1. Two texts without words get 1, a text with words and one without get 0.

    >>> round(token_f1("A large red circle.", "the red circle"), 2)
    0.8
    """
    said, wanted = words(answer), words(reference)
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def words(text: str) -> Sequence[str]:
    """The words of an answer, as SQuAD's script splits it."""
    return re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split()


def normal(text: str) -> str:
    """The text in small letters, with single blanks, without a leading article and a final full stop."""
    words = " ".join(text.lower().split()).rstrip(".! ")
    return re.sub(r"^(?:an?|the) ", "", words)


def stands_in(answer: str, text: str) -> bool:
    """Whether the text holds the answer's words, as whole words and one directly after the other."""
    wanted = normal(answer)
    return bool(wanted) and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", " ".join(text.lower().split())) is not None
