"""Whether a text is in another language than asked for: only where that is sure.

Captions are short, and a wrong objection loses a good one. So a text must be long enough to tell, names do not count
(`A tram in Rio de Janeiro` is English), and a language must lead clearly. A quick detector (18 MB, 0.1 ms a text)
passes nearly everything; what it suspects, an exact one decides (up to 200 MB, loaded when it is first needed).
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from llava_model.errors import MissingPackageError

if TYPE_CHECKING:
    from lingua import LanguageDetector

NAMES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch"
}  # fmt: skip
LANGUAGES = tuple(NAMES)
OTHER_SCRIPT = "other"
_LEAST_LETTERS = 11
_SUSPECT_LEAD = 0.2
_SURE_LEAD = 0.5
"""Of one language's share over another's. Measured on short captions in seven languages, see docs/LOG.md."""


def language_of(text: str) -> str | None:
    """One of LANGUAGES, "other" for a text in another script, or None where that cannot be told.

    Raises MissingPackageError, as `is_other_language` does, where lingua is needed and not installed.
    """
    if _is_other_script(text):
        return OTHER_SCRIPT
    words = _telling_words(text)
    if words is None:
        return None
    (best, most), (_, second), *_ = sorted(_shares(words, exact=True).items(), key=lambda share: -share[1])
    return best if most - second >= _SURE_LEAD else None


def is_other_language(text: str, wanted: str) -> bool:
    """True where the text is surely not in `wanted`, one of LANGUAGES."""
    if _is_other_script(text):
        return True
    words = _telling_words(text)
    if words is None or _lead(_shares(words, exact=False), wanted) < _SUSPECT_LEAD:
        return False
    return _lead(_shares(words, exact=True), wanted) >= _SURE_LEAD


def _lead(shares: Mapping[str, float], wanted: str) -> float:
    return max(shares.values()) - shares[wanted]


def _is_other_script(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    latin = sum(unicodedata.name(character, "").startswith("LATIN") for character in letters)
    return bool(letters) and latin < len(letters) / 2


def _telling_words(text: str) -> str | None:
    """The words that are no names (in the midst of a text, a capital letter says so), or None where they are few."""
    first, *rest = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text) or [""]
    words = " ".join([first, *(word for word in rest if not word[0].isupper())])
    return words if sum(map(str.isalpha, words)) >= _LEAST_LETTERS else None


def _shares(text: str, *, exact: bool) -> dict[str, float]:
    """Of each of LANGUAGES; together they are 1."""
    found = _detector(exact=exact).compute_language_confidence_values(text)
    return {one.language.iso_code_639_1.name.lower(): one.value for one in found}


@cache
def _detector(*, exact: bool) -> "LanguageDetector":
    try:
        from lingua import IsoCode639_1, LanguageDetectorBuilder
    except ImportError:
        raise MissingPackageError(
            "lingua-language-detector", purpose="telling languages apart", install="'llavero[generate]'"
        ) from None
    codes = [getattr(IsoCode639_1, name.upper()) for name in LANGUAGES]
    builder = LanguageDetectorBuilder.from_iso_codes_639_1(*codes)
    return (builder if exact else builder.with_low_accuracy_mode()).build()
