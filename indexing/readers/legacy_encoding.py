"""Which of the encodings from before Unicode a text is in, told by how well the text then reads.

    b"\\xc4\\xee\\xe3\\xee\\xe2\\xee\\xf0"   Windows-1251 "Договор": words of frequent Russian letters, large one first
                                      KOI8-R       "дНЦНБНП": a large letter after a small one
                                      Windows-1252 "Äîãîâîð": a word of accents alone, which no language has

For every encoding that the bytes allow, each character beyond ASCII earns or costs something: letters that some one
language has (frequent ones more), characters of Chinese, Japanese or Korean that are common, signs that stand where
such signs stand; against letters of other languages, words that mix scripts, and small letters before large ones.
The score is a mean for each byte of them, about 1 for a text that reads well, so a few words are judged as many are.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache

from indexing.readers import alphabets

WESTERN = "cp1252"
_PRIOR = {
    WESTERN: 0.06, "cp1250": 0.03, "iso8859_2": 0.035, "cp1251": 0.03, "koi8_r": 0.02, "cp866": 0.02, "iso8859_5": 0.0,
    "koi8_u": 0.0, "mac_cyrillic": 0.0, "cp1253": 0.03, "iso8859_7": 0.02, "cp1254": 0.01, "cp1255": 0.02,
    "iso8859_8": 0.0, "cp1256": 0.02, "iso8859_6": 0.0, "cp1257": 0.01, "cp874": 0.01, "iso8859_15": 0.0, "cp850": 0.0,
    "cp852": 0.0, "mac_roman": 0.0,
    "gb18030": 0.03, "cp950": 0.02, "cp932": 0.03, "euc_jp": 0.02, "cp949": 0.02,
}  # fmt: skip
"""How usual an encoding is where two read equally well. ISO 8859-2 is before Windows-1250, which holds more signs."""
_CERTAIN_SCORE = 0.55
_CERTAIN_LEAD = 0.12
_CERTAIN_LEAD_OF_MANY = 0.05
_MANY_BYTES = 40
_REPLACED = "\ufffd"
_MOST_DAMAGED = 0.02
"""Of the bytes beyond ASCII: what makes no sense in an encoding tells against it, unless it is a damaged place."""
_LEAST_BYTES = 4
"""Fewer bytes beyond ASCII, or a lead or score below these, leave a doubt that a person is told of."""

_QUOTES = "„“”‘’‚«»‹›–—…·•\u00a0"
_SIGNS = "€£§°©®™½¼¾²³±µ×÷№¿¡ªº"
_WIDE_SIGNS = "、。，．：；？！「」『』（）【】《》〈〉〔〕・ー〜～…—“”‘’　％￥＋－＝／０１２３４５６７８９"
_WORD = re.compile(r"[^\W\d_]+")
_BEYOND = re.compile(r"[^\x00-\x7f]")
_SMALL_BEFORE_LARGE = re.compile(r"[a-zß-öø-ÿа-џα-ώ](?=[A-ZÀ-ÖØ-ÞА-ЯЁΑ-Ω])")
_LONELY_WIDE = re.compile(
    r"(?<=[A-Za-z])[\u3040-\u9fff\uac00-\ud7a3](?=[A-Za-z]|\b)|(?<![^\W])[\u4e00-\u9fff](?=[a-z])"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """An encoding, and whether another one is about as likely."""

    encoding: str
    is_doubtful: bool


@lru_cache(maxsize=4)
def legacy_encoding(sample: bytes) -> Guess:
    """The likeliest encoding of text that is no UTF-8; `sample` ends between two characters."""
    found: dict[str, tuple[float, str]] = {}
    high = sum(byte >= 0x80 for byte in sample)
    for encoding, prior in _PRIOR.items():
        text = sample.decode(encoding, "replace")
        if text.count(_REPLACED) > max(1, high * _MOST_DAMAGED):
            continue
        score = _score(text) + prior
        if score > found.get(text, (float("-inf"), ""))[0]:
            found[text] = score, encoding
    ranked = sorted(found.values(), reverse=True)
    if not ranked:
        return Guess(encoding=WESTERN, is_doubtful=True)
    score, encoding = ranked[0]
    lead = score - ranked[1][0] if len(ranked) > 1 else 1.0
    least_lead = _CERTAIN_LEAD if high < _MANY_BYTES else _CERTAIN_LEAD_OF_MANY
    doubtful = score < _CERTAIN_SCORE or lead < least_lead or high < _LEAST_BYTES
    return Guess(encoding=encoding, is_doubtful=doubtful and not _is_plain_western(encoding, sample))


def _is_plain_western(encoding: str, sample: bytes) -> bool:
    """A few accents among Western words are usual, and no cause to doubt."""
    if encoding != WESTERN:
        return False
    text = sample.decode(WESTERN, "replace")
    return all(char.lower() in _western_letters() or char in _QUOTES + _SIGNS for char in _BEYOND.findall(text))


@cache
def _western_letters() -> frozenset[str]:
    return frozenset("äöüßéèàêçâîôûñóíáúåøæãõïëœÿ")


def _score(text: str) -> float:
    counts = Counter(_BEYOND.findall(text))
    weight = sum(count * _bytes(char) for char, count in counts.items())
    if not weight:
        return 0.0
    wide = {char: count for char, count in counts.items() if _is_wide(char)}
    narrow = {char: count for char, count in counts.items() if char not in wide}
    return (_wide_score(wide) + _narrow_score(narrow) - _oddities(text)) / weight


def _bytes(char: str) -> int:
    return 2 if _is_wide(char) and not "\uff61" <= char <= "\uff9f" else 1


def _is_wide(char: str) -> bool:
    return (
        "\u3000" <= char <= "\ud7a3" or "\uf900" <= char <= "\ufaff" or "\uff01" <= char <= "\uff9f" or char > "\uffff"
    )


# -- alphabets --

_OF_NO_ALPHABET = -0.7


def _narrow_score(counts: dict[str, int]) -> float:
    alphabetic = {c: count for c, count in counts.items() if (c.isalpha() and c not in _SIGNS) or _is_mark(c)}
    signs = sum(count * _sign_score(char) for char, count in counts.items() if char not in alphabetic)
    if not alphabetic:
        return signs
    best = max(
        sum(count * values.get(char.lower(), _OF_NO_ALPHABET) for char, count in alphabetic.items())
        for values in _alphabets()
    )
    return signs + best


def _is_mark(char: str) -> bool:
    """Vowels and tones that Thai writes above and below its letters."""
    return "\u0e31" <= char <= "\u0e4e"


def _sign_score(char: str) -> float:
    if char == _REPLACED:
        return -3.0
    if char in _QUOTES:
        return 0.7
    return 0.6 if char in _SIGNS else -1.5


@cache
def _alphabets() -> tuple[dict[str, float], ...]:
    """Letter → what it is worth, for each language: 1 for its most frequent one, less for the others. Accents tell by
    being there at all, whole alphabets by how often each letter is used."""
    return (
        *(_worth(order, 0.5) for order in alphabets.LATIN.values()),
        *(_worth(order, 0.8) for order in alphabets.OTHER.values()),
    )


def _worth(order: str, fall: float) -> dict[str, float]:
    return {letter: 1 - fall * rank / len(order) for rank, letter in enumerate(order)}


def _oddities(text: str) -> float:
    """What no language does: it costs so much."""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    cost = float(len(_SMALL_BEFORE_LARGE.findall(text)))
    cost += 3.0 * len(_LONELY_WIDE.findall(text)) + len(_SIGN_IN_WORD.findall(text))
    latin = [word for word in words if _LATIN_BEYOND.search(word)]
    beyond = sum(len(_LATIN_BEYOND.findall(word)) for word in latin)
    share = beyond / max(1, sum(len(word) for word in latin))
    cost += beyond * min(1.0, max(0.0, 2.5 * (share - _MOST_ACCENTS)))
    return cost + sum(_oddity_of_word(word) for word in words)


def _oddity_of_word(word: str) -> float:
    """Of a word in another alphabet: with Latin letters in it, without a vowel, or of one letter."""
    others = len(_OTHER_ALPHABET.findall(word))
    if not others:
        return 0.0
    if others < len(word):
        return float(others)
    if len(word) == 1:
        return 0.5
    return 0.3 * others if len(word) > 3 and not _VOWEL.search(word) else 0.0


_MOST_ACCENTS = 0.6
"""Share of accented letters in the words that have any: Polish and Czech come near to it."""
_LATIN_BEYOND = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")
_OTHER_ALPHABET = re.compile("[\u0370-\u0e7f]")
_VOWEL = re.compile("[аеёиоуыэюяіїєαεηιουωάέήίόύώ\u0590-\u0e7f]", re.IGNORECASE)
"""Hebrew, Arabic and Thai count as having some."""
_SIGN_IN_WORD = re.compile(rf"(?<=[^\W\d_])[{re.escape('„“”«»‹›…•¿¡' + _SIGNS)}](?=[^\W\d_])")


# -- Chinese, Japanese, Korean --


def _wide_score(counts: dict[str, int]) -> float:
    """By the language of the four that fits best."""
    if not counts:
        return 0.0
    kana = sum(count for char, count in counts.items() if "\u3041" <= char <= "\u30fe")
    has_kana = kana > sum(counts.values()) * 0.15
    return max(
        _sum_of(counts, alphabets.SIMPLIFIED, "gb2312", range(0xB0, 0xD8), 0.0),
        _sum_of(counts, alphabets.TRADITIONAL, "big5", range(0xA4, 0xC7), 0.0),
        _sum_of(counts, alphabets.JAPANESE, "euc_jp", range(0xB0, 0xD0), 1.0)
        - (0 if has_kana else 0.1 * sum(counts.values())),
        _sum_of(counts, alphabets.KOREAN, "euc_kr", range(0xB0, 0xC9), 0.0),
    )


def _sum_of(counts: dict[str, int], frequent: str, charset: str, common: range, kana: float) -> float:
    total = 0.0
    for char, count in counts.items():
        if "\uff61" <= char <= "\uff9f":  # katakana of half the width, one byte each
            total += count * (0.4 if kana else -0.3)
            continue
        if char in _WIDE_SIGNS:
            worth = 0.8
        elif "\u3041" <= char <= "\u30fe":
            worth = kana or -0.3
        elif char in frequent:
            worth = 1.0
        elif _lead(char, charset) in common:
            worth = 0.75
        else:
            worth = -0.2 if _lead(char, charset) else -1.0
        total += 2 * count * worth
    return total


@cache
def _lead(char: str, charset: str) -> int:
    """The first byte of the character; 0 where the character set has it not."""
    try:
        return char.encode(charset)[0]
    except UnicodeEncodeError:
        return 0
