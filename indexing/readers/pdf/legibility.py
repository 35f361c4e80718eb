"""Is a text layer worth reading, and did OCR help where it was not? By shares of characters, not by kinds of files."""

import math
import re
import unicodedata
from collections.abc import Sequence

from indexing.readers.pdf.text import PageText

_FEW_CHARACTERS = 12
_ODD_SHARE = 0.3
_STRANGE_SHARE = 0.045
_STRANGE = re.compile(r"\w[^\w\s.,:/@&'’\-–()]+\w|[a-z][A-Z][a-z]|[a-z]\d[a-z]|[*^~|\\»«]{1}\w|[A-Za-z]{2}[»«^*]")
_ENOUGH_LETTERS = 60
_MOST_SURPRISE = 4.64
"""Bits for a letter by the frequencies below: 13 languages have 4.2 to 4.5 (Welsh 4.63), their letters shifted 4.7 to
5.2, and 98 of 100 other mix-ups of English more than that. OCR has the last word."""
_MOST_ACCENTED = 0.5
"""Of letters: Vietnamese has 0.25; Russian whose font says that its letters are Western has all of them."""
_FREQUENCIES = dict(
    zip(
        "eainrtsoldumcphvkbgfyzjwqx",
        (13.5, 8.8, 8, 7.5, 6.5, 6.5, 6.5, 6.8, 4.8, 4.3, 4.3, 3, 3.2, 2.6, 1.8, 1.6, 1.8, 1.6, 2.6, 1.4, 1.4, 1.2, 0.7,
         1.2, 0.5, 0.4),
        strict=True,
    )
)  # fmt: skip
"""Percent of the letters of European languages, their accents taken off."""
_BITS = {letter: -math.log2(share / sum(_FREQUENCIES.values())) for letter, share in _FREQUENCIES.items()}
_READ_SHARE = 0.5
_SAME_WORDS = 0.3


def is_legible(text: PageText) -> bool:
    """Some characters, most of which mean something.

    Invisible text was put over a scan by somebody's OCR, maybe decades ago: where it looks misread, ours reads the page
    again.
    """
    if text.characters < _FEW_CHARACTERS or text.odd > _ODD_SHARE * text.characters:
        return False
    return not text.invisible or _strange_words(text) <= _STRANGE_SHARE


def _strange_words(text: PageText) -> float:
    """The share of words with signs or changes of case inside, such as `n»Bfl` or `s*r;tiiR`."""
    words = [word for piece in text.pieces for word in piece.text.split() if len(word) > 2]
    return sum(1 for word in words if _STRANGE.search(word)) / max(1, len(words))


def makes_no_words(texts: Sequence[str]) -> bool:
    """Letters that are of no language in Latin script: the rare ones are frequent, or nearly all have accents.

    A font without a table of its letters gives this where its own numbers are taken for letters.
    """
    letters = [char for text in texts for char in text.lower() if char.isalpha()]
    latin = [char for char in letters if char < "\u0250" or "\u1e00" <= char < "\u1f00"]
    if len(latin) < _ENOUGH_LETTERS or 2 * len(latin) < len(letters):
        return False
    accented = sum(1 for char in latin if "\u00c0" <= char <= "\u00ff")
    bits = [_BITS[char] for char in unicodedata.normalize("NFKD", "".join(latin)) if char in _BITS]
    return accented > _MOST_ACCENTED * len(latin) or sum(bits) > _MOST_SURPRISE * len(bits)


def agree(texts: Sequence[str], others: Sequence[str]) -> bool:
    """A good part of the words of the one are words of the other."""
    words, its_words = _words(texts), _words(others)
    return len(words & its_words) >= _SAME_WORDS * min(len(words), len(its_words))


def _words(texts: Sequence[str]) -> set[str]:
    return {word.casefold() for text in texts for word in re.findall(r"\w{2,}", text)}


def is_read(found: Sequence[str], letters: int) -> bool:
    """OCR found as much as there was to see: `letters` were drawn."""
    return sum(1 for text in found for char in text if char.isalnum()) >= _READ_SHARE * letters


def odd_letters(text: PageText) -> int:
    """Letters of words that say nothing."""
    return sum(len(word.text) for word in text.unclear)
