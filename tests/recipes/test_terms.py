import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.pocket.terms import content_terms, terms


@pytest.mark.parametrize(
    "written",
    [
        "5 March 2018",
        "05/03/2018",
        "2018-03-05",
        "5.3.2018",
        "March 5, 2018",
        "5th of March 2018",
        "05 MAR 18",
        "5-mar-2018",
    ],
)
def test_a_date_is_the_same_word_in_every_writing(written: str) -> None:
    assert "2018-03-05" in terms(written.replace("of ", ""))


def test_a_date_with_the_month_first_is_read_when_the_day_cannot_be_a_month() -> None:
    assert terms("12/25/2018") == ["2018-12-25"]


def test_an_impossible_date_stays_what_it_is() -> None:
    assert "99" in terms("99/99/2018")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1,234.50", "1234.5"), ("1.234,50", "1234.5"), ("1 234", "1234"), ("9.00", "9"), ("0.500", "0.5"), ("007", "7")],
)
def test_a_number_is_the_same_word_in_every_writing(written: str, meant: str) -> None:
    assert terms(written) == [meant]


def test_codes_keep_their_letters_and_digits_together() -> None:
    assert content_terms("What does error E07 mean?") == ["error", "e07"]


def test_plurals_and_endings_fall_together() -> None:
    assert content_terms("costs cost costing") == ["cost"]


def test_words_of_questions_are_no_evidence() -> None:
    assert content_terms("What does it do, and how much is there?") == []


def test_numbers_are_found_among_words() -> None:
    assert {term for term in terms("It holds 1.8 litres since 2 May 2024") if term[0].isdigit()} == {
        "1.8",
        "2024-05-02",
    }


@given(st.text(max_size=200))
def test_reading_never_fails_and_folding_changes_nothing_twice(text: str) -> None:
    assert all(terms(term) or not term for term in content_terms(text))
