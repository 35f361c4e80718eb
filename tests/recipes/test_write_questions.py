"""What a question may be asked for, and which questions are kept; no model."""

import random
from dataclasses import replace

import pytest

from recipes.small.write_questions import (
    Asked,
    agreement,
    common_words,
    planned,
    reading_prompt,
    spans,
    well_formed,
    writing_prompt,
)

COMMON = {"the", "in", "and", "was", "of", "it", "is", "for", "about", "a", "der", "am", "en", "el", "le", "to", "by"}
TEXT = "In 1817 the harbour of Varnum was rebuilt by Ida Solberg, who paid 4,200 crowns for twelve new stone piers."
ASKED = Asked(
    language="en", passage_language="en", document="d", title="Varnum", text=TEXT,
    question="Who rebuilt the harbour of Varnum?", answer="Ida Solberg",
)  # fmt: skip


def drawn(text: str, seed: int = 0) -> list[str]:
    return list(spans(text, COMMON, random.Random(seed)))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("In 1817 the king left.", "1817"),
        ("It began in May 1817 and ended.", "May 1817"),
        ("It was sold on May 3, 1817 to him.", "May 3, 1817"),
        ("It opened on 3 May 1817 and closed.", "3 May 1817"),
        ("Der Legende nach begann es lange vor allen anderen Dingen am 3. Mai 1817 der Zeit.", "3. Mai 1817"),
        ("Empezó el 3 de mayo de 1817 en Lugo.", "3 de mayo de 1817"),
        ("Tout commence le 1er mai 1817 le matin.", "1er mai 1817"),
        ("He waited for 12 weeks in vain.", "12 weeks"),
        ("It holds about 3.5 % of the salt.", "3.5 %"),
        ("It costs about 30 € to enter.", "30 €"),
        ("It is warm: 20 °C.", "20 °C"),
        ("They counted 1,200 sheep.", "1,200 sheep"),
    ],
)
def test_a_number_comes_with_its_unit_and_its_date_and_without_the_word_before_it(text: str, number: str) -> None:
    longer = f"{text.rstrip('.')} and nobody who was there has said a word of it to anyone since that day"
    assert {span for seed in range(9) for span in drawn(longer, seed) if any(map(str.isdigit, span))} == {number}


def test_a_part_of_a_sentence_does_not_end_inside_a_number() -> None:
    text = "This is the sea, which holds about 3.5 % of the salt."
    found = {span for seed in range(9) for span in drawn(text, seed)}
    assert {"3.5 %", "which holds about 3.5 % of the salt"} <= found
    assert not [span for span in found if span.endswith(" 3") or span.startswith("5")]


def test_a_number_inside_a_code_is_none() -> None:
    assert not [span for span in drawn("The model A-12 and the x86 are old.") if span in ("12", "86")]


def test_every_span_stands_in_the_text_once_and_none_overlaps_another() -> None:
    for seed in range(30):
        found = drawn(TEXT, seed)
        assert found and all(TEXT.count(span) == 1 for span in found)
        assert not [
            span for at, span in enumerate(found) for other in found[at + 1 :] if span in other or other in span
        ]
    assert {"1817", "4,200 crowns", "Ida Solberg"} <= {span for seed in range(30) for span in drawn(TEXT, seed)}


def test_a_span_of_markup_or_code_is_not_asked_for() -> None:
    assert not [span for span in drawn("Set PATH=/usr/local and then restart <b>Zorvex</b>, please.") if "/" in span]


def test_words_of_many_passages_are_common() -> None:
    texts = [f"the town of Name{number}" for number in range(200)]
    assert common_words(texts) == {"the", "town", "of"}


def test_plans_are_the_same_for_a_seed_and_ask_in_another_language_now_and_then() -> None:
    passages = [
        {"language": "en", "document": f"d{at}", "title": "", "text": TEXT.replace("Varnum", f"Varnum{at}")}
        for at in range(200)
    ]
    plans = list(planned(passages, 1, 2))
    assert plans == list(planned(passages, 1, 2)) != list(planned(passages, 2, 2))
    assert 0.05 < sum(each.language != "en" for each in plans) / len(plans) < 0.2
    assert all(each.answer in each.text and not each.question for each in plans)


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("Who rebuilt the harbour of Varnum?", True),
        ("Who rebuilt the harbour of Varnum", False),
        ("Was it Ida Solberg who rebuilt it?", False),
        ("Who did it?", False),
        ("Who is named in this passage as builder?", False),
        ("Who rebuilt it? And when was that?", False),
    ],
)
def test_a_question_is_one_sentence_that_neither_answers_itself_nor_points_at_the_text(
    question: str, kept: bool
) -> None:
    assert well_formed(replace(ASKED, question=question)) == kept


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ("Ida Solberg", "ida solberg.", 1.0),
        ("Ida Solberg", "Solberg", 2 / 3),
        ("1817", "In 1817", 2 / 3),
        ("Ida Solberg", "the harbour", 0.0),
        ("", "", 0.0),
    ],
)
def test_agreement_is_the_f1_of_the_words(one: str, other: str, share: float) -> None:
    assert agreement(one, other) == agreement(other, one) == pytest.approx(share)


def test_the_writer_is_told_the_answer_and_the_reader_is_not() -> None:
    assert "answer is exactly: Ida Solberg" in writing_prompt(replace(ASKED, language="de"))
    assert "question in German" in writing_prompt(replace(ASKED, language="de"))
    untold = replace(ASKED, text=TEXT.replace("Ida Solberg", "somebody"))
    assert "Solberg" not in reading_prompt(untold) and ASKED.question in reading_prompt(untold)
