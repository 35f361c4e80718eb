"""Whether a passage bears a claim out: what can be told without knowing its language.

    read          words, numbers and dates of a text in order, with the marks between them
    is_quoted     the claim is the passage's, up to form
    keeps_values  every number, date and unit of the claim stands in the passage, read in one way only
    is_shortened  the passage says the claim word for word, and more only in clauses that stand by themselves
    align         which word of the claim is which of the passage: where the learned verifier starts (`claims.verifier`)

A number that can be read two ways ("1.234", "04/05/2024") is the same as itself and as nothing else. No word of any
language is known here: a "not" is a word like others, so only clauses may be left out, never a word.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

# 12 500 · 1,234.50 · 04/05/2024 · 18:25 | a word | a unit's sign
_TOKEN = re.compile(r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,:/'’-]\d+)*|[^\W\d_]+|[%‰°€$£¥₹]")
_STOPS = ".!?…。！？؟।|"
_MOST_TOKENS = 160  # of a claim or a passage; what is longer is no sentence
_SPAN_TOKENS, _SPAN_SIGNS = 6, 48  # an answer that is no sentence: "Imogen Marsh", "Monday to Friday, 9:00 to 17:00"

NOTHING, COMMA, STOP = 0, 1, 2
"""What stands before a token: blanks, a comma or the like, the end of a sentence, line or cell."""


class Verifier(Protocol):
    """Tells how probable it is that passages bear claims out."""

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """For each (claim, passage) the probability, 0..1, that the passage entails the claim."""


@dataclass(frozen=True, slots=True)
class TextToken:
    """One word, number, date or unit's sign."""

    text: str  # folded: no case, no accents; a number without its thousands separators where that is clear
    start: int
    end: int
    before: int  # NOTHING, COMMA or STOP
    is_value: bool = False  # a number, a date or a unit's sign
    is_name: bool = False  # begins with a capital
    readings: frozenset[str] = frozenset()  # what a number can mean

    def same(self, other: "TextToken") -> bool:
        """The same word, or the same value in the same or another clear writing."""
        if self.text == other.text:
            return True
        return len(self.readings) == 1 and self.readings == other.readings


@lru_cache(maxsize=4096)
def read(text: str) -> tuple[TextToken, ...]:
    """The tokens of a text; a word that a line's end cut in two is one.

    >>> [token.text for token in read("Café: 12 500 €, 1,234.50")]
    ['cafe', '12500', '€', '1234.50']
    """
    found: list[TextToken] = []
    last = 0
    for match in _TOKEN.finditer(text):
        gap, word = text[last : match.start()], match.group()
        last = match.end()
        before = _mark(gap) if found else STOP
        if word[0].isdecimal():
            minus = gap[-1:] in ("-", "−") and not gap[-2:-1].isalnum() and (len(gap) > 1 or not found)
            found += _numbers(word, match.start(), before, "-" if minus else "")
        elif len(word) == 1 and not word.isalpha():
            found.append(TextToken(word, match.start(), last, before, is_value=True))
        elif found and gap in ("-\n", "\u00ad", "\u00ad\n") and word[0].islower() and not found[-1].is_value:
            cut = found.pop()
            found.append(TextToken(cut.text + _fold(word), cut.start, last, cut.before, is_name=cut.is_name))
        else:
            found += _words(word, match.start(), before)
    return tuple(found)


def _mark(gap: str) -> int:
    if any(sign in _STOPS for sign in gap):
        return STOP
    return COMMA if any(sign == "\n" or _parts(sign) for sign in gap) else NOTHING


def _parts(sign: str) -> bool:
    return unicodedata.category(sign)[0] == "P" and sign not in "-'’\"“”„«»*_`"


def _fold(word: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(sign))


def _words(word: str, start: int, before: int) -> list[TextToken]:
    """One token; scripts without blanks give one for each sign."""
    if not any(0x0E00 <= ord(sign) < 0x0F00 or 0x2E80 <= ord(sign) < 0xA000 for sign in word):
        return [TextToken(_fold(word), start, start + len(word), before, is_name=word[0].isupper())]
    return [
        TextToken(_fold(sign), start + i, start + i + 1, before if i == 0 else NOTHING) for i, sign in enumerate(word)
    ]


def _numbers(word: str, start: int, before: int, sign: str) -> list[TextToken]:
    """One number or date, or the several that a dash or a stroke joins."""
    plain = "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in word)
    if (meant := _meanings(plain)) is not None:
        writing, readings = meant
        held = frozenset(sign + reading for reading in readings)
        return [TextToken(sign + writing, start, start + len(word), before, is_value=True, readings=held)]
    found: list[TextToken] = []
    for part in plain.replace("/", "-").split("-"):
        found += _numbers(part, start, before, sign)
        start, before, sign = start + len(part) + 1, NOTHING, ""
    return found


def _meanings(number: str) -> tuple[str, list[str]] | None:
    """How a number is written and what it can mean; None where it is several.

    >>> _meanings("1.234"), _meanings("04/05/2024")
    (('1.234', ['1234', '1.234']), ('4/5/2024', ['2024-5-4', '2024-4-5']))
    """
    groups = "".join(sign if sign.isdecimal() else " " for sign in number).split()
    signs = [sign for sign in number if not sign.isdecimal()]
    whole = [group.lstrip("0") or "0" for group in groups]
    if not signs:
        return whole[0], [whole[0]]
    if len(groups) == 3 and len(set(signs)) == 1 and signs[0] in "-/." and len(groups[1]) < 3:
        return _date(groups, whole) or ((number, [number]) if signs[0] == "." else None)
    if any(sign in "-/" for sign in signs):
        return None
    if ":" in signs:
        return number.lstrip("0"), [number.lstrip("0")]
    thousands = all(len(group) == 3 for group in groups[1:]) and len(groups[0]) <= 3 and groups[0] != "0"
    if len(set(signs)) == 1 and thousands and (len(signs) > 1 or signs[0] not in ".,"):
        joined = "".join(groups).lstrip("0")
        return joined, [joined]
    if len(set(signs[:-1])) > 1 or (len(signs) > 1 and (signs[-1] in signs[:-1] or signs[-1] not in ".,")):
        return number, [number]  # a version, an address
    value = ("".join(groups[:-1]).lstrip("0") or "0") + "." + groups[-1]
    if len(signs) == 1 and thousands:
        return number, ["".join(groups), value]
    return value, [value if groups[-1].strip("0") else value.partition(".")[0]]  # 3.20 may be a section's number


def _date(groups: Sequence[str], whole: Sequence[str]) -> tuple[str, list[str]] | None:
    year_first = len(groups[0]) == 4
    year = whole[0] if year_first else whole[2]
    one, other = (whole[1], whole[2]) if year_first else (whole[0], whole[1])
    if len(groups[0 if year_first else 2]) not in (2, 4) or max(map(int, (one, other))) > 31:
        return None
    if min(map(int, (one, other))) > 12 or "0" in (one, other):
        return None
    year = str(2000 + int(year)) if len(year) < 3 else year
    if year_first:
        return f"{year}-{one}-{other}", [f"{year}-{one}-{other}"]
    days = [f"{year}-{month}-{day}" for day, month in ((one, other), (other, one)) if int(month) <= 12]
    return f"{one}/{other}/{year}", list(dict.fromkeys(days))


def find_run(claim: Sequence[TextToken], passage: Sequence[TextToken]) -> range | None:
    """Where the passage holds the claim's tokens one after the other."""
    for start in range(len(passage) - len(claim) + 1 if claim else 0):
        if all(own.same(passage[start + i]) for i, own in enumerate(claim)):
            return range(start, start + len(claim))
    return None


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
        if any(_alike(after, other) for other in followers) or not followers:
            continue
        gone = all(other.text not in ours for other in followers)
        if after.text in units or (gone and not any(after.same(other) for other in held)):
            return True
    return False


def _alike(one: TextToken, other: TextToken) -> bool:
    """The same word, or two forms of it: "litre" and "litres"."""
    if one.same(other):
        return True
    if one.is_value or other.is_value:
        return False
    shared = next((i for i, (a, b) in enumerate(zip(one.text, other.text, strict=False)) if a != b), None)
    shared = min(len(one.text), len(other.text)) if shared is None else shared
    return shared >= 4 and shared >= 0.6 * max(len(one.text), len(other.text))


# Marks that tell the verifier how a word stands to the other text.
NO_WORD, FOLLOWS, SKIPS, SKIPS_COMMA, SKIPS_STOP, ELSEWHERE, INFLECTED, ABSENT = range(8)  # words of the claim
USED, PASSED_OVER, OUTSIDE, USED_ELSEWHERE = range(8, 12)  # words of the passage
MARKS = 12
FEATURES = 25


@dataclass(frozen=True, slots=True)
class Alignment:
    """Marks of the words of both texts, and what they come to: FEATURES numbers between 0 and 1."""

    claim: tuple[tuple[TextToken, int], ...]
    passage: tuple[tuple[TextToken, int], ...]
    features: tuple[float, ...]


def coverage(claim: str, passage: str) -> float:
    """The share of the claim's words found in the passage, 0..1; long words, which say more, weigh more."""
    own, held = read(claim), read(passage)
    weights = [(len(token.text), any(_alike(token, other) for other in held)) for token in own]
    return sum(weight for weight, found in weights if found) / max(1, sum(weight for weight, _ in weights))


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
            other = next((j for j, each in enumerate(held) if j not in taken | elsewhere and _alike(token, each)), None)
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
            if token.same(other) or (token.text[:4] == other.text[:4] and _alike(token, other)):
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
