"""Whether a passage bears a claim out: what can be told without knowing its language.

    is_quoted     the claim is the passage's, up to form
    keeps_values  every number, date and unit of the claim stands in the passage, read in one way only
    is_shortened  the passage says the claim word for word, and more only in clauses that stand by themselves
    coverage      how many of the claim's words the passage holds

No word of any language is known here: a "not" is a word like others, so only clauses may be left out, never a word.
"""

from collections.abc import Sequence
from typing import Protocol

from claims.tokens import COMMA, NOTHING, STOP, TextToken, find_run, read

_SPAN_TOKENS, _SPAN_SIGNS = 6, 48  # an answer that is no sentence: "Imogen Marsh", "Monday to Friday, 9:00 to 17:00"


class Verifier(Protocol):
    """Tells how probable it is that passages bear claims out."""

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """For each (claim, passage) the probability, 0..1, that the passage entails the claim."""


def is_quoted(claim: str, passage: str) -> bool:
    """The claim is a sentence of the passage, or several, up to form; or a span of few words out of it.

    >>> is_quoted("the tank holds **1.8** litres", "Its weight is 62 kg. The tank holds 1.8 litres.")
    True
    """
    own, held = read(claim), read(passage)
    run = find_run(own, held)
    if run is None:
        return False
    if held[run.start].before == STOP and (run.stop == len(held) or held[run.stop].before == STOP):
        return True
    names = any(token.is_value or token.is_name for token in own[1:])
    return len(own) <= (_SPAN_TOKENS if names else 3) and len(claim) <= _SPAN_SIGNS


def is_shortened(claim: str, passage: str) -> bool:
    """Every word of the claim stands in the passage in its order, from the beginning of a sentence, and what is left
    out between are clauses between commas or brackets, without a number, a name or a sentence's end.

    >>> is_shortened("The service starts at noon.", "The service, however, starts at noon, as before.")
    True
    """
    own, held = read(claim), read(passage)
    starts = [at for at, token in enumerate(held) if token.before == STOP]
    return any(_shortened(own, held[at:]) for at in starts) if len(own) > 2 else False


def _shortened(own: Sequence[TextToken], held: Sequence[TextToken]) -> bool:
    at = 0
    for place, token in enumerate(own):
        if at < len(held) and token.same(held[at]) and (place == 0 or held[at].before != STOP):
            at += 1
            continue
        end = next((i for i in range(at + 1, len(held)) if token.same(held[i]) and held[i].before == COMMA), None)
        if place == 0 or end is None or held[at].before != COMMA:
            return False
        if any(each.is_value or each.is_name or each.before == STOP for each in held[at:end]):
            return False
        at = end + 1
    return at == len(held) or held[at].before != NOTHING


def keeps_values(claim: str, passage: str) -> bool:
    """Every number, date and unit of the claim stands in the passage, read one way only, the unit behind its number."""
    own, held = read(claim), read(passage)
    return all(_is_held(token, held) for token in own if token.is_value) and not _changes_unit(own, held)


def _is_held(value: TextToken, held: Sequence[TextToken]) -> bool:
    if any(value.same(other) for other in held):
        return True
    (reading,) = value.readings if len(value.readings) == 1 else ("",)
    for at, other in enumerate(held):
        days = [each.split("-") for each in other.readings if each.count("-") == 2]
        if len(days) == 1 and value.text in (days[0][0], days[0][2]):
            return True  # 25 and 2024 of 25/12/2024; the month's name is for who knows the language
        if reading.count("-") == 2 and other.text == reading.split("-")[0]:
            near = [each.text for each in held[max(0, at - 4) : at + 5]]
            return reading.split("-")[2] in near
    return False


def _changes_unit(own: Sequence[TextToken], held: Sequence[TextToken]) -> bool:
    """A number of the claim has another unit, or another word in its unit's place, than in the passage."""
    ours = {token.text for token in own}
    units = {held[i + 1].text for i in range(len(held) - 1) if held[i].readings and held[i + 1].before == NOTHING}
    for i, token in enumerate(own):
        if not token.readings or i + 1 == len(own) or own[i + 1].before != NOTHING:
            continue
        after = own[i + 1]
        places = [j for j, other in enumerate(held) if token.same(other)]
        followers = [held[j + 1] for j in places if j + 1 < len(held) and held[j + 1].before == NOTHING]
        if any(after.alike(other) for other in followers) or not followers:
            continue
        gone = all(other.text not in ours for other in followers)
        if after.text in units or (gone and not any(after.same(other) for other in held)):
            return True
    return False


def coverage(claim: str, passage: str) -> float:
    """The share of the claim's words found in the passage, 0..1; long words, which say more, weigh more."""
    own, held = read(claim), read(passage)
    weights = [(len(token.text), any(token.alike(other) for other in held)) for token in own]
    return sum(weight for weight, found in weights if found) / max(1, sum(weight for weight, _ in weights))
