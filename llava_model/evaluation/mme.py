"""MME: yes or no twice per picture → accuracy and accuracy+ per task, summed to perception and cognition.

A folder with one file per task, `existence.txt` …, a line per question:

    COCO_1.txt<TAB>Is there a dog? Please answer yes or no.<TAB>Yes<TAB>Yes, there is.

Parsing and sums are those of MME's `eval_tool/calculation.py`: an answer is yes or no by its first four characters,
lower case ("yes" is looked for first), anything else is other and wrong; a task's score is accuracy (of questions) plus
accuracy+ (of pictures with both questions right), in per cent, so 200 at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.errors import UnscorableError
from llava_model.evaluation.records import read_text
from llava_model.evaluation.score import Problem, Score, id_problem

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One question of one picture."""

    place: str
    image: str
    label: str
    answer: str

    @property
    def right(self) -> bool:
        """Whether the parsed answer is the label."""
        return parse_answer(self.answer) == self.label


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A task's figures; `score` is what the sums add up."""

    accuracy: float
    accuracy_plus: float
    score: float
    questions: int
    pictures: int
    other: int


def score(predictions: Path) -> Score:
    """The folder of task files. Raises UnscorableError, OSError."""
    files = (
        {file.stem: file for file in sorted(predictions.iterdir()) if file.suffix == ".txt"}
        if (predictions.is_dir())
        else {predictions.stem: predictions}
    )
    if not predictions.is_dir() and not predictions.exists():
        raise FileNotFoundError(2, "there is no such file or folder", str(predictions))
    known = {name: files[name] for name in (*PERCEPTION, *COGNITION) if name in files}
    if not known:
        raise UnscorableError(predictions, f"holds none of MME's task files ({PERCEPTION[0]}.txt …)")
    problems = id_problem("extra", sorted(files.keys() - known.keys()), "{n} files are of no MME task")
    tasks: dict[str, Task] = {}
    for name, file in known.items():
        task, found = score_task(file)
        problems += found
        if task is not None:
            tasks[name] = task
    if not tasks:
        raise UnscorableError(predictions, "holds no line with picture, question, label and answer")
    problems += id_problem(
        "incomplete",
        [name for name in (*PERCEPTION, *COGNITION) if name not in tasks],
        "{n} tasks have no answers; the sums are over the others",
    )
    return _summed(tasks, problems)


def parse_answer(answer: str) -> str:
    """`yes`, `no` or `other`."""
    answer = answer.lower()
    if answer in ("yes", "no"):
        return answer
    beginning = answer[:4]
    return "yes" if "yes" in beginning else "no" if "no" in beginning else "other"


def score_task(file: Path) -> tuple[Task | None, list[Problem]]:
    """One task file; None where no line can be read."""
    lines, problems = _read(file)
    if not lines:
        return None, problems
    pairs, single = _pairs(lines)
    problems += id_problem(
        "incomplete",
        [line.place for line in single],
        f"{{n}} lines of '{file.name}' have no second question of their picture; they count for accuracy only",
    )
    accuracy = sum(line.right for line in lines) / len(lines)
    plus = sum(one.right and two.right for one, two in pairs) / len(pairs) if pairs else 0.0
    total = 0.0
    for part in (accuracy, plus):  # in the original's order: the sum's last digit depends on it
        total += part * 100
    return Task(
        accuracy=accuracy * 100,
        accuracy_plus=plus * 100,
        score=total,
        questions=len(lines),
        pictures=len(pairs),
        other=sum(parse_answer(line.answer) == "other" for line in lines),
    ), problems


def _read(file: Path) -> tuple[list[Line], list[Problem]]:
    lines: list[Line] = []
    bad: list[str] = []
    odd: list[str] = []
    for number, text in enumerate(read_text(file).split("\n"), 1):
        if not text.strip():
            continue
        place = f"{file.name}:{number}"
        fields = (text + "\n").split("\t")
        if len(fields) < 4 or fields[2].lower() not in ("yes", "no"):
            bad.append(place)
            continue
        if len(fields) > 4:
            odd.append(place)
        lines.append(Line(place=place, image=fields[0], label=fields[2].lower(), answer="\t".join(fields[3:])))
    return lines, [
        *id_problem("unreadable", bad, f"{{n}} lines of '{file.name}' are not picture, question, yes or no, answer"),
        *id_problem("unreadable", odd, f"{{n}} lines of '{file.name}' have more than four fields; the rest is answer"),
    ]


def _pairs(lines: Sequence[Line]) -> tuple[list[tuple[Line, Line]], list[Line]]:
    """Neighbours of one picture; what is left alone is given back too, so that one lost line shifts nothing."""
    pairs, single, position = [], [], 0
    while position < len(lines):
        if position + 1 < len(lines) and lines[position].image == lines[position + 1].image:
            pairs.append((lines[position], lines[position + 1]))
            position += 2
        else:
            single.append(lines[position])
            position += 1
    return pairs, single


def _summed(tasks: dict[str, Task], problems: list[Problem]) -> Score:
    def total(names: Sequence[str]) -> float | None:
        present = [tasks[name].score for name in names if name in tasks]
        summed = 0.0
        for value in present:
            summed += value
        return summed if present else None

    perception, cognition = total(PERCEPTION), total(COGNITION)
    values: dict[str, Any] = {
        "perception": perception,
        "cognition": cognition,
        "tasks": {name: task.score for name, task in tasks.items()},
        "details": {
            name: {
                "accuracy": task.accuracy,
                "accuracy_plus": task.accuracy_plus,
                "questions": task.questions,
                "pictures": task.pictures,
                "other": task.other,
            }
            for name, task in tasks.items()
        },
    }
    return Score(
        benchmark="mme",
        values=values,
        headline=perception,
        n=sum(task.questions for task in tasks.values()),
        problems=problems,
    )
