"""LLaVA-Bench reviews, in the format and with the rounding of LLaVA's own scripts."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llava_model.benchmarks.llava_bench import find_pair, first_line_pair, score, summarise
from llava_model.errors import UnscorableError


def a_review(number: int, category: str, one: float, two: float, content: str | None = None) -> dict[str, Any]:
    words = f"{one:g} {two:g}\nBoth assistants …" if content is None else content
    return {
        "id": number + 1, "question_id": number, "answer1_id": f"gpt-{number}", "answer2_id": f"llava-{number}",
        "category": f"llava_bench_{category}", "content": words, "tuple": [one, two],
    }  # fmt: skip


def written(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def summarised_by_hand(reviews: list[dict[str, Any]]) -> dict[str, float]:
    """What the published summary prints: means rounded to 3 digits, their ratio in per cent to 1."""
    printed = {}
    for name in {"all", *(review["category"] for review in reviews)}:
        pairs = [review["tuple"] for review in reviews if name in ("all", review["category"])]
        first = round(sum(pair[0] for pair in pairs) / len(pairs), 3)
        second = round(sum(pair[1] for pair in pairs) / len(pairs), 3)
        printed[name] = round(second / first * 100, 1)
    return printed


def test_two_reviews_give_the_figures_one_can_work_out_on_paper(tmp_path: Path) -> None:
    file = written(tmp_path / "r.jsonl", [a_review(0, "conv", 8, 10), a_review(1, "detail", 9, 6.5)])
    values = score(file).values
    assert values["overall"] == 97.1  # 8.25 / 8.5
    assert values["categories"] == {"llava_bench_conv": 125.0, "llava_bench_detail": 72.2}


def test_sixty_reviews_give_the_figures_of_the_published_rounding(tmp_path: Path) -> None:
    draw = random.Random(5)
    halves = [step / 2 for step in range(2, 21)]
    reviews = [
        a_review(n, draw.choice(["conv", "detail", "complex"]), draw.choice(halves[12:]), draw.choice(halves))
        for n in range(60)
    ]
    result = score(written(tmp_path / "r.jsonl", reviews))
    printed = summarised_by_hand(reviews)
    assert result.values["overall"] == printed.pop("all")
    assert result.values["categories"] == printed
    assert result.problems == [] and result.n == 60


def test_the_means_are_rounded_before_they_are_divided() -> None:
    pairs = [(1.0, 1.0), (1.0, 1.0), (1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (1.0, 0.0)]
    assert summarise([(None, pair) for pair in pairs])["overall"] == 33.3  # 0.333 / 1.0, as 2/6 is 33.33…
    pairs = [(3.0, 1.0), (3.0, 1.0), (1.0, 0.0)]
    assert summarise([(None, pair) for pair in pairs])["overall"] == round(0.667 / 2.333 * 100, 1) == 28.6


def test_coco_reviews_are_grouped_by_their_own_category_names(tmp_path: Path) -> None:
    reviews = [{**a_review(n, "x", 8, 4), "category": name} for n, name in enumerate(("conv", "detail", "complex"))]
    assert score(written(tmp_path / "r.jsonl", reviews)).values["categories"] == {
        "complex": 50.0, "conv": 50.0, "detail": 50.0,
    }  # fmt: skip


def test_the_older_format_with_score_and_without_category_is_read(tmp_path: Path) -> None:
    records = [{"review_id": "a", "question_id": 1, "text": "7 7", "score": [8.0, 6.0]}]
    values = score(written(tmp_path / "r.jsonl", records)).values
    assert values["overall"] == 75.0 and values["categories"] == {}


def test_a_review_without_stored_scores_is_read_from_its_first_line(tmp_path: Path) -> None:
    records = [{"question_id": 1, "category": "conv", "content": "8,6\nBecause …"}]
    assert score(written(tmp_path / "r.jsonl", records)).values["overall"] == 75.0


@pytest.mark.parametrize(
    ("content", "pair"),
    [
        ("8 6\nwhy", (8, 6)),
        ("8,6", (8, 6)),
        ("8.5 7", (8.5, 7)),
        ("8 6 ", (-1, -1)),
        ("8, 6", (-1, -1)),
        ("Assistant 1: 8", (-1, -1)),
        ("8", (-1, -1)),
        ("nan inf", (-1, -1)),
        ("", (-1, -1)),
    ],
)
def test_the_first_line_is_read_exactly_as_the_original_reads_it(content: str, pair: tuple[float, float]) -> None:
    assert first_line_pair(content) == pair


@pytest.mark.parametrize(
    ("content", "pair"),
    [
        ("8 6", (8, 6)),
        ("8, 6\nBoth", (8, 6)),
        ("Here are my scores:\n8 7.5\nBecause", (8, 7.5)),
        ("Scores for Assistant 1 and 2: 9 6", (9, 6)),
        ("Assistant 1: 8/10, Assistant 2: 7/10", (8, 7)),
        ("Assistant 1 deserves a score of 8.\n\nAssistant 2 deserves a 5.5 for that.", (8, 5.5)),
        ("Assistant A: 8\nAssistant B: 3", (8, 3)),
        ("I cannot judge this.", None),
        ("The photo of 1994 shows 300 sheep", None),
        ("95 80", None),
    ],
)
def test_scores_are_found_behind_a_judges_words(content: str, pair: tuple[float, float] | None) -> None:
    assert find_pair(content) == pair


@given(st.text(max_size=200))
def test_no_words_break_the_readers(content: str) -> None:
    first_line_pair(content)
    pair = find_pair(content)
    assert pair is None or all(0 <= value <= 10 for value in pair)


def test_unreadable_reviews_are_averaged_as_the_original_does_named_and_left_out_beside_it(tmp_path: Path) -> None:
    reviews = [
        a_review(0, "conv", 8, 8),
        a_review(1, "conv", 8, 4),
        a_review(2, "conv", -1, -1, "Assistant 1: 8\nAssistant 2: 8"),
        a_review(3, "conv", -1, -1, "I am sorry."),
    ]
    result = score(written(tmp_path / "r.jsonl", reviews))
    assert result.values["overall"] == round(10 / 14 * 100, 1)  # (8 + 4 - 1 - 1) / (8 + 8 - 1 - 1)
    assert result.values["readings"]["strict"]["overall"] == 75.0
    assert result.values["readings"]["reread"]["overall"] == round(20 / 24 * 100, 1)
    assert [problem.ids for problem in result.problems] == [("2", "3")]


def test_half_a_last_line_is_named_and_the_rest_is_scored(tmp_path: Path) -> None:
    file = written(tmp_path / "r.jsonl", [a_review(0, "conv", 8, 4), a_review(1, "conv", 8, 4)])
    file.write_text(file.read_text() + '{"id": 3, "tup')
    result = score(file)
    assert result.values["overall"] == 50.0
    assert result.problems[0].ids == ("line 3",)


def test_questions_without_a_review_and_reviews_without_a_question_are_named(tmp_path: Path) -> None:
    file = written(
        tmp_path / "r.jsonl", [a_review(0, "conv", 8, 4), a_review(7, "conv", 8, 4), a_review(7, "conv", 8, 4)]
    )
    questions = written(tmp_path / "q.jsonl", [{"question_id": n, "category": "conv", "text": "?"} for n in range(3)])
    found = {problem.kind: problem.ids for problem in score(file, questions).problems}
    assert found == {"duplicate": ("7",), "missing": ("1", "2"), "extra": ("7",)}


def test_a_folder_of_repeated_judging_gives_mean_and_spread(tmp_path: Path) -> None:
    for run, two in enumerate((4, 5, 6), 1):
        written(tmp_path / f"llava-v1.5-13b-eval{run}.jsonl", [a_review(0, "conv", 8, two)])
    values = score(tmp_path).values
    assert values["overall"] == 62.5
    assert values["runs"]["llava-v1.5-13b"]["spread"] == 12.5
    assert values["files"]["llava-v1.5-13b-eval1"]["overall"] == 50.0


def test_a_folder_of_several_models_gives_each_and_no_figure_over_all(tmp_path: Path) -> None:
    written(tmp_path / "bard.jsonl", [a_review(0, "conv", 8, 4)])
    written(tmp_path / "llava.jsonl", [a_review(0, "conv", 8, 8)])
    values = score(tmp_path).values
    assert values["overall"] is None
    assert {name: one["overall"] for name, one in values["files"].items()} == {"bard": 50.0, "llava": 100.0}


@pytest.mark.parametrize("content", ["", "\n\n", "no json", "[1, 2]", '{"question_id": 1}', '"text"'])
def test_a_file_without_reviews_gives_no_score(tmp_path: Path, content: str) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text(content)
    with pytest.raises(UnscorableError, match=r"r\.jsonl"):
        score(file)
