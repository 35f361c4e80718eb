import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims.support import coverage, is_quoted, is_shortened, keeps_values
from claims.tokens import read


@pytest.mark.parametrize(
    ("claim", "passage", "kept"),
    [
        ("it costs 1,250.00", "price 1250", True),
        ("it costs 12 500", "price 12.500,00", True),
        ("it costs 1250", "price 1.250", False),  # 1250 or one and a quarter
        ("it costs 1.250", "price 1.250", True),
        ("section 3.2", "section 3.20", False),
        ("due on 25 May 2024", "date 25/05/2024", True),
        ("due on 4 May 2024", "Invoice date 04/05/2024", False),
        ("due on 04/05/2024", "date 4.5.2024", True),
        ("on 2024-05-25", "the 25 May of 2024", True),
        ("on 2024-05-04", "on 04/05/2024", False),
        ("it is 5 °C", "it is -5 °C", False),
        ("it holds 1.8 kg", "it holds 1.8 litres and weighs 62 kg", False),
        ("it holds 1.8 litre", "it holds 1.8 litres", True),
        ("20 % of it", "20 € of it", False),
        ("it takes 20 hours", "it takes 20 minutes", False),
        ("in 2019 Anna came", "Anna came in 2019.", True),
    ],
)
def test_values_and_units_are_kept_only_where_they_can_be_read_in_one_way(claim: str, passage: str, kept: bool) -> None:
    assert keeps_values(claim, passage) is kept


@pytest.mark.parametrize(
    ("claim", "passage", "quoted"),
    [
        ("the TANK holds **1.8** litres", "The tank holds 1.8 litres.", True),
        ("It was open", "She came. It was open. He left.", True),
        ("1.8 litres", "The tank holds 1.8 litres.", True),
        ("Imogen Marsh", "Signed: Imogen Marsh, director", True),
        ("Monday to Friday, 9:00 to 17:00", "Open Monday to Friday, 9:00 to 17:00 without a break", True),
        (
            "from Monday to Friday, 9:00 to 17:00",
            "Open from Monday to Friday, 9:00 to 17:00, all year",
            False,
        ),  # 7 words
        ("two months of petrol", "It ran for two months of petrol and oil.", False),
        (
            "Donaudampfschifffahrtsgesellschaft Hohenlohe-Waldenburg",
            "at Donaudampfschifffahrtsgesellschaft Hohenlohe-Waldenburg in May",
            False,
        ),  # 55 letters
        ("8 litres", "The tank holds 1.8 litres.", False),
        ("install the package now", "Do not install the package now.", False),
        ("Anna owes Ben 50 euros", "Ben owes Anna 50 euros", False),
        ("", "anything", False),
    ],
)
def test_a_quotation_is_a_whole_sentence_or_a_short_span(claim: str, passage: str, quoted: bool) -> None:
    assert is_quoted(claim, passage) is quoted


@pytest.mark.parametrize(
    ("claim", "passage", "shortened"),
    [
        ("The service starts at noon.", "The service, however, starts at noon, as before.", True),
        ("The service starts.", "The service (which was slow) starts.", True),
        ("The service starts at noon.", "The service never starts at noon.", False),
        ("The service starts at noon.", "The service, not Anna's, starts at noon.", False),
        ("The service starts at noon.", "The service, 5 years old, starts at noon.", False),
        ("The pump starts at noon.", "The pump stops. The fan starts at noon.", False),
        ("It starts at noon.", "If it rains, it starts at noon.", False),
        ("starts at noon the service", "The service starts at noon.", False),
    ],
)
def test_only_clauses_may_be_left_out_without_a_verifier(claim: str, passage: str, shortened: bool) -> None:
    assert is_shortened(claim, passage) is shortened


WORDS = "the tank holds 1.8 litres, weighs 62 kg. Anna 04/05/2024 水 -5 %"
words = st.lists(st.sampled_from(WORDS.split()), max_size=12)


@given(words.map(" ".join))
def test_every_text_is_its_own_quotation_or_short_of_words(text: str) -> None:
    assert keeps_values(text, text)
    assert is_quoted(text, text) == bool(read(text)) and coverage(text, text) in (0.0, 1.0)


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_stops_the_reading(claim: str, passage: str) -> None:
    assert all(claim[token.start : token.end] for token in read(claim))
    keeps_values(claim, passage), is_quoted(claim, passage), is_shortened(claim, passage)
