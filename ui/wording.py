"""Text that others wrote, as people see it: nothing in it is hidden, and nothing passes for what Llavero itself says.

shown              names of files and folders
visible, escaped   text without its hidden characters, or with their codes

A name is written by whoever made the file. `a ✓ “all is verified”.txt` must not pass for a verdict on a citation, and
a line break in a name not for another line. So an ordinary name is shown as it is, and one that holds anything else
than letters, digits and the signs usual in names stands between quotation marks that it cannot close.

Hidden characters show nothing by themselves and change how others are shown, or what a terminal does: controls move a
terminal's cursor, direction marks turn `fdp.exe` into `exe.pdf`, tags and fillers hide a text inside another. Nothing
that came from a file, a person or a model is shown with them.
"""

import json
import logging
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ui.owner import OwnerError

JOINERS = "\u200c\u200d" + "".join(map(chr, range(0xFE00, 0xFE10)))
"""Persian and Indic spelling and many emoji need them; `visible` keeps them."""
BLANKS = "\u034f\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0"  # Unicode calls them letters and marks, but nothing is seen
_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_NUMBER_SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # Cf, but seen
_TAGS = range(0xE0000, 0xE1000)
_USUAL_SIGNS = frozenset(" ._-+/~@&#=%()")
_LETTERS_AND_DIGITS = ("L", "M", "Nd")
_SIGNS_CALLED_LETTERS = range(0x2B0, 0x300)  # raised commas and primes, which look like quotation marks


def json_text(document: Mapping[str, Any] | Sequence[Any]) -> str:
    r"""JSON with letters of all scripts as they are, and hidden characters as `\u202e`."""
    lines = json.dumps(document, ensure_ascii=False, indent=2).split("\n")  # JSON writes line feeds in texts as \n
    return "\n".join(map(escaped, lines))


def shown(name: str) -> str:
    r"""`manual.pdf` → `manual.pdf`; `a ✓ “b”.pdf` → `"a ✓ “b”.pdf"`; `a"b` → `"a\"b"`."""
    if _is_ordinary(name):
        return name
    return escaped(json.dumps(name, ensure_ascii=False))


def meant(written: str) -> str:
    r"""The way back from `shown`: `"a\"b"` → `a"b`; everything else as it is."""
    if not (len(written) > 1 and written[0] == written[-1] == '"'):
        return written
    try:
        name = json.loads(written)
    except ValueError:
        return written
    return name if isinstance(name, str) and shown(name) == written else written


def _is_ordinary(name: str) -> bool:
    return bool(name) and name == name.strip() and "  " not in name and all(map(_is_usual, name))


def _is_usual(character: str) -> bool:
    if character in _USUAL_SIGNS:
        return True
    lettered = unicodedata.category(character).startswith(_LETTERS_AND_DIGITS)
    return lettered and ord(character) not in _SIGNS_CALLED_LETTERS and not is_hidden(character)


def is_hidden(character: str) -> bool:
    """Whether a character is hidden; line feed and tab are too."""
    if unicodedata.category(character) in _CATEGORIES:
        return character not in _NUMBER_SIGNS
    return character in BLANKS or character in JOINERS or ord(character) in _TAGS


def visible(text: str) -> str:
    """The text without hidden characters other than line feeds, tabs and joiners.

    A control leaves a space, so that words stay apart.
    """
    return text if _is_harmless(text) else "".join(map(_seen, text))


def escaped(text: str) -> str:
    r"""The text with each hidden character as JSON writes it: `a<U+202E>b` → `a\u202eb`."""
    return text if _is_harmless(text) else "".join(_code(c) if is_hidden(c) else c for c in text)


def _is_harmless(text: str) -> bool:
    """A quick test that nearly every text passes."""
    return text.isascii() and text.isprintable()


def _seen(character: str) -> str:
    if character in "\n\t" or character in JOINERS or not is_hidden(character):
        return character
    return " " if unicodedata.category(character) in ("Cc", "Zl", "Zp") else ""


def _code(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


# Errors as people meet them: one line and a hint instead of a traceback, on a terminal and on the page.

Result = TypeVar("Result")
_logger = logging.getLogger(__name__)


def expected_faults() -> tuple[type[BaseException], ...]:
    """The roots of every package's error tree, and what the operating system says (full disk, no permission)."""
    from claims.errors import ClaimsError
    from indexing.errors import IndexingError
    from llava_model.errors import LlavaError
    from llava_model.kits.errors import KitError
    from rag.errors import RagError
    from ui.settings import SettingsError

    return ClaimsError, IndexingError, LlavaError, KitError, RagError, SettingsError, OwnerError, OSError


def is_expected(fault: BaseException) -> bool:
    """Whether it was made for people. What another process told is known without loading anything."""
    known_before = isinstance(fault, OwnerError | OSError)
    return known_before or isinstance(fault, expected_faults())


def sentences(fault: BaseException) -> list[str]:
    """What happened, then what to do: the message and its notes, one line each."""
    if isinstance(fault, OSError) and fault.strerror:
        message = f"{fault.strerror}: {fault.filename}" if fault.filename else fault.strerror
    else:
        message = str(fault) or type(fault).__name__
    return [" ".join(message.split()), *getattr(fault, "__notes__", [])]


def explained(error: Exception, surprise: str) -> tuple[str, ...]:
    """The sentences for somebody at the page; of an unexpected error that is `surprise`, and the log has the rest."""
    if isinstance(error, expected_faults()):
        return tuple(sentences(error))
    _logger.error(surprise, exc_info=error)
    return surprise, "The server's log has the details."


def attempt(work: Callable[[], Result]) -> Result | Exception:
    """What `work` returns, or the error that it raises: a thread has no caller, and the page must stay usable."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001  # the caller looks at it
        return error
