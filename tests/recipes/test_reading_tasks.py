"""What is taught about made-up documents is true of them."""

import json
import re
from collections.abc import Sequence

import pytest

from claims.markers import take_markers
from rag.prompt import REFUSAL
from recipes.small.reading_fields import Dialogue, extraction
from recipes.small.reading_pen import LANGUAGES
from recipes.small.reading_tasks import Case, cases

ONE_VALUE = ("table cell", "receipt", "roles", "hours", "protocol", "picture", "change")


@pytest.fixture(scope="module")
def drawn() -> list[Case]:
    return list(cases(seed=3, count=2000))


@pytest.fixture(scope="module")
def read() -> list[Dialogue]:
    return list(extraction(seed=3, count=800))


def plain(texts: Sequence[str]) -> str:
    return " ".join(" ".join(texts).split())


def shown(case: Case, marker: int) -> str:
    title, lines = case.blocks[marker - 1]
    return plain((title, *lines))


def prompt(dialogue: Dialogue) -> str:
    return plain([text for _, text in dialogue.turns[:-1]])


def reply(dialogue: Dialogue) -> str:
    return dialogue.turns[-1][1]


def test_the_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    assert list(cases(7, 60)) == list(cases(7, 60)) != list(cases(8, 60))
    assert list(extraction(7, 60)) == list(extraction(7, 60)) != list(extraction(8, 60))


def test_a_longer_drawing_begins_with_the_shorter_one() -> None:
    assert list(cases(7, 90))[:60] == list(cases(7, 60))


def test_all_languages_are_asked_and_a_quarter_or_so_refused(drawn: list[Case]) -> None:
    assert {case.language for case in drawn} == set(LANGUAGES)
    assert 0.2 < sum(case.reply == REFUSAL for case in drawn) / len(drawn) < 0.35


def test_a_single_value_stands_in_the_block_that_the_reply_cites(drawn: list[Case]) -> None:
    asked = [case for case in drawn if case.kind in ONE_VALUE and case.reply != REFUSAL]
    assert {case.kind for case in asked} == set(ONE_VALUE)
    for case in asked:
        value, markers = take_markers(case.reply)
        assert len(markers) == 1, case
        assert plain([value]).removesuffix(".") in shown(case, markers[0]), case


def test_every_marker_of_a_reply_names_a_block(drawn: list[Case]) -> None:
    for case in drawn:
        _, markers = take_markers(case.reply)
        assert (case.reply == REFUSAL) == (not markers), case
        assert all(1 <= marker <= len(case.blocks) for marker in markers), case


def test_all_names_of_a_list_stand_in_the_cited_block(drawn: list[Case]) -> None:
    for case in drawn:
        if case.kind == "list" and case.reply != REFUSAL:
            names, (marker,) = take_markers(case.reply)
            assert all(name in shown(case, marker) for name in names.strip().removesuffix(".").split(", ")), case


def test_the_value_that_a_refusal_misses_stands_in_no_block(drawn: list[Case]) -> None:
    missing = [case for case in drawn if case.missing]
    assert len(missing) > 100 and all(case.reply == REFUSAL for case in missing)
    for case in missing:
        text = plain([shown(case, at + 1) for at in range(len(case.blocks))])
        assert not re.search(rf"(?<![\w.,:/-]){re.escape(case.missing)}(?!\w)", text), case


def test_a_question_with_a_block_beside_it_has_at_most_five(drawn: list[Case]) -> None:
    assert {len(case.blocks) for case in drawn} <= set(range(1, 6))


def test_every_object_that_is_filled_in_parses_and_holds_the_blanks_and_words_of_its_prompt(
    read: list[Dialogue],
) -> None:
    filled = [each for each in read if each.kind == "fill"]
    assert len(filled) > 200
    for each in filled:
        values = json.loads(reply(each))
        assert values
        for name, value in values.items():
            assert f"{json.dumps(name, ensure_ascii=False)}: …" in prompt(each)
            assert value is None or plain([value]) in prompt(each)


def test_words_that_are_copied_stand_in_the_document(read: list[Dialogue]) -> None:
    for each in read:
        if each.kind in ("wanted", "where", "every") and reply(each) != "absent":
            assert all(plain([line]) in prompt(each) for line in reply(each).splitlines()), each


def test_a_letter_is_one_of_those_to_choose_from(read: list[Dialogue]) -> None:
    chosen = [each for each in read if each.kind == "choose"]
    assert chosen and all(f"{reply(each)}) " in prompt(each) for each in chosen)


def test_a_date_in_words_becomes_figures_and_a_matter_of_yes_or_no_one_word(read: list[Dialogue]) -> None:
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", reply(each)) for each in read if each.kind == "date")
    assert {reply(each) for each in read if each.kind == "yes_or_no"} == {"yes", "no", "absent"}
