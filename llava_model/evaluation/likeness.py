"""How close a model's answers are to reference answers: figures that need no judge.

`f1` is SQuAD's: words in common, small letters, without punctuation and articles, the mean over the answers in per
cent. `exact` is the share of answers that are the reference in that reading, which says something for short answers
only. Both reward the reference's wording: a right answer in other words scores low, and a fluent wrong one not 0.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llava_model.evaluation.intervals import mean_interval

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """Means in per cent over `n` answers; the interval is f1's, 95 %."""

    f1: float
    exact: float
    n: int
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {"f1": self.f1, "exact": self.exact, "n": self.n, "interval": list(self.interval or ()) or None}


def likeness(references: Mapping[str, str], answers: Mapping[str, str]) -> Likeness:
    """Of all references; an answer that is missing counts as empty. Raises ValueError without any reference."""
    if not references:
        raise ValueError("there is no reference answer to compare with")
    shares = [100 * token_f1(answers.get(name, ""), reference) for name, reference in references.items()]
    same = [words(answers.get(name, "")) == words(reference) for name, reference in references.items()]
    return Likeness(
        f1=sum(shares) / len(shares), exact=100 * sum(same) / len(same), n=len(shares), interval=mean_interval(shares)
    )


def token_f1(answer: str, reference: str) -> float:
    """0 to 1; where one of both has no words: 1 if neither has.

    >>> round(token_f1("A large red circle.", "the red circle"), 2)
    0.8
    """
    said, wanted = words(answer), words(reference)
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def words(text: str) -> Sequence[str]:
    """As SQuAD's script splits an answer."""
    return re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split()


def normal(text: str) -> str:
    """Small letters, one blank between words, no article in front and no full stop behind."""
    words = " ".join(text.lower().split()).rstrip(".! ")
    return re.sub(r"^(?:an?|the) ", "", words)


def stands_in(answer: str, text: str) -> bool:
    """Whether the answer's words stand in the text, whole and in a row."""
    wanted = normal(answer)
    return bool(wanted) and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", " ".join(text.lower().split())) is not None
