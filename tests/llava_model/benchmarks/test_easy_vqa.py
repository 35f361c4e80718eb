"""easy-vqa's own questions and four ways to write answers; and the same for any set of samples."""

import json
from pathlib import Path
from typing import Any

import pytest

from llava_model.benchmarks import vqa
from llava_model.benchmarks.easy_vqa import contains, score
from llava_model.benchmarks.figures import normal
from llava_model.errors import UnscorableError

QUESTIONS = [
    ["what is the red shape?", "triangle", 0],
    ["what is the color of the shape?", "red", 0],
    ["does the image contain a circle?", "no", 0],
    ["is a teal shape present?", "yes", 1],
]
SAID = ["Triangle.", "the red", "yes", "Yes"]


@pytest.fixture
def references(tmp_path: Path) -> Path:
    file = tmp_path / "questions.json"
    file.write_text(json.dumps(QUESTIONS))
    return file


def test_all_ways_to_write_answers_score_the_same(references: Path, tmp_path: Path) -> None:
    ways: dict[str, str] = {
        "list.json": json.dumps(SAID),
        "object.json": json.dumps(dict(zip("0123", SAID, strict=True))),
        "lines.txt": "\n".join(SAID) + "\n",
        "records.jsonl": "".join(json.dumps({"question_id": n, "text": t}) + "\n" for n, t in enumerate(SAID)),
        "records.json": json.dumps([{"question_id": n, "answer": t} for n, t in enumerate(SAID)]),
    }
    for name, content in ways.items():
        (tmp_path / name).write_text(content)
        result = score(tmp_path / name, references)
        assert result.values["accuracy"] == 75.0, name
        assert result.values["by_kind"] == {"shape": 100.0, "colour": 100.0, "yes/no": 50.0}, name
        assert result.problems == [], name


def test_missing_and_extra_answers_are_named(references: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"question_id": 0, "text": "triangle"}\n{"question_id": 9, "text": "no"}\n')
    result = score(file, references)
    assert result.values["accuracy"] == 25.0 and result.values["answered_only"] == 100.0
    assert {p.kind: p.ids for p in result.problems} == {"missing": ("1", "2", "3"), "extra": ("9",)}


@pytest.mark.parametrize(
    ("text", "plain"), [("A Circle.", "circle"), ("  yes! ", "yes"), ("The  red", "red"), ("no", "no")]
)
def test_answers_are_compared_without_case_article_and_full_stop(text: str, plain: str) -> None:
    assert normal(text) == plain


def test_a_sentence_that_names_two_answers_contains_neither() -> None:
    assert contains("It is a red one", "red")
    assert not contains("red or blue", "red")
    assert not contains("reddish", "red")


def test_a_file_that_is_empty_or_answers_nothing_gives_no_score(references: Path, tmp_path: Path) -> None:
    for content in ("", "{}", '{"question_id": 77, "text": "no"}'):
        (tmp_path / "a.jsonl").write_text(content)
        with pytest.raises(UnscorableError):
            score(tmp_path / "a.jsonl", references)


def test_held_out_samples_are_a_benchmark_as_they_are(tmp_path: Path) -> None:
    def sample(name: str, answer: str, **more: Any) -> str:
        turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": answer}]
        return json.dumps({"id": name, "image": "p.png", "conversations": turns, **more}) + "\n"

    (tmp_path / "s.jsonl").write_text(
        sample("a", "A ferry.") + sample("b", "red", answers=["crimson"]) + sample("c", "x")
    )
    lines = [{"question_id": "a", "text": "It is the ferry"}, {"question_id": "b", "text": "Crimson"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = vqa.score(tmp_path / "a.jsonl", tmp_path / "s.jsonl")
    assert result.values["exact"] == pytest.approx(100 / 3)
    assert result.values["contains"] == pytest.approx(200 / 3)
    assert result.problems[0].ids == ("c",)


def test_answers_by_position_with_a_torn_line_give_no_score_instead_of_shifted_answers(
    references: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "triangle"}\n{"text": "r\n{"text": "no"}\n{"text": "yes"}\n')
    with pytest.raises(UnscorableError, match="without ids"):
        score(tmp_path / "a.jsonl", references)
