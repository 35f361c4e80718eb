"""Which language a text is in, from its script and its commonest words; None where that cannot be told.

Captions are short: a text without any of the words below is of no known language, which is no objection to it.
"""

import re
import unicodedata
from collections import Counter

_WORDS = {
    "en": "the a an of and is are in on at to with his her their there this that it for from by was two some as be do "
    "does what which who where when why how many they them he she you i we has have not no yes can more over into near",
    "de": "der die das ein eine einen einem und ist sind im auf mit dem den zwei sein ihre nicht von zu steht sitzt",
    "fr": "le la les un une des et est sont dans sur avec du au aux deux son sa ses qui il elle pas pour",
    "es": "el la los las un una unos y es son en con del al dos su que por para está están se",
    "it": "il lo la gli un una uno e è sono nel nella su con del della due suo che di per si",
    "pt": "o os as um uma e é são em no na com do da dois seu que por para está estão",
    "nl": "de het een en is zijn in op met van twee zijn haar die dat er naar voor niet staat zit",
}
LANGUAGES = tuple(_WORDS)
NAMES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch"
}  # fmt: skip
_SETS = {name: frozenset(words.split()) for name, words in _WORDS.items()}


def language_of(text: str) -> str | None:
    """One of LANGUAGES, or "other" for a text in another script, or None."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(unicodedata.name(character, "").startswith("LATIN") for character in letters)
    if letters and latin < len(letters) / 2:
        return "other"
    words = re.findall(r"[^\W\d_]+", text.casefold())
    scores = Counter({name: sum(word in known for word in words) for name, known in _SETS.items()})
    (best, most), (_, second) = scores.most_common(2)
    return best if most > second else None


def is_other_language(text: str, wanted: str) -> bool:
    """True where the text is surely not in `wanted`: two more of another language's words, or another script."""
    found = language_of(text)
    if found in (None, wanted):
        return False
    if found == "other":
        return True
    words = re.findall(r"[^\W\d_]+", text.casefold())
    assert found is not None
    theirs, ours = (sum(word in _SETS[name] for word in words) for name in (found, wanted))
    return theirs >= ours + 2
