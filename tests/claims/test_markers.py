import pytest

from claims.markers import claims_of, take_markers


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("It holds 1.8 litres [1].", [1]),
        ("a [1][2] b", [1, 2]),
        ("a [1, 2]", [1, 2]),
        ("a [1-3]", [1, 2, 3]),
        ("a [1-20]", list(range(1, 21))),
        ("a [1-21]", [1, 21]),  # nobody means so many
        ("a [99] and [100]", [99]),  # at the end it is a number that was just written
        ("a［1］", [1]),
        ("a【2】", [2]),
        ("a [Evidence 2]", [2]),
        ("a [evidence 1; 2]", [1, 2]),
        ("cut short [1", [1]),
        ("at [18:25] for [5,300] or [1.8] of it", []),
        ("an [open bracket] and [sic]", []),
    ],
)
def test_markers_are_read_in_every_writing(text: str, named: list[int]) -> None:
    plain, numbers_named = take_markers(text)
    assert numbers_named == named
    assert take_markers(plain)[1] == []


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Drs. Weber and Lowe came.", 2),  # three letters end a sentence: "He has a cat."
        ("Dr. Weber came.", 1),
        ("It was so. He left.", 2),  # two small letters do
        ("It was the 4. May.", 1),
        ("There were 444. He left.", 2),
    ],
)
def test_a_stop_ends_a_sentence_unless_it_may_belong_to_a_short_form(text: str, sentences: int) -> None:
    assert len(list(claims_of(text))) == sentences
