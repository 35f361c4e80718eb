"""Does anything here answer? A flat cut-off on one score does not work; evidence of three kinds does.

For each hit: the share of the question's rare words, numbers and dates that it holds; how far its words, and for
pictures its looks, stand above what this library says to questions it cannot answer (`rag.background`).
A logistic function of the three, with the numbers in `RelevanceSettings`, gives a probability; a file that says
nothing of what the question names loses by it ("the king of Norway" is no king penguin). What a picture network calls
a picture and what the picture looks like are two readings of one opinion, so they weigh differently together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp

from indexing.records import Channel, Hit
from rag.background import Level
from rag.question import named
from rag.rerank import chunk_terms, coverage, likeness, rarity
from rag.settings import RelevanceSettings
from rag.terms import as_written, content_terms


@dataclass(frozen=True, kw_only=True, slots=True)
class HitEvidence:
    """What speaks for one hit."""

    coverage: float  # 0..1: share of the question's content words it holds, by their rarity
    words: float  # deviations above the background in the text space; 0 where that channel did not see it
    looks: float  # the same in the clip space; 0 for what is no picture
    labelled: bool = False  # a picture whose words are labels that a network gave it
    strange: float = 0.0  # 0..1: share of what the question names of which nothing found in this file speaks


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


def judge(
    question: str, hits: Sequence[Hit], background: Mapping[Channel, Level], settings: RelevanceSettings
) -> Verdict:
    """The verdict on the hits, in their order. A picture without words asks for likeness: every hit answers."""
    wanted = content_terms(question)
    if not wanted and hits:
        return Verdict(probabilities=(1.0,) * len(hits), threshold=settings.threshold, reason="")
    weighed = weigh(wanted, hits, background, named(question))
    probabilities = tuple(probability(evidence, settings) for evidence in weighed)
    missing = _missing(question, hits)
    answered = any(p >= settings.threshold for p in probabilities)
    reason = "" if answered else _reason(missing, found=bool(hits))
    return Verdict(probabilities=probabilities, threshold=settings.threshold, reason=reason, missing=missing)


def weigh(
    wanted: Sequence[str], hits: Sequence[Hit], background: Mapping[Channel, Level], names: Sequence[str] = ()
) -> list[HitEvidence]:
    """The evidence for each hit, in their order. `wanted` is the question's content terms, `names` what it names.

    What the words of a page say counts for the picture of that page too.
    """
    weights = rarity(wanted, [hit.chunk for hit in hits])
    strange = _strange(names, hits)
    own = [_own_evidence(weights, hit, background, strange[hit.chunk.content_hash]) for hit in hits]
    best: dict[tuple[str, int | None], HitEvidence] = {}
    for hit, each in zip(hits, own, strict=True):
        if hit.chunk.page is not None:
            so_far = best.get(_page(hit), each)
            best[_page(hit)] = replace(
                each, coverage=max(each.coverage, so_far.coverage), words=max(each.words, so_far.words)
            )
    return [
        replace(each, coverage=best[_page(hit)].coverage, words=best[_page(hit)].words)
        if hit.chunk.kind == "page" and hit.chunk.page is not None
        else each
        for hit, each in zip(hits, own, strict=True)
    ]


def _page(hit: Hit) -> tuple[str, int | None]:
    return hit.chunk.content_hash, hit.chunk.page


def _strange(names: Sequence[str], hits: Sequence[Hit]) -> dict[str, float]:
    """For each file the share of the names that none of its hits holds."""
    held: dict[str, frozenset[str]] = {}
    for hit in hits:
        held[hit.chunk.content_hash] = held.get(hit.chunk.content_hash, frozenset()) | chunk_terms(hit.chunk)
    return {file: sum(not likeness(name, terms) for name in names) / max(1, len(names)) for file, terms in held.items()}


def _own_evidence(
    weights: Mapping[str, float], hit: Hit, background: Mapping[Channel, Level], strange: float
) -> HitEvidence:
    def above(channel: Channel) -> float:
        seen = hit.channels.get(channel)
        return background[channel].above(seen.score) if seen and channel in background else 0.0

    wordless = hit.chunk.kind == "image" and not hit.chunk.text  # its looks alone may show what a name stands for
    return HitEvidence(
        coverage=coverage(weights, chunk_terms(hit.chunk)),
        words=above("text"),
        looks=above("clip") if hit.chunk.kind in ("image", "page", "figure") else 0.0,
        labelled=hit.chunk.kind == "image" and not wordless,
        strange=0.0 if wordless else strange,
    )


def probability(evidence: HitEvidence, settings: RelevanceSettings) -> float:
    """Logistic in the kinds of evidence; rises with each but `strange`."""
    words, looks = (
        (settings.label_words, settings.label_looks) if evidence.labelled else (settings.words, settings.looks)
    )
    odds = settings.bias + settings.coverage * evidence.coverage + words * evidence.words + looks * evidence.looks
    odds += settings.strange * evidence.strange
    return 1 / (1 + exp(-odds))


def _missing(question: str, hits: Sequence[Hit]) -> tuple[str, ...]:
    held = frozenset[str]().union(*(chunk_terms(hit.chunk) for hit in hits))
    return tuple(word for term, word in as_written(question).items() if not likeness(term, held))


def _reason(missing: Sequence[str], *, found: bool) -> str:
    if not found:
        return "The search found nothing at all."
    if missing:
        return f"Nothing that was found speaks of: {', '.join(missing[:5])}."
    return "What was found shares some words with the question, but does not answer it."
