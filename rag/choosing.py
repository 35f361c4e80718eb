"""Which passages speak to a question: what a small model is shown, and what is quoted as the source's own line."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from indexing.records import Chunk
from rag.fuse import likeness
from rag.passages import Passage, passages
from rag.question import AnswerPattern, answer_pattern
from rag.terms import content_terms

# A word that an earlier choice holds still counts for this much in a later one: a second line with "total" may be
# the right one, but the line with the company's name should not be followed by more lines with that name.
_SAID_ALREADY = 0.3
_GIVEN = 0.3  # what a word of the chunk's title counts for in its passages
_NOTHING_NEW = 0.4  # what is left to a passage that only repeats the question
_FIT = 0.25  # what having the thing sought adds
_HEAD, _AT_THE_HEAD = 3, 0.8  # passages at the head of a paper, and how well they fit where its issuer is sought
_BESIDE = 0.35  # share of a neighbour's worth that such a passage gets: "The mayor speaks. Her speech …"
_LATER_CHUNK, _FURTHER_DOWN = 0.02, 0.001
_WHOLE_QUESTION = 0.9
_MOST_GREEDY = 32  # from here on the order hardly matters, and each greedy step weighs every passage again


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A passage of one chunk and what it added when it was chosen; `hit` and `place` are positions from 0."""

    hit: int
    place: int
    gain: float
    passage: Passage
    fit: float = 0.0  # whether it has the thing sought


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rival:
    """A passage that may be chosen, and all that counts for it whatever else is chosen."""

    hit: int
    place: int
    passage: Passage
    held: Mapping[str, float]  # how far it holds each term of the question
    fit: float  # whether it has the thing sought
    new: bool  # whether it says anything that the question does not
    extra: float = 0.0  # what does not depend on the other choices


def choose(
    question: str, chunks: Sequence[Chunk], *, most: int, least_gain: float, later_file: float = 0.04
) -> list[Chosen]:
    """The passages (of the chunks, best chunk first) that together answer most of the question, best first.

    Greedy: each time the passage that adds most. It adds the rarity of the question's words it holds, less where
    they were held already, and something for having what the question seeks. Every further file costs
    `later_file`. Ends after `most` passages, or when less than `least_gain` (0..1) is added, or when the first
    holds the whole question and what it seeks: more would only offer other numbers.
    """
    wanted = content_terms(question)
    rivals = _rivals(wanted, answer_pattern(question), chunks)
    weights = _weights(wanted, [rival.held for rival in rivals])
    rivals = _with_extras(rivals, weights, chunks, later_file)
    said: dict[str, float] = {}
    chosen: list[Chosen] = []
    while rivals and len(chosen) < min(most, _MOST_GREEDY):
        gains = [_gain(rival, weights, said) for rival in rivals]
        best = max(range(len(rivals)), key=lambda i: gains[i])
        if chosen and gains[best] < least_gain:
            break
        rival = rivals.pop(best)
        chosen.append(_chosen(rival, gains[best]))
        if least_gain > 0 and len(chosen) == 1 and rival.fit == 1 and _share(rival.held, weights) >= _WHOLE_QUESTION:
            break
        for term, like in rival.held.items():
            said[term] = max(said.get(term, 0.0), like)
    if len(chosen) == _MOST_GREEDY < most:
        rest = sorted(rivals, key=lambda rival: -_gain(rival, weights, said))[: most - len(chosen)]
        chosen += [_chosen(rival, _gain(rival, weights, said)) for rival in rest]
    return _with_what_they_announce(_telling(chosen), chunks)


def _telling(chosen: Sequence[Chosen]) -> list[Chosen]:
    """Without the lines of later files that have nothing of what is sought, where others have it: they mislead."""
    if not any(each.fit == 1 for each in chosen):
        return list(chosen)
    return [each for each in chosen if each.fit >= _AT_THE_HEAD or each.hit == chosen[0].hit]


def _chosen(rival: _Rival, gain: float) -> Chosen:
    return Chosen(hit=rival.hit, place=rival.place, gain=gain, passage=rival.passage, fit=rival.fit)


def _rivals(wanted: Sequence[str], seeks: AnswerPattern | None, chunks: Sequence[Chunk]) -> list[_Rival]:
    rivals = [
        _rival(wanted, seeks, passage, hit, place, chunk)
        for hit, chunk in enumerate(chunks)
        for place, passage in enumerate(passages(chunk))
    ]
    return [rival for rival in rivals if not _is_heading(rival.passage, chunks[rival.hit])] or rivals


def _rival(
    wanted: Sequence[str],
    seeks: AnswerPattern | None,
    passage: Passage,
    hit: int = 0,
    place: int = 0,
    chunk: Chunk | None = None,
) -> _Rival:
    given = frozenset(content_terms(f"{chunk.title} {chunk.heading}")) if chunk else frozenset[str]()
    likes = {term: likeness(term, passage.terms) or (_GIVEN if term in given else 0.0) for term in wanted}
    new = bool(passage.terms - set(wanted))
    heads = seeks is not None and seeks.heads and chunk is not None and chunk.ordinal == 0
    at_the_head = heads and place < _HEAD and _is_a_name(passage.text)
    return _Rival(
        hit=hit,
        place=place,
        passage=passage,
        held={term: like for term, like in likes.items() if like},
        fit=max(seeks.fit(passage.text), _AT_THE_HEAD * at_the_head) if seeks and new else 0.0,
        new=new,
    )


def _is_a_name(text: str) -> bool:
    """Most of it letters, and no telephone, street or number behind a comma; what stands in brackets aside."""
    text = re.sub(r"\([^)]*\)", "", text)
    return 2 * sum(map(str.isalpha, text)) > len(text) and not re.search(r"\d{3}|,", text)


def _is_heading(passage: Passage, chunk: Chunk) -> bool:
    """The title or the last heading, which open a chunk's text and are shown above it anyway."""
    return passage.text.casefold() in (chunk.title.casefold(), chunk.heading.rsplit(" › ", 1)[-1].casefold())


_CODE = 1.5
"""Who writes E07 or INV-2041 means that line, not the one that shares a common word with the question."""


def _weights(wanted: Sequence[str], held: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Rarity of each wanted term among passages that hold so much of each, adding up to 1; terms that no passage
    itself holds have no say."""
    counts = Counter(term for each in held for term, like in each.items() if like > _GIVEN)
    raw = {
        term: math.log1p(len(held) / counts[term]) * (_CODE if any(sign.isdigit() for sign in term) else 1.0)
        if counts[term]
        else 0.0
        for term in wanted
    }
    total = sum(raw.values()) or 1.0
    return {term: weight / total for term, weight in raw.items()}


def _share(held: Mapping[str, float], weights: Mapping[str, float]) -> float:
    return sum(weights[term] * like for term, like in held.items())


def _with_extras(
    rivals: Sequence[_Rival], weights: Mapping[str, float], chunks: Sequence[Chunk], later_file: float
) -> list[_Rival]:
    shares = {(rival.hit, rival.place): _share(rival.held, weights) for rival in rivals}
    files = list(dict.fromkeys(chunk.content_hash for chunk in chunks))
    extras = []
    for rival in rivals:
        beside = max(shares.get((rival.hit, rival.place + step), 0.0) for step in (-1, 1))
        extra = _FIT * rival.fit + (_BESIDE * beside if rival.fit == 1 else 0.0)
        extra -= later_file * files.index(chunks[rival.hit].content_hash)
        extra -= _LATER_CHUNK * rival.hit + _FURTHER_DOWN * min(rival.place, 40)
        extras.append(replace(rival, extra=extra))
    return extras


def _gain(rival: _Rival, weights: Mapping[str, float], said: Mapping[str, float]) -> float:
    added = sum(
        weights[term] * like * (_SAID_ALREADY if said.get(term, 0) >= like else 1) for term, like in rival.held.items()
    )
    return added * (1.0 if rival.new else _NOTHING_NEW) + rival.extra


def _with_what_they_announce(chosen: Sequence[Chosen], chunks: Sequence[Chunk]) -> list[Chosen]:
    """A passage like `Total:` and the next one, which holds what it announces, only come together."""
    result = {(each.hit, each.place): each for each in chosen}
    for each in chosen:
        around = passages(chunks[each.hit])
        partners = [each.place + 1] if each.passage.text.endswith(":") else []
        if each.place > 0 and around[each.place - 1].text.endswith(":"):
            partners.append(each.place - 1)
        for place in partners:
            if place < len(around):
                result.setdefault((each.hit, place), replace(each, place=place, passage=around[place]))
    return list(result.values())


def most_telling(question: str, among: Sequence[Passage]) -> int | None:
    """The place of the passage to quote in answer: one that has what the question seeks, if any does, and among
    those the one that holds most of the question. What only repeats the question comes last."""
    wanted, seeks = content_terms(question), answer_pattern(question)
    rivals = [_rival(wanted, seeks, passage) for passage in among]
    weights = _weights(wanted, [rival.held for rival in rivals])

    def worth(place: int) -> tuple[bool, bool, float, int]:
        rival = rivals[place]
        return rival.new, rival.fit == 1, _share(rival.held, weights) + _FIT * rival.fit, -place

    return max(range(len(among)), key=worth, default=None)


def in_reading_order(chosen: Iterable[Chosen]) -> list[Chosen]:
    """By chunk, then by place in the chunk."""
    return sorted(chosen, key=lambda each: (each.hit, each.place))
