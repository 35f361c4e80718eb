import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.store.bm25 import Rarity, document_vector, query_vector, term, words


@pytest.mark.parametrize("code", ["INV-2041", "12/03/2018", "1,234.50", "A4:2020", "jan@example.org", "RM_31.00"])
def test_codes_dates_amounts_and_addresses_are_one_word_besides_their_parts(code: str) -> None:
    whole, *parts = words(code)
    assert whole == "_".join(parts)
    assert len(parts) > 1


def test_the_sign_between_the_parts_of_a_date_does_not_matter() -> None:
    assert words("12/03/2018") == words("12-03-2018") == words("12.03.2018")


@pytest.mark.parametrize(
    "date",
    ["18 Mar 2018", "18 March, 2018", "March 18th, 2018", "18-MAR-2018", "18/03/2018", "03/18/2018", "2018-03-18"],
)
def test_a_date_with_its_month_in_words_is_found_in_whatever_order_it_is_written(date: str) -> None:
    assert any(word.count("_") == 2 for word in set(words("18 March 2018")) & set(words(f"due: {date}.")))


def test_a_date_without_its_zeros_is_the_same_date() -> None:
    assert words("5/3/2018")[0] == words("05.03.2018")[0] == "05_03_2018"


def test_dates_of_neighbouring_days_share_no_whole_date() -> None:
    assert not {word for word in set(words("18 Mar 2018")) & set(words("19 Mar 2018")) if "_" in word}


def test_common_words_case_accents_and_plurals_do_not_matter() -> None:
    assert words("The INVOICES of the Café") == words("invoice cafe")


@pytest.mark.parametrize("word", ["glass", "bus", "gas", "is", "2041s"])
def test_an_ending_that_is_no_plural_stays(word: str) -> None:
    assert words(word) in ([word], [])


@pytest.mark.parametrize("text", ["भाषा", "শিক্ষা", "தமிழ்", "සිංහල"])
def test_a_word_does_not_fall_to_pieces_at_its_vowel_signs(text: str) -> None:
    assert len(words(text)) == 1


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("أيضًا", "ايضا"),  # with the mark of its ending
        ("بنـــاء", "بناء"),  # stretched to fill a line
        ("שָׁלוֹם", "שלום"),
        ("وPython", "python"),  # "and" grows onto the name
        ("عام ٢٠٢٢", "2022"),
    ],
)
def test_arabic_and_hebrew_are_found_as_people_type_them(written: str, asked: str) -> None:
    assert set(words(asked)) <= set(words(written))


def test_scripts_without_spaces_match_in_part() -> None:
    assert set(words("東京")) <= set(words("東京タワーの写真"))


@given(st.text())
def test_any_text_has_words_and_finite_weights(text: str) -> None:
    vector = document_vector(text)
    assert set(vector) == {term(word) for word in words(text)}
    assert all(0 < weight < 2.2 and 0 <= key < 2**31 for key, weight in vector.items())


def test_the_inner_product_is_the_bm25_score_written_out() -> None:
    """The oracle is the formula of Robertson & Zaragoza (2009) with the fixed usual length of 120 words."""
    documents = ["red boat boat harbour", "red car", "green car"]
    rarity = Rarity.of(document_vector(text) for text in documents)
    asked = query_vector("red boat", rarity)
    score = sum(weight * document_vector(documents[0]).get(key, 0.0) for key, weight in asked.items())

    def expected(tf: int, df: int, length: int) -> float:
        idf = math.log(1 + (3 - df + 0.5) / (df + 0.5))
        return idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / 120))

    loudest = 2.2 * (math.log(1 + 1.5 / 2.5) + math.log(1 + 2.5 / 1.5))
    assert score == pytest.approx((expected(1, 2, 4) + expected(2, 1, 4)) / loudest)


def test_a_word_of_no_row_weighs_most_and_a_word_of_every_row_still_a_little() -> None:
    rarity = Rarity(sampled=100, rows_with_term={term("all"): 100, term("some"): 10})
    assert rarity.weight(term("none")) > rarity.weight(term("some")) > rarity.weight(term("all")) > 0
