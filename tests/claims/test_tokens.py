import pytest

from claims.tokens import read


def tokens(text: str) -> list[str]:
    return [token.text for token in read(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12 500 € and 1,234.50", ["12500", "€", "and", "1234.50"]),
        ("1.234.567 or 1'234'567", ["1234567", "or", "1234567"]),
        ("from 900-950", ["from", "900", "950"]),
        ("at -5 °C", ["at", "-5", "°", "c"]),
        ("version 2.10.340, 192.168.0.1, 18:25", ["version", "2.10.340", "192.168.0.1", "18:25"]),
        ("restora-\ntion of the e-mail", ["restoration", "of", "the", "e", "mail"]),
        ("今日は 3,5%", ["今", "日", "は", "3.5", "%"]),
        ("٣٥ كيلو", ["35", "كيلو"]),
        ("Café STRASSE straße", ["cafe", "strasse", "strasse"]),
    ],
)
def test_a_text_is_read_as_words_and_values(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("written", "expected", "readings"),
    [
        ("1/1/99", ["1/1/2099"], {"2099-1-1"}),
        ("13/1/20", ["13/1/2020"], {"2020-1-13"}),  # there is no thirteenth month
        ("1/22/2024", ["1/22/2024"], {"2024-1-22"}),
        ("4/12/2020", ["4/12/2020"], {"2020-12-4", "2020-4-12"}),
        ("2024-12-31", ["2024-12-31"], {"2024-12-31"}),
        ("32/12/2024", ["32", "12", "2024"], {"32"}),
        ("13/14/2024", ["13", "14", "2024"], {"13"}),
        ("1/222/2024", ["1", "222", "2024"], {"1"}),
        ("1.222.345", ["1222345"], {"1222345"}),  # as a date it would have a day of three digits
        ("1,000", ["1,000"], {"1000", "1.000"}),
        ("1000.000", ["1000.000"], {"1000"}),  # four digits before a thousands separator are none
    ],
)
def test_dates_and_numbers_are_what_they_can_be(written: str, expected: list[str], readings: set[str]) -> None:
    found = read(written)
    assert [token.text for token in found] == expected
    assert found[0].readings == readings


@pytest.mark.parametrize(
    ("word", "count"),
    [("กข", 2), ("ກຂ", 2), ("一二", 2), ("한국", 1), ("བད", 1)],
    ids=["Thai", "Lao", "Chinese", "Korean has blanks", "Tibetan has marks of its own"],
)
def test_scripts_without_blanks_are_read_sign_by_sign(word: str, count: int) -> None:
    assert len(tokens(word)) == count


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("lamp", "lamps", True), ("lam", "lams", False), ("lampshade", "lampoonery", False), ("1.8", "1.80", False)],
)
def test_two_forms_of_a_word_share_four_letters_and_most_of_it(one: str, other: str, alike: bool) -> None:
    assert read(one)[0].alike(read(other)[0]) is alike


def test_the_lines_of_a_long_document_are_read_once_and_memory_is_bounded() -> None:
    read.cache_clear()
    for number in range(5000):
        read(f"line {number}")
    assert read.cache_info().currsize == 4096
