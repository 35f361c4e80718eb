"""Which word of a claim is which of a passage: where the learned verifier starts (`claims.verifier`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from claims.tokens import NOTHING, STOP, TextToken, read

_MOST_TOKENS = 160  # of a claim or a passage; what is longer is no sentence

# Marks that tell the verifier how a word stands to the other text.
NO_WORD, FOLLOWS, SKIPS, SKIPS_COMMA, SKIPS_STOP, ELSEWHERE, INFLECTED, ABSENT = range(8)  # words of the claim
USED, PASSED_OVER, OUTSIDE, USED_ELSEWHERE = range(8, 12)  # words of the passage
MARKS = USED_ELSEWHERE + 1
FEATURES = 25


@dataclass(frozen=True, slots=True)
class Alignment:
    """Marks of the words of both texts, and what they come to: FEATURES numbers between 0 and 1."""

    claim: tuple[tuple[TextToken, int], ...]
    passage: tuple[tuple[TextToken, int], ...]
    features: tuple[float, ...]


def align(claim: str, passage: str) -> Alignment:
    """The claim's words found in the passage in one order as far as possible, neighbours beside neighbours."""
    own, held = read(claim)[:_MOST_TOKENS], read(passage)[:_MOST_TOKENS]
    places = _in_order(own, held)
    taken = {place for place in places if place is not None}
    marks: list[int] = []
    elsewhere: set[int] = set()
    last: int | None = None
    for token, place in zip(own, places, strict=True):
        if place is None:
            other = next((j for j, each in enumerate(held) if j not in taken | elsewhere and token.alike(each)), None)
            marks.append(ABSENT if other is None else ELSEWHERE)
            elsewhere |= set() if other is None else {other}
            continue
        skipped = [] if last is None else list(held[last + 1 : place + 1])
        gap = max((each.before for each in skipped), default=NOTHING)
        exact = token.same(held[place])
        marks.append(
            (FOLLOWS if len(skipped) <= 1 else SKIPS) + (gap if len(skipped) > 1 else 0) if exact else INFLECTED
        )
        last = place
    inner = range(min(taken, default=0), max(taken, default=-1) + 1)
    theirs = [
        USED if j in taken else USED_ELSEWHERE if j in elsewhere else PASSED_OVER if j in inner else OUTSIDE
        for j in range(len(held))
    ]
    return Alignment(
        tuple(zip(own, marks, strict=True)),
        tuple(zip(held, theirs, strict=True)),
        _features(own, marks, held, theirs),
    )


def _in_order(own: Sequence[TextToken], held: Sequence[TextToken]) -> list[int | None]:
    """For each word its place in the passage, places rising: the longest such way, with a bonus for neighbours."""
    best = [[0.0] * (len(held) + 1) for _ in range(len(own) + 1)]
    here = [[0.0] * (len(held) + 1) for _ in range(len(own) + 1)]
    for i, token in enumerate(own, start=1):
        above, row, met, met_above = best[i - 1], best[i], here[i], here[i - 1]
        for j, other in enumerate(held, start=1):
            if token.same(other) or (token.text[:4] == other.text[:4] and token.alike(other)):
                neighbour = met_above[j - 1] + 0.5 if met_above[j - 1] else 0.0
                met[j] = (1.0 if token.same(other) else 0.8) + max(above[j - 1], neighbour)
            row[j] = max(above[j], row[j - 1], met[j])
    places: list[int | None] = [None] * len(own)
    i, j, follow = len(own), len(held), False
    while i and j:
        if here[i][j] and (follow or here[i][j] >= best[i][j]):
            places[i - 1] = j - 1
            follow = here[i - 1][j - 1] > 0 and here[i - 1][j - 1] + 0.5 > best[i - 1][j - 1]
            i, j = i - 1, j - 1
        elif best[i - 1][j] >= best[i][j]:
            i -= 1
        else:
            j -= 1
    return places


def _features(
    own: Sequence[TextToken], marks: Sequence[int], held: Sequence[TextToken], theirs: Sequence[int]
) -> tuple[float, ...]:
    count = max(1, len(own))
    shares = [marks.count(mark) / count for mark in range(FOLLOWS, ABSENT + 1)]
    passed = [token for token, mark in zip(held, theirs, strict=True) if mark == PASSED_OVER]
    absent = [token for token, mark in zip(own, marks, strict=True) if mark == ABSENT]
    moved = [token for token, mark in zip(own, marks, strict=True) if mark == ELSEWHERE]
    used = [mark in (USED, USED_ELSEWHERE) for mark in theirs]
    beside = [j for j in range(1, len(held)) if held[j].before == NOTHING and used[j] != used[j - 1]]
    counts = [
        len(passed), sum(token.is_value for token in passed), sum(token.is_name for token in passed),
        sum(token.before == STOP for token in passed),
        len(absent), sum(token.is_name for token in absent[1:]), sum(len(token.text) < 4 for token in absent),
        len(moved), sum(token.is_name for token in moved), sum(token.is_value for token in moved),
        marks.count(SKIPS), theirs.count(OUTSIDE), len(own),
        sum(held[j].is_value and used[j] for j in beside),  # a value without the word in front of it
        sum(held[j].is_value and used[j - 1] for j in beside),  # a word without the value behind it
        sum(used[j] and not held[j].is_value for j in beside),
    ]  # fmt: skip
    first, last = (used.index(True), len(used) - 1 - used[::-1].index(True)) if any(used) else (0, len(used) - 1)
    starts = float(held[first].before == STOP) if held else 0.0
    ends = float(last + 1 >= len(held) or held[last + 1].before != NOTHING)
    return (*shares, *(min(number, 8) / 8 for number in counts), starts, ends)
