"""Replies as models really write them → questions and answers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llava_model.synthesis.prompts import (
    WRITTEN,
    Declined,
    Exchange,
    Kind,
    Malformed,
    Parsed,
    load_prompts,
    parse_reply,
)

TWO = (Exchange(question="How many dogs?", answer="Two."), Exchange(question="Where?", answer="On the left."))


def test_the_form_asked_for_needs_no_repair() -> None:
    text = "Question: How many dogs?\nAnswer: Two.\n===\nQuestion: Where?\nAnswer: On the left."
    assert parse_reply("conversation", text) == Parsed(exchanges=TWO, repaired=False)


@pytest.mark.parametrize(
    "text",
    [
        "```\nQuestion: How many dogs?\nAnswer: Two.\n===\nQuestion: Where?\nAnswer: On the left.\n```",
        "**Question:** How many dogs?\n**Answer:** Two.\n\n**Question:** Where?\n**Answer:** On the left.",
        "1. Question: How many dogs?\n   Answer: Two.\n2. Question: Where?\n   Answer: On the left.",
        "Q: How many dogs?\nA: Two.\n\nQ: Where?\nA: On the left.",
        "User: How many dogs?\nAssistant: Two.\nUser: Where?\nAssistant: On the left.",
        "Here you are:\n\nQuestion: How many dogs?\nAnswer: Two.\n===\nQuestion: Where?\nAnswer: On the left.",
        '{"question": "How many dogs?", "answer": "Two."}\n{"question": "Where?", "answer": "On the left."}',
        '[{"question": "How many dogs?", "answer": "Two."}, {"question": "Where?", "answer": "On the left."}]',
        '```json\n{"conversation": [{"Question": "How many dogs?", "Answer": "Two."},'
        ' {"Question": "Where?", "Answer": "On the left."}]}\n```',
        "Question: How many dogs?\nAnswer: Two.\n===\nQuestion: Where?\nAnswer: On the left.\n===\nQuestion: What",
        "<think>Let me see.\nQuestion: no</think>\nQuestion: How many dogs?\nAnswer: Two.\n===\n"
        "Question: Where?\nAnswer: On the left.",
    ],
)
def test_other_forms_are_repaired(text: str) -> None:
    assert parse_reply("conversation", text) == Parsed(exchanges=TWO, repaired=True)


def test_the_last_answer_of_a_cut_reply_is_not_trusted() -> None:
    text = "Question: How many dogs?\nAnswer: Two.\n===\nQuestion: Where?\nAnswer: On the le"
    assert parse_reply("conversation", text, cut=True) == Parsed(exchanges=TWO[:1], repaired=True)


def test_an_answer_of_several_paragraphs_stays_whole() -> None:
    found = parse_reply("complex", "Question: Why?\nAnswer: First this.\n\nThen that.")
    assert isinstance(found, Parsed) and found.exchanges[0].answer == "First this.\n\nThen that."


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot see the picture.",
        "As an AI language model, I do not look at pictures.",
        "Sorry, I am not able to write this.",
        "I’m unable to describe people.",
    ],
)
@pytest.mark.parametrize("kind", ["conversation", "detail", "complex"])
def test_refusals_are_told_apart(kind: Kind, text: str) -> None:
    assert isinstance(parse_reply(kind, text), Declined)


@pytest.mark.parametrize("text", ["", "  \n", "```\n```", "What a nice picture!", '{"a": 1}', "Question: only?"])
def test_what_holds_no_answer_is_malformed(text: str) -> None:
    assert isinstance(parse_reply("conversation", text), Malformed)


@pytest.mark.parametrize(
    ("text", "cut"), [("A dog stands on the grass and looks at", False), ("A dog stands on the grass.", True)]
)
def test_a_description_that_was_cut_is_asked_for_again(text: str, cut: bool) -> None:
    assert isinstance(parse_reply("detail", text, cut=cut), Malformed)


def test_a_description_loses_its_heading_and_quotes() -> None:
    found = parse_reply("detail", '**Description:** "A dog stands on the grass."')
    assert found == Parsed(exchanges=(Exchange(question="", answer="A dog stands on the grass."),), repaired=True)


def test_lines_of_a_reading_reply_are_numbers_and_unanswerable_is_known() -> None:
    text = "Question: Total?\nAnswer: 17.00\nLines: 2, 4\n===\nQuestion: Cook?\nAnswer: NOT STATED\nLines: none"
    found = parse_reply("reading", text)
    assert isinstance(found, Parsed) and [one.lines for one in found.exchanges] == [(2, 4), ()]
    assert [one.is_unanswerable for one in found.exchanges] == [False, True]


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=300), kind=st.sampled_from(WRITTEN), cut=st.booleans())
def test_no_reply_breaks_the_parser(text: str, kind: Kind, cut: bool) -> None:
    found = parse_reply(kind, text, cut=cut)
    assert isinstance(found, Declined | Malformed) or found.exchanges


def test_a_hostile_reply_costs_no_more_than_its_length() -> None:
    """Were it the square of the length, these would run into the time limit of the test."""
    many = 1_000_000
    for text in ("*" * many, "\n" * many + "x", "```" + "\n " * many + "x", "1. " * many, "Q " * many):
        assert isinstance(parse_reply("conversation", text), Malformed)
    assert isinstance(parse_reply("detail", "a. " * 100_000), Malformed)


words = st.text(st.characters(categories=["Lu", "Ll", "Nd"]), min_size=2, max_size=8).filter(
    lambda word: word.casefold() not in ("question", "answer", "line", "lines", "user", "human", "person", "assistant")
)


@given(pairs=st.lists(st.tuples(words, words), min_size=1, max_size=5))
def test_what_is_written_in_the_form_is_read_back(pairs: list[tuple[str, str]]) -> None:
    text = "\n===\n".join(f"Question: {question}?\nAnswer: {answer}." for question, answer in pairs)
    wanted = tuple(Exchange(question=f"{question}?", answer=f"{answer}.") for question, answer in pairs)
    assert parse_reply("conversation", text) == Parsed(exchanges=wanted, repaired=False)


def test_our_own_examples_are_in_the_form_they_ask_for() -> None:
    prompts = load_prompts()
    for kind in WRITTEN:
        for example in prompts.examples[kind]:
            found = parse_reply(kind, example.reply)
            assert isinstance(found, Parsed) and (not found.repaired or kind == "reading")
