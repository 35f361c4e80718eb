import pytest

from rag.question import read_intent


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("Is there a picture of a cat?", "a cat"),
        ("Do we have a photo of a rocket being launched?", "a rocket being launched"),
        ("Find the picture with the red parrot", "the red parrot"),
        ("Which photo shows a giant panda?", "a giant panda"),
        ("photograph of a crab", "a crab"),
        ("Are there any drawings of ships?", "ships"),
        ("Where is the picture of a hammer?", "a hammer"),
        ("Can you show me a diagram of the water circuit?", "the water circuit"),
    ],
)
def test_the_subject_of_a_wanted_picture_is_what_it_shows(question: str, subject: str) -> None:
    intent = read_intent(question)
    assert intent.wants_picture and intent.subject == subject


@pytest.mark.parametrize(
    "question", ["What does a family ticket cost?", "Who took over in 1927?", "Show me the total of the invoice", ""]
)
def test_other_questions_are_left_as_they_are(question: str) -> None:
    intent = read_intent(question)
    assert not intent.wants_picture and intent.subject == question


def test_a_question_that_only_says_photo_keeps_its_word() -> None:
    assert read_intent("photos").subject == "photos"
