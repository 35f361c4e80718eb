"""MME: yes or no twice per picture → accuracy and accuracy+ per task, summed to perception and cognition.

A folder with one file per task, `existence.txt` …, a line per question:

    COCO_1.txt<TAB>Is there a dog? Please answer yes or no.<TAB>Yes<TAB>Yes, there is.

Parsing and sums are those of MME's `eval_tool/calculation.py`: an answer is yes or no by its first four characters,
lower case ("yes" is looked for first), anything else is other and wrong; a task's score is accuracy (of questions) plus
accuracy+ (of pictures with both questions right), in per cent, so 200 at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.benchmarks import Benchmark
from llava_model.benchmarks.asking import ONE_WORD, Ask, Task, evenly
from llava_model.benchmarks.figures import Problem, Score, id_problem
from llava_model.benchmarks.records import files_in, read_records, read_utf8, text_of
from llava_model.errors import UnscorableError

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


@dataclass(frozen=True, kw_only=True, slots=True)
class MmeLine:
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
class MmeQuestion:
    """One question of the release folder; `place` names task and picture."""

    task: str
    place: str
    path: str
    question: str
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """A task's figures. The sums over tasks add up `score`."""

    accuracy: float
    accuracy_plus: float
    score: float
    questions: int
    pictures: int
    other: int


def score(predictions: Path, references: Path | None = None) -> Score:
    """Score a folder of task files, or answers as LLaVA's code and ours write them (JSONL, `question_id` task/picture).

    Such answers need MME's release folder as `references`. Raises UnscorableError, OSError.
    """
    if predictions.suffix == ".jsonl" and predictions.is_file():
        return _score_answers(predictions, references)
    if not predictions.exists():
        raise FileNotFoundError(2, "there is no such file or folder", str(predictions))
    files = {file.stem: file for file in files_in(predictions, ".txt")}
    known = {name: files[name] for name in (*PERCEPTION, *COGNITION) if name in files}
    if not known:
        raise UnscorableError(predictions, f"holds none of MME's task files ({PERCEPTION[0]}.txt …)")
    problems = id_problem("extra", sorted(files.keys() - known.keys()), "{n} files are of no MME task")
    lines: dict[str, list[MmeLine]] = {}
    for name, file in known.items():
        lines[name], found = _read(file)
        problems += found
    return scored(lines, problems, predictions)


def task(data: Path, limit: int | None = None) -> Task:
    """MME asked of a model: `data` is its release folder, a folder a task, with pictures and a text file beside each
    (or in `images` and `questions_answers_YN`). The prompt is LLaVA's. `limit` counts questions; pictures stay whole.
    """
    pictures = [pair for name in (*PERCEPTION, *COGNITION) for pair in _pictures(data / name)]
    if not pictures:
        raise UnscorableError(data, f"holds no folder of an MME task with pictures and questions ({PERCEPTION[0]} …)")
    chosen = evenly(pictures, None if limit is None else max(1, limit // 2))
    lines = {f"{one.place}#{number}": one for pair in chosen for number, one in enumerate(pair, 1)}
    asks = [
        Ask(name=name, prompt=_asked(one.question) + ONE_WORD, images=(Path(one.path),), max_new_tokens=16)
        for name, one in lines.items()
    ]

    def score_answers(answers: Mapping[str, str]) -> Score:
        found: dict[str, list[MmeLine]] = {}
        for name, one in lines.items():
            if name in answers:
                line = MmeLine(place=name, image=one.place, label=one.label, answer=answers[name])
                found.setdefault(one.task, []).append(line)
        problems = id_problem("missing", [n for n in lines if n not in answers], "{n} questions have no answer")
        return scored(found, problems, data)

    return Task(benchmark="mme", asks=asks, score=score_answers)


def scored(lines: Mapping[str, Sequence[MmeLine]], problems: list[Problem], source: Path) -> Score:
    """The figures of the answered questions by task. Raises UnscorableError where there are none."""
    tasks: dict[str, Figures] = {}
    for name, of_task in lines.items():
        if of_task:
            tasks[name], found = measure(name, of_task)
            problems = [*problems, *found]
    if not tasks:
        raise UnscorableError(source, "holds no line with picture, question, label and answer")
    problems = problems + id_problem(
        "incomplete",
        [name for name in (*PERCEPTION, *COGNITION) if name not in tasks],
        "{n} tasks have no answers; the sums are over the others",
    )
    return _summed(tasks, problems)


def _score_answers(predictions: Path, references: Path | None) -> Score:
    if references is None:
        raise UnscorableError(predictions, "cannot be scored without MME's release folder: name it as references")
    questions = {
        (one.place.rpartition(".")[0], _asked(one.question)): one
        for name in (*PERCEPTION, *COGNITION)
        for picture in _pictures(references / name)
        for one in picture
    }
    records, problems = read_records(predictions)
    answered: dict[tuple[str, str], str] = {}
    extra = []
    for record in records:
        place = str(record.get("question_id", "")).partition("#")[0].rpartition(".")[0]
        prompt = text_of(record, ("prompt",)) or ""
        key = (place.replace("/images/", "/"), _asked(prompt.replace(ONE_WORD.strip(), "")))
        text = text_of(record, ("text", "answer"))
        if key in questions and text is not None:
            answered[key] = text
        else:
            extra.append(str(record.get("question_id")))
    lines: dict[str, list[MmeLine]] = {}
    for key, one in questions.items():
        if key in answered:
            line = MmeLine(place=one.place, image=one.place, label=one.label, answer=answered[key])
            lines.setdefault(one.task, []).append(line)
    missing = [f"{one.place}: {one.question}" for key, one in questions.items() if key not in answered]
    problems += id_problem("missing", missing, "{n} questions have no answer; the figures are over the others")
    problems += id_problem("extra", extra, "{n} answers hold no text or belong to no question of the release folder")
    return scored(lines, problems, predictions)


def parse_answer(answer: str) -> str:
    """`yes`, `no` or `other`."""
    answer = answer.lower()
    if answer in ("yes", "no"):
        return answer
    beginning = answer[:4]
    return "yes" if "yes" in beginning else "no" if "no" in beginning else "other"


def measure(task: str, lines: Sequence[MmeLine]) -> tuple[Figures, list[Problem]]:
    """→ the figures of one task, which has at least one line, and what was wrong with its lines."""
    pairs, single = _pairs(lines)
    problems = id_problem(
        "incomplete",
        [line.place for line in single],
        f"{{n}} lines of '{task}' have no second question of their picture; they count for accuracy only",
    )
    accuracy = sum(line.right for line in lines) / len(lines)
    plus = sum(one.right and two.right for one, two in pairs) / len(pairs) if pairs else 0.0
    total = 0.0
    for part in (accuracy, plus):  # in the original's order: the sum's last digit depends on it
        total += part * 100
    return Figures(
        accuracy=accuracy * 100,
        accuracy_plus=plus * 100,
        score=total,
        questions=len(lines),
        pictures=len(pairs),
        other=sum(parse_answer(line.answer) == "other" for line in lines),
    ), problems


def _read(file: Path) -> tuple[list[MmeLine], list[Problem]]:
    lines: list[MmeLine] = []
    bad: list[str] = []
    odd: list[str] = []
    for number, text in enumerate(read_utf8(file).split("\n"), 1):
        if not text.strip():
            continue
        place = f"{file.name}:{number}"
        fields = (text + "\n").split("\t")
        if len(fields) < 4 or fields[2].lower() not in ("yes", "no"):
            bad.append(place)
            continue
        if len(fields) > 4:
            odd.append(place)
        lines.append(MmeLine(place=place, image=fields[0], label=fields[2].lower(), answer="\t".join(fields[3:])))
    return lines, [
        *id_problem("unreadable", bad, f"{{n}} lines of '{file.name}' are not picture, question, yes or no, answer"),
        *id_problem("unreadable", odd, f"{{n}} lines of '{file.name}' have more than four fields; the rest is answer"),
    ]


def _pictures(folder: Path) -> list[tuple[MmeQuestion, ...]]:
    """The questions of every picture of one task."""
    nested = folder / "images"
    texts = folder / "questions_answers_YN" if nested.is_dir() else folder
    found = {
        file.stem: file for file in sorted((nested if nested.is_dir() else folder).glob("*")) if file.suffix != ".txt"
    }
    pictures = []
    for file in sorted(texts.glob("*.txt")):
        rows = [line.rsplit("\t", 1) for line in read_utf8(file).split("\n") if "\t" in line]
        if file.stem in found and rows:
            place = f"{folder.name}/{found[file.stem].name}"
            path = str(found[file.stem])
            pictures.append(tuple(_question(folder.name, place, path, *map(str.strip, row)) for row in rows))
    return pictures


def _question(task: str, place: str, path: str, question: str, label: str) -> MmeQuestion:
    return MmeQuestion(task=task, place=place, path=path, question=question, label=label.lower())


def _asked(question: str) -> str:
    return question.replace("Please answer yes or no.", "").strip()


def _pairs(lines: Sequence[MmeLine]) -> tuple[list[tuple[MmeLine, MmeLine]], list[MmeLine]]:
    """→ pairs of lines about one picture, and lines that have no partner, so that one lost line shifts no other."""
    pairs, single, position = [], [], 0
    while position < len(lines):
        if position + 1 < len(lines) and lines[position].image == lines[position + 1].image:
            pairs.append((lines[position], lines[position + 1]))
            position += 2
        else:
            single.append(lines[position])
            position += 1
    return pairs, single


def _summed(tasks: Mapping[str, Figures], problems: list[Problem]) -> Score:
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


BENCHMARK = Benchmark(
    name="mme",
    title="MME",
    score=score,
    task=task,
    columns=("perception", "cognition"),
)
