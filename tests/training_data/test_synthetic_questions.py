"""Labelled values and tables of a library become questions whose answers stand there; halves share no document."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from rag_doubles import chunk

from llava_model.data.samples import parse_sample
from llava_model.serving.engine import Turn
from rag.prompt import REFUSAL
from training_data.synthetic_questions import PROMPT, questions_from, synthetic_samples

LOWE = chunk("Lowe Books Ltd\nDate: 5/3/2018\nTotal: RM 31.00", file="lowe-receipt.jpg")
DAHL = chunk("Dahl Motors\nDate: 7/9/2019\nTotal: RM 88.50\nClerk: Amina", file="dahl.jpg")
LAMPS = chunk(
    "| Lamp | Price | Weight |\n| --- | --- | --- |\n| Aurora | 329 € | 6.1 kg |", file="lamps.md", kind="table"
)


def asked(*chunks: object) -> dict[str, str]:
    return {one.question: one.answer for one in questions_from(chunks)}


def count_tokens(turns: Sequence[Turn]) -> int:
    return sum(len(turn.text.split()) + 4 for turn in turns)


def test_each_label_is_asked_for_its_own_document() -> None:
    assert asked(LOWE, DAHL) == {
        "What is the date in lowe receipt?": "5/3/2018",
        "What is the total in lowe receipt?": "RM 31.00",
        "What is the date in dahl?": "7/9/2019",
        "What is the total in dahl?": "RM 88.50",
        "What is the clerk in dahl?": "Amina",
    }


def test_each_cell_is_asked_by_column_and_row() -> None:
    found = asked(LAMPS)
    assert sorted(found.values()) == ["329 €", "6.1 kg"]
    assert all("Aurora" in question and "lamps" in question for question in found)
    assert "price" in next(question for question, answer in found.items() if answer == "329 €")


@pytest.mark.parametrize(
    "text",
    [
        "Total: 31.00\nTotal: 32.00",  # two values: nobody could say which
        "The conservators have finished: all prisms are back",
        "See: https://example.org/a",
        "A label of more words than one has: 31.00",
        "10:30 opens",
        "Note: " + "word " * 12,
        "Total:\n31.00",
    ],
)
def test_what_is_no_labelled_value_is_not_asked_for(text: str) -> None:
    assert asked(chunk(text, file="a.txt")) == {}


def test_a_table_whose_first_row_holds_values_is_left_out() -> None:
    block = chunk("| Ines Calder | SD-2025-118 |\n| --- | --- |\n| Old Quay | 14 August |", file="a.pdf", kind="table")
    assert asked(block) == {}


def test_samples_answer_from_the_evidence_or_refuse_and_no_document_is_on_both_sides() -> None:
    made = synthetic_samples([LOWE, DAHL, LAMPS], held_out=0.4, seed=0, count_tokens=count_tokens)
    assert made.train and made.held_out
    sources = [{record["source"] for record in side} for side in (made.train, made.held_out)]
    assert not sources[0] & sources[1]
    for record in (*made.train, *made.held_out):
        sample = parse_sample(record, root=Path(), position=0)
        reply = str(sample.messages[-1].parts[0])
        shown = str(sample.messages[-2].parts[0])
        if record["answers"]:
            assert record["answers"][0] in reply and record["answers"][0] in shown and "[" in reply
        else:
            assert reply == REFUSAL
    assert len({record["id"] for record in (*made.train, *made.held_out)}) == len(made.train) + len(made.held_out)


def test_the_evidence_of_one_side_never_shows_a_document_of_the_other() -> None:
    made = synthetic_samples([LOWE, DAHL, LAMPS], held_out=0.4, seed=0, count_tokens=count_tokens)
    names = {"lowe-receipt.jpg": "Lowe Books", "dahl.jpg": "Dahl Motors", "lamps.md": "Aurora"}
    held = {record["source"] for record in made.held_out}
    for record in made.train:
        shown = record["messages"][-2]["content"].split("Question:")[0]
        assert not any(names[source] in shown for source in held)


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("One two three four: 31.00", 1),
        ("One two three four five: 31.00", 0),  # a sentence, not a label
        ("Note: " + "word " * 8, 1),
        ("Note: " + "word " * 9, 0),
    ],
)
def test_a_label_has_four_words_and_a_value_eight_at_most(line: str, count: int) -> None:
    assert len(asked(chunk(line.strip(), file="a.txt"))) == count


def test_a_long_table_does_not_drown_the_rest() -> None:
    rows = "\n".join(f"| Part{'abcdefghijklmnopqrstuvwxyzABCDEF'[n]} | {n} kg |" for n in range(30))
    table = chunk(f"| Part | Weight |\n| --- | --- |\n{rows}", file="parts.md", kind="table")
    found = asked(table)
    assert len(found) == 24
    ways = sum(question.startswith("What is the weight of") for question in found)
    assert 6 <= ways <= 18  # asked in two ways, by the hash of column and row


def test_samples_are_made_with_the_prompt_that_the_ground_stage_is_trained_with() -> None:
    assert dataclasses.asdict(PROMPT) | {"beside": 0} == {
        "instructions": "tiny", "example": False, "evidence_tokens": 220, "max_evidence": 6, "max_passages": 6,
        "beside": 0, "max_pictures": 0, "history_tokens": 0,
    }  # fmt: skip
