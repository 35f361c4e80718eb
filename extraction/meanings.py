"""What the words of a field mean: dates, numbers, amounts of money.

Meaning is taken from signs and digits alone. No month's name and no word of a language is known here: "5 March 2018"
is read by a model, and `day_of` checks what it says. A date or number that can be read two ways is settled by the other
ones of its document, or left as it is.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from claims.tokens import TextToken, read

_CURRENCY_SIGNS = 4  # the longest name of a currency beside an amount, as "RM", "EUR", "Kčs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """`value` is "" where it cannot be told; several `readings` are what it can be."""

    value: str = ""
    currency: str = ""
    readings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How one document writes, as far as its clear dates and numbers tell; None where they do not, or disagree."""

    day_first: bool | None = None
    decimal_sign: str | None = None

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Style":
        """By every date and number of these texts that can be read in one way."""
        orders, signs = set[bool](), set[str]()
        for text in texts:
            for token in read(text):
                written = text[token.start : token.end]
                if len(token.readings) != 1:
                    continue
                if _days(token):
                    numbers = _numbers(written)
                    if len(numbers[0]) < 3 and numbers[0] != numbers[1]:
                        orders.add(int(_days(token)[0].split("-")[2]) == int(numbers[0]))
                elif "." in token.text and written[-3:-2] in (".", ","):
                    signs.add(written[-3])
        return cls(
            day_first=orders.pop() if len(orders) == 1 else None, decimal_sign=signs.pop() if len(signs) == 1 else None
        )


def meaning_of(words: str, kind: str, style: Style, around: str = "") -> Meaning:
    """`around`: the text before and after the words, parted by a line break; a currency may stand there."""
    tokens = [each for each in read(words) if each.readings]
    dates = [each for each in tokens if _days(each)]
    if kind == "date":
        return _date(dates[0], words, style) if len(dates) == 1 else Meaning()
    numbers = [each for each in tokens if each not in dates]
    if kind not in ("number", "money") or len({each.text for each in numbers}) != 1:
        return Meaning()
    meaning = _number(numbers[0], words, style)
    if kind == "number":
        return meaning
    return Meaning(value=meaning.value, readings=meaning.readings, currency=_currency(words, numbers[0], around))


def day_of(told: str, words: str) -> str:
    """The ISO date that a model told, "" unless its day and its year's last digits stand in the words.

    >>> day_of("2018-03-05", "05 MAR 18"), day_of("2018-03-06", "05 MAR 18")
    ('2018-03-05', '')
    """
    days = [day for token in read(told) for day in _days(token)]
    if len(days) != 1:
        return ""
    year, month, day = days[0].split("-")
    numbers = [number.lstrip("0") for number in _numbers(words)]
    kept = [number for number in numbers if number not in (year, year[2:].lstrip("0"))]
    if len(kept) == len(numbers) or day not in (kept if len(numbers) < 3 else numbers) or int(month) > 12:
        return ""
    return _iso(days[0])


def _days(token: TextToken) -> list[str]:
    return sorted(reading.lstrip("-") for reading in token.readings if reading.lstrip("-").count("-") == 2)


def _iso(day: str) -> str:
    year, month, number = day.split("-")
    return f"{year}-{month:0>2}-{number:0>2}"


def _numbers(text: str) -> list[str]:
    return "".join(sign if sign.isdecimal() else " " for sign in text).split()


def _date(token: TextToken, words: str, style: Style) -> Meaning:
    days = _days(token)
    if len(days) > 1 and style.day_first is not None:
        first = int(_numbers(words[token.start : token.end])[0])
        days = [day for day in days if (int(day.split("-")[2]) == first) == style.day_first]
    days = [_iso(day) for day in days]
    return Meaning(value=days[0]) if len(days) == 1 else Meaning(readings=tuple(days))


def _number(token: TextToken, words: str, style: Style) -> Meaning:
    written = words[token.start : token.end]
    owed = words.strip().startswith("(") and words.strip().endswith(")")  # how bookkeepers write what is owed
    minus = "-" if owed or words[: token.start].endswith("−") else ""
    if len(token.readings) == 1:
        return Meaning(value=_plain(minus, token.text))
    if style.decimal_sign is None:
        return Meaning(readings=tuple(sorted(_plain(minus, each) for each in token.readings)))
    sign = next((each for each in written if not each.isdecimal()), "")
    fraction = [each for each in token.readings if ("." in each) == (sign == style.decimal_sign)]
    return Meaning(value=_plain(minus, fraction[0])) if fraction else Meaning()


def _plain(minus: str, number: str) -> str:
    number = f"{minus}{number.lstrip('-')}" if minus else number
    try:
        float(number)
    except ValueError:
        return ""
    return number


def _currency(words: str, amount: TextToken, around: str) -> str:
    """The sign or short name beside the amount: in the words, or in the line where a sign or name touches them."""
    beside = [words[: amount.start], words[amount.end :]]
    if not any(sign.isalnum() or _is_sign(sign) for part in beside for sign in part):
        before, _, after = around.partition("\n")
        glued = before.split()[-1:] if before and not before[-1].isspace() else []
        beside = [*glued, *(sign for sign in (before.rstrip()[-1:], after.lstrip()[:1]) if _is_sign(sign))]
    for each in beside:
        name = each.strip(" \t()-−:=.,*")
        if _is_sign(name) or (name.isalpha() and len(name) <= _CURRENCY_SIGNS):
            return name
    return ""


def _is_sign(text: str) -> bool:
    return len(text) == 1 and unicodedata.category(text) == "Sc"
