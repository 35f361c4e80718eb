"""How much of the question does a chunk hold? Its words by rarity, numbers and dates in any writing.

Ranks forget by how much a chunk won. A receipt that holds the company's name and the date in question beats
one that holds the name alone, though both stand high in every channel; and `25 DEC 2018` is the date
25/12/2018, which no tokenizer knows. The share of the question's words that a chunk holds, weighted by how rare
each is among the candidates, says both.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePath

from indexing.records import Chunk, Hit
from rag.terms import also_called, content_terms, near


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
