"""POPE's answers beside their labels: by id, in order, or by the questions' texts.

The original code pairs by order alone, so that one lost line shifts every answer behind it. Here the way is taken that
leaves the least over and agrees best with the questions' texts; on whole files all ways are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_BLOCK = 10_000_000
"""LLaVA's question file numbers its settings 1 …, 10000001 …, 20000001 …."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PopeLabel:
    """One question. `text` is its first line, in small letters."""

    name: str
    text: str
    yes: bool
    asked: str = ""
    """The question as written."""
    image: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PopeAnswer:
    """What a model said. `name` is the id as written, None where the format has none."""

    name: str | None
    text: str
    question: str
    category: str | None = None

    @property
    def local(self) -> str | None:
        """The id within its setting."""
        return str(self._number % _BLOCK) if self._number is not None else self.name

    @property
    def block(self) -> int:
        """Which of LLaVA's settings the id is of."""
        return self._number // _BLOCK if self._number is not None else 0

    @property
    def _number(self) -> int | None:
        return int(self.name) if self.name is not None and self.name.isdecimal() and len(self.name) < 18 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A setting's labels, by their file."""

    name: str
    labels: Sequence[PopeLabel]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """Answers beside their labels, and what found no partner."""

    pairs: Sequence[tuple[PopeAnswer, PopeLabel]]
    missing: Sequence[str]
    extra: Sequence[str]
    differing: Sequence[str]
    """Paired, but the questions' texts disagree."""

    @property
    def cost(self) -> int:
        """How badly answers and labels fit."""
        return len(self.missing) + len(self.extra) + len(self.differing)


def pair(answers: Sequence[PopeAnswer], labels: Sequence[PopeLabel]) -> Pairing:
    """By id where ids fit, else in order, else by the questions' texts: what leaves the least over.

    Answers without ids and questions, and not as many as there are labels, fit nowhere: all are left over.
    """
    ways = []
    names = [answer.local for answer in answers]
    if None not in names and len(set(names)) == len(names):
        ways.append(_by_id(answers, labels))
    if len(answers) == len(labels):
        ways.append(_pairing(list(zip(answers, labels, strict=True)), [], []))
    best = min(ways, key=lambda way: way.cost, default=None)
    if (best is None or best.cost) and all(answer.question for answer in answers):
        aligned = _by_text(answers, labels)
        best = aligned if best is None or aligned.cost < best.cost else best
    if best is None:
        left = [answer.name or f"answer {number}" for number, answer in enumerate(answers, 1)]
        best = _pairing([], [label.name for label in labels], left)
    return best


def _by_id(answers: Sequence[PopeAnswer], labels: Sequence[PopeLabel]) -> Pairing:
    wanted = {label.name: label for label in labels}
    pairs = [(answer, wanted[answer.local]) for answer in answers if answer.local in wanted]
    answered = {label.name for _, label in pairs}
    return _pairing(
        pairs,
        [name for name in wanted if name not in answered],
        [str(answer.name) for answer in answers if answer.local not in wanted],
    )


def _by_text(answers: Sequence[PopeAnswer], labels: Sequence[PopeLabel]) -> Pairing:
    """Longest runs of the same questions in the same order."""
    asked, wanted = [answer.question for answer in answers], [label.text for label in labels]
    pairs: list[tuple[PopeAnswer, PopeLabel]] = []
    left_answers, left_labels = set(range(len(answers))), set(range(len(labels)))
    for start, other, size in SequenceMatcher(None, asked, wanted, autojunk=False).get_matching_blocks():
        pairs += zip(answers[start : start + size], labels[other : other + size], strict=True)
        left_answers -= set(range(start, start + size))
        left_labels -= set(range(other, other + size))
    return _pairing(
        pairs,
        [labels[n].name for n in sorted(left_labels)],
        [answers[n].name or f"answer {n + 1}" for n in sorted(left_answers)],
    )


def _pairing(pairs: Sequence[tuple[PopeAnswer, PopeLabel]], missing: Sequence[str], extra: Sequence[str]) -> Pairing:
    differing = [label.name for answer, label in pairs if answer.question and label.text != answer.question]
    return Pairing(pairs=pairs, missing=missing, extra=extra, differing=differing)
