"""Open Clipart's titles and file names → plain words for what a picture shows.

    "Clipart by Nicu Buculei - svg_globe_green"   ──►  "globe green"
    "sportcar_sergio_luiz_ara_01" (Sergio Luiz)   ──►  "sportcar"
    "Dog 06 Drawn With Straight Lines"            ──►  "dog drawn with straight lines"

Numbering, artists' names (cut off at 25 characters in file names), handles, addresses and the collection's own
words go; numbers that mean something ("45 rpm record") stay. `series_key` is what members of a series share.
"""

import html
import re
import unicodedata
from collections.abc import Sequence, Set

_ADDRESS = re.compile(r"\S+@\S+|\S+ AT \S+ DOT \S+|https?://\S+|\bwww\.\S+")
_CREDIT = re.compile(r"^clip\s?art by [^-]+-\s*|\s+by [A-Z]\S+( \S+)?$|openclipart\S*", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_COLLECTION = frozenset(
    {"svg", "png", "jpg", "eps", "clipart", "ocal", "openclipart", "image", "picture", "untitled", "aiga"}
)
_HANDLES = frozenset({"ganson", "nicubunu", "aj", "jh", "bwh", "lumen", "erwan", "jorkon", "jpeg"})
_SPELLED = {"bw": "black and white", "rpg": "role-playing", "usa": "united states"}
_OTHER_LANGUAGES = frozenset("de la le les du des un une et il del della dell di con col una en el los las na".split())
_VARIANTS = frozenset(
    "and black white red green blue yellow orange purple pink brown grey gray silver gold cyan magenta seagreen bw "
    "colour color coloured colored left right up down upper lower top bottom front back lit unlit big small large "
    "vertical horizontal one two three four five six seven eight nine ten half "
    "simple alt outline symbol icon a b c d e f g h i j k l m n o p q r s t u v w x y z".split()
)
_ALPHABET = frozenset(
    "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike november oscar papa "
    "quebec romeo sierra tango uniform victor whiskey xray ray yankee zulu numerical".split()
)
_SIGNALS = frozenset({"semaphore", "signal", "signalflag"})  # flags that stand for a letter are a numbered series


def from_title(title: str, creator: str) -> str:
    """A drawing's own title in lower case, or "" where nothing is left of it."""
    bare = _CREDIT.sub(" ", _ADDRESS.sub(" ", html.unescape(title)))
    return _joined(_without_creator(_words(bare), creator))


def from_file_name(stem: str, creator: str) -> str:
    """A file name's words; the artist's name at its end is dropped, also where it was cut off."""
    return _joined(_without_creator(_words(stem), creator))


def series_key(text: str) -> str:
    """Equal for what differs in numbers, colours, directions, single letters, plurals and the order of words alone."""
    words = re.findall(r"[^\W\d_]+", _plain(text.lower()))
    variants = _VARIANTS if _SIGNALS.isdisjoint(words) else _VARIANTS | _ALPHABET
    kept = [word for word in words if word not in variants] or words
    return " ".join(sorted({_singular(word) for word in kept}))


def artist_key(creator: str) -> str:
    """Equal for one artist's spellings: "A.J. Ashton", "AJ Ashton [aj@…]"."""
    return re.sub(r"[^a-z]", "", _plain(re.sub(r"[(\[<].*", "", creator).lower()))


def looks_english(text: str, vocabulary: Set[str]) -> bool:
    """ASCII, no article of another language, and most of the words of three letters and more in `vocabulary`."""
    words = re.findall(r"[a-z]+", text)
    if not _OTHER_LANGUAGES.isdisjoint(words):
        return False
    words = [word for word in words if len(word) > 2]
    known = sum(_is_known(word, vocabulary) for word in words)
    return text.isascii() and 2 * known > len(words)


def _words(text: str) -> list[str]:
    parted = re.sub(r"[_\-/\\+~|.,;:!?\"()\[\]{}<>=*#&]+", " ", _CAMEL.sub(" ", text))
    return re.sub(r"\bb (and |n )?w\b", "bw", parted.lower()).split()


def _without_creator(words: Sequence[str], creator: str) -> list[str]:
    words = [word for word in words if word not in _COLLECTION]
    while words and _is_numbering(words[-1]):
        words.pop()
    names = _plain(creator.lower())
    names_list = re.findall(r"[a-z]+", names)
    for start in range(len(words)):
        if _is_cut_name(words[start:], names_list):
            words = words[:start]
            break
    words = [word for word in words if word not in _HANDLES]
    while words and (_is_numbering(words[-1]) or words[-1] in {"r", "by"}):
        words.pop()
    while len(words) > 1 and len(words[-1]) == 1:
        words.pop()
    kept = [word for word in words[1:] if not re.fullmatch(r"\d|0\d+\w?|r\d+", word)]
    kept = [word for word in words[:1] if not re.fullmatch(r"0\d+\w?|r\d+", word)] + kept
    return [_SPELLED.get(word, word) for word in kept]


def _is_cut_name(words: Sequence[str], names: Sequence[str]) -> bool:
    """Whether `words` are the first names of `names`, the last word perhaps cut short ("sergio luiz ara")."""
    if not words or not names or len(words) > len(names) or (len(words) == 1 and words[0] != names[0]):
        return False
    plain = [_plain(word) for word in words]
    return plain[:-1] == list(names[: len(words) - 1]) and names[len(words) - 1].startswith(plain[-1])


def _is_numbering(word: str) -> bool:
    return re.fullmatch(r"\d+[a-z]?|v\d+", word) is not None


def _joined(words: Sequence[str]) -> str:
    """Numbers glued to the end of a word ("cone2") are numbering too."""
    text = " ".join(re.sub(r"(?<=[a-z]{3})\d+$", "", word) for word in words)
    return text.strip(" '`´’")


def _is_known(word: str, vocabulary: Set[str]) -> bool:
    """Also two words of at least four letters written as one ("bluewhale")."""
    halves = ((word[:cut], word[cut:]) for cut in range(4, len(word) - 3))
    return any(w in vocabulary for w in (word, _singular(word))) or any(
        a in vocabulary and b in vocabulary for a, b in halves
    )


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _plain(text: str) -> str:
    """Without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
