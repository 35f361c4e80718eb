"""Questions and answers in blocks of plain text, filled in for one document.

    total                              the key of the value; in facts.txt, "kind of value: statement with {}"
    ? What is the total on <receipt>?  a question; `<…>` is a name for the document
    = The total is {}.  = It is {}.    answers with the value, the best wording first
    + And the total?                   the question as it follows another one
    ~ Show me the <thing>              a question without its mark

A line may hold several questions or follow-ups, each closed by its question mark, and several answers.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from recipes.pocket.documents.document import Ask

_SLOT = re.compile(r"<(\w+)(?::(\w+))?>")
FILTERS: Mapping[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "capital": lambda text: text[:1].upper() + text[1:],
    "small": lambda text: text[:1].lower() + text[1:],
    "first": lambda text: text.split()[0],
    "last": lambda text: text.split(" ", 1)[-1],
    "slug": lambda text: re.sub(r"[,:]", "", text.lower()).replace(" ", "-").replace("/", "-"),
    "login": lambda text: "".join(name[:3] for name in text.lower().split()),
}
"""What `<name:filter>` does to a text. `slug` is for names of files, `login` for mail addresses."""


@dataclass(frozen=True, slots=True)
class Wording:
    """All ways to ask for one value and to answer; a statement holds the value at its `{}`."""

    key: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    follow_ups: tuple[str, ...] = ()
    statement: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """How a question calls something. `about` is what of it must be found in the evidence, "" nothing."""

    text: str
    about: str = ""


@cache
def parsed(blocks: str) -> tuple[Wording, ...]:
    """The wordings of a table like the one above; blocks are parted by empty lines."""
    return tuple(_wording(block) for block in re.split(r"\n\s*\n", blocks.strip()))


def _wording(block: str) -> Wording:
    first, *rows = (row.strip() for row in block.strip().splitlines())
    key, _, statement = first.partition(": ")

    def each(sign: str) -> list[str]:
        return [row[1:].strip() for row in rows if row.startswith(sign)]

    def asked(sign: str) -> tuple[str, ...]:
        return tuple(text.strip() + "?" for row in each(sign) for text in row.rstrip("?").split("?"))

    answers = tuple(answer.strip() for row in each("=") for answer in row.split(" = "))
    return Wording(key, (*asked("?"), *each("~")), answers, asked("+"), statement)


def asks(draw: random.Random, wordings: Sequence[Wording], names: Mapping[str, Name]) -> tuple[Ask, ...]:
    """One question for each wording, in the words that `draw` picks."""
    return tuple(ask(draw, wording, names) for wording in wordings)


def ask(draw: random.Random, wording: Wording, names: Mapping[str, Name], *, key: str = "") -> Ask:
    """A question whose names are filled in; `{}` in the answers becomes `{key}`, and `{…}` stays for the values."""
    question = draw.choice(wording.questions)
    about = dict.fromkeys(names[slot].about for slot, _ in _SLOT.findall(question))
    key = key or _named(wording.key, names)
    return Ask(
        question=filled(question, names),
        keys=(key,),
        answers=tuple(filled(answer, names).replace("{}", "{" + key + "}") for answer in wording.answers),
        about=" ".join(filter(None, about)),
        then=filled(draw.choice(wording.follow_ups), names) if wording.follow_ups else "",
    )


def filled(text: str, names: Mapping[str, Name]) -> str:
    """The text with every `<name>` replaced; a sentence begins with a capital."""
    made = _named(text, names)
    return FILTERS["capital"](made) if text[:1] == "<" else made


def _named(text: str, names: Mapping[str, Name]) -> str:
    def fill(match: re.Match[str]) -> str:
        name = names[match[1]].text
        return FILTERS[match[2]](name) if match[2] else name

    return _SLOT.sub(fill, text)
