"""POPE: is there such an object in the picture? Yes or no, in three settings (random, popular, adversarial).

Labels: POPE's `coco_pope_random.json` and so on, one object a line:

    {"question_id": 1, "image": "COCO_val2014_….jpg", "text": "Is there a snowboard in the image?", "label": "yes"}

Answers: LLaVA's, all settings in one file (ids 1 …, 10000001 …, 20000001 …) or one each, or POPE's own, without ids:

    {"question_id": 10000001, "prompt": "Is there a snowboard in the image?\nAnswer the …", "text": "No", …}
    {"question": "is there a snowboard in the image?", "answer": "No, there is none."}

(our own runs write `random:1` for the id).

An answer is no when its first sentence, commas dropped, has the word "No", "no" or "not" between blanks, and yes in
every other case, as in POPE's `evaluate.py` and LLaVA's `eval_pope.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from llava_model.benchmarks import Benchmark
from llava_model.benchmarks.asking import ONE_WORD, Ask, Task, evenly, picture_in
from llava_model.benchmarks.figures import Problem, Score, id_problem, mean_f1, wilson
from llava_model.benchmarks.records import files_in, read_records, text_of
from llava_model.errors import UnscorableError

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
    """Answers with their labels, and what could not be paired."""

    pairs: Sequence[tuple[PopeAnswer, PopeLabel]]
    missing: Sequence[str]
    extra: Sequence[str]
    differing: Sequence[str]
    """Pairs in which answer and label have different questions."""

    @property
    def cost(self) -> int:
        """How badly answers and labels fit."""
        return len(self.missing) + len(self.extra) + len(self.differing)


def pair(answers: Sequence[PopeAnswer], labels: Sequence[PopeLabel]) -> Pairing:
    """Pair answers and labels by id, by their order or by the questions' texts.

    The original code pairs by order alone, so one lost line shifts every answer after it. Here the way is chosen that
    leaves the fewest answers and labels without a partner and that agrees best with the questions' texts. On complete
    files all ways give the same pairs. Answers that have neither ids nor questions can be paired by order only, which
    needs as many answers as labels; otherwise none of them is paired.
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
    """Pair by the longest runs of the same questions in the same order."""
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


SETTINGS = ("random", "popular", "adversarial")


def score(predictions: Path, references: Path | None) -> Score:
    """Score a file of answers, or a folder of them.

    `references` is a label file, or the folder with the label files of all settings. LLaVA's question file, which says
    the setting of every id, is used if it lies there too. Raises UnscorableError, OSError.
    """
    if references is None:
        raise UnscorableError(predictions, "cannot be scored without POPE's label files: name them as references")
    settings, categories, problems = read_settings(references)
    groups, more = _read_answers(predictions, categories, settings)
    return scored(settings, groups, [*problems, *more], predictions)


def task(data: Path, limit: int | None = None) -> Task:
    """POPE asked of a model: `data` holds the label files, and the pictures in itself, `val2014` or `images`.

    The prompt is LLaVA's. An answer's id is `setting:question_id`.
    """
    settings, _, problems = read_settings(data)
    folder = _picture_folder(data if data.is_dir() else data.parent)
    every = [(setting.name, label) for setting in settings for label in setting.labels]
    chosen = evenly(every, limit)
    asks = [
        Ask(
            name=f"{s}:{one.name}",
            prompt=one.asked + ONE_WORD,
            images=(picture_in(folder, one.image),),
            max_new_tokens=16,
        )
        for s, one in chosen
    ]
    asked = [Setting(name=s.name, labels=[label for n, label in chosen if n == s.name]) for s in settings]

    def score_answers(answers: Mapping[str, str]) -> Score:
        groups: dict[str, list[PopeAnswer]] = {}
        for name, text in answers.items():
            setting, _, question = name.partition(":")
            groups.setdefault(setting, []).append(PopeAnswer(name=question, text=text, question=""))
        return scored([setting for setting in asked if setting.labels], groups, list(problems), data)

    return Task(benchmark="pope", asks=asks, score=score_answers)


def scored(
    settings: Sequence[Setting], groups: Mapping[str, Sequence[PopeAnswer]], problems: list[Problem], source: Path
) -> Score:
    """The figures of answers by setting. Raises UnscorableError where none fits."""
    figures: dict[str, dict[str, Any]] = {}
    right = 0
    for setting in settings:
        answers = groups.get(setting.name, [])
        if not answers:
            problems.append(Problem(kind="incomplete", message=f"no answers for the setting '{setting.name}'"))
            continue
        pairing = pair(answers, setting.labels)
        problems += _pairing_problems(setting.name, pairing, len(setting.labels))
        if pairing.pairs:
            figures[setting.name] = measure(pairing.pairs)
            right += figures[setting.name]["tp"] + figures[setting.name]["tn"]
    if not figures:
        raise UnscorableError(source, "holds no answer to any of these questions")
    return _score(figures, right, problems)


def says_yes(text: str) -> bool:
    """Whether POPE reads the answer as yes."""
    words = text.split(".")[0].replace(",", "").split(" ")
    return not {"No", "not", "no"} & set(words)


def measure(pairs: Sequence[tuple[PopeAnswer, PopeLabel]]) -> dict[str, Any]:
    """The figures in per cent; None where a figure divides by nothing. `printed`: LLaVA's line of fractions."""
    tp = sum(says_yes(answer.text) and label.yes for answer, label in pairs)
    fp = sum(says_yes(answer.text) and not label.yes for answer, label in pairs)
    tn = sum(not says_yes(answer.text) and not label.yes for answer, label in pairs)
    fn = len(pairs) - tp - fp - tn
    precision = tp / (tp + fp) if tp + fp else None
    recall = tp / (tp + fn) if tp + fn else None
    f1 = 2 * precision * recall / (precision + recall) if precision and recall else None
    if f1 is None and precision is not None and recall is not None:
        f1 = 0.0
    fractions = {
        "accuracy": (tp + tn) / len(pairs),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "yes_ratio": (tp + fp) / len(pairs),
    }
    order = ("f1", "accuracy", "precision", "recall", "yes_ratio")
    printed = ", ".join("-" if (value := fractions[name]) is None else f"{value:.3f}" for name in order)
    return {
        **{name: None if value is None else 100 * value for name, value in fractions.items()},
        "printed": printed,
        "n": len(pairs),
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
    }


def _pairing_problems(setting: str, pairing: Pairing, wanted: int) -> list[Problem]:
    return [
        *id_problem(
            "missing",
            pairing.missing,
            f"{setting}: {{n}} of {wanted} questions have no answer; the figures are over the others",
        ),
        *id_problem("extra", pairing.extra, f"{setting}: {{n}} answers belong to no question; they are left out"),
        *id_problem(
            "mismatch", pairing.differing, f"{setting}: {{n}} answers are to another question than the label's"
        ),
    ]


def read_settings(references: Path) -> tuple[list[Setting], dict[str, str], list[Problem]]:
    """Label files by setting, and the setting of each id from a question file, if there is one."""
    settings: dict[str, Setting] = {}
    categories: dict[str, str] = {}
    problems: list[Problem] = []
    for file in files_in(references, ".json", ".jsonl"):
        records, found = read_records(file)
        labelled = [record for record in records if isinstance(record.get("label"), str)]
        if not labelled:
            categories |= {
                str(r["question_id"]): str(r["category"]) for r in records if {"question_id", "category"} <= r.keys()
            }
            continue
        problems += found
        name = _setting_name(file.stem)
        name = file.stem if name in settings else name
        settings[name] = Setting(name=name, labels=_labels(labelled))
        odd = [r.get("question_id") for r in records if str(r.get("label")).strip().lower() not in ("yes", "no")]
        problems += id_problem("unreadable", odd, f"{{n}} labels of '{file.name}' are neither yes nor no")
    if not settings:
        raise UnscorableError(references, "holds no questions with a 'label'")
    return list(settings.values()), categories, problems


def _labels(records: Sequence[Mapping[str, Any]]) -> list[PopeLabel]:
    return [
        PopeLabel(
            name=str(record.get("question_id", position)),
            text=_question_text(text_of(record, ("text", "question")) or ""),
            yes=record["label"] != "no",
            asked=(text_of(record, ("text", "question")) or "").strip(),
            image=str(record.get("image", "")),
        )
        for position, record in enumerate(records, 1)
    ]


def _picture_folder(folder: Path) -> Path:
    return next((one for one in (folder / "val2014", folder / "images", folder) if one.is_dir()), folder)


def _question_text(text: str) -> str:
    return text.strip().split("\n")[0].strip().lower()


def _setting_name(stem: str) -> str:
    return next((name for name in SETTINGS if name in stem.lower()), stem)


def _read_answers(
    predictions: Path, categories: Mapping[str, str], settings: Sequence[Setting]
) -> tuple[dict[str, list[PopeAnswer]], list[Problem]]:
    """Answers by setting. The setting is told by the question file, the file's name, the id or the question's text."""
    groups: dict[str, list[PopeAnswer]] = {}
    problems: list[Problem] = []
    names = {setting.name for setting in settings}
    for file in files_in(predictions, ".jsonl", ".json"):
        answers, found = _answers_of(file, categories)
        problems += found
        for group in _split(answers, settings, _setting_name(file.stem) if predictions.is_dir() else None):
            setting, of_it = group
            if setting not in names:
                ids = [answer.name or "-" for answer in of_it]
                problems += id_problem("extra", ids, f"{{n}} answers are of the setting '{setting}', without labels")
            groups.setdefault(setting, []).extend(of_it)
    return groups, problems


def _answers_of(file: Path, categories: Mapping[str, str]) -> tuple[list[PopeAnswer], list[Problem]]:
    records, problems = read_records(file)
    answers: dict[tuple[str, str | int], PopeAnswer] = {}
    silent: list[str] = []
    twice: dict[str, None] = {}
    for position, record in enumerate(records, 1):
        text = text_of(record, ("text", "answer", "response", "caption"))
        name = None if record.get("question_id") is None else str(record["question_id"])
        if text is None:
            silent.append(name or f"record {position}")
            continue
        category = record.get("category")
        prefix, colon, rest = (name or "").partition(":")
        if colon and rest and category is None:  # as our own runs write them: `random:17`
            category, name = prefix, rest
        key: tuple[str, str | int] = (str(category), name if name is not None else position)
        if key in answers:
            twice[str(name)] = None
        answers[key] = PopeAnswer(
            name=name,
            text=text,
            question=_question_text(text_of(record, ("prompt", "question")) or ""),
            category=str(category) if category is not None else categories.get(name or ""),
        )
    if not answers:
        raise UnscorableError(file, "holds no answers: no record has 'text' or 'answer'")
    return list(answers.values()), [
        *problems,
        *id_problem("unreadable", silent, f"{{n}} records of '{file.name}' hold no text"),
        *id_problem(
            "duplicate", twice, f"{{n}} questions are answered more than once in '{file.name}'; the last counts"
        ),
    ]


def _split(
    answers: Sequence[PopeAnswer], settings: Sequence[Setting], named: str | None
) -> list[tuple[str, list[PopeAnswer]]]:
    known = [setting.name for setting in settings]
    if named in known:
        return [(str(named), list(answers))]
    runs: dict[tuple[str | None, int], list[PopeAnswer]] = {}
    for answer in answers:
        runs.setdefault((answer.category, 0 if answer.category else answer.block), []).append(answer)
    return [
        (category or (known[0] if len(known) == 1 else _most_alike(run, settings, block)), run)
        for (category, block), run in runs.items()
    ]


def _most_alike(answers: Sequence[PopeAnswer], settings: Sequence[Setting], block: int) -> str:
    """The setting whose questions these are; without texts, LLaVA's order of blocks."""
    if not all(answer.question for answer in answers):
        order = ("adversarial", "random", "popular")
        return order[block] if block < len(order) else settings[0].name
    return min(settings, key=lambda setting: pair(answers, setting.labels).cost).name


def _score(figures: dict[str, dict[str, Any]], right: int, problems: list[Problem]) -> Score:
    f1s = [one["f1"] for one in figures.values() if one["f1"] is not None]
    mean = sum(f1s) / len(f1s) if len(f1s) == len(figures) else None
    n = sum(one["n"] for one in figures.values())
    accuracy = sum(one["accuracy"] for one in figures.values()) / len(figures)
    notes = [] if len(figures) != 1 else ["one setting only: 'f1' is of that one"]
    if mean is None:
        notes.append("a setting has no F1 (no yes said, or none expected), so there is no mean")
    return Score(
        benchmark="pope",
        values={"settings": figures, "f1": mean, "accuracy": accuracy},
        headline=mean,
        n=n,
        interval=None if mean is None else mean_f1([(s["tp"], s["fp"], s["tn"], s["fn"]) for s in figures.values()]),
        notes=[*notes, f"accuracy over all questions, 95 %: {_written(wilson(right, n))}"],
        problems=problems,
    )


def _written(interval: tuple[float, float] | None) -> str:
    return "unknown" if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}"


def _cells(values: Mapping[str, Any]) -> dict[str, float | None]:
    return {setting: figures["f1"] for setting, figures in values["settings"].items()} | {"mean": values["f1"]}


BENCHMARK = Benchmark(
    name="pope",
    title="POPE",
    score=score,
    task=task,
    columns=("random", "popular", "adversarial", "mean"),
    cells=_cells,
)
