"""What a question seeks, and which passage of a scanned paper is shown for it."""

import pytest

from indexing.records import Chunk
from rag.choosing import choose
from rag.question import answer_pattern
from rag.terms import sentences

RECEIPT = "\n".join(
    ["PASAR MINI JIN SENG", "379, Jalan Permas Satu", "Tel: 07-3874904", "Eggs 28.00", "Total: 28.60", "18/03/18 09:03"]
)


def shown(question: str, most: int = 3) -> list[str]:
    chunk = Chunk(content_hash="a", path="/a.jpg", kind="text", ordinal=0, text=RECEIPT)
    return [each.passage.text for each in choose(question, [chunk], most=most, least_gain=0.05)]


@pytest.mark.parametrize("text", ["Total 28.60", "Subtotal 9.00", "LOT 1851-A, Jalan 6"])
def test_an_amount_or_a_lot_does_not_say_when(text: str) -> None:
    seeks = answer_pattern("When was the receipt issued?")
    assert seeks is not None and seeks.fit(text) < 1  # a number, but not the thing itself


@pytest.mark.parametrize("text", ["18/03/18", "at 9.30 in the morning", "19.30 Uhr", "09:03", "3 pm", "in 1851"])
def test_dates_clocks_and_years_do(text: str) -> None:
    seeks = answer_pattern("When was the receipt issued?")
    assert seeks is not None and seeks.fit(text) == 1


def test_when_is_answered_by_the_line_with_the_date() -> None:
    assert "18/03/18 09:03" in shown("When was the receipt over 28.60 issued?")


def test_who_issued_a_paper_stands_at_its_head_without_the_words_of_a_company() -> None:
    assert "PASAR MINI JIN SENG" in shown("Which company issued the receipt over 28.60?")


@pytest.mark.parametrize("name", ["Sanjung Realiti Sdn. Bhd.", "D.I.Y. (M) SDN BHD"])
def test_a_companys_name_is_one_sentence(name: str) -> None:
    assert list(sentences(name)) == [(0, len(name))]


def test_where_a_line_has_the_thing_sought_other_files_lines_without_it_are_not_shown() -> None:
    prices = Chunk(content_hash="a", path="/a.html", kind="text", ordinal=0, text="Family ticket: 22.00 euros")
    desk = Chunk(content_hash="b", path="/b.html", kind="text", ordinal=0, text="Ask at the desk for a family ticket.")
    chosen = choose("What does a family ticket cost?", [prices, desk], most=4, least_gain=-1.0)
    assert [each.hit for each in chosen] == [0]
    assert len(choose("What is a family ticket?", [prices, desk], most=4, least_gain=-1.0)) == 2
