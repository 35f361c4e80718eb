"""When a sentence gets its tick."""

from dataclasses import dataclass
from math import exp, inf, isfinite, isinf, log

MOST_WEIGHT = 1000.0
"""Of a logistic function, where a larger one is a slip of the comma: no calibration has found one over 30."""


def within(name: str, value: float, low: float, high: float = inf) -> None:
    """Raise ValueError for a setting that is out of its bounds, or no finite number."""
    if not (low <= value <= high and isfinite(value)):
        bounds = f"be at least {low}" if isinf(high) else f"lie between {low} and {high}"
        raise ValueError(f"{name} is {value}, it must {bounds}")


def log_odds(probability: float) -> float:
    """Of a probability 0..1; of what is taken for certain, those of one in a million."""
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return log(bounded / (1 - bounded))


@dataclass(frozen=True, kw_only=True, slots=True)
class CitationSettings:
    """When a sentence gets its tick."""

    least_support: float = 0.9
    """The verifier's probability from which a passage supports a sentence; chosen on the development set of
    recipes/small for at most 1 % false ticks."""

    least_answer: float = 0.5
    """The judge's probability from which a sentence counts as an answer to the question."""

    answer_weights: tuple[float, float, float, float] = (-2.0, 1.0, 2.0, 0.5)
    """Of `answers`: constant, log-odds of the model's yes, logarithm of the least likely word's probability when the
    model says the sentence again from the quote alone, log-odds that there is an answer. Chosen on XQuAD's first 24
    articles for at most a tenth of wrong answers under ticks."""

    most_pairs: int = 6
    """Passages that the verifier reads for one sentence, those that hold most of it; each takes about 15 ms."""

    def __post_init__(self) -> None:
        within("least_support", self.least_support, 0.0, 1.0)
        within("least_answer", self.least_answer, 0.0, 1.0)
        within("most_pairs", self.most_pairs, 1)
        for weight in self.answer_weights:
            within("answer_weights", weight, -MOST_WEIGHT, MOST_WEIGHT)

    def answers(self, says_yes: float, again: float, confidence: float) -> float:
        """0..1: how likely a sentence answers the question as its source says."""
        constant, by_yes, by_again, by_confidence = self.answer_weights
        odds = constant + by_yes * log_odds(says_yes) + by_again * log(max(again, 1e-6))
        return 1 / (1 + exp(-(odds + by_confidence * log_odds(confidence))))
