import pytest

from extraction.fields import FieldType
from extraction.meanings import Style, day_of, meaning_of


@pytest.mark.parametrize(
    ("words", "kind", "value", "currency"),
    [
        ("25/12/2018 8:13:39 PM", "date", "2018-12-25", ""),
        ("2018-12-05", "date", "2018-12-05", ""),
        ("RM 1,234.50", "money", "1234.50", "RM"),
        ("12 500 €", "money", "12500", "€"),
        ("-RM 0.02", "money", "0.02", "RM"),
        ("(5.00)", "number", "-5.00", ""),
        ("-3", "number", "-3", ""),
        ("two or 3 of 4", "number", "", ""),
        ("1.2.3", "number", "", ""),
        ("Summe 5.00", "money", "5.00", ""),  # too long for the name of a currency
        ("Euro 5.00", "money", "5.00", "Euro"),
        ("ACME", "text", "", ""),
    ],
)
def test_words_are_read_by_their_signs(words: str, kind: FieldType, value: str, currency: str) -> None:
    meaning = meaning_of(words, kind, Style())
    assert (meaning.value, meaning.currency, meaning.readings) == (value, currency, ())


def test_a_currency_may_touch_the_amount_in_its_line() -> None:
    assert meaning_of("9.00", "money", Style(), "Total RM\n").currency == "RM"
    assert meaning_of("9.00", "money", Style(), "Total: $ \n").currency == "$"
    assert meaning_of("9.00", "money", Style(), "Total \n").currency == ""
    assert meaning_of("9,00", "money", Style(), "Total \n €").currency == "€"


def test_a_date_that_can_be_read_two_ways_names_both_unless_another_date_settles_it() -> None:
    assert meaning_of("04/05/2024", "date", Style()).readings == ("2024-04-05", "2024-05-04")
    assert meaning_of("04/05/2024", "date", Style.of(["printed 25/12/2023"])).value == "2024-05-04"
    assert meaning_of("04/05/2024", "date", Style.of(["printed 12/25/2023"])).value == "2024-04-05"
    both = Style.of(["printed 12/25/2023", "and 25/12/2023"])
    assert len(meaning_of("04/05/2024", "date", both).readings) == 2
    assert len(meaning_of("04/05/2024", "date", Style.of(["due 2023-12-25", "on 05/05/2024"])).readings) == 2


def test_a_number_that_can_be_read_two_ways_names_both_unless_another_number_settles_it() -> None:
    assert meaning_of("1.234", "number", Style()).readings == ("1.234", "1234")
    assert meaning_of("1.234", "number", Style.of(["4,50 and 3,20"])).value == "1234"
    assert meaning_of("1,234", "number", Style.of(["4,50 and 3,20"])).value == "1.234"
    assert meaning_of("1,234", "number", Style.of(["4.50"])).value == "1234"


@pytest.mark.parametrize(
    ("told", "words", "day"),
    [
        ("2018-03-05", "5 MAR 2018", "2018-03-05"),
        ("The date is 2018-03-05.", "05 mars 18", "2018-03-05"),
        ("2018-03-06", "5 MAR 2018", ""),
        ("2019-03-05", "5 MAR 2018", ""),
        ("2018-13-05", "5 MAR 2018", ""),
        ("next week", "5 MAR 2018", ""),
        ("2018-03-18", "MAR 2018", ""),
    ],
)
def test_a_date_in_words_is_the_models_reading_where_its_numbers_are_the_words(told: str, words: str, day: str) -> None:
    assert day_of(told, words) == day
