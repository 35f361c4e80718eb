from llava_model.serving.engine import Turn
from rag.question import resolve


def asked(*questions: str) -> list[Turn]:
    return [
        turn for q in questions for turn in (Turn(role="user", text=q), Turn(role="assistant", text="An answer [1]."))
    ]


def test_a_question_that_stands_by_itself_borrows_nothing() -> None:
    resolved = resolve("When does the last ferry leave Sorrel Island?", asked("How heavy is the Zefira Duo?"))
    assert resolved.topic == "" and resolved.search_text == "When does the last ferry leave Sorrel Island?"


def test_it_means_what_was_asked_about_before() -> None:
    resolved = resolve("And what does it cost?", asked("How heavy is the Zefira Duo?"))
    assert "Zefira Duo" in resolved.search_text and resolved.search_text.startswith("And what does it cost?")


def test_a_new_number_replaces_the_old_one() -> None:
    resolved = resolve("And the 500?", asked("How much does the Aurora 300 cost?"))
    assert resolved.topic == "Aurora cost"


def test_a_chain_of_follow_ups_reaches_back_to_its_subject() -> None:
    resolved = resolve("And in winter?", asked("Where is the brass sextant kept?", "Who may use it?"))
    assert "sextant" in resolved.topic


def test_an_older_subject_stays_out_of_it() -> None:
    resolved = resolve(
        "And its weight?", asked("Who built the lighthouse on Sorrel Island?", "How heavy is the Zefira Duo machine?")
    )
    assert "Zefira" in resolved.topic and "lighthouse" not in resolved.topic


def test_answers_lend_no_words() -> None:
    history = [Turn(role="user", text="What is the mole?"), Turn(role="assistant", text="A submarine volcano.")]
    assert "volcano" not in resolve("How long is it?", history).topic


def test_the_first_question_has_nothing_to_point_back_to() -> None:
    assert resolve("What about it?", ()).search_text == "What about it?"
