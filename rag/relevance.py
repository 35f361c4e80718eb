"""Does anything here answer? A flat cut-off on one score does not work; evidence of three kinds does.

For each hit: the share of the question's rare words, numbers and dates that it holds; how far its words, and for
pictures its looks, stand above what this library says to questions it cannot answer (`rag.relevance`).
A logistic function of the three, with the numbers in `RelevanceSettings`, gives a probability; a file that says
nothing of what the question names loses by it ("the king of Norway" is no king penguin). What a picture network calls
a picture and what the picture looks like are two readings of one opinion, so they weigh differently together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from statistics import median

from indexing.embedding.protocol import Embedder, Vectors
from indexing.records import Channel, Hit
from indexing.store import Store
from rag.fuse import chunk_terms, coverage, likeness, rarity
from rag.question import named
from rag.settings import RelevanceSettings
from rag.terms import as_written, content_terms

# How near does this library come to questions that have nothing to do with it?
#
# A cosine means nothing by itself: every embedder has its own scale, and the more a library holds, the nearer its
# nearest chunk is to anything. So a few questions and pictures from far apart are searched once; the middle of
# their best scores is the library's background, and a hit counts by how far it stands above that. Where the
# library does hold one of them, the median does not mind.

QUESTIONS = (
    "How many moons does Jupiter have?",
    "Who painted the ceiling of the chapel?",
    "What is the boiling point of nitrogen?",
    "Which vaccine is given to babies first?",
    "How do I change a tyre?",
    "When did the dinosaurs die out?",
    "What is the exchange rate of the yen?",
    "Who won the chess tournament?",
    "How is soap made?",
    "What is the penalty for speeding?",
    "How do volcanoes form?",
    "Who wrote the symphony?",
    "What does the enzyme do?",
    "How long do elephants live?",
    "What is the tax rate in Norway?",
    "Which river is the longest?",
    "How is a fever treated?",
    "What does the goalkeeper wear?",
    "How many strings has a harp?",
    "When was the treaty signed?",
    "Why do leaves turn red?",
    "How do I bake bread?",
    "Which planet has rings?",
    "What is the capital of Mongolia?",
    "How fast can a cheetah run?",
    "Who invented the telephone?",
    "What is a hash table?",
    "How do I plant tulips?",
    "Which shares fell yesterday?",
    "How does a jury decide?",
)
PICTURES = (
    "a trombone",
    "a tractor in a field",
    "a slice of pizza",
    "an astronaut",
    "a wedding dress",
    "a chess board",
    "a cactus",
    "a microscope",
    "a traffic light",
    "a snowman",
    "a tennis racket",
    "a giraffe",
    "a laptop computer",
    "a zebra",
    "a volcano",
    "a sewing machine",
    "a scarecrow",
    "a bowl of cherries",
    "a motorcycle race",
    "a kitchen",
    "a butterfly",
    "a parachute",
    "a tank",
    "a waterfall",
    "a fire hydrant",
    "a bulldozer",
    "a pair of shoes",
    "a racing car",
    "a spider",
    "a windmill",
)
_LEAST_SPREAD = 0.02  # a library of one chunk has hardly any spread
_DEVIATIONS_PER_MAD = 1.4826  # makes the median distance estimate a normal distribution's deviation


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """The usual best score of a question that the library does not answer."""

    middle: float
    spread: float

    def above(self, score: float) -> float:
        """By how many deviations a score stands above it, 0 for what lies below."""
        return max(0.0, (score - self.middle) / self.spread)


def measure(store: Store, embedder: Embedder) -> Mapping[Channel, Level]:
    """The background of each vector channel; a channel that finds nothing is left out. Two requests."""
    levels: dict[Channel, Level] = {}
    if "text" in store.channels:
        levels |= _level(store, "text", embedder.embed_questions(QUESTIONS))
    if "clip" in store.channels:
        levels |= _level(store, "clip", embedder.embed_image_queries(PICTURES))
    return levels


def _level(store: Store, channel: Channel, vectors_BD: Vectors) -> dict[Channel, Level]:
    best = store.best_scores(channel, list(vectors_BD))
    if not best:
        return {}
    middle = median(best)
    spread = _DEVIATIONS_PER_MAD * median(abs(score - middle) for score in best)
    return {channel: Level(middle=middle, spread=max(spread, _LEAST_SPREAD))}


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
