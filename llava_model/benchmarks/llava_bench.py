"""LLaVA-Bench (COCO and in the wild): a judge's reviews → how many per cent of the reference answer's score.

A review file holds one object a line, as LLaVA's `eval_gpt_review_bench.py` and `eval_gpt_review_visual.py` write it:

    {"id": 1, "question_id": 0, "answer1_id": "…", "answer2_id": "…", "category": "llava_bench_conv",
     "content": "8 10\\nBoth …", "tuple": [8.0, 10.0]}

Figures are those of LLaVA's `summarize_gpt_review.py`, rounding included: both means to three digits, then their
ratio to one. Where that script cannot read a review, it counts the review as [-1, -1]; so do the figures here. Two
more readings stand beside them: `strict` leaves such reviews out, and `reread` looks for the two scores elsewhere in
the review's text.
"""

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.benchmarks import Benchmark
from llava_model.benchmarks.asking import Ask, Task, evenly, picture_in
from llava_model.benchmarks.figures import Problem, Score, id_problem, ratio_of_means
from llava_model.benchmarks.records import by_id, files_in, read_records
from llava_model.errors import UnscorableError

Pair = tuple[float, float]
FAILED: Pair = (-1.0, -1.0)
ALL = "all"
_NUMBER = r"(?<![\w.])(\d{1,2}(?:\.\d+)?)"
_OF_TEN = re.compile(r"\s*(?:/|out of)\s*10\b")
_TWO_NUMBERS = re.compile(rf"{_NUMBER}\s*(?:[,;|/&]|and|to|vs\.?)?\s*{_NUMBER}\s*(?:$|[.;,(])")
_BOTH_NAMED = re.compile(r"(?i)(?:assistant|answer)s?\s*#?\s*1\s*(?:and|,|&)\s*(?:(?:assistant|answer)\s*#?\s*)?2\b")
_NAMED_SCORE = re.compile(rf"(?:assistant|answer)\s*(?:#\s*)?([12ab])\b[^\d\n]{{0,60}}?{_NUMBER}", re.IGNORECASE)
_RUN_NUMBER = re.compile(r"[-_.](?:eval|run|review|repeat|seed)[-_.]?\d+$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """One judgement. `stored` are the scores that the original averages, `reread` those that were found in its text."""

    name: str
    question: str
    category: str | None
    stored: Pair
    reread: Pair | None

    @property
    def failed(self) -> bool:
        """Whether the stored pair is [-1, -1], which stands for a review that could not be read."""
        return min(self.stored) < 0


def score(predictions: Path, references: Path | None = None) -> Score:
    """Score a review file, or a folder of them. `references`: the questions (JSONL with question_id and category).

    Raises UnscorableError, OSError.
    """
    files = [file for file in files_in(predictions, ".jsonl", ".json") if not file.name.endswith(".run.json")]
    return score_files(files, references)


def score_files(files: Sequence[Path], references: Path | None = None) -> Score:
    """Score one review file, or several as repeats or models. Raises UnscorableError, OSError."""
    scores = {file.stem: _score_file(file, references) for file in files}
    return next(iter(scores.values())) if len(scores) == 1 else _score_folder(scores)


def task(data: Path, limit: int | None = None) -> Task:
    """LLaVA-Bench asked of a model: `data` is its folder (`questions.jsonl`, `images`) or its question file.

    The question alone is the prompt, as published. The answers have no score before a judge has read them.
    """
    file = data / "questions.jsonl" if data.is_dir() else data
    records, problems = read_records(file)
    questions, more = by_id(records, ("question_id", "id"), file=file.name)
    folder = next(one for one in (file.parent / "images", file.parent) if one.is_dir())
    chosen = evenly(list(questions), limit)
    asks = [
        Ask(
            name=name,
            prompt=str(questions[name].get("text", "")),
            images=(picture_in(folder, str(questions[name]["image"])),) if questions[name].get("image") else (),
            max_new_tokens=1024,
        )
        for name in chosen
    ]

    def score_answers(answers: Mapping[str, str]) -> Score:
        missing = [name for name in chosen if name not in answers]
        return Score(
            benchmark="llava-bench",
            values={"overall": None, "categories": {}},
            headline=None,
            n=len(answers),
            notes=["answers only: a judge scores them, see llavero model judge --help"],
            problems=[*problems, *more, *id_problem("missing", missing, "{n} questions have no answer")],
        )

    return Task(benchmark="llava-bench", asks=asks, score=score_answers)


def first_line_pair(content: str) -> Pair:
    """The scores as the original reads them: two numbers on the first line, with one comma or blank between them.

    (−1, −1) if the first line is anything else.
    """
    parts = content.split("\n")[0].replace(",", " ").split(" ")
    try:
        pair = (float(parts[0]), float(parts[1]))
    except (ValueError, IndexError):
        return FAILED
    return pair if len(parts) == 2 and all(map(math.isfinite, pair)) else FAILED


def find_pair(content: str) -> Pair | None:
    """Both scores (0–10) wherever they are: alone on a line, after "Assistant 1:", or at the end of a sentence."""
    lines = [_BOTH_NAMED.sub(" ", _OF_TEN.sub("", line)) for line in content.split("\n")]
    for line in lines[:5]:
        bare = first_line_pair(" ".join(line.replace(",", " ").split()))
        if bare != FAILED:
            return _on_scale(bare)
    named: dict[str, float] = {}
    for who, number in _NAMED_SCORE.findall("\n".join(lines)):
        named.setdefault({"a": "1", "b": "2"}.get(who.lower(), who), float(number))
    if {"1", "2"} <= named.keys():
        return _on_scale((named["1"], named["2"]))
    found = [match for line in lines[:5] if (match := _TWO_NUMBERS.search(line))]
    return _on_scale((float(found[0][1]), float(found[0][2]))) if found else None


def summarise(reviews: Sequence[tuple[str | None, Pair]]) -> dict[str, Any]:
    """{"overall", "categories", "means"} with the original's rounding; None where mean 1 is 0."""
    import numpy as np

    grouped: dict[str, list[Pair]] = defaultdict(list)
    for category, pair in reviews:
        grouped[ALL].append(pair)
        if category is not None and category != ALL:
            grouped[category].append(pair)
    means = {name: [round(value, 3) for value in np.asarray(pairs).mean(0).tolist()] for name, pairs in grouped.items()}
    relative = {name: round(two / one * 100, 1) if one else None for name, (one, two) in sorted(means.items())}
    overall = relative.pop(ALL, None)
    return {"overall": overall, "categories": relative, "means": dict(sorted(means.items()))}


def _on_scale(pair: Pair) -> Pair | None:
    return pair if all(0 <= value <= 10 for value in pair) else None


def _score_file(file: Path, references: Path | None) -> Score:
    records, problems = read_records(file)
    questions, more = _questions(references)
    problems += more
    reviews, more = _reviews(records, questions, file)
    problems += [*more, *_id_problems(reviews, questions, file)]
    values = summarise([(review.category, review.stored) for review in reviews])
    kept = [review for review in reviews if not review.failed]
    reread = [(review.category, pair) for review in reviews if (pair := _best(review)) is not None]
    failed = [review.name for review in reviews if review.failed]
    problems += id_problem(
        "unparsed",
        failed,
        "{n} reviews hold no two scores on their first line; the figures average them as the original script does "
        "(-1, -1), 'strict' leaves them out, 'reread' takes the scores from the judge's words where there are any",
    )
    differ = [r.name for r in reviews if not r.failed and r.reread is not None and r.reread != r.stored]
    notes = [f"the stored scores are not those of the judge's words in: {', '.join(differ)}"] if differ else []
    readings = {
        "strict": {**summarise([(r.category, r.stored) for r in kept]), "n": len(kept)},
        "reread": {**summarise(reread), "n": len(reread)},
    }
    return Score(
        benchmark="llava-bench",
        values={**values, "readings": readings},
        headline=values["overall"],
        n=len(reviews),
        interval=ratio_of_means([r.stored for r in kept]),
        notes=notes,
        problems=problems,
    )


def _best(review: Review) -> Pair | None:
    return review.reread if review.failed else review.stored


def _questions(references: Path | None) -> tuple[dict[str, Mapping[str, Any]], list[Problem]]:
    if references is None:
        return {}, []
    records, problems = read_records(references)
    questions, more = by_id(records, ("question_id", "id"), file=references.name)
    return questions, problems + more


def _reviews(
    records: Sequence[Mapping[str, Any]], questions: Mapping[str, Mapping[str, Any]], file: Path
) -> tuple[list[Review], list[Problem]]:
    reviews: list[Review] = []
    unreadable: list[str] = []
    for position, record in enumerate(records, 1):
        question = str(record.get("question_id", record.get("id", position)))
        stored = _stored(record)
        if stored is None:
            unreadable.append(question)
            continue
        content = record.get("content", record.get("text"))
        category = record.get("category", record.get("type"))
        if category is None and question in questions:
            category = questions[question].get("category")
        reviews.append(
            Review(
                name=question,
                question=question,
                category=None if category is None else str(category),
                stored=stored,
                reread=find_pair(content) if isinstance(content, str) else None,
            )
        )
    if not reviews:
        raise UnscorableError(file, "holds no review: no 'tuple', 'score' or 'content' with two scores")
    return reviews, id_problem("unreadable", unreadable, "{n} records hold neither two scores nor a judge's words")


def _stored(record: Mapping[str, Any]) -> Pair | None:
    """The scores in `tuple`, else in `score`, else on the first line of the text: the original's order. None if the
    record is no review."""
    for key in ("tuple", "score"):
        pair = record.get(key)
        if isinstance(pair, list) and len(pair) == 2 and all(_is_number(value) for value in pair):
            return float(pair[0]), float(pair[1])
    content = record.get("content", record.get("text"))
    return first_line_pair(content) if isinstance(content, str) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _id_problems(reviews: Sequence[Review], questions: Mapping[str, Mapping[str, Any]], file: Path) -> list[Problem]:
    seen: dict[str, int] = defaultdict(int)
    for review in reviews:
        seen[review.question] += 1
    twice = [name for name, count in seen.items() if count > 1]
    problems = id_problem(
        "duplicate", twice, f"{{n}} questions are reviewed more than once in '{file.name}'; all count"
    )
    if questions:
        problems += id_problem("missing", [q for q in questions if q not in seen], "{n} questions have no review")
        problems += id_problem("extra", [q for q in seen if q not in questions], "{n} reviews belong to no question")
    return problems


def _score_folder(scores: Mapping[str, Score]) -> Score:
    """Score every file by itself. Names that differ only in a run number are repeats, which get mean and spread."""
    runs: dict[str, list[Score]] = defaultdict(list)
    for name, one in scores.items():
        runs[_RUN_NUMBER.sub("", name) or name].append(one)
    repeats = {name: _mean_of(list(group)) for name, group in runs.items()}
    single = next(iter(repeats.values())) if len(repeats) == 1 else None
    several = "" if single else "the files are of several models: see 'runs' and 'files', no figure spans them"
    return Score(
        benchmark="llava-bench",
        values={
            "overall": single["overall"] if single else None,
            "categories": single["categories"] if single else {},
            "runs": repeats,
            "files": {name: {**one.values, "n": one.n, "interval": one.interval} for name, one in scores.items()},
        },
        headline=single["overall"] if single else None,
        n=sum(one.n for one in scores.values()),
        notes=[*([several] if several else []), *(f"{k}: {note}" for k, one in scores.items() for note in one.notes)],
        problems=[
            Problem(kind=problem.kind, message=f"{name}: {problem.message}", ids=problem.ids)
            for name, one in scores.items()
            for problem in one.problems
        ],
    )


def _mean_of(group: Sequence[Score]) -> dict[str, Any]:
    """Means of the printed figures over repeated judging, and their spread (sample standard deviation)."""
    overalls = [one.values["overall"] for one in group if one.values["overall"] is not None]
    names = sorted({name for one in group for name in one.values["categories"]})
    columns = {name: [one.values["categories"].get(name) for one in group] for name in names}
    known = {name: [value for value in values if value is not None] for name, values in columns.items()}
    return {
        "overall": _mean(overalls),
        "spread": _spread(overalls),
        "categories": {name: _mean(values) for name, values in known.items()},
        "category_spreads": {name: _spread(values) for name, values in known.items()},
        "repeats": len(group),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(statistics.mean(values), 1) if values else None


def _spread(values: Sequence[float]) -> float | None:
    return round(statistics.stdev(values), 1) if len(values) > 1 else None


def _cells(values: Mapping[str, Any]) -> dict[str, float | None]:
    cells = {_column(name): value for name, value in values.get("categories", {}).items()}
    return {**cells, "overall": values.get("overall")}


def _spreads(values: Mapping[str, Any]) -> dict[str, float]:
    """How far repeats of judging one model lie apart, by column; {} for several models."""
    runs: Sequence[Mapping[str, Any]] = list(values.get("runs", {}).values())
    if len(runs) != 1:
        return {}
    found = {_column(name): value for name, value in runs[0]["category_spreads"].items()}
    return {name: value for name, value in (*found.items(), ("overall", runs[0]["spread"])) if value is not None}


def _column(category: str) -> str:
    return category.removeprefix("llava_bench_")


BENCHMARK = Benchmark(
    name="llava-bench",
    title="LLaVA-Bench",
    score=score,
    task=task,
    columns=("conv", "detail", "complex", "overall"),
    cells=_cells,
    spreads=_spreads,
    coco_table="llava-bench-coco",
    takes_reviews=True,
)
