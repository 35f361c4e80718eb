"""Several rankings of the same chunks → one, by weighted reciprocal rank.

Scores of different channels cannot be compared (the modality gap, BM25's own scale), places can:
a chunk's score is Σ weight / (constant + rank), divided by what first place everywhere would give,
so that 1.0 means "first in every channel" whatever the weights are. Cormack et al., SIGIR 2009.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import fsum
from pathlib import PurePath

from indexing.records import Channel, ChannelRank, Chunk, Hit
from rag.terms import also_called, content_terms, near


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """What one channel answered to one query, best first. A chunk named twice counts where it stood first."""

    channel: Channel
    weight: float
    found: Sequence[tuple[Chunk, float]]


def fuse(rankings: Sequence[Ranking], *, constant: float) -> list[Hit]:
    """One hit per chunk, best first; equal scores are ordered by id. A ranking of weight 0 has no say.

    Two rankings of one channel (words and a picture, both in `clip`) both count; the hit shows the better place.
    """
    spoken = [ranking for ranking in rankings if ranking.weight > 0]
    best_possible = fsum(ranking.weight / (constant + 1) for ranking in spoken)
    parts: dict[str, list[float]] = {}
    places: dict[str, dict[Channel, ChannelRank]] = {}
    chunks: dict[str, Chunk] = {}
    for ranking in spoken:
        for rank, (chunk, score) in enumerate(_first_places(ranking.found), start=1):
            chunks.setdefault(chunk.id, chunk)
            parts.setdefault(chunk.id, []).append(ranking.weight / (constant + rank) / best_possible)
            seen = places.setdefault(chunk.id, {})
            if ranking.channel not in seen or rank < seen[ranking.channel].rank:
                seen[ranking.channel] = ChannelRank(rank=rank, score=score)
    # fsum is exact, so that the order in which the channels came makes no difference at all.
    hits = [Hit(chunk=chunks[id_], score=fsum(parts[id_]), channels=places[id_]) for id_ in chunks]
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk.id))


def _first_places(found: Sequence[tuple[Chunk, float]]) -> list[tuple[Chunk, float]]:
    return list({chunk.id: (chunk, score) for chunk, score in reversed(found)}.values())[::-1]


def merge_pages(rankings: Sequence[Ranking], hits: Sequence[Hit]) -> list[Ranking]:
    """One page does not take two places: what a channel says of a page's picture, it says of the page's words.

    Wherever a ranking names a `page` chunk (or the `image` chunk of a picture full of words) it now names the best
    `text` or `table` hit of the same page, if `hits` (best first) has one. Fuse again afterwards.
    """
    words_of: dict[tuple[str, int | None], Chunk] = {}
    for hit in hits:
        if hit.chunk.kind in ("text", "table"):
            words_of.setdefault((hit.chunk.content_hash, hit.chunk.page), hit.chunk)

    def heir(chunk: Chunk) -> Chunk:
        if chunk.kind not in ("page", "image"):
            return chunk
        return words_of.get((chunk.content_hash, chunk.page), chunk)

    return [replace(each, found=[(heir(chunk), score) for chunk, score in each.found]) for each in rankings]


_SPEAKS_OF_A_PICTURE = re.compile(r"\b(?:fig(?:ure)?\.? ?\d|diagram|drawing|photo|illustration|picture)", re.IGNORECASE)


def pictures_first(hits: Sequence[Hit], *, penalty: float) -> list[Hit]:
    """Whatever is neither a picture, a page nor a figure, nor words on a page that name a figure there, keeps
    `penalty` (0..1) of its score."""
    weighed = [hit if _shows(hit.chunk) else replace(hit, score=hit.score * penalty) for hit in hits]
    return sorted(weighed, key=lambda hit: (-hit.score, hit.chunk.id))


def _shows(chunk: Chunk) -> bool:
    if chunk.kind in ("image", "page", "figure"):
        return True
    return chunk.page is not None and _SPEAKS_OF_A_PICTURE.search(chunk.text) is not None


def spread_files(hits: Sequence[Hit], *, per_file: int) -> list[Hit]:
    """At most `per_file` chunks of one file in front; what is over follows behind the rest, in order."""
    seen: dict[str, int] = {}
    front: list[Hit] = []
    behind: list[Hit] = []
    for hit in hits:
        seen[hit.chunk.content_hash] = seen.get(hit.chunk.content_hash, 0) + 1
        (front if seen[hit.chunk.content_hash] <= per_file else behind).append(hit)
    return [*front, *behind]


# How much of the question does a chunk hold? Its words by rarity, numbers and dates in any writing.
#
# Ranks forget by how much a chunk won. A receipt that holds the company's name and the date in question beats
# one that holds the name alone, though both stand high in every channel; and `25 DEC 2018` is the date
# 25/12/2018, which no tokenizer knows. The share of the question's words that a chunk holds, weighted by how rare
# each is among the candidates, says both.


@lru_cache(maxsize=4096)
def _terms_of_text(text: str) -> frozenset[str]:
    return frozenset(content_terms(text))


def chunk_terms(chunk: Chunk) -> frozenset[str]:
    """The words a chunk can be found by, the words of its file's name among them."""
    return _terms_of_text(chunk.searchable_text) | _terms_of_text(PurePath(chunk.path).stem.replace("_", " "))


def rarity(terms: Sequence[str], chunks: Sequence[Chunk]) -> dict[str, float]:
    """BM25's inverse document frequency of each term among these chunks; rare and missing words weigh most."""
    held = Counter(term for chunk in chunks for term in chunk_terms(chunk) & set(terms))
    return {term: math.log1p((len(chunks) - held[term] + 0.5) / (held[term] + 0.5)) for term in terms}


def coverage(weights: Mapping[str, float], held: frozenset[str]) -> float:
    """Share 0..1 of the weights whose term is held; one letter off in a long word (OCR) counts for most of it."""
    total = sum(weights.values())
    if not total:
        return 0.0
    return sum(weight * likeness(term, held) for term, weight in weights.items()) / total


def likeness(term: str, held: frozenset[str]) -> float:
    """How far a text that holds these terms holds this one, 0..1: itself, by another name, or one letter off."""
    if term in held:
        return 1.0
    if also_called(term) & held:
        return 0.8
    return 0.7 if near(term, held) else 0.0


def rerank(question: str, hits: Sequence[Hit], *, share: float) -> list[Hit]:
    """The hits by fused score and coverage, best first; `share` 0..1 is coverage's part of the new score."""
    wanted = content_terms(question)
    if not wanted or not share:
        return list(hits)
    weights = rarity(wanted, [hit.chunk for hit in hits])
    scored = [
        replace(hit, score=(1 - share) * hit.score + share * coverage(weights, chunk_terms(hit.chunk))) for hit in hits
    ]
    return sorted(scored, key=lambda hit: (-hit.score, hit.chunk.id))
