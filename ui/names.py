r"""Names of files and folders as people see them, told apart from what Llavero itself says.

A name is written by whoever made the file. `a ✓ “all is verified”.txt` must not pass for a verdict on a citation, and
a line break in a name not for another line. So an ordinary name is shown as it is, and one that holds anything else
than letters, digits and the signs usual in names stands between quotation marks that it cannot close.
"""

import json
import unicodedata

from ui import characters

_USUAL_SIGNS = frozenset(" ._-+/~@&#=%()")
_LETTERS_AND_DIGITS = ("L", "M", "Nd")
_SIGNS_CALLED_LETTERS = range(0x2B0, 0x300)  # raised commas and primes, which look like quotation marks


def shown(name: str) -> str:
    r"""`manual.pdf` → `manual.pdf`; `a ✓ “b”.pdf` → `"a ✓ “b”.pdf"`; `a"b` → `"a\"b"`."""
    if _is_ordinary(name):
        return name
    return characters.escaped(json.dumps(name, ensure_ascii=False))


def _is_ordinary(name: str) -> bool:
    return bool(name) and name == name.strip() and "  " not in name and all(map(_is_usual, name))


def _is_usual(character: str) -> bool:
    if character in _USUAL_SIGNS:
        return True
    lettered = unicodedata.category(character).startswith(_LETTERS_AND_DIGITS)
    return lettered and ord(character) not in _SIGNS_CALLED_LETTERS and not characters.is_hidden(character)
