"""ScienceQA: an option's letter per question → the eight column averages and the mean.

Predictions, in any of these formats:
- the ScienceQA code's result file, and LLaVA's: {"acc", "correct", "count", "results": {"4": 1, …},
  "outputs": {"4": "The answer is B. …"}}; `results` are option numbers, −1 for none;
- LLaVA's answers, one object a line: {"question_id": "4", "prompt": "…", "text": "B"};
- LLaVA's analysis: {"correct": [{"question_id", "parsed_ans", "pred"}, …], "incorrect": […]}.

The columns are those of ScienceQA's `tools/evaluate_acc.py`, to two digits. What an answer says is read in three ways:
`lenient` is LLaVA's script of today (a lone letter, "B. …", or "The answer is B"), `strict` the first one (exactly one
"The answer is B."), and `fallback` is strict with a guess among the choices where it finds nothing, as the original
did; a guess cannot be repeated, so its expected value is given.

There are two prompts. `task` asks for the letter, as LLaVA-1.5 does. `reasoning_task` and `samples` ask and train as
LLaVA's paper does ("QCM-LEA"): the reasoning first, then the answer.

    Which is a mammal?                              A lecture. A solution.
    Context: N/A                              →     The answer is B.
    Options: (A) an eagle (B) a bat

The lecture and the solution are the set's own. Source: the paper's section 5.2 and LLaVA's `convert_sqa_to_llava.py`,
whose prompts leave out the word "Question:"; pictures stand first, as its trainer puts them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.benchmarks import Benchmark
from llava_model.benchmarks.asking import Ask, Task, evenly, picture_in
from llava_model.benchmarks.figures import Problem, Score, id_problem, wilson
from llava_model.benchmarks.records import by_id, read_document, read_records, text_of
from llava_model.data.samples import Sample, parse_sample
from llava_model.errors import UnscorableError

OPTIONS = "ABCDE"
COLUMNS = ("NAT", "SOC", "LAN", "TXT", "IMG", "NO", "G1-6", "G7-12", "AVG")
NONE = -1
_SUBJECTS = {"natural science": "NAT", "social science": "SOC", "language science": "LAN"}
_GRADES = {f"grade{number}": "G1-6" if number <= 6 else "G7-12" for number in range(1, 13)}
_STRICT = re.compile(r"The answer is ([A-Z]).")
_LENIENT = re.compile(r"The answer is ([A-E])")
_BY_LETTER = "\nAnswer with the option's letter from the given choices directly."
_STORED_AS_FAILED = "FAILED"
AskOf = Callable[[str, Mapping[str, Any], Path, str], Ask]
"""Id, problem, folder and split → the question as a model gets it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScienceQuestion:
    """What scoring needs to know of a problem."""

    answer: int
    choices: int
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """`stored`: option numbers that the file itself gives; `texts`: what the model said."""

    stored: Mapping[str, int]
    texts: Mapping[str, str]
    accuracy: float | None = None
    """The accuracy that the file itself states, in per cent."""


def score(predictions: Path, references: Path | None, *, split: str = "test") -> Score:
    """`references`: problems.json, or the folder that holds it (and pid_splits.json, where there is one).

    Missing answers count as wrong, as in LLaVA's script, and are reported. Raises UnscorableError, OSError.
    """
    if references is None:
        raise UnscorableError(predictions, "cannot be scored without ScienceQA's problems.json: name it as references")
    questions, problems = read_questions(references, split)
    found, more = read_predictions(predictions)
    problems += more
    known = found.stored.keys() | found.texts.keys()
    missing = [name for name in questions if name not in known]
    problems += id_problem("missing", missing, f"{{n}} questions of '{split}' have no prediction; they count as wrong")
    extra = [name for name in known if name not in questions]
    problems += id_problem("extra", sorted(extra), f"{{n}} predictions belong to no question of '{split}'")
    if len(missing) == len(questions):
        raise UnscorableError(predictions, f"answers none of the {len(questions)} questions of '{split}'")
    return _scored(questions, found, missing, problems)


def task(data: Path, limit: int | None = None, *, split: str = "test", ask: AskOf | None = None) -> Task:
    """ScienceQA asked of a model: `data` is the folder with problems.json and the pictures, `images/test/4/image.png`.

    The prompt is LLaVA-1.5's ("CQM-A": context, question, choices; answer with the letter), or what `ask` makes.
    """
    ask = ask or _ask
    file = data / "problems.json" if data.is_dir() else data
    questions, problems = read_questions(data, split)
    records = read_document(file)
    chosen = {name: questions[name] for name in evenly(list(questions), limit)}
    asks = [ask(name, records[name], file.parent, split) for name in chosen]

    def score_answers(answers: Mapping[str, str]) -> Score:
        missing = [name for name in chosen if name not in answers]
        more = id_problem("missing", missing, "{n} questions have no answer; they count as wrong")
        return _scored(chosen, Predictions(stored={}, texts=answers), missing, [*problems, *more])

    return Task(benchmark="scienceqa", asks=asks, score=score_answers)


def prompt_of(record: Mapping[str, Any]) -> str:
    """`Context: …` (where there is a hint), the question, and the choices after their letters."""
    context = [f"Context: {record['hint']}"] if record.get("hint") else []
    choices = [f"{letter}. {choice}" for letter, choice in zip(OPTIONS, record["choices"], strict=False)]
    return "\n".join([*context, str(record["question"]), *choices])


def read_questions(references: Path, split: str) -> tuple[dict[str, ScienceQuestion], list[Problem]]:
    """The split's problems by id. With a pid_splits.json beside problems.json, its list decides, as in LLaVA's code."""
    file = references / "problems.json" if references.is_dir() else references
    problems = read_document(file)
    if not isinstance(problems, dict):
        raise UnscorableError(file, f"is a {type(problems).__name__}, not an object of problems by id")
    splits_file = file.parent / "pid_splits.json"
    wanted = _ids_of_split(splits_file, split) if splits_file.is_file() else None
    if wanted is None:
        wanted = [name for name, one in problems.items() if isinstance(one, dict) and one.get("split", split) == split]
    if not wanted:
        raise UnscorableError(file, f"has no problems of the split '{split}'")
    questions, bad = {}, []
    for name in wanted:
        question = _question(problems.get(name))
        if question is None:
            bad.append(name)
        else:
            questions[name] = question
    return questions, id_problem("unreadable", bad, "{n} problems have no answer and choices; they are left out")


def read_predictions(path: Path) -> tuple[Predictions, list[Problem]]:
    """Any of the three formats. Raises UnscorableError."""
    records, problems = read_records(path)
    first = records[0]
    if len(records) == 1 and isinstance(first.get("results"), dict):
        return _from_result_file(first, problems)
    if len(records) == 1 and isinstance(first.get("correct"), list) and isinstance(first.get("incorrect"), list):
        records = [one for one in (*first["correct"], *first["incorrect"]) if isinstance(one, dict)]
    answers, more = by_id(records, ("question_id", "id"), file=path.name)
    texts = {
        name: text for name, one in answers.items() if (text := text_of(one, ("text", "pred", "answer"))) is not None
    }
    silent = [name for name in answers if name not in texts]
    problems += [*more, *id_problem("unreadable", silent, "{n} answers hold no text")]
    if not texts:
        raise UnscorableError(path, "holds neither 'results' nor answers with 'question_id' and 'text'")
    return Predictions(stored={}, texts=texts), problems


def strict(text: str, choices: int) -> int:
    """The option's number where the text says "The answer is X." exactly once, of an existing option; else −1."""
    found = _STRICT.findall(text)
    return _number(found[0], choices) if len(found) == 1 else NONE


def lenient(text: str, choices: int) -> int:
    """A lone letter, a text that begins with "X. ", or the first "The answer is X."; else −1."""
    text = text.replace("\n", ". ")
    if len(text.strip()) == 1 and text.strip() in OPTIONS:
        letter = text.strip()
    elif len(text) >= 3 and text[0] in OPTIONS and text[1:3] == ". ":
        letter = text[0]
    else:
        exact = re.search(_LENIENT.pattern + r"\.", text)
        found = exact or _LENIENT.search(text)
        letter = found.group(1) if found else _STORED_AS_FAILED
    return _number(letter, choices)


def columns(questions: Mapping[str, ScienceQuestion], right: Mapping[str, float]) -> dict[str, float | None]:
    """Percentages to two digits; `right` is 1 or 0 (or a chance) per question. None for a column without questions."""
    totals = dict.fromkeys(COLUMNS, 0)
    rights = dict.fromkeys(COLUMNS, 0.0)
    for name, question in questions.items():
        for column in (*question.columns, "AVG"):
            totals[column] += 1
            rights[column] += right.get(name, 0.0)
    return {name: float(f"{rights[name] / totals[name] * 100:.2f}") if totals[name] else None for name in COLUMNS}


def picture_of(name: str, record: Mapping[str, Any], folder: Path, split: str) -> tuple[Path, ...]:
    """A problem's picture, if it has one. It is looked for in all places where people unpack the pictures."""
    if not record.get("image"):
        return ()
    bases = (f"images/{split}", "images", split, ".")
    places = [picture_in(folder, f"{base}/{name}/{record['image']}") for base in bases]
    return (next((place for place in places if place.is_file()), places[0]),)


def _ask(name: str, record: Mapping[str, Any], folder: Path, split: str) -> Ask:
    images = picture_of(name, record, folder, split)
    return Ask(name=name, prompt=prompt_of(record) + _BY_LETTER, images=images, max_new_tokens=64)


def _ids_of_split(file: Path, split: str) -> list[str] | None:
    splits = read_document(file)
    ids = splits.get(split) if isinstance(splits, dict) else None
    return [str(name) for name in ids] if isinstance(ids, list) else None


def _question(record: object) -> ScienceQuestion | None:
    if not isinstance(record, dict):
        return None
    answer, choices = record.get("answer"), record.get("choices")
    if not isinstance(answer, int) or not isinstance(choices, list) or not 0 <= answer < len(choices):
        return None
    hint, image = bool(record.get("hint")), bool(record.get("image"))
    context = (["TXT"] if hint else []) + (["IMG"] if image else []) + ([] if hint or image else ["NO"])
    named = [_SUBJECTS.get(str(record.get("subject"))), *context, _GRADES.get(str(record.get("grade")))]
    return ScienceQuestion(answer=answer, choices=len(choices), columns=tuple(name for name in named if name))


def _from_result_file(document: Mapping[str, Any], problems: list[Problem]) -> tuple[Predictions, list[Problem]]:
    stored, bad = {}, []
    for name, value in document["results"].items():
        try:
            stored[name] = int(value)
        except (TypeError, ValueError):
            bad.append(name)
    outputs = document.get("outputs")
    texts = {k: v for k, v in outputs.items() if isinstance(v, str)} if isinstance(outputs, dict) else {}
    accuracy = document.get("acc")
    return (
        Predictions(stored=stored, texts=texts, accuracy=accuracy if isinstance(accuracy, int | float) else None),
        [*problems, *id_problem("unreadable", bad, "{n} stored results are no option numbers; they count as wrong")],
    )


def _number(letter: str, choices: int) -> int:
    return OPTIONS.index(letter) if letter in OPTIONS[:choices] else NONE


def _scored(
    questions: Mapping[str, ScienceQuestion], found: Predictions, missing: Sequence[str], problems: list[Problem]
) -> Score:
    def read(reader: Callable[[str, int], int]) -> dict[str, int]:
        return {n: reader(found.texts[n], q.choices) for n, q in questions.items() if n in found.texts}

    readings = {"strict": read(strict), "lenient": read(lenient)} if found.texts else {}
    chosen = dict(found.stored) or readings["lenient"]
    tables = {name: columns(questions, _right(questions, options)) for name, options in readings.items()}
    if found.texts:
        tables["fallback"] = columns(questions, _with_guesses(questions, readings["strict"]))
    if found.stored:
        tables["stored"] = columns(questions, _right(questions, found.stored))
    right = _right(questions, chosen)
    table = columns(questions, right)
    values: dict[str, Any] = {"columns": table, "readings": tables, "read_as": "stored" if found.stored else "lenient"}
    if missing:
        answered = {name: question for name, question in questions.items() if name not in set(missing)}
        values["answered_only"] = columns(answered, right)
    notes = _notes(questions, found, readings)
    unread = [n for n in chosen if n in questions and not 0 <= chosen[n] < questions[n].choices]
    values["unparsed"] = unread
    if unread:
        notes.append(f"{len(unread)} answers name no existing option; they count as wrong (ids under 'unparsed')")
    return Score(
        benchmark="scienceqa",
        values=values,
        headline=table["AVG"],
        n=len(questions),
        interval=wilson(int(sum(right.values())), len(questions)),
        notes=notes,
        problems=problems,
    )


def _right(questions: Mapping[str, ScienceQuestion], options: Mapping[str, int]) -> dict[str, float]:
    return {name: float(options.get(name, NONE) == question.answer) for name, question in questions.items()}


def _with_guesses(questions: Mapping[str, ScienceQuestion], options: Mapping[str, int]) -> dict[str, float]:
    """The chance of being right when an unread answer is replaced by one of the choices at random."""
    chances = {}
    for name, option in options.items():
        question = questions[name]
        chances[name] = 1 / question.choices if option == NONE else float(option == question.answer)
    return chances


def _notes(
    questions: Mapping[str, ScienceQuestion], found: Predictions, readings: Mapping[str, Mapping[str, int]]
) -> list[str]:
    notes = []
    if found.stored and readings:
        filled = [n for n, o in readings["strict"].items() if o == NONE and found.stored.get(n, NONE) != NONE]
        if filled:
            notes.append(
                f"{len(filled)} stored options do not follow from a single 'The answer is X.' (perhaps guesses): "
                f"{', '.join(filled[:20])}{' …' if len(filled) > 20 else ''}"
            )
    if found.accuracy is not None and found.stored:
        right = sum(_right(questions, found.stored).values())
        counted = sum(name in questions for name in found.stored)
        recounted = 100 * right / counted if counted else 0.0
        if abs(recounted - found.accuracy) > 1e-6:
            notes.append(f"the file says acc {found.accuracy:.3f}, its stored options give {recounted:.3f}")
    return notes


MAX_NEW_TOKENS = 1024  # of LLaVA's `model_vqa_science.py`


def reasoning_prompt_of(record: Mapping[str, Any]) -> str:
    """The question, its context ("N/A" without one) and its options in brackets."""
    options = " ".join(f"({letter}) {choice}" for letter, choice in zip(OPTIONS, record["choices"], strict=False))
    context = str(record.get("hint") or "").strip() or "N/A"
    return _single_spaced(f"{record['question']}\nContext: {context}\nOptions: {options}")


def reply_of(record: Mapping[str, Any]) -> str:
    """Lecture and solution, as far as there are any, and the answer's letter."""
    reasons = [str(record.get(part) or "").strip() for part in ("lecture", "solution")]
    return _single_spaced(" ".join([*filter(None, reasons), f"The answer is {OPTIONS[record['answer']]}."]))


def ask_of(name: str, record: Mapping[str, Any], folder: Path, split: str) -> Ask:
    """The question as a model that was trained on `samples` gets it."""
    images = picture_of(name, record, folder, split)
    return Ask(name=name, prompt=reasoning_prompt_of(record), images=images, max_new_tokens=MAX_NEW_TOKENS)


def reasoning_task(data: Path, limit: int | None = None) -> Task:
    """ScienceQA asked of a model for the reasoning before the answer."""
    return task(data, limit, ask=ask_of)


def samples(data: Path, split: str) -> Iterator[Sample]:
    """A split's problems as samples for the TASK stage, pictures below the folder of problems.json.

    Problems without an answer or choices are left out, as in scoring. Raises UnscorableError, OSError.
    """
    file = data / "problems.json" if data.is_dir() else data
    questions, _ = read_questions(data, split)
    records = read_document(file)
    for position, name in enumerate(questions):
        images = picture_of(name, records[name], file.parent, split)
        record = {
            "id": name,
            "images": [image.relative_to(file.parent).as_posix() for image in images],
            "messages": [
                {"role": "user", "content": "<image>\n" * len(images) + reasoning_prompt_of(records[name])},
                {"role": "assistant", "content": reply_of(records[name])},
            ],
        }
        yield parse_sample(record, root=file.parent, position=position)


def _single_spaced(text: str) -> str:
    return text.replace("  ", " ").strip()


def _cells(values: Mapping[str, Any]) -> dict[str, float | None]:
    return dict(values["columns"])


BENCHMARK = Benchmark(
    name="scienceqa",
    title="ScienceQA",
    score=score,
    task=task,
    columns=COLUMNS,
    cells=_cells,
    digits=2,
    reasoning_task=reasoning_task,
    samples=samples,
)
