"""MME's folder of tab-separated task files."""

import json
import random
from pathlib import Path

import pytest

from llava_model.benchmarks.mme import COGNITION, PERCEPTION, parse_answer, score
from llava_model.errors import UnscorableError

SAYS = ["Yes", "No", "yes.", "No, it is not.", "The answer is yes", "Unknown", " no", "I know it is", "NO", "maybe"]


def a_task(folder: Path, name: str, pictures: int) -> list[tuple[str, str]]:
    draw = random.Random(name)
    said = [(label, draw.choice(SAYS)) for _ in range(pictures) for label in ("Yes", "No")]
    lines = [f"{n // 2:04d}.png\tIs it so? Please answer yes or no.\t{g}\t{a}" for n, (g, a) in enumerate(said)]
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return said


def task_by_hand(said: list[tuple[str, str]]) -> float:
    """Accuracy of questions plus accuracy of pictures, in per cent, from the description of the tool."""
    right = []
    for label, answer in said:
        words = answer.lower()
        start = words[:4]
        read = words if words in ("yes", "no") else "yes" if "yes" in start else "no" if "no" in start else "other"
        right.append(read == label.lower())
    both = [right[n] and right[n + 1] for n in range(0, len(right), 2)]
    return sum(right) / len(right) * 100 + sum(both) / len(both) * 100


def test_fourteen_tasks_give_the_sums_of_the_published_tool(tmp_path: Path) -> None:
    by_hand = {name: task_by_hand(a_task(tmp_path, name, 10 + n)) for n, name in enumerate((*PERCEPTION, *COGNITION))}
    result = score(tmp_path)
    assert result.values["tasks"] == by_hand
    assert result.values["perception"] == sum(by_hand[name] for name in PERCEPTION)
    assert result.values["cognition"] == sum(by_hand[name] for name in COGNITION)
    assert result.problems == []


@pytest.mark.parametrize(
    ("answer", "read"),
    [("Yes", "yes"), ("no", "no"), ("Yes\n", "yes"), ("not so", "no"), ("know", "no"), ("a yes", "other"),
     ("", "other"), ("  no", "no"), ("   no", "other"), ("noyes", "no"), ("yesno", "yes")],
)  # fmt: skip
def test_an_answer_is_read_by_its_first_four_characters(answer: str, read: str) -> None:
    assert parse_answer(answer) == read


def test_missing_tasks_are_named_and_the_others_summed(tmp_path: Path) -> None:
    by_hand = task_by_hand(a_task(tmp_path, "count", 6))
    result = score(tmp_path)
    assert result.values["perception"] == by_hand and result.values["cognition"] is None
    assert len(result.problems[0].ids) == 13


def test_a_lost_line_is_named_and_shifts_no_picture(tmp_path: Path) -> None:
    lines = [f"{n // 2}.png\tq\tYes\tYes" for n in range(8)]
    del lines[3]
    (tmp_path / "count.txt").write_text("\n".join(lines))
    result = score(tmp_path / "count.txt")
    assert result.values["details"]["count"]["pictures"] == 3
    assert result.values["tasks"]["count"] == 200.0
    assert next(problem for problem in result.problems if problem.kind == "incomplete").ids == ("count.txt:3",)


def test_lines_in_another_format_are_named_by_number(tmp_path: Path) -> None:
    (tmp_path / "count.txt").write_text("a.png\tq\tYes\tYes\na.png q No No\na.png\tq\tperhaps\tNo\na.png\tq\tNo\tNo\n")
    result = score(tmp_path)
    assert next(p for p in result.problems if p.kind == "unreadable").ids == ("count.txt:2", "count.txt:3")
    assert result.values["details"]["count"]["accuracy"] == 100.0


def test_a_folder_without_task_files_gives_no_score(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a\tb\tYes\tYes\n")
    with pytest.raises(UnscorableError, match=r"existence\.txt"):
        score(tmp_path)


def test_llavas_answers_are_scored_with_the_release_folder(tmp_path: Path) -> None:
    release = tmp_path / "release" / "count"
    release.mkdir(parents=True)
    for number in (1, 2):
        (release / f"{number:04d}.jpg").write_bytes(b"")
        lines = "Is it so? Please answer yes or no.\tYes\nIs it not?  Please answer yes or no.\tNo\n"
        (release / f"{number:04d}.txt").write_text(lines)
    tail = "\nAnswer the question using a single word or phrase."
    said = [("1", "Is it so?", "Yes"), ("1", "Is it not?", "No"), ("2", "Is it so?", "No"), ("9", "Is it so?", "No")]
    records = [{"question_id": f"count/000{n}.jpg", "prompt": q + tail, "text": a} for n, q, a in said]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    result = score(tmp_path / "a.jsonl", tmp_path / "release")
    assert result.values["tasks"]["count"] == pytest.approx(200 / 3 + 100)  # 2 of 3 questions, 1 of 1 whole picture
    found = {problem.kind: problem.ids for problem in result.problems if problem.kind in ("missing", "extra")}
    assert found["extra"] == ("count/0009.jpg",) and len(found["missing"]) == 1
