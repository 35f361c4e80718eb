"""Does anything here answer? A flat cut-off on one score does not work; evidence of three kinds does.

For each hit: the share of the question's rare words, numbers and dates that it holds; how close its words are
to the question in the text space; and, for pictures, how far it stands above the other pictures that the `clip`
channel found (a difference within one question, because that channel's scores mean nothing by themselves).
A logistic function of the three, with the numbers in `RelevanceSettings`, gives a probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from statistics import mean, pstdev

from indexing.records import Hit
from rag.fuse import Ranking
from rag.rerank import chunk_terms, coverage, rarity
from rag.settings import RelevanceSettings
from rag.terms import content_terms

_FEWEST_PICTURES = 5  # below this a mean and a deviation say nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What speaks for one hit."""

    coverage: float  # 0..1: share of the question's content words it holds, by their rarity
    cosine: float  # in the text space, 0 where that channel did not see it
    margin: float  # deviations above the mean of the pictures found, 0 where clip did not see it


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """How likely each hit is an answer, and a sentence about the question as a whole."""

    probabilities: tuple[float, ...]
    threshold: float
    reason: str  # why nothing is relevant; "" when something is
    missing: tuple[str, ...] = ()  # words of the question that none of the hits holds

    def first(self, count: int) -> "Verdict":
        """The verdict on the first `count` hits alone."""
        return replace(self, probabilities=self.probabilities[:count])


def judge(question: str, hits: Sequence[Hit], rankings: Sequence[Ranking], settings: RelevanceSettings) -> Verdict:
    """The verdict on all hits, in their order. A picture without words asks for likeness: every hit answers."""
    wanted = content_terms(question)
    if not wanted and hits:
        return Verdict(probabilities=(1.0,) * len(hits), threshold=settings.threshold, reason="")
    probabilities = tuple(probability(evidence, settings) for evidence in weigh(wanted, hits, rankings))
    missing = _missing(wanted, hits)
    answered = any(p >= settings.threshold for p in probabilities)
    reason = "" if answered else _reason(missing, found=bool(hits))
    return Verdict(probabilities=probabilities, threshold=settings.threshold, reason=reason, missing=missing)


def weigh(wanted: Sequence[str], hits: Sequence[Hit], rankings: Sequence[Ranking]) -> list[Evidence]:
    """The evidence for each hit, in their order. `wanted` is the question's content terms."""
    weights = rarity(wanted, [hit.chunk for hit in hits])
    margins = _margins(rankings)
    return [
        Evidence(
            coverage=coverage(weights, chunk_terms(hit.chunk)),
            cosine=hit.channels["text"].score if "text" in hit.channels else 0.0,
            margin=margins.get(hit.chunk.id, 0.0),
        )
        for hit in hits
    ]


def probability(evidence: Evidence, settings: RelevanceSettings) -> float:
    """Logistic in the three kinds of evidence; rises with each of them."""
    odds = (
        settings.bias
        + settings.coverage * evidence.coverage
        + settings.cosine * max(evidence.cosine, 0.0)
        + settings.margin * max(evidence.margin, 0.0)
    )
    return 1 / (1 + exp(-odds))


def _margins(rankings: Sequence[Ranking]) -> dict[str, float]:
    """For each chunk, the most deviations by which a `clip` ranking puts it above what that ranking found."""
    margins: dict[str, float] = {}
    for ranking in rankings:
        scores = [score for _, score in ranking.found]
        spread = pstdev(scores) if ranking.channel == "clip" and len(scores) >= _FEWEST_PICTURES else 0.0
        for chunk, score in ranking.found if spread else ():
            margins[chunk.id] = max(margins.get(chunk.id, 0.0), (score - mean(scores)) / spread)
    return margins


def _missing(wanted: Sequence[str], hits: Sequence[Hit]) -> tuple[str, ...]:
    held = frozenset[str]().union(*(chunk_terms(hit.chunk) for hit in hits))
    return tuple(term for term in wanted if term not in held)


def _reason(missing: Sequence[str], *, found: bool) -> str:
    if not found:
        return "The search found nothing at all."
    if missing:
        return f"Nothing in the library speaks of {', '.join(missing[:5])}."
    return "What was found shares some words with the question, but does not answer it."
