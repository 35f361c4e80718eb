"""A text → its words, numbers and dates in order, with the marks between them.

A number that can be read two ways ("1.234", "04/05/2024") is the same as itself and as nothing else. No word of any
language is known here.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# 12 500 · 1,234.50 · 04/05/2024 · 18:25 | a word | a unit's sign
_TOKEN = re.compile(r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,:/'’-]\d+)*|[^\W\d_]+|[%‰°€$£¥₹]")
_STOPS = ".!?…。！？؟।|"

NOTHING, COMMA, STOP = 0, 1, 2
"""What stands before a token: blanks, a comma or the like, the end of a sentence, line or cell."""


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

    def alike(self, other: "TextToken") -> bool:
        """The same word, or two forms of it: "litre" and "litres"."""
        if self.same(other):
            return True
        if self.is_value or other.is_value:
            return False
        shared = next((i for i, (a, b) in enumerate(zip(self.text, other.text, strict=False)) if a != b), None)
        shared = min(len(self.text), len(other.text)) if shared is None else shared
        return shared >= 4 and shared >= 0.6 * max(len(self.text), len(other.text))


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
            found.append(TextToken(cut.text + unaccented(word), cut.start, last, cut.before, is_name=cut.is_name))
        else:
            found += _words(word, match.start(), before)
    return tuple(found)


def _mark(gap: str) -> int:
    if any(sign in _STOPS for sign in gap):
        return STOP
    return COMMA if any(sign == "\n" or _parts(sign) for sign in gap) else NOTHING


def _parts(sign: str) -> bool:
    return unicodedata.category(sign)[0] == "P" and sign not in "-'’\"“”„«»*_`"


def unaccented(word: str) -> str:
    """Lower case, without accents and width variants; signs that are made of others are taken apart."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(sign))


def _words(word: str, start: int, before: int) -> list[TextToken]:
    """One token; scripts without blanks give one for each sign."""
    if not any(0x0E00 <= ord(sign) < 0x0F00 or 0x2E80 <= ord(sign) < 0xA000 for sign in word):
        return [TextToken(unaccented(word), start, start + len(word), before, is_name=word[0].isupper())]
    return [
        TextToken(unaccented(sign), start + i, start + i + 1, before if i == 0 else NOTHING)
        for i, sign in enumerate(word)
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
