"""How near the questions of the made-up documents come to the questions that Llavero is measured with.

A small reader that was trained on "What does a family ticket cost?" has an advantage when it is asked that in the
sample collection. Two questions of one form about different things share only the words of the form; a paraphrase
shares at least half of its content words, or of the letters in them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from recipes.pocket.terms import content_terms

LIMIT = 0.5
"""Jaccard of the content words, or of the runs of four letters in them. "When was the church built?" and "When was the
lighthouse built?" share a third, "Where is the first-aid kit?" and "Where do I find the first-aid box?" half."""

_FORM = frozenset(content_terms("photo photograph picture image drawing file show long often find look looking"))
"""Words that tell what kind of question it is, not what it is about."""

_SLOT = re.compile(r"[<{][^>}]*[>}]")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two texts that say too much of the same."""

    made: str
    asked: str
    share: float
    measure: str  # words, letters, template, entry


@cache
def content(text: str) -> frozenset[str]:
    """What the text is about: its content words without those of its form."""
    return frozenset(content_terms(text)) - _FORM


@cache
def letters(text: str) -> frozenset[str]:
    """The runs of four letters in its content words: near for words that are bent or written in other ways."""
    bare = " ".join(sorted(content(text)))
    return frozenset(bare[at : at + 4] for at in range(len(bare) - 3))


def shared(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard: what both have of what either has."""
    return len(one & other) / len(one | other) if one | other else 0.0


def of_questions(made: str, asked: str, *, limit: float = LIMIT) -> Iterator[Overlap]:
    """A question with its names filled in, against one that is measured with."""
    words, runs = shared(content(made), content(asked)), shared(letters(made), letters(asked))
    if words >= limit:
        yield Overlap(made, asked, words, "words")
    if runs >= limit:
        yield Overlap(made, asked, runs, "letters")


def of_template(template: str, asked: str) -> Iterator[Overlap]:
    """A template, whatever fills its slots: two or more content words of its own may not all be in the question."""
    own = content(_SLOT.sub(" ", template))
    if len(own) > 1 and own <= content(asked):
        yield Overlap(template, asked, 1.0, "template")


def of_entry(entry: str, asked: str) -> Iterator[Overlap]:
    """An entry of a list: a name of two or more words may not stand whole in a question or an answer."""
    own = content(_SLOT.sub(" ", entry))
    if len(own) > 1 and own <= content(asked):
        yield Overlap(entry, asked, 1.0, "entry")
