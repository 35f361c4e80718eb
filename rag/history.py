"""A follow-up question → what it is about, found in the questions before it; no model is asked.

"How much does the Aurora 300 cost?" … "And how heavy is it?" → about: aurora 300 cost
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llava_model.serving.engine import Turn
from rag.terms import STOP_WORDS, content_terms, fold, is_number

_POINTS_BACK = re.compile(
    r"^\s*(?:and|but|or|so|then|also|what about|how about|which one)\b|"
    r"\b(?:it|its|they|them|their|he|she|his|him|hers?|this|that|these|those|there|one|ones|same|other|former|latter)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+(?:[-'’.]\w+)*")
_FEWEST_WORDS = 2
_FURTHEST_BACK = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """A question with the words that earlier questions lend it; "" where it stands by itself."""

    question: str
    topic: str = ""

    @property
    def search_text(self) -> str:
        """What retrieval looks for."""
        return f"{self.question} {self.topic}".strip()


def resolve(question: str, history: Sequence[Turn]) -> Resolved:
    """Lend the question the content words of the last questions up to one that stands by itself.

    A question points back when it says it, that, they …, begins with "and", or has fewer than two content words.
    A number in the new question replaces the old ones ("and the 500?" after "… the Aurora 300").
    """
    earlier = [turn.text for turn in history if turn.role == "user" and turn.text.strip()]
    if not earlier or not _points_back(question):
        return Resolved(question=question)
    known = set(content_terms(question))
    renumbered = any(is_number(term) for term in known)
    lent: list[str] = []
    for text in reversed(earlier[-_FURTHEST_BACK:]):
        lent = [*_lendable(text, known, without_numbers=renumbered), *lent]
        known |= set(content_terms(text))
        if not _points_back(text):
            break
    return Resolved(question=question, topic=" ".join(lent))


def _points_back(question: str) -> bool:
    return bool(_POINTS_BACK.search(question)) or len(content_terms(question)) < _FEWEST_WORDS


def _lendable(text: str, known: set[str], *, without_numbers: bool) -> list[str]:
    """The content words of `text` as written, those that are new."""
    words = []
    for word in _WORD.findall(text):
        terms = content_terms(word)
        if not terms or fold(word) in STOP_WORDS or set(terms) <= known:
            continue
        if without_numbers and any(is_number(term) for term in terms):
            continue
        words.append(word)
    return words
