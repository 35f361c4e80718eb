"""Several rankings of the same chunks → one set of candidates, by weighted reciprocal rank.

Scores of different channels cannot be compared (the modality gap, BM25's own scale), places can. Ranks gather the
candidates; in which order they are shown is decided by how likely each answers (`rag.relevance`), because a channel
that knows nothing has a first place too: with questions in Spanish about English texts, ranks alone put the right
paragraph first for 51 %, and those probabilities for 94 %.

A chunk's score is Σ weight / (constant + rank), divided by what first place everywhere would give,
so that 1.0 means "first in every channel" whatever the weights are. Cormack et al., SIGIR 2009.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum

from indexing.records import Channel, ChannelRank, Chunk, Hit
from rag.relevance import RatedHit


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


Near = Callable[[str], Mapping[str, str]]
"""A content's hash → the hashes of pictures that are nearly the same, and the path of each."""


def gather_near(judged: Sequence[RatedHit], near: Near, *, apart: bool = False) -> list[RatedHit]:
    """Pictures that are nearly the same take one place, that of the first, which names the others; with `apart` each
    keeps its own."""
    kept: list[RatedHit] = []
    behind: set[str] = set()
    for each in judged:
        content = each.hit.chunk.content_hash
        if content in behind:
            continue
        others = near(content)
        if not apart:
            behind |= others.keys()
        kept.append(replace(each, hit=replace(each.hit, near=tuple(sorted(others.values())))) if others else each)
    return kept


def spread_files(judged: Sequence[RatedHit], *, per_file: int) -> list[RatedHit]:
    """At most `per_file` chunks of one file in front; what is over follows behind the rest, in order."""
    seen: dict[str, int] = {}
    front: list[RatedHit] = []
    behind: list[RatedHit] = []
    for each in judged:
        file = each.hit.chunk.content_hash
        seen[file] = seen.get(file, 0) + 1
        (front if seen[file] <= per_file else behind).append(each)
    return [*front, *behind]
