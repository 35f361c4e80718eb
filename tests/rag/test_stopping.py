from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer import refuses
from rag.stopping import Stopper

VERSE = "".join(map(chr, range(0x4E00, 0x4E00 + 121)))  # 121 letters, each another one


def pieces(text: str, size: int = 3) -> Generator[str, None, None]:
    return (text[i : i + size] for i in range(0, len(text), size))


def said(text: str, *, one_line: bool = False, size: int = 3) -> tuple[str, Stopper]:
    stopper = Stopper(one_line=one_line)
    return "".join(stopper.until_stop(pieces(text, size))), stopper


@given(st.text(alphabet="abc def.\n", max_size=80), st.integers(1, 9))
def test_an_ordinary_answer_passes_through(text: str, size: int) -> None:
    shown, stopper = said(text, size=size)
    if not stopper.notes:
        assert shown.strip() == text.strip() == stopper.text


def test_one_line_answers_end_with_the_line() -> None:
    shown, stopper = said("It costs 12 euros [2].\nQuestion: and then?", one_line=True)
    assert shown == stopper.text == "It costs 12 euros [2]."


def test_a_model_that_plays_the_user_is_stopped_before_it_is_heard() -> None:
    shown, _ = said("It costs 12 euros.\n\nQuestion: What else?\nAnswer: more")
    assert shown.strip() == "It costs 12 euros."


def test_a_loop_is_cut_to_its_first_round() -> None:
    _, stopper = said("Ducks eat fish. " + "They also eat grass. " * 30)
    assert stopper.text == "Ducks eat fish. They also eat grass."
    assert stopper.notes


def test_a_ruler_of_dots_is_no_loop() -> None:
    assert said("Total ................................. 9.00")[1].text.endswith("9.00")


def test_the_model_is_closed_when_it_is_stopped() -> None:
    closed = []

    def talk() -> Generator[str, None, None]:
        try:
            while True:
                yield "again and again "
        finally:
            closed.append(True)

    list(Stopper(one_line=False).until_stop(talk()))
    assert closed == [True]


@pytest.mark.parametrize(
    "text", ["Not in the evidence.", "not in the evidence", "[1] Not in the evidence. [2]", "", " "]
)
def test_a_refusal_is_known_by_its_form(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "The document does not contain errors.",
        "The evidence does not mention a phone number.",
        "It is not in the museum.",
        "The total is 9.00 [1].",
        "25 [1]",
        "22,00 € [2].",
        "No está en el museo [1].",
    ],
)
def test_a_sentence_that_denies_something_is_an_answer(text: str) -> None:
    assert not refuses(text)


@pytest.mark.parametrize(
    ("stretch", "rounds", "stopped"),
    [("ha, ", 3, True), ("ha ", 3, False), ("ha, ", 2, False), (VERSE[:120], 3, True), (VERSE, 3, False)],
    ids=["four letters", "three are how people laugh", "said twice", "120 letters", "a longer one is a refrain"],
)
def test_a_loop_is_a_stretch_of_4_to_120_letters_that_is_said_three_times(
    stretch: str, rounds: int, stopped: bool
) -> None:
    _, stopper = said("Ducks eat fish: " + stretch * rounds, size=1)
    assert bool(stopper.notes) is stopped


def test_a_line_is_held_back_while_it_may_become_a_mark_of_the_prompt() -> None:
    line, shown = VERSE[:24], list[int]()
    stopper = Stopper(one_line=False)

    def talk() -> Generator[str, None, None]:
        for sign in "One.\n" + line:
            yield sign
            shown.append(len(heard))

    heard: list[str] = []
    for piece in stopper.until_stop(talk()):
        heard += piece
    assert shown[-2:] == [len("One."), len("One.\n" + line)]
