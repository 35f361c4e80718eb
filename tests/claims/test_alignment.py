import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims.alignment import ABSENT, ELSEWHERE, FEATURES, FOLLOWS, INFLECTED, SKIPS, SKIPS_STOP, align
from claims.tokens import read


def test_words_are_found_in_one_order_and_the_rest_elsewhere() -> None:
    marks = [mark for _, mark in align("Ben owes Anna 50 euros", "Anna owes Ben 50 euros").claim]
    assert ELSEWHERE in marks and marks[-1] == FOLLOWS
    marks = [mark for _, mark in align("The tank weighs 62 kg", "The tank holds milk. The mug weighs 62 kg").claim]
    assert SKIPS_STOP in marks and ABSENT not in marks


def marks(claim: str, passage: str) -> list[int]:
    return [mark for _, mark in align(claim, passage).claim]


@pytest.mark.parametrize(
    ("claim", "passage", "expected"),
    [
        ("lamp", "lamps lamp", [FOLLOWS]),  # the same word before another form of it
        ("lamps 5 lamp", "delta lamps", [FOLLOWS, ABSENT, ABSENT]),
        # Three words in order are worth more than two neighbours, one of them in another form.
        ("lamps lamp gamma", "lamp gamma . lamp to kg gamma", [INFLECTED, SKIPS_STOP, SKIPS]),
        # Of two ways that find as many words, the one with more neighbours.
        ("the the the beta", "the the on 5 , beta . the the delta Anna", [FOLLOWS, FOLLOWS, SKIPS_STOP, ELSEWHERE]),
    ],
)
def test_of_all_ways_the_one_with_most_words_and_neighbours_is_taken(
    claim: str, passage: str, expected: list[int]
) -> None:
    assert marks(claim, passage) == expected


def test_what_is_longer_than_any_sentence_is_cut() -> None:
    aligned = align("x " * 200, "y " * 200)
    assert (len(aligned.claim), len(aligned.passage)) == (160, 160)


def test_the_counts_are_those_that_the_verifier_was_trained_with() -> None:
    """Shares of the claim's marks, then counts in eighths up to eight, then whether the ends meet."""
    passage = "Anna owes Ben, who is away, 50 euros. Carl, Dora, Emil, Fritz and Greta owe none of it but lamp"
    assert align("Ben owes Anna 50 euros and lamps", passage).features == pytest.approx(
        (
            2 / 7, 0, 1 / 7, 1 / 7, 2 / 7, 1 / 7, 0,
            1, 0, 5 / 8, 1 / 8, 0, 0, 0, 2 / 8, 1 / 8, 0, 0, 0, 7 / 8, 0, 0, 2 / 8,
            1, 1,
        )
    )  # fmt: skip
    assert align("it was 5 kg with Otto", "nothing of that").features[11:14] == (6 / 8, 1 / 8, 4 / 8)  # it, was, 5, kg


WORDS = "the tank holds 1.8 litres, weighs 62 kg. Anna 04/05/2024 水 -5 %"
words = st.lists(st.sampled_from(WORDS.split()), max_size=12)


@given(words.map(" ".join), words.map(" ".join))
def test_what_is_counted_lies_between_0_and_1(claim: str, passage: str) -> None:
    aligned = align(claim, passage)
    assert len(aligned.features) == FEATURES and all(0 <= number <= 1 for number in aligned.features)
    assert len(aligned.claim) == len(read(claim)) and len(aligned.passage) == len(read(passage))
