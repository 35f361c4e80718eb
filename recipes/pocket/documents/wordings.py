"""Questions and answers in blocks of plain text, filled in for one document.

    total                              the key of the value
    ? What is the total on <receipt>?  a question; `<…>` is a name for the document
    = The total is {total}.            an answer with the value, the best wording first
    + And the total?                   the question as it follows another one
    ~ Show me the <thing>              a question without its mark

A line may hold several questions or follow-ups, each closed by its question mark.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recipes.pocket.documents.document import Ask

_SLOT = re.compile(r"<([^>]+)>")


@dataclass(frozen=True, slots=True)
class Wording:
    """All ways to ask for one value and to answer."""

    key: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    follow_ups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """How a question calls something. `about` is what of it must be found in the evidence, "" nothing."""

    text: str
    about: str = ""


def parsed(blocks: str) -> tuple[Wording, ...]:
    """The wordings of a table like the one above; blocks are parted by empty lines."""
    return tuple(_wording(block) for block in re.split(r"\n\s*\n", blocks.strip()))


def _wording(block: str) -> Wording:
    key, *rows = (row.strip() for row in block.strip().splitlines())

    def each(sign: str) -> list[str]:
        return [row[1:].strip() for row in rows if row.startswith(sign)]

    def asked(sign: str) -> tuple[str, ...]:
        return tuple(text.strip() + "?" for row in each(sign) for text in row.rstrip("?").split("?"))

    return Wording(key, (*asked("?"), *each("~")), tuple(each("=")), asked("+"))


def asks(draw: random.Random, wordings: Sequence[Wording], names: Mapping[str, Name]) -> tuple[Ask, ...]:
    """One question for each wording, in the words that `draw` picks."""
    return tuple(ask(draw, wording, names) for wording in wordings)


def ask(draw: random.Random, wording: Wording, names: Mapping[str, Name]) -> Ask:
    """A question whose names are filled in; `{…}` in the answers stays for the values."""
    question = draw.choice(wording.questions)
    about = " ".join(dict.fromkeys(names[slot].about for slot in _SLOT.findall(question) if names[slot].about))
    return Ask(
        question=filled(question, names),
        keys=(_named(wording.key, names),),
        answers=tuple(filled(answer, names) for answer in wording.answers),
        about=about,
        then=filled(draw.choice(wording.follow_ups), names) if wording.follow_ups else "",
    )


def filled(text: str, names: Mapping[str, Name]) -> str:
    """The text with every `<name>` replaced; a sentence begins with a capital."""
    made = _named(text, names)
    return made[:1].upper() + made[1:] if text[:1] == "<" else made


def _named(text: str, names: Mapping[str, Name]) -> str:
    return _SLOT.sub(lambda match: names[match[1]].text, text)
