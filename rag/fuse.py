"""Several rankings of the same chunks → one, by weighted reciprocal rank.

Scores of different channels cannot be compared (the modality gap, BM25's own scale), places can:
a chunk's score is Σ weight / (constant + rank), divided by what first place everywhere would give,
so that 1.0 means "first in every channel" whatever the weights are. Cormack et al., SIGIR 2009.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from indexing.records import Channel, ChannelRank, Chunk, Hit


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
    best_possible = sum(ranking.weight / (constant + 1) for ranking in spoken)
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
    # Adding in sorted order makes the sum independent of the order in which the channels came.
    hits = [Hit(chunk=chunks[id_], score=sum(sorted(parts[id_])), channels=places[id_]) for id_ in chunks]
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk.id))


def _first_places(found: Sequence[tuple[Chunk, float]]) -> list[tuple[Chunk, float]]:
    return list({chunk.id: (chunk, score) for chunk, score in reversed(found)}.values())[::-1]


def merge_pages(hits: Sequence[Hit]) -> list[Hit]:
    """One page does not take two places: the picture of a page lends its score to that page's words.

    A `page` hit (or the `image` hit of a picture full of words) disappears when `text`, `table` or `figure`
    hits of the same page are there; the best of those takes over its channels and score. Order is by the new score.
    """
    words_of: dict[tuple[str, int | None], Hit] = {}
    for hit in hits:
        if hit.chunk.kind in ("text", "table"):
            words_of.setdefault((hit.chunk.content_hash, hit.chunk.page), hit)
    merged = {hit.chunk.id: hit for hit in hits}
    for hit in hits:
        words = words_of.get((hit.chunk.content_hash, hit.chunk.page))
        if hit.chunk.kind in ("page", "image") and words is not None:
            heir = merged[words.chunk.id]
            channels = {**hit.channels, **heir.channels}
            merged[heir.chunk.id] = replace(heir, score=heir.score + hit.score, channels=channels)
            del merged[hit.chunk.id]
    return sorted(merged.values(), key=lambda hit: (-hit.score, hit.chunk.id))


def spread_files(hits: Sequence[Hit], *, per_file: int) -> list[Hit]:
    """At most `per_file` chunks of one file in front; what is over follows behind the rest, in order."""
    seen: dict[str, int] = {}
    front: list[Hit] = []
    behind: list[Hit] = []
    for hit in hits:
        seen[hit.chunk.content_hash] = seen.get(hit.chunk.content_hash, 0) + 1
        (front if seen[hit.chunk.content_hash] <= per_file else behind).append(hit)
    return [*front, *behind]
