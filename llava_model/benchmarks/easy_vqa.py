"""easy-vqa: short questions about coloured shapes, thirteen possible answers.

References: the package's `data/test/questions.json`, [["what is the red shape?", "triangle", 0], …], or samples in the
format of our training sets. Predictions: a JSON array of answers in that order, an object of answers by
position, one answer a line, or one object a line with `question_id` (the position, from 0) and `text`.

An answer is right if it equals the reference, whatever the case, a leading article or a final full stop. A second
figure, `contains`, is the share of answers that hold the right word and none of the other twelve.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.benchmarks import Benchmark
from llava_model.benchmarks.asking import Ask, Task, evenly
from llava_model.benchmarks.figures import Problem, Score, id_problem, normal, percent, wilson
from llava_model.benchmarks.records import read_answers, read_document
from llava_model.benchmarks.vqa import read_questions
from llava_model.errors import UnscorableError

SHAPES = ("circle", "rectangle", "triangle")
COLOURS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")
ANSWERS = (*SHAPES, *COLOURS, "yes", "no")


@dataclass(frozen=True, kw_only=True, slots=True)
class EasyVqaQuestion:
    """One question; `image` is the picture's number in the package, or a file's name."""

    name: str
    question: str
    answer: str
    image: str

    @property
    def kind(self) -> str:
        """What is asked for: `yes/no`, `shape` or `colour`."""
        return "shape" if self.answer in SHAPES else "colour" if self.answer in COLOURS else "yes/no"


def score(predictions: Path, references: Path | None) -> Score:
    """Accuracy in per cent, and by kind of question. Raises UnscorableError, OSError."""
    if references is None:
        raise UnscorableError(predictions, "cannot be scored without easy-vqa's questions.json: name it as references")
    items, problems = read_items(references)
    answers, more = read_answers(predictions)
    return scored(items, answers, [*problems, *more], predictions)


def task(data: Path, limit: int | None = None) -> Task:
    """easy-vqa asked of a model: the package's data folder (`data`, `data/test`), or samples, a line each.

    The question alone is the prompt: there is no published one.
    """
    file = _questions_file(data)
    items, problems = read_items(file)
    chosen = evenly(items, limit)
    pictures = file.parent / "images"
    asks = [
        Ask(
            name=item.name,
            prompt=item.question,
            images=(pictures / f"{item.image}.png" if item.image.isdecimal() else Path(item.image),),
            max_new_tokens=8,
        )
        for item in chosen
    ]
    return Task(benchmark="easy-vqa", asks=asks, score=lambda answers: scored(chosen, answers, list(problems), data))


def scored(
    items: Sequence[EasyVqaQuestion], answers: Mapping[str, str], problems: list[Problem], source: Path
) -> Score:
    """The figures of these answers by id; missing ones are reported, and count as wrong."""
    missing = [item.name for item in items if item.name not in answers]
    problems = problems + id_problem("missing", missing, "{n} questions have no answer; they count as wrong")
    names = {item.name for item in items}
    extra = [name for name in answers if name not in names]
    problems += id_problem("extra", extra, "{n} answers belong to no question; they are left out")
    if len(missing) == len(items):
        raise UnscorableError(source, f"answers none of the {len(items)} questions")
    right = {item.name: normal(answers.get(item.name, "")) == normal(item.answer) for item in items}
    kinds = sorted({item.kind for item in items})
    by_kind = {
        kind: percent(sum(right[i.name] for i in items if i.kind == kind), sum(i.kind == kind for i in items))
        for kind in kinds
    }
    correct = sum(right.values())
    accuracy = percent(correct, len(items))
    contained = sum(contains(answers.get(item.name, ""), item.answer) for item in items)
    values: dict[str, Any] = {
        "accuracy": accuracy,
        "by_kind": by_kind,
        "contains": percent(contained, len(items)),
        "correct": correct,
    }
    if missing:
        values["answered_only"] = percent(correct, len(items) - len(missing))
    return Score(
        benchmark="easy-vqa",
        values=values,
        headline=accuracy,
        n=len(items),
        interval=wilson(correct, len(items)),
        problems=problems,
    )


def contains(text: str, answer: str) -> bool:
    """Whether the text has the answer's word, and none of the other twelve."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    return normal(answer) in words and len(words & set(ANSWERS)) == 1


def read_items(references: Path) -> tuple[list[EasyVqaQuestion], list[Problem]]:
    """The package's list, or one sample a line in the format of our training sets."""
    references = _questions_file(references)
    if references.suffix == ".jsonl":
        return _items_of_samples(references)
    entries = read_document(references)
    if not isinstance(entries, list):
        raise UnscorableError(references, "is no list of [question, answer, picture]")
    items, bad = [], []
    for position, entry in enumerate(entries):
        if isinstance(entry, list) and len(entry) >= 2 and all(isinstance(part, str) for part in entry[:2]):
            image = str(entry[2]) if len(entry) > 2 else ""
            items.append(EasyVqaQuestion(name=str(position), question=entry[0], answer=entry[1], image=image))
        else:
            bad.append(f"entry {position}")
    if not items:
        raise UnscorableError(references, "holds no [question, answer, picture]")
    return items, id_problem(
        "unreadable", bad, f"{{n}} entries of '{references.name}' are no [question, answer, picture]"
    )


def _questions_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    places = ("questions.json", "test/questions.json", "data/test/questions.json")
    found = next((path / place for place in places if (path / place).is_file()), None)
    if found is None:
        raise UnscorableError(path, f"holds none of {', '.join(places)}")
    return found


def _items_of_samples(path: Path) -> tuple[list[EasyVqaQuestion], list[Problem]]:
    questions, problems = read_questions(path)
    return [
        EasyVqaQuestion(
            name=one.name, question=one.prompt, answer=one.answers[0], image=str(one.images[0]) if one.images else ""
        )
        for one in questions
    ], problems


def _installed_data() -> Path | None:
    """The data that the `easy-vqa` package brings, where somebody has installed it; it is looked for, not imported."""
    from importlib.util import find_spec

    found = find_spec("easy_vqa")
    folder = Path(found.origin).parent / "data" / "test" if found is not None and found.origin else None
    return folder if folder is not None and folder.is_dir() else None


BENCHMARK = Benchmark(
    name="easy-vqa",
    title="easy-VQA",
    score=score,
    task=task,
    columns=("accuracy", "contains"),
    installed_data=_installed_data,
    install="pip install --no-deps easy-vqa",
)
