"""ScienceQA: the columns of its own evaluation, from its own and LLaVA's files."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from llava_model.benchmarks.scienceqa import lenient, score, strict
from llava_model.errors import UnscorableError


def a_problem(draw: random.Random, split: str = "test") -> dict[str, Any]:
    choices = ["one", "two", "three", "four", "five"][: draw.randint(2, 5)]
    return {
        "question": "Which?", "choices": choices, "answer": draw.randrange(len(choices)), "split": split,
        "hint": draw.choice(["", "A text."]), "image": draw.choice([None, "image.png"]),
        "subject": draw.choice(["natural science", "social science", "language science"]),
        "grade": f"grade{draw.randint(1, 12)}", "task": "closed choice", "topic": "t", "category": "c", "skill": "s",
    }  # fmt: skip


@pytest.fixture
def problems() -> dict[str, dict[str, Any]]:
    draw = random.Random(3)
    return {str(number * 7): a_problem(draw) for number in range(400)} | {"99999": a_problem(draw, "train")}


@pytest.fixture
def references(problems: dict[str, dict[str, Any]], tmp_path: Path) -> Path:
    file = tmp_path / "problems.json"
    file.write_text(json.dumps(problems))
    return file


def written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def answer_lines(path: Path, texts: dict[str, str]) -> Path:
    records = [{"question_id": n, "prompt": "p", "text": t, "answer_id": "x", "metadata": {}} for n, t in texts.items()]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def columns_by_pandas_rules(problems: dict[str, dict[str, Any]], results: dict[str, int]) -> dict[str, float]:
    """The published evaluation, row by row and column by column."""
    rows = [{**one, "ok": results[name] == one["answer"]} for name, one in problems.items() if one["split"] == "test"]

    def share(chosen: list[dict[str, Any]]) -> float:
        return float(f"{len([row for row in chosen if row['ok']]) / len(chosen) * 100:.2f}")

    low, high = [f"grade{n}" for n in range(1, 7)], [f"grade{n}" for n in range(7, 13)]
    return {
        "NAT": share([row for row in rows if row["subject"] == "natural science"]),
        "SOC": share([row for row in rows if row["subject"] == "social science"]),
        "LAN": share([row for row in rows if row["subject"] == "language science"]),
        "TXT": share([row for row in rows if row["hint"]]),
        "IMG": share([row for row in rows if row["image"]]),
        "NO": share([row for row in rows if not row["hint"] and not row["image"]]),
        "G1-6": share([row for row in rows if row["grade"] in low]),
        "G7-12": share([row for row in rows if row["grade"] in high]),
        "AVG": share(rows),
    }


def a_result_file(problems: dict[str, dict[str, Any]], **more: Any) -> tuple[dict[str, Any], dict[str, int]]:
    draw = random.Random(9)
    results = {name: draw.randrange(-1, 5) for name, one in problems.items() if one["split"] == "test"}
    return {"acc": None, "correct": None, "count": None, "results": results, **more}, results


def test_stored_results_give_the_columns_of_the_published_evaluation(
    problems: dict[str, dict[str, Any]], references: Path, tmp_path: Path
) -> None:
    document, results = a_result_file(problems)
    result = score(written(tmp_path / "result.json", document), references)
    assert result.values["columns"] == columns_by_pandas_rules(problems, results)
    assert result.problems == []


def test_answers_as_llava_writes_them_give_the_same_columns(
    problems: dict[str, dict[str, Any]], references: Path, tmp_path: Path
) -> None:
    _, results = a_result_file(problems)
    texts = {n: f"LECTURE: x\nThe answer is {'ABCDE'[o]}." if o >= 0 else "I do not know" for n, o in results.items()}
    known = {n: o if 0 <= o < len(problems[n]["choices"]) else -1 for n, o in results.items()}
    result = score(answer_lines(tmp_path / "a.jsonl", texts), references)
    assert result.values["columns"] == columns_by_pandas_rules(problems, known)
    assert result.values["readings"]["strict"] == result.values["columns"]


def test_a_guess_that_was_stored_shows_as_the_difference_between_stored_and_strict(tmp_path: Path) -> None:
    one = a_problem(random.Random(1)) | {"choices": ["a", "b"], "answer": 1}
    references = written(tmp_path / "problems.json", {"1": one, "2": one})
    outputs = {"1": "The answer is B.", "2": "Perhaps."}
    document = {"acc": 50.0, "results": {"1": 1, "2": 1}, "outputs": outputs}
    result = score(written(tmp_path / "r.json", document), references)
    assert result.values["columns"]["AVG"] == 100.0
    assert result.values["readings"]["strict"]["AVG"] == 50.0
    assert result.values["readings"]["fallback"]["AVG"] == 75.0  # one of two choices, at random
    assert any("1 stored options" in note and "2" in note for note in result.notes)
    assert any("acc 50.000" in note for note in result.notes)


@pytest.mark.parametrize(
    ("text", "as_strict", "as_lenient"),
    [
        ("The answer is B.", 1, 1),
        ("The answer is B. BECAUSE: so it is.", 1, 1),
        ("The answer is A. No, the answer is not. The answer is B.", -1, 0),
        ("B", -1, 1),
        ("B\n", -1, 1),
        ("B. the second", -1, 1),
        ("B) the second", -1, -1),
        ("The answer is B", -1, 1),
        ("The answer is D.", -1, -1),
        ("", -1, -1),
        ("nothing", -1, -1),
    ],
)
def test_strict_and_lenient_reading_are_told_apart(text: str, as_strict: int, as_lenient: int) -> None:
    assert strict(text, 3) == as_strict
    assert lenient(text, 3) == as_lenient


def test_missing_and_extra_ids_are_named_and_missing_ones_count_as_wrong(tmp_path: Path) -> None:
    one = a_problem(random.Random(1)) | {"choices": ["a", "b"], "answer": 0, "grade": "grade3"}
    references = written(tmp_path / "problems.json", {str(n): one for n in range(1, 5)})
    answers = answer_lines(tmp_path / "a.jsonl", {"1": "A", "2": "A", "77": "A"})
    result = score(answers, references)
    assert result.values["columns"]["AVG"] == 50.0
    assert result.values["answered_only"]["AVG"] == 100.0
    assert result.values["columns"]["G7-12"] is None
    assert {problem.kind: problem.ids for problem in result.problems} == {"missing": ("3", "4"), "extra": ("77",)}


def test_the_list_of_splits_beside_the_problems_decides(tmp_path: Path) -> None:
    one = a_problem(random.Random(1)) | {"choices": ["a", "b"], "answer": 0}
    written(tmp_path / "problems.json", {"1": one, "2": one})
    written(tmp_path / "pid_splits.json", {"test": ["2"], "train": ["1"]})
    answers = answer_lines(tmp_path / "a.jsonl", {"2": "A"})
    result = score(answers, tmp_path)
    assert result.n == 1 and result.problems == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"results": {}}', '{"question_id": "zzz", "text": "A"}'])
def test_a_file_that_answers_nothing_gives_no_score(references: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "p.json"
    file.write_text(content)
    with pytest.raises(UnscorableError):
        score(file, references)


def test_without_problems_it_says_which_file_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UnscorableError, match=r"problems\.json"):
        score(tmp_path / "a.jsonl", None)
