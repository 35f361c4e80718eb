"""What must not be learned, and what must be left alone."""

import re
import sys

import pytest

from llava_model.errors import MissingPackageError
from llava_model.synthesis import prompts as language
from llava_model.synthesis.generate import GenerationSettings, _maker
from llava_model.synthesis.prompts import (
    WRITTEN,
    Exchange,
    Kind,
    Parsed,
    is_other_language,
    language_of,
    load_prompts,
    parse_reply,
)
from llava_model.synthesis.quality import Judge, Reason
from llava_model.synthesis.sources import Item, Region, TextLine, checked_box

ITEM = Item(
    id="1",
    image="1.png",
    captions=("A dog runs after three balls on the lawn.",),
    regions=(
        Region(label="dog", box=(0.05, 0.3, 0.3, 0.9)),
        Region(label="cat", box=(0.7, 0.3, 0.9, 0.9)),
        Region(label="person", box=(0.4, 0.0, 0.5, 0.5)),
        Region(label="person", box=(0.5, 0.0, 0.6, 0.5)),
        Region(label="ball", box=(0.4, 0.8, 0.45, 0.9)),
        Region(label="sheep", box=(0.1, 0.0, 0.9, 0.1), crowd=True),
    ),
)
LONG = "It lies there because somebody threw it, and the others have not yet seen where it went, so they look around."


def verdict(answer: str, question: str = "What is there?", kind: Kind = "conversation") -> Reason | None:
    return Judge().objection(kind, ITEM, Exchange(question=question, answer=answer))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        ("The caption says that there is a dog.", "mentions-source"),
        ("As described in the sentences, a dog runs.", "mentions-source"),
        ("Based on the provided information it is a dog.", "mentions-source"),
        ("The bounding box of the dog is large.", "mentions-boxes"),
        ("The dog is at [0.05, 0.3, 0.3, 0.9].", "mentions-boxes"),
        ("A dog <image> runs.", "image-token"),
        ("Der Hund ist auf dem Rasen und die Katze ist nicht da.", "other-language"),
        ("犬が芝生の上を走っています。", "other-language"),
        ("It cannot be determined.", "indefinite"),
        ("It is unclear what it is.", "indefinite"),
        ("There are three people.", "contradicts-counts"),
        ("Four dogs run.", "contradicts-counts"),
        ("There is no dog.", "contradicts-counts"),
        ("The dog is on the right side of the picture.", "contradicts-boxes"),
        ("The dog is to the right of the cat.", "contradicts-boxes"),
        ("The cat sits to the left of the dog.", "contradicts-boxes"),
        ("A dog runs.\n===\nQuestion: And?", "leaks-prompt"),
    ],
)
def test_an_answer_is_dropped_for(answer: str, reason: str) -> None:
    assert verdict(answer) == reason


@pytest.mark.parametrize(
    "answer",
    [
        "A dog is running on the lawn.",
        "Two people.",
        "One person waves and two people are there.",
        "There are three balls.",  # the caption says so, though only one has a box
        "Seven sheep.",  # a crowd was not counted
        "Two trees and five birds.",  # no boxes, but they may be there
        "The dog is on the left side of the picture.",
        "The dog is to the left of the cat.",
        "The cat is to the right of the dog, in the picture's right half.",
        "A sentence is written on the sign, and there is no dog on the bench.",
        "The person in the middle looks at the dog on the right hand of the two.",
    ],
)
def test_an_answer_stays(answer: str) -> None:
    assert verdict(answer) is None


def test_a_question_for_a_number_must_get_the_number() -> None:
    assert verdict("There is one person.", "How many people are in the picture?") == "contradicts-counts"
    assert verdict("One.", "How many people are there?") == "contradicts-counts"
    assert verdict("2", "How many people are there?") is None
    assert verdict("One.", "How many people with hats are there?") is None


def test_short_descriptions_are_dropped() -> None:
    assert verdict("A dog runs.", kind="detail") == "too-short"
    assert verdict(LONG, kind="complex") is None


def test_a_question_of_our_own_list_may_ask_for_a_caption() -> None:
    assert verdict("A dog runs on the lawn.", "Write a short caption.", "brief") is None
    assert verdict("A dog runs.", "Which caption fits?") == "mentions-source"


def test_the_instructions_must_not_come_back() -> None:
    prompts = load_prompts()
    judge = _maker(prompts, GenerationSettings()).judge
    system = " ".join(prompts.systems["complex"].split()[:40])
    exchange = Exchange(question="Why?", answer=system.replace("sentences", "words"))
    assert judge.objection("complex", ITEM, exchange) == "leaks-prompt"


def test_what_refers_to_a_dropped_answer_goes_with_it_and_repeats_go() -> None:
    exchanges = [
        Exchange(question="What is there?", answer="A dog."),
        Exchange(question="How many cats are there?", answer="Five cats."),
        Exchange(question="What do they do?", answer="Sleep."),
        Exchange(question="Which animal runs?", answer="The dog."),
        Exchange(question="What is there?", answer="A cat."),
    ]
    judged = Judge().judge("conversation", ITEM, exchanges)
    assert [one.answer for one in judged.kept] == ["A dog.", "The dog."]
    assert judged.dropped == ["contradicts-counts", "follows-dropped", "repeated"]


PAGE = Item(
    id="p",
    image="p.png",
    lines=(TextLine(text="Harbour Café"), TextLine(text="Total 17.00 EUR"), TextLine(text="Soup")),
)


@pytest.mark.parametrize(
    ("question", "answer", "lines", "reason"),
    [
        ("What is the total?", "The total is 17.00 EUR.", (2,), None),
        ("What is the total?", "The total is 19.00 EUR.", (2,), "not-in-lines"),
        ("What is the total?", "The total is 17.00 EUR.", (1,), "not-in-lines"),
        ("What is the total?", "The total is 17.00 EUR.", (9,), "not-in-lines"),
        ("What is the total?", "The total is 17.00 EUR.", (), "not-in-lines"),
        ("Who is the cook?", "NOT STATED", (), None),
        ("What is the total?", "NOT STATED", (), "answered-after-all"),
        ("What is on line 2?", "Line number 2 is the total.", (2,), "mentions-boxes"),
    ],
)
def test_reading_answers_stand_in_the_lines_they_name(
    question: str, answer: str, lines: tuple[int, ...], reason: str | None
) -> None:
    assert Judge().objection("reading", PAGE, Exchange(question=question, answer=answer, lines=lines)) == reason


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A dog runs over the lawn with a ball.", "en"),
        ("Ein Hund läuft mit einem Ball über den Rasen.", "de"),
        ("Un chien court avec une balle dans le jardin.", "fr"),
        ("Un perro corre con una pelota por el jardín.", "es"),
        ("Собака бежит по траве.", "other"),
        ("Zebra.", None),
    ],
)
def test_languages_are_told_apart(text: str, found: str | None) -> None:
    assert language_of(text) == found
    assert is_other_language(text, "en") == (found not in ("en", None))


@pytest.mark.parametrize(
    "text", ["A tram in Rio de Janeiro.", "A Volkswagen Golf in Berlin.", "Piazza San Marco, Venezia", "Amsterdam", "2"]
)
def test_names_and_single_words_are_no_other_language(text: str) -> None:
    assert not is_other_language(text, "en")


def test_a_missing_package_is_named_only_where_a_language_must_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    language._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "lingua", None)
    assert is_other_language("Собака бежит по траве.", "en") and not is_other_language("A dog.", "en")
    with pytest.raises(MissingPackageError, match="lingua-language-detector") as caught:
        is_other_language("A dog runs over the lawn with a ball.", "en")
    assert "llavero[generate]" in caught.value.__notes__[0]


def test_our_own_examples_pass_our_own_filter() -> None:
    """An example teaches the model what to write: none may be what we would drop."""
    prompts = load_prompts()
    judge = _maker(prompts, GenerationSettings()).judge
    for kind in WRITTEN:
        for example in prompts.examples[kind]:
            found = parse_reply(kind, example.reply)
            assert isinstance(found, Parsed)
            judged = judge.judge(kind, _item(example.context), _asked(kind, found.exchanges))
            assert judged.dropped == []


def _asked(kind: Kind, exchanges: tuple[Exchange, ...]) -> list[Exchange]:
    return [Exchange(question=one.question or "Describe it.", answer=one.answer, lines=one.lines) for one in exchanges]


def _item(context: str) -> Item:
    parts = dict(part.split(":\n", 1) for part in context.split("\n\n"))
    box = r"(.*): \[([\d., ]+)\]"
    regions = [re.fullmatch(box, line) for line in parts.get("Objects", "").splitlines()]
    lines = [re.sub(r": \[.*|^\d+\. ", "", line) for line in parts.get("Text", "").splitlines()]
    return Item(
        id="e",
        image="e.png",
        captions=tuple(parts.get("Sentences", "").splitlines()),
        regions=tuple(Region(label=one[1], box=checked_box(one[2].split(","))) for one in regions if one),
        lines=tuple(TextLine(text=line) for line in lines),
    )
