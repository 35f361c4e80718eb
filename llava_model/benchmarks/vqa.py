"""Any set of questions about pictures: one training sample a line, its last answer the reference.

Both formats of `data.samples` are read, so the held-out half of a training set is a benchmark as it is. The last
question of a conversation is asked, after the turns before it; independent turns are left out before it. A sample may
list further accepted answers under `answers`.

    exact      share of replies that equal an accepted answer, whatever the case, a leading article or a final full stop
    contains   share of replies in which an accepted answer stands, as whole words
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llava_model.benchmarks import Benchmark
from llava_model.benchmarks.asking import Ask, Said, Task, evenly
from llava_model.benchmarks.figures import Problem, Score, id_problem, normal, percent, stands_in, wilson
from llava_model.benchmarks.records import read_answers, read_records
from llava_model.errors import BadSampleError, UnscorableError

if TYPE_CHECKING:
    from llava_model.data.samples import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class VqaQuestion:
    """One question, its pictures, and the answers that count as right."""

    name: str
    prompt: str
    images: tuple[Path, ...]
    answers: tuple[str, ...]
    """The sample's own answer is the first one."""
    before: tuple[Said, ...] = ()
    """What was said before the question, system turn included."""


Scorer = Callable[[Sequence[VqaQuestion], Mapping[str, str], list[Problem], Path], Score]
"""Questions, answers by id, what is already known to be wrong, and the file to name in an error → a score."""


def score(predictions: Path, references: Path | None) -> Score:
    """Score answers by id. Raises UnscorableError, OSError."""
    return score_samples(predictions, references, scored)


def task(data: Path, limit: int | None = None) -> Task:
    """The samples of a file asked of a model; of a conversation its last question."""
    return ask_samples("vqa", data, limit, scored, max_new_tokens=64)


def score_samples(predictions: Path, references: Path | None, scorer: Scorer) -> Score:
    """Score answers to samples with the scorer of a benchmark. Raises UnscorableError, OSError."""
    if references is None:
        raise UnscorableError(predictions, "cannot be scored without the samples it answers: name them as references")
    questions, problems = read_questions(references)
    answers, more = read_answers(predictions)
    return scorer(questions, answers, [*problems, *more], predictions)


def ask_samples(benchmark: str, data: Path, limit: int | None, scorer: Scorer, *, max_new_tokens: int) -> Task:
    """The samples of a file, ready to be asked for a benchmark and scored by its scorer."""
    questions, problems = read_questions(data)
    chosen = evenly(questions, limit)
    asks = [
        Ask(name=one.name, prompt=one.prompt, images=one.images, max_new_tokens=max_new_tokens, before=one.before)
        for one in chosen
    ]
    return Task(benchmark=benchmark, asks=asks, score=lambda answers: scorer(chosen, answers, list(problems), data))


def read_questions(path: Path, *, root: Path | None = None) -> tuple[list[VqaQuestion], list[Problem]]:
    """The samples of a file, pictures relative to `root` (by default the file's folder); bad ones are reported."""
    from llava_model.data.samples import parse_sample

    records, problems = read_records(path)
    questions: dict[str, VqaQuestion] = {}
    bad: list[str] = []
    for position, record in enumerate(records, 1):
        try:
            sample = parse_sample(record, root=root or path.parent, position=position)
        except BadSampleError as error:
            bad.append(error.sample)
            continue
        *before, (_, asked), (_, said) = _turns(sample)
        accepted = record.get("answers")
        listed = [one for one in accepted if isinstance(one, str)] if isinstance(accepted, list) else []
        questions[sample.id] = VqaQuestion(
            name=sample.id,
            prompt=asked,
            images=sample.images,
            answers=tuple(dict.fromkeys([said, *listed])),
            before=tuple(before),
        )
    if not questions:
        raise UnscorableError(path, "holds no usable sample")
    twice = len(records) - len(bad) - len(questions)
    if twice:
        problems.append(Problem(kind="duplicate", message=f"{twice} samples of '{path.name}' have the id of another"))
    return list(questions.values()), [*problems, *id_problem("unreadable", bad, "{n} samples cannot be used")]


def _turns(sample: "Sample") -> list[Said]:
    """The turns as text. Of independent turns only the system's and the last question with its answer."""
    turns = [(m.role, "".join(part for part in m.parts if isinstance(part, str)).strip()) for m in sample.messages]
    return [turn for turn in turns[:-2] if turn[0] == "system"] + turns[-2:] if sample.independent else turns


def scored(
    questions: Sequence[VqaQuestion], answers: Mapping[str, str], problems: list[Problem], source: Path
) -> Score:
    """The figures of these answers by id. Missing ones are reported, and count as wrong."""
    missing = [one.name for one in questions if one.name not in answers]
    names = {one.name for one in questions}
    if len(missing) == len(questions):
        raise UnscorableError(source, f"answers none of the {len(questions)} questions")
    problems = [
        *problems,
        *id_problem("missing", missing, "{n} questions have no answer; they count as wrong"),
        *id_problem("extra", [n for n in answers if n not in names], "{n} answers belong to no question"),
    ]
    exact = sum(normal(answers.get(one.name, "")) in {normal(a) for a in one.answers} for one in questions)
    held = sum(any(stands_in(a, answers.get(one.name, "")) for a in one.answers) for one in questions)
    accuracy = percent(exact, len(questions))
    return Score(
        benchmark="vqa",
        values={"accuracy": accuracy, "exact": accuracy, "contains": percent(held, len(questions)), "correct": exact},
        headline=accuracy,
        n=len(questions),
        interval=wilson(exact, len(questions)),
        problems=problems,
    )


BENCHMARK = Benchmark(
    name="vqa",
    title="samples with reference answers",
    score=score,
    task=task,
    columns=("exact", "contains"),
)
