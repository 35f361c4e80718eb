"""Questions with numbered evidence: is the answer right, does its marker name the right evidence, and does the model
refuse where the evidence does not answer?

The references are GROUND samples, one a line (`llavero model generate --from-library --kinds ground` writes them). The
last turn of a sample is the reference. If it has markers such as `[2]`, the question has an answer, and `answers` lists
what a right reply may say. A reference without markers is a refusal.

Shares of the questions that have an answer:

    value             an accepted answer stands in the reply, as whole words
    marker            the reply has markers, and each of them is one of the reference's
    refused_wrongly   the reply is a refusal

Of the questions without an answer:

    refused           the reply is the reference's refusal

Of all questions:

    right             the value is right and nothing is refused, or the refusal is right
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llava_model.benchmarks import Benchmark
from llava_model.benchmarks.asking import Task
from llava_model.benchmarks.figures import Problem, Score, id_problem, normal, percent, stands_in, wilson
from llava_model.benchmarks.vqa import VqaQuestion, ask_samples, score_samples
from llava_model.errors import UnscorableError

_MARKER = re.compile(r"\[(\d{1,3})\]")
_DEFAULT_REFUSAL = "Not in the evidence."
_MOST_TOKENS = 48


@dataclass(frozen=True, kw_only=True, slots=True)
class _Verdict:
    answerable: bool
    value: bool
    marker: bool
    refused: bool

    @property
    def right(self) -> bool:
        return self.value and not self.refused if self.answerable else self.refused


def score(predictions: Path, references: Path | None) -> Score:
    """Score replies by id. Raises UnscorableError, OSError."""
    return score_samples(predictions, references, scored)


def task(data: Path, limit: int | None = None) -> Task:
    """The samples of a file asked of a model, with the same turns that serving would send."""
    return ask_samples("ground", data, limit, scored, max_new_tokens=_MOST_TOKENS)


def scored(
    questions: Sequence[VqaQuestion], answers: Mapping[str, str], problems: list[Problem], source: Path
) -> Score:
    """The figures of these replies by id. Missing ones are reported, and count as wrong."""
    missing = [one.name for one in questions if one.name not in answers]
    if len(missing) == len(questions):
        raise UnscorableError(source, f"answers none of the {len(questions)} questions")
    names = {one.name for one in questions}
    refusals = {normal(one.answers[0]) for one in questions if not _MARKER.search(one.answers[0])}
    refusals.add(normal(_DEFAULT_REFUSAL))
    verdicts = [_verdict(one, answers.get(one.name, ""), refusals) for one in questions]
    held = [one for one in verdicts if one.answerable]
    empty = [one for one in verdicts if not one.answerable]
    right = sum(one.right for one in verdicts)
    return Score(
        benchmark="ground",
        values={
            "right": percent(right, len(verdicts)),
            "value": percent(sum(one.value for one in held), len(held)),
            "marker": percent(sum(one.marker for one in held), len(held)),
            "refused": percent(sum(one.refused for one in empty), len(empty)),
            "refused_wrongly": percent(sum(one.refused for one in held), len(held)),
            "answerable": len(held),
            "unanswerable": len(empty),
        },
        headline=percent(right, len(verdicts)),
        n=len(verdicts),
        interval=wilson(right, len(verdicts)),
        problems=[
            *problems,
            *id_problem("missing", missing, "{n} questions have no reply; they count as wrong"),
            *id_problem("extra", [n for n in answers if n not in names], "{n} replies belong to no question"),
        ],
    )


def _verdict(question: VqaQuestion, reply: str, refusals: set[str]) -> _Verdict:
    reference, *accepted = question.answers
    wanted = set(_MARKER.findall(reference))
    named = set(_MARKER.findall(reply))
    without = _MARKER.sub(" ", reply)
    values = accepted or [_MARKER.sub(" ", reference)]
    return _Verdict(
        answerable=bool(wanted),
        value=bool(wanted) and any(stands_in(one, without) for one in values),
        marker=bool(wanted) and bool(named) and named <= wanted,
        refused=any(refusal in normal(reply) for refusal in refusals),
    )


BENCHMARK = Benchmark(
    name="ground",
    title="questions with numbered evidence",
    score=score,
    task=task,
    columns=("right", "value", "marker", "refused", "refused_wrongly"),
)
