"""POPE in its own and in LLaVA's format."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llava_model.benchmarks.pope import says_yes, score
from llava_model.errors import UnscorableError

OBJECTS = ["dog", "car", "person", "chair", "orange", "boat", "cup", "tie"]
BLOCKS = {"adversarial": 0, "random": 10_000_000, "popular": 20_000_000}


def written(path: Path, records: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def some_labels(setting: str, count: int) -> list[dict[str, Any]]:
    draw = random.Random(setting)
    return [
        {
            "question_id": n, "image": f"COCO_val2014_{n // 6:012d}.jpg", "label": draw.choice(["yes", "no"]),
            "text": f"Is there a {draw.choice(OBJECTS)} in the image?",
        }
        for n in range(1, count + 1)
    ]  # fmt: skip


@pytest.fixture
def labels(tmp_path: Path) -> dict[str, list[dict[str, Any]]]:
    made = {"random": some_labels("random", 97), "popular": some_labels("popular", 100)}
    made["adversarial"] = some_labels("adversarial", 100)
    for setting, records in made.items():
        written(tmp_path / "coco" / f"coco_pope_{setting}.json", records)
    return made


def llava_answers(labels: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    draw = random.Random(2)
    says = ["Yes", "No", "no", "Yes, there is.", "No, there is not.", "There is no cup. Yes", "There is one. No"]
    return [
        {
            "question_id": BLOCKS[setting] + label["question_id"], "text": draw.choice(says), "model_id": "llava",
            "prompt": f"{label['text']}\nAnswer the question using a single word or phrase.", "answer_id": "x",
        }
        for setting in BLOCKS
        for label in labels[setting]
    ]  # fmt: skip


def figures_by_hand(answers: list[str], labels: list[str]) -> dict[str, float]:
    """The published evaluation, written down again from its description: by order, fractions."""
    said = []
    for text in answers:
        sentence = text.split(".")[0] if "." in text else text
        words = sentence.replace(",", "").split(" ")
        said.append("no" if any(word in ("No", "not", "no") for word in words) else "yes")
    pairs = list(zip(said, labels, strict=True))
    tp, fp = pairs.count(("yes", "yes")), pairs.count(("yes", "no"))
    tn, fn = pairs.count(("no", "no")), pairs.count(("no", "yes"))
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    return {
        "accuracy": (tp + tn) / len(pairs), "precision": precision, "recall": recall,
        "f1": 2 * precision * recall / (precision + recall), "yes_ratio": said.count("yes") / len(said),
    }  # fmt: skip


def test_one_answers_file_for_three_settings_gives_the_published_figures(
    labels: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    answers = llava_answers(labels)
    result = score(written(tmp_path / "llava.jsonl", answers), tmp_path / "coco")
    assert result.problems == []
    f1s = []
    for setting, block in BLOCKS.items():
        texts = [a["text"] for a in answers if a["question_id"] // 10_000_000 == block // 10_000_000]
        by_hand = figures_by_hand(texts, [label["label"] for label in labels[setting]])
        found = result.values["settings"][setting]
        assert {name: found[name] for name in by_hand} == {name: 100 * value for name, value in by_hand.items()}
        order = ("f1", "accuracy", "precision", "recall", "yes_ratio")
        assert found["printed"] == ", ".join(f"{by_hand[name]:.3f}" for name in order)
        f1s.append(by_hand["f1"])
    assert result.values["f1"] == pytest.approx(100 * sum(f1s) / 3)


def test_the_settings_are_also_told_by_llavas_question_file(
    labels: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    answers = llava_answers(labels)
    expected = score(written(tmp_path / "a.jsonl", answers), tmp_path / "coco").values
    names = {block // 10_000_000: setting for setting, block in BLOCKS.items()}
    questions = [{"question_id": a["question_id"], "category": names[a["question_id"] // 10_000_000]} for a in answers]
    written(tmp_path / "coco" / "llava_pope_test.jsonl", questions)
    for answer in answers:
        del answer["prompt"]
    assert score(written(tmp_path / "b.jsonl", answers), tmp_path / "coco").values == expected


def test_popes_own_format_is_paired_by_order(labels: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    texts = ["Yes" if n % 3 else "No, there is none." for n in range(100)]
    answers = [{"question": label["text"], "answer": t} for label, t in zip(labels["popular"], texts, strict=True)]
    file = written(tmp_path / "a.json", answers)
    result = score(file, tmp_path / "coco" / "coco_pope_popular.json")
    by_hand = figures_by_hand(texts, [label["label"] for label in labels["popular"]])
    assert result.values["settings"]["popular"]["f1"] == 100 * by_hand["f1"]
    assert result.values["f1"] == 100 * by_hand["f1"]


def test_ids_from_one_beside_labels_from_zero_are_paired_by_order(tmp_path: Path) -> None:
    labels = [{"question_id": n, "text": f"Is there a {o}?", "label": "yes"} for n, o in enumerate(OBJECTS)]
    answers = [{"question_id": n + 1, "text": "Yes" if n else "No"} for n in range(len(OBJECTS))]
    references = written(tmp_path / "coco_pope_random.json", labels)
    result = score(written(tmp_path / "a.jsonl", answers), references)
    assert result.problems == [] and result.values["settings"]["random"]["recall"] == 87.5


def test_a_shuffled_file_is_paired_by_id(labels: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    answers = llava_answers(labels)
    expected = score(written(tmp_path / "a.jsonl", answers), tmp_path / "coco").values
    random.Random(1).shuffle(answers)
    assert score(written(tmp_path / "b.jsonl", answers), tmp_path / "coco").values == expected


def test_a_lost_answer_without_ids_is_named_and_shifts_nothing(
    labels: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    right = [{"question": label["text"], "answer": label["label"].title()} for label in labels["popular"]]
    del right[40]
    result = score(written(tmp_path / "a.jsonl", right), tmp_path / "coco" / "coco_pope_popular.json")
    assert result.values["settings"]["popular"]["accuracy"] == 100.0
    assert [(problem.kind, len(problem.ids)) for problem in result.problems] == [("missing", 1)]


def test_missing_extra_and_double_ids_are_named(labels: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    answers = [{"question_id": n, "text": "Yes"} for n in [*range(4, 101), 5, 4000]]
    result = score(written(tmp_path / "a.jsonl", answers), tmp_path / "coco" / "coco_pope_popular.json")
    found = {problem.kind: problem.ids for problem in result.problems}
    assert found == {"duplicate": ("5",), "missing": ("1", "2", "3"), "extra": ("4000",)}
    assert result.values["settings"]["popular"]["n"] == 97


def test_a_setting_without_answers_is_said(labels: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    answers = [a for a in llava_answers(labels) if a["question_id"] < 20_000_000]
    result = score(written(tmp_path / "a.jsonl", answers), tmp_path / "coco")
    assert set(result.values["settings"]) == {"adversarial", "random"}
    assert any("popular" in problem.message for problem in result.problems)


def test_a_model_that_never_says_yes_has_no_precision_instead_of_zero(tmp_path: Path) -> None:
    references = written(tmp_path / "coco_pope_random.json", some_labels("random", 20))
    answers = written(tmp_path / "a.jsonl", [{"question_id": n, "text": "No"} for n in range(1, 21)])
    figures = score(answers, references).values["settings"]["random"]
    assert figures["precision"] is None and figures["f1"] is None and figures["recall"] == 0


@pytest.mark.parametrize(
    ("text", "yes"),
    [("Yes", True), ("No", False), ("NO", True), ("no.", False), ("It is not", False), ("Nothing", True), ("", True),
     ("Sure. No dog", True), ("No,there", True), ("no, it", False)],
)  # fmt: skip
def test_answers_are_read_word_by_word_as_the_original_reads_them(text: str, yes: bool) -> None:
    assert says_yes(text) is yes


@given(st.text())
def test_every_text_is_yes_or_no(text: str) -> None:
    assert figures_by_hand([text, "Yes"], ["yes", "yes"])["recall"] == (1.0 if says_yes(text) else 0.5)


def test_without_labels_it_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UnscorableError, match="label files"):
        score(tmp_path / "a.jsonl", None)


def test_answers_that_fit_nowhere_give_no_score_instead_of_shifted_pairs(tmp_path: Path) -> None:
    references = written(tmp_path / "coco_pope_random.json", some_labels("random", 20))
    answers = written(tmp_path / "a.jsonl", [{"answer": "No"}] * 19)
    with pytest.raises(UnscorableError):
        score(answers, references)


def test_the_interval_holds_the_mean_f1_and_narrows_with_more_questions(tmp_path: Path) -> None:
    widths = []
    for count in (50, 800):
        references = written(tmp_path / "coco_pope_random.json", some_labels("random", count))
        draw = random.Random(1)
        answers = [{"question_id": n, "text": draw.choice(["Yes", "No"])} for n in range(1, count + 1)]
        result = score(written(tmp_path / "a.jsonl", answers), references)
        assert result.interval is not None and result.headline is not None
        low, high = result.interval
        assert low < result.headline < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
