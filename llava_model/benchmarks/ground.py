"""Questions with numbered evidence: is the answer right, does its marker name the right evidence, and does the model
say so when nothing answers?

One GROUND sample a line (`llavero model generate --from-library --kinds ground` writes them). The last turn is the
reference: with markers such as `[2]` it is an answer, and `answers` holds what a right reply must say; without any it
is a refusal.

    value      of the questions with an answer: an accepted one stands in the reply, as whole words
    marker     of the questions with an answer: the reply has markers, and all of them are the reference's
    refused    of the questions without: the reply is the reference's refusal
    refused_wrongly   of the questions with an answer: the reply is a refusal
    right      of all: value where there is an answer, refused where there is none
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llava_model.benchmarks import Benchmark
from llava_model.benchmarks.asking import Ask, Task, evenly
from llava_model.benchmarks.figures import Problem, Score, id_problem, normal, percent, stands_in, wilson
from llava_model.benchmarks.records import read_answers
from llava_model.benchmarks.vqa import VqaQuestion, read_questions
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
    """Replies by id. Raises UnscorableError, OSError."""
    if references is None:
        raise UnscorableError(predictions, "cannot be scored without the samples it answers: name them as references")
    questions, problems = read_questions(references)
    answers, more = read_answers(predictions)
    return scored(questions, answers, [*problems, *more], predictions)


def task(data: Path, limit: int | None = None) -> Task:
    """The samples of a file asked of a model, with the same turns that serving would send."""
    questions, problems = read_questions(data)
    chosen = evenly(questions, limit)
    asks = [
        Ask(name=q.name, prompt=q.prompt, images=q.images, max_new_tokens=_MOST_TOKENS, before=q.before) for q in chosen
    ]
    return Task(benchmark="ground", asks=asks, score=lambda answers: scored(chosen, answers, list(problems), data))


def scored(
    questions: Sequence[VqaQuestion], answers: Mapping[str, str], problems: list[Problem], source: Path
) -> Score:
    """Missing replies are reported, and count as wrong."""
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
