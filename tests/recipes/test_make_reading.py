"""Passages and their questions → samples that teach what their prompts show."""

import random
from collections.abc import Sequence

import pytest

from claims.markers import take_markers
from llava_model.data.samples import Sample
from llava_model.serving.engine import Turn
from rag.prompt import REFUSAL
from recipes.small.make_reading import Part, Passage, is_held_out, judgements, parted
from recipes.small.reading_fields import extraction
from recipes.small.reading_neighbours import Neighbours, holds
from recipes.small.reading_samples import of_case, of_prose
from recipes.small.reading_tasks import cases

PLACES = ("Averdell", "Brinmoor", "Caldwick", "Drostan", "Elmsay", "Farholt", "Gelding", "Hartvale")
TOLD = {
    "en": ("The mill of {place} stands by a river.", "It was built by {who} of {town}.", "It grinds {n} sacks a day."),
    "de": ("Die Mühle von {place} liegt am Fluss.", "Gebaut hat sie {who} aus {town}.", "Sie mahlt {n} Sack am Tag."),
}
ASKED = {"en": "Who built the mill of {place} by the river?", "de": "Wer hat die Mühle von {place} gebaut?"}


def count_tokens(turns: Sequence[Turn]) -> int:
    return sum(len(turn.text.split()) for turn in turns)


def passage(document: int, at: int, language: str) -> dict[str, str]:
    """A document is about one place and has the same name in both languages; so are its numbers."""
    place, number = PLACES[document % len(PLACES)], f"{document}{at}"
    words = {"place": place, "who": f"Ada {place}{number}", "town": f"Town{number}", "n": f"9{number}1"}
    text = " ".join(TOLD[language]).format(**words)
    return {"language": language, "document": f"mills/{document}.html", "title": f"Mills {document}", "text": text}


def question(of: Passage) -> dict[str, str]:
    answer = " ".join(of["text"][of["text"].index("Ada ") :].split()[:2])
    asked = ASKED[of["language"]].format(place=answer.removeprefix("Ada ").rstrip("0123456789"))
    return {**of, "passage_language": of["language"], "question": asked, "answer": answer}


PASSAGES = [passage(document, at, language) for document in range(90) for at in range(3) for language in TOLD]
QUESTIONS = [question(each) for each in PASSAGES]


@pytest.fixture(scope="module")
def parts() -> tuple[Part, Part]:
    return parted(PASSAGES, QUESTIONS, list(cases(1, 150)), list(extraction(1, 90)))


@pytest.fixture(scope="module")
def made(parts: tuple[Part, Part]) -> list[list[tuple[Passage, Sample]]]:
    """Train and validation: each question with its samples."""
    found = []
    for part in parts:
        beside = Neighbours(part.passages)
        found.append([
            (asked, sample) for number, asked in part.asked for sample in of_prose(number, asked, beside, count_tokens)
        ])  # fmt: skip
    return found


def prompt(sample: Sample) -> str:
    return "\n".join(str(part) for message in sample.messages[:-1] for part in message.parts)


def reply(sample: Sample) -> str:
    return "".join(map(str, sample.messages[-1].parts))


def test_the_evidence_of_a_refusal_does_not_hold_the_answer(made: list[list[tuple[Passage, Sample]]]) -> None:
    refused = [(asked, sample) for part in made for asked, sample in part if reply(sample) == REFUSAL]
    assert len(refused) > 50
    assert not [sample for asked, sample in refused if holds(prompt(sample), asked["answer"])]


def test_the_evidence_of_an_answer_holds_it_in_the_block_that_is_cited(
    made: list[list[tuple[Passage, Sample]]],
) -> None:
    answered = [(asked, sample) for part in made for asked, sample in part if reply(sample) != REFUSAL]
    assert len(answered) > 200
    for asked, sample in answered:
        said, (marker,) = take_markers(reply(sample))
        assert holds(said, asked["answer"])
        block = prompt(sample).split(f"[{marker}] ")[1].split(f"[{marker + 1}] ")[0]
        assert holds(block, asked["answer"]), sample


def test_distractors_are_of_the_passages_language_and_do_not_hold_the_answer() -> None:
    beside, text_of = Neighbours(PASSAGES), {each["text"]: each["language"] for each in PASSAGES}
    own = 0
    for number, asked in enumerate(QUESTIONS[:200]):
        for chunk in beside.of(asked, random.Random(number), 3):
            assert text_of[chunk.text.replace("\n", " ")] == asked["language"]
            assert not holds(f"{chunk.title}\n{chunk.text}", asked["answer"])
            own += chunk.title == asked["title"]
    assert own > 100  # the hardest ones: of the same document


def test_a_collection_with_too_few_others_gives_fewer_neighbours() -> None:
    beside = Neighbours(PASSAGES[:2])
    assert beside.of(QUESTIONS[0], random.Random(1), 5) == []


def test_validation_shares_no_document_with_train(parts: tuple[Part, Part]) -> None:
    train, validation = ({each["document"] for each in part.passages} for part in parts)
    assert train and validation and not train & validation
    for part, documents in zip(parts, (train, validation), strict=True):
        assert {each["document"] for _, each in part.asked} <= documents
    assert [len({at for at, _ in part.invented}) for part in parts] == [len(part.invented) for part in parts]
    for one, other in ((parts[0].invented, parts[1].invented), (parts[0].fields, parts[1].fields)):
        assert one and other and not {at for at, _ in one} & {at for at, _ in other}


def test_no_prompt_of_one_part_shows_a_passage_of_the_other(
    parts: tuple[Part, Part], made: list[list[tuple[Passage, Sample]]]
) -> None:
    for part, others in zip(parts, made[::-1], strict=True):
        towns = {word for each in part.passages for word in each["text"].split() if word.startswith("Town")}
        assert not [s for _, s in others if any(f"{town} " in f"{prompt(s)} ".replace("\n", " ") for town in towns)]


def test_what_is_judged_is_about_the_parts_own_documents(parts: tuple[Part, Part]) -> None:
    said = [{sample.id for sample in judgements(part)} for part in parts]
    assert said[0] and said[1] and not said[0] & said[1]
    answers = [reply(sample) for part in parts for sample in judgements(part)]
    assert set(answers) == {"yes", "no"} and 0.3 < answers.count("yes") / len(answers) < 0.75


def test_a_part_is_the_same_whatever_else_is_in_the_set() -> None:
    names = [f"mills/{number}.html" for number in range(5000)]
    assert 0.02 < sum(map(is_held_out, names)) / len(names) < 0.04
    few = parted(PASSAGES[:60], [], [], [])
    assert [each for part in few for each in part.passages if is_held_out(each["document"])] == list(few[1].passages)


def test_a_case_keeps_its_reply_and_its_markers_follow_the_prompt() -> None:
    kept = 0
    for number, case in enumerate(cases(5, 120)):
        for sample in of_case(number, case, count_tokens):
            kept += 1
            assert take_markers(reply(sample))[0].split() == take_markers(case.reply)[0].split()
            for marker in take_markers(reply(sample))[1]:
                assert f"[{marker}]" in prompt(sample)
    assert kept > 80
