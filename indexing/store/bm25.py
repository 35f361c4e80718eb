"""Text → the words that BM25 counts, and their weights as sparse vectors.

Milvus's own BM25 function is not used, for two reasons measured on Milvus Lite 3.2.2. It weighs a word by how rare
it is within one storage segment, so that a file added on its own to a library of thousands scores far below older
ones for the same words; and its only tokenizers split `INV-2041` and `12/03/2018` for good. So the saturated term
frequency of BM25 is the document's sparse vector, the word's rarity over the whole library is the query's, and their
inner product is the BM25 score, higher is better, on every engine that has sparse vectors.
"""

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SparseVector = dict[int, float]

# BM25's usual constants. The average length is fixed, where BM25 would take the library's own: a row's vector must
# not depend on which other rows exist, or a row would change whenever a file is added.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75
_USUAL_LENGTH = 120.0

_COMMON_ENGLISH = """
a an and are as at be but by for from had has have he her his how i if in into is it its me my no not of on or our
she so than that the their them then there these they this those to was we were what when where which who whom whose
why will with would you your do does did can could should shall may might am been being
"""
_STOP_WORDS = frozenset(_COMMON_ENGLISH.split())
# Vowel signs of scripts from India to Cambodia, which `\w` leaves out: without them a word falls to pieces.
_VOWELS = r"\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u0eb1-\u0ecd\u0f71-\u0f84\u102b-\u103e\u17b4-\u17d3"
_RUN = re.compile(rf"[\w{_VOWELS}]+(?:[-/.,:@_'’][\w{_VOWELS}]+)*")
_PART = re.compile(rf"(?:[^\W_]|[{_VOWELS}])+")
_TATWEEL = "\u0640"
_ONE_WAY = re.compile(r"[\u0590-\u08ff]+|[^\u0590-\u08ff]+")  # Hebrew and Arabic letters, and all others
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?[\s.,/-]{{0,3}}{_MONTH}[\s.,/-]{{0,3}}(\d{{4}})\b")
_MONTH_FIRST = re.compile(rf"\b{_MONTH}[\s.]{{1,2}}(\d{{1,2}})(?:st|nd|rd|th)?[\s,]{{1,3}}(\d{{4}})\b")
# Chinese, Japanese and Thai write without spaces: such runs are counted by overlapping pairs of characters.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")


def words(text: str) -> list[str]:
    """The words of a text in order, lower case, without accents, common English words and plural endings.

    What is joined by signs and holds a digit or an @ is one word more: codes, dates, amounts and addresses match as
    a whole before they match in part. A date with its month in words is one word in each of the usual orders of
    digits, so that it also finds `18/03/2018` and `2018-03-18`.

    >>> words("The receipts for INV-2041, 12/03/2018")
    ['receipt', 'inv_2041', 'inv', '2041', '12_03_2018', '12', '03', '2018']
    """
    folded = _folded(text)
    found: list[str] = []
    for run in _RUN.findall(folded):
        parts = _PART.findall(run)
        if len(parts) > 1 and ("@" in run or any(sign.isdigit() for sign in run)):
            found.append("_".join(_padded(parts)))
        for part in parts:
            for piece in _ONE_WAY.findall(part):
                found += _split_unspaced(piece)
    return found + _dates_in_words(folded)


def _padded(parts: list[str]) -> list[str]:
    """5/3/2018 is written 05/03/2018."""
    is_date = len(parts) == 3 and all(part.isdigit() for part in parts) and any(len(part) == 4 for part in parts)
    return [part.zfill(2) for part in parts] if is_date else parts


def _dates_in_words(folded: str) -> list[str]:
    found = [(day, month, year) for day, month, year in _DAY_FIRST.findall(folded)]
    found += [(day, month, year) for month, day, year in _MONTH_FIRST.findall(folded)]
    dates: list[str] = []
    for day, name, year in found:
        day, month = day.zfill(2), f"{_MONTHS.index(name[:3]) + 1:02d}"
        dates += [f"{day}_{month}_{year}", f"{month}_{day}_{year}", f"{year}_{month}_{day}"]
    return dates


def _folded(text: str) -> str:
    """Compatibility forms, accents and the stroke that stretches an Arabic word removed, so that ﬁne, Café, １２ and ١٢
    are written fine, cafe, 12 and 12."""
    lowered = unicodedata.normalize("NFKD", text).casefold()
    if lowered.isascii():
        return lowered
    return "".join(
        str(unicodedata.decimal(c)) if c.isdecimal() else c
        for c in lowered
        if c != _TATWEEL and not unicodedata.combining(c)
    )


def _split_unspaced(part: str) -> list[str]:
    if part.isascii():
        return [] if part in _STOP_WORDS else [_singular(part)]
    pieces: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(part):
        pieces += [part[end : run.start()]] if run.start() > end else []
        signs = run.group()
        pieces += [signs[i : i + 2] for i in range(len(signs) - 1)] or [signs]
        end = run.end()
    return pieces + ([part[end:]] if end < len(part) else [])


def _singular(word: str) -> str:
    """Harman's S stemmer (1991): three rules that only ever take off an English plural."""
    if len(word) < 4 or not word.endswith("s") or not word.isalpha():
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    return word if word.endswith(("us", "ss")) else word[:-1]


def term(word: str) -> int:
    """A word's dimension: 31 bits of a checksum, the same on every machine."""
    return zlib.crc32(word.encode("utf-8", "replace")) & 0x7FFF_FFFF


def document_vector(text: str) -> SparseVector:
    """BM25's document side: how much a row says each of its words, saturating, shorter rows saying it louder."""
    counts = Counter(words(text))
    length = sum(counts.values())
    damping = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * length / _USUAL_LENGTH)
    return {term(word): count * (_SATURATION + 1) / (count + damping) for word, count in counts.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rarity:
    """In how many of `sampled` rows each term stands: what makes a rare word of a question weigh more."""

    sampled: int
    rows_with_term: Mapping[int, int]

    @classmethod
    def of(cls, vectors: Iterable[Iterable[int]]) -> "Rarity":
        """Counted over the terms of some rows; rows picked evenly stand for all of them."""
        counts: Counter[int] = Counter()
        sampled = 0
        for terms in vectors:
            counts.update(list(terms))  # a mapping would be summed up, not counted
            sampled += 1
        return cls(sampled=sampled, rows_with_term=counts)

    def weight(self, term_id: int) -> float:
        """BM25's inverse document frequency, always above 0."""
        rows = self.rows_with_term.get(term_id, 0)
        return math.log1p((self.sampled - rows + 0.5) / (rows + 0.5))


def query_vector(text: str, rarity: Rarity) -> SparseVector:
    """BM25's question side: each word of the question by its rarity, times how often it is asked for.

    Scaled so that a row which says every word as loudly as can be would score 1: scores of different questions can be
    compared, and added to other scores between 0 and 1.
    """
    weights = {term(word): count * rarity.weight(term(word)) for word, count in Counter(words(text)).items()}
    loudest = (_SATURATION + 1) * sum(weights.values())
    return {each: weight / loudest for each, weight in weights.items()}
