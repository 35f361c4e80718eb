"""How near does this library come to questions that have nothing to do with it?

A cosine means nothing by itself: every embedder has its own scale, and the more a library holds, the nearer its
nearest chunk is to anything. So a few questions and pictures from far apart are searched once; the middle of
their best scores is the library's background, and a hit counts by how far it stands above that. Where the
library does hold one of them, the median does not mind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from indexing.embedding.protocol import Embedder, Vectors
from indexing.records import Channel
from indexing.store import Store

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
