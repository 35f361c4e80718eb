"""The recipe of the recogniser of questions about a whole collection; see test_question_overlap, too."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from aggregation.scope import QuestionScope
from recipes.small.whole_collection import (
    LANGUAGES,
    RARE,
    Asked,
    Layers,
    asked_of,
    calibrated,
    chances,
    draw,
    filled,
    held_back,
    log_odds,
    phrase,
    save,
    train,
    whole_collection,
)

LEAST = {"en": (60, 120), "es": (40, 80), "de": (40, 80), "fr": (40, 80), "it": (20, 40), "pt": (20, 40)}
PROSE = {"en": [["The installer copies every package of the first disk to the cache."]]}


class Counting:
    """An embedder that counts a few words: "all" and "every" tell the kinds apart, the others do not."""

    def encode(self, texts: list[str]) -> Any:
        words = [text.lower().split() for text in texts]
        return np.array([[len(each) / 10, *(each.count(word) for word in ("all", "how", "todas", "alle"))]
                         for each in words])  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_enough_wordings_of_both_kinds_and_none_stands_in_both(language: str) -> None:
    asked = whole_collection()[language]["asked"]
    assert tuple(len(set(asked[kind])) for kind in ("collection", "passage")) >= LEAST[language]
    assert len(set(asked["passage"])) >= LEAST[language][1]
    assert not set(asked["collection"]) & set(asked["passage"])


def test_every_wording_can_be_filled_and_leaves_no_slot_and_no_choice_open() -> None:
    chance = random.Random(4)
    for language in LANGUAGES:
        for written in whole_collection()[language]["asked"].values():
            for wording in written:
                for _ in range(3):
                    question = filled(wording, language, chance, PROSE["en"] if language == "en" else ())
                    assert question, wording
                    assert not set("[]{}|") & set(question), (wording, question)


def test_the_same_seed_draws_the_same_questions_and_no_question_is_of_both_kinds() -> None:
    drawn = draw(3, 30, PROSE)
    assert drawn == draw(3, 30, PROSE)
    assert drawn != draw(4, 30, PROSE)
    kinds = [{each.question for each in drawn if each.collection is kind} for kind in (True, False)]
    assert not kinds[0] & kinds[1]
    assert {each.language for each in drawn} == set(LANGUAGES)


def test_a_question_about_a_sentence_is_made_of_its_words() -> None:
    sentence, chance = PROSE["en"][0][0], random.Random(1)
    for _ in range(20):
        words = phrase(sentence, "en", chance).split()
        assert " ".join(words) in sentence
        assert words[0].lower() in ("the", "of")
        question = asked_of(sentence, "en", chance)
        assert question.endswith("?")
        assert question.removesuffix("?").split()[-1] in sentence


def test_all_questions_of_one_wording_are_held_back_together() -> None:
    drawn = [Asked(f"q{number}", True, "en", f"w{number % 7}") for number in range(70)]
    folds = held_back(drawn, 1)
    assert all(len({fold for each, fold in zip(drawn, folds, strict=True) if each.wording == f"w{n}"}) == 1
               for n in range(7))  # fmt: skip
    assert len(set(folds)) == 5


def test_calibration_gives_the_share_that_is_expected_in_use() -> None:
    chance = np.random.default_rng(0)
    whole = (np.arange(4000) % 2).astype(float)
    vectors = (whole + chance.normal(size=4000))[:, None]
    one = np.ones(1)  # log-odds 3 x - 1.5 for x over -9: too sure, the true ones are x - 0.5
    layers = Layers(hidden_HD=one[:, None], hidden_constant_H=9 * one, weights_H=3 * one, constant=-28.5)
    found = chances(calibrated(layers, log_odds(layers, vectors), whole), vectors)
    rare = np.where(whole == 1, RARE, 1 - RARE)
    assert np.average(found, weights=rare) == pytest.approx(RARE, abs=0.02)
    sure = (found > 0.2) & (found < 0.4)
    assert np.average(whole[sure], weights=rare[sure]) == pytest.approx(found[sure].mean(), abs=0.07)


def test_what_is_trained_is_saved_and_read_by_the_product(tmp_path: Path) -> None:
    layers = train(Counting(), seed=2, count=60, prose=PROSE, hidden=4)  # type: ignore[arg-type]  # a double
    save(layers, tmp_path / "w.safetensors", seed=2)
    scope = QuestionScope(tmp_path / "w.safetensors")
    every, one = Counting().encode(["list all invoices", "list one invoice"]).astype(np.float32)
    assert scope.probability(every) > 2 * scope.probability(one)
    assert load_file(tmp_path / "w.safetensors")["weights_H"].dtype == np.float32
