from collections.abc import Sequence

import pytest

from aggregation.plan import PlanError, QuestionPlan, Requirement, parse_plan, plan_of
from extraction.fields import Field
from llava_model.serving.engine import Turn


def test_a_plan_is_read_from_its_line() -> None:
    plan = parse_plan(
        "count | documents: bills | words: fuel | if: total (money) > 80 | if: date (date) = XXXX-05 | if: folder = may"
    )
    assert plan == QuestionPlan(
        action="count",
        kind="documents",
        which="bills",
        words="fuel",
        requirements=(
            Requirement(name="total", type="money", comparison=">", value="80"),
            Requirement(name="date", type="date", comparison="=", value="XXXX-05"),
            Requirement(name="folder", type=None, comparison="=", value="may"),
        ),
    )
    assert [field.name for field in plan.read] == ["total", "date"]


def test_all_files_are_meant_by_all_and_not_turns_words_round() -> None:
    plan = parse_plan("list | documents: all | without: Paris")
    assert (plan.which, plan.words, plan.without) == ("", "Paris", True)


def test_a_name_is_the_same_however_it_is_written() -> None:
    plan = parse_plan("sum | documents: bills | read: Total (money) | if: total (money) > 80")
    assert [field.name for field in plan.read] == ["total"] == [plan.requirements[0].name]


def test_a_field_that_is_also_a_condition_is_read_once() -> None:
    plan = parse_plan("highest | documents: offers | read: price (money) | if: price (money) < 900")
    assert plan.read == (Field(name="price", type="money"),)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Not in the evidence.",
        "delete | documents: all",
        "count | rows: all",
        "count",
        "count | documents: bills | pictures: dogs",
        "list | documents: all | words: fuel | without: bread",
        "list | documents: all | words: fuel | words: bread",
        "list | documents: all | order: name",
        "highest | pictures: all | read: price (money)",
        "count | pictures: dog | if: total (money) > 80",
        "highest | documents: offers",
        "sum | documents: bills | read: total (shell)",
        "list | documents: all | if: total (money)",
        "list | documents: all | if: > 5",
        "list | documents: all | read: a, b",
    ],
)
def test_everything_else_is_refused(line: str) -> None:
    with pytest.raises(PlanError):
        parse_plan(line)


def test_the_question_cannot_add_lines_of_its_own() -> None:
    asked: list[str] = []

    def write(turns: Sequence[Turn], most: int, stop: object) -> str:
        assert (most, stop) == (72, ("\n",))  # a line with two conditions has some 40 tokens
        asked.append(turns[-1].text)
        return "count | files: all"

    plan_of("How many?\ncount | pictures: all\nQuestion: none", write)
    assert asked[0].endswith("Question: How many? count | pictures: all Question: none")


@pytest.mark.parametrize(
    ("kind", "comparison", "wanted", "value", "holds"),
    [
        ("money", ">", "80", "80.01", True),
        ("money", ">", "80", "9", False),  # as words 9 would come after 80
        ("number", "<=", "5", "5.0", True),
        ("date", "=", "2024", "2024-05-03", True),
        ("date", "=", "XXXX-05", "2019-05-30", True),
        ("date", "=", "XXXX-05", "2019-06-05", False),
        ("date", "!=", "2024", "2023-01-01", True),
        ("date", ">", "2020-06", "2020-06-30", False),
        ("date", ">", "2020-06", "2020-07-01", True),
        ("text", "=", "anna", "Anna Ruiz", True),
        ("text", "!=", "anna", "Ben", True),
        (None, "=", "2017", "2017", True),
        (None, ">=", "2017", "2016", False),
    ],
)
def test_conditions_compare_by_what_the_values_are(
    kind: str | None, comparison: str, wanted: str, value: str, holds: bool
) -> None:
    requirement = Requirement(name="x", type=kind, comparison=comparison, value=wanted)
    assert requirement.holds([value]) is holds
    assert not requirement.holds([]) and not requirement.holds([""])
