import pytest

from indexing.records import Chunk, Line
from recipes.pocket.ground_cases import receipts, synthetic, without_answer
from recipes.pocket.same_answer import holds
from recipes.pocket.score_ground import Scored, summary


def scan(name: str, text: str) -> Chunk:
    lines = tuple(Line(text=row, box=(0.1, 0.1, 0.9, 0.2)) for row in text.split("\n"))
    return Chunk(content_hash=name, path=f"/{name}.jpg", kind="text", ordinal=0, text=text, title=name, lines=lines)


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        ("The total is RM 31.00 [1].", "31.00"),
        ("It is $8.20.", "$8.20"),
        ("The date is 09/03/2018 [2].", "9/3/2018"),
        ("It is 05 Mar 2018 18:26.", "05 MAR 2018"),
        ("It is BOOK TA _K (TAMAN DAYA) SDN BHD.", "BOOK TA .K (TAMAN DAYA) SDN BHD"),
        ("It costs € 22.00", "22.00"),
        ("The date is 25/12/2018 8:13:39 PM.", "25/12/2018"),
        ("Stop at 62°C.", "62 °C"),
    ],
)
def test_the_same_answer_in_another_writing_counts(answer: str, accepted: str) -> None:
    assert holds(answer, accepted)


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        ("It is 131.00.", "31.00"),
        ("It is 31.005.", "31.00"),
        ("It is 31.00.", "1.00"),
        ("It is 125/12/2018.", "25/12/2018"),
        ("See [22].", "22"),
        ("It is 1 2.", "12"),
        ("The shop is Lowe.", "Lowe Books"),
        ("", "9.00"),
    ],
)
def test_a_part_of_another_answer_does_not_count(answer: str, accepted: str) -> None:
    assert not holds(answer, accepted)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("9.00", ["TAN BOOKS SDN BHD", "Date 25-12-2018"]),
        ("25/12/2018", ["TAN BOOKS SDN BHD", "Total RM 9.00", "CASH 9.00"]),
        ("TAN B00KS SDN. BHD.", ["Date 25-12-2018", "Total RM 9.00", "CASH 9.00"]),
    ],
)
def test_lines_that_answer_are_taken_out_in_whatever_writing(value: str, left: list[str]) -> None:
    cut = without_answer(scan("a", "TAN BOOKS SDN BHD\nDate 25-12-2018\nTotal RM 9.00\nCASH 9.00"), value)
    assert cut.text.split("\n") == left
    assert [line.text for line in cut.lines] == left


def test_each_receipt_is_asked_three_times_with_and_without_its_evidence() -> None:
    names = ("a", "b", "c")
    texts = {name: [scan(name, f"SHOP {name}\n1/1/201{n}\nTotal 1{n}.00")] for n, name in enumerate(names)}
    labels = {n: {"company": f"SHOP {n}", "date": f"1/1/201{i}", "total": f"1{i}.00"} for i, n in enumerate(names)}
    cases = list(receipts(texts, labels, order=lambda question, chunks: list(chunks)))
    assert len(cases) == 3 * 3 * 3
    for case in cases:
        paths = [hit.chunk.path for hit in case.hits]
        own = f"/{case.id[0]}.jpg"
        assert len(paths) == (2 if case.group == "receipts, gone" else 3)
        assert (own in paths) == (case.group != "receipts, gone")
        assert bool(case.accepted) == (case.group == "receipts")
        if case.group == "receipts, cut":
            text = next(hit.chunk.text for hit in case.hits if hit.chunk.path == own)
            assert len(text.split("\n")) == 2


def test_synthetic_questions_are_the_same_each_time_and_know_their_file() -> None:
    first, again = list(synthetic(30)), list(synthetic(30))
    assert first == again
    assert {case.group for case in first} == {"synthetic", "synthetic, taken away"}
    for case in first:
        assert bool(case.accepted) == bool(case.right)
        assert case.right <= {hit.chunk.path for hit in case.hits}


def scored(**changes: object) -> Scored:
    values: dict[str, object] = {
        "id": "1", "group": "g", "part": "", "question": "?", "accepted": ("x",), "answer": "x [1].",
        "shown_to_user": "x [1].", "evidence": "", "refused": False, "asked": True, "exact": True, "shown": True,
        "marker": True, "marker_shown": True, "prompt_tokens": 9,
    }  # fmt: skip
    return Scored(**{**values, **changes})


def test_refused_answers_count_against_exactness_but_not_against_markers() -> None:
    refused = scored(refused=True, exact=False, marker=False, marker_shown=False)
    group = summary([scored(), scored(), scored(exact=False), refused])["g"]
    assert (group["exact"]["share"], group["exact"]["n"]) == (0.5, 4)
    assert (group["marker"]["share"], group["marker"]["n"]) == (1.0, 3)
    assert group["refused"]["share"] == 0.25
    assert group["exact"]["interval"] == [0.15, 0.85]  # Wilson's for 2 of 4, by R's binom.confint


def test_of_questions_without_evidence_only_refusals_are_counted() -> None:
    by_search = scored(group="gone", accepted=(), refused=True, asked=False)
    group = summary([by_search, scored(group="gone", accepted=())])["gone"]
    assert (group["refused"]["share"], group["refused_by_model"]["share"]) == (0.5, 0.0)
