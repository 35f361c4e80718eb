"""Token ids → text as it becomes final."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llava_model.text.tokenize import text_pieces, until_stop, without_leading_space

KINDS = ("chatml", "llama_2")
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECES = st.lists(st.text(alphabet="ab<|>\n ", max_size=4), max_size=12)
STOPS = st.lists(st.text(alphabet="ab<|>\n ", min_size=1, max_size=4), max_size=3)


@pytest.fixture(scope="module")
def tokenizers(make_tokenizer: Callable[[str], Any]) -> dict[str, Any]:
    return {kind: make_tokenizer(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@SETTINGS
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=30))
def test_pieces_join_to_the_decoded_text_and_hold_whole_characters(
    kind: str, text: str, tokenizers: dict[str, Any]
) -> None:
    tokenizer = tokenizers[kind]
    ids = tokenizer.encode(text, add_special_tokens=False)
    pieces = list(text_pieces(tokenizer, ids))
    assert "".join(pieces) == tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_cut_off_at_the_end_is_left_out(tokenizers: dict[str, Any]) -> None:
    tokenizer = tokenizers["chatml"]
    ids = tokenizer.encode("ok 鬱", add_special_tokens=False)
    assert "".join(text_pieces(tokenizer, ids[:-1])) == "ok "


def test_pieces_come_as_soon_as_they_are_final(tokenizers: dict[str, Any]) -> None:
    tokenizer = tokenizers["chatml"]
    ids = tokenizer.encode("The fox", add_special_tokens=False)
    taken: list[int] = []

    def feed() -> Any:
        for token in ids:
            taken.append(token)
            yield token

    for number, _ in enumerate(text_pieces(tokenizer, feed()), start=1):
        assert len(taken) == number


@SETTINGS
@given(pieces=PIECES, stops=STOPS)
def test_nothing_from_the_first_stop_string_on_is_passed(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    found = [text.index(stop) for stop in stops if stop in text]
    passed = "".join(until_stop(pieces, stops))
    if not found:
        assert passed == text
    else:  # of two stops that overlap, the one that is complete first counts
        assert text.startswith(passed)
        assert not any(stop in passed for stop in stops)
        assert len(passed) in found


def test_reading_ends_at_the_stop_string() -> None:
    pieces = iter(["a", "b<", "|en", "d|>", "never"])
    assert "".join(until_stop(pieces, ["<|end|>"])) == "ab"
    assert next(pieces) == "never"


def test_only_what_may_begin_a_stop_string_is_held_back() -> None:
    assert list(until_stop(["one <", "b> two"], ["<|end|>"])) == ["one ", "<b> two"]


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [([" Paris", " is"], ["Paris", " is"]), ([" ", "\n", "a "], ["a "]), ([], [])],
)
def test_space_before_the_reply_is_not_part_of_it(pieces: list[str], shown: list[str]) -> None:
    assert list(without_leading_space(pieces)) == shown
