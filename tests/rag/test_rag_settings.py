import dataclasses
from math import log

import pytest

from claims.settings import CitationSettings, log_odds
from rag.settings import (
    AnswerSettings,
    GeneratorSettings,
    PromptSettings,
    RagSettings,
    RelevanceSettings,
    RetrievalSettings,
)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RetrievalSettings(depth=0), "depth is 0"),
        (lambda: RetrievalSettings(weights={"clip": -1.0}), "weight of clip is -1"),
        (lambda: RetrievalSettings(weights={"smell": 1.0}), "smell"),
        (lambda: RetrievalSettings(rerank=-1), "rerank is -1"),
        (lambda: RelevanceSettings(read=(0.0, 1e6, 0.0)), "read is 1000000"),
        (lambda: RelevanceSettings(threshold=2), "threshold is 2"),
        (lambda: PromptSettings(max_passages=-1), "max_passages is -1"),
        (lambda: CitationSettings(least_support=2), "least_support is 2"),
        (lambda: PromptSettings(evidence_tokens=1), "evidence_tokens is 1"),
        (lambda: AnswerSettings(max_new_tokens=0), "max_new_tokens is 0"),
        (lambda: AnswerSettings(least_whole_collection=1.5), "least_whole_collection is 1.5"),
        (lambda: GeneratorSettings(url="localhost:8000", model="m"), "localhost:8000"),
        (lambda: GeneratorSettings(url="file:///etc/passwd", model="m"), "http"),
        (lambda: GeneratorSettings(url="http://a", model=""), "no model"),
        (lambda: GeneratorSettings(url="http://a", model="m", timeout_seconds=0), "timeout_seconds is 0"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_the_value(make, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("make", "least", "most"),
    [
        (lambda value: RetrievalSettings(depth=value), 1, 1000),  # one more call of the store for each thousand
        (lambda value: RelevanceSettings(seen=(value, 0.0, 0.0)), -1000, 1000),  # a slip of the comma is none
        (lambda value: AnswerSettings(weights=(value, 0.0, 0.0)), -1000, 1000),
        (lambda value: CitationSettings(answer_weights=(value, 0.0, 0.0, 0.0)), -1000, 1000),
        (lambda value: PromptSettings(evidence_tokens=value), 16, None),  # fewer show no sentence
        (lambda value: GeneratorSettings(url="http://a", model="m", context_tokens=value), 256, None),
        (lambda value: GeneratorSettings(url="http://a", model="m", timeout_seconds=value), 0.01, None),
        (lambda value: GeneratorSettings(url="http://a", model="m", temperature=value), 0, 2),  # OpenAI's own bounds
    ],
)
def test_a_bound_itself_is_allowed_and_what_is_beyond_it_is_not(make, least: float, most: float | None) -> None:
    make(least)
    with pytest.raises(ValueError, match="it must"):
        make(least * 0.99 if least > 0 else least - 1)
    if most is None:
        make(least * 1e9)
        with pytest.raises(ValueError, match="is inf, it must be at least"):
            make(float("inf"))
    else:
        make(most)
        with pytest.raises(ValueError, match="it must lie between"):
            make(most + 1)


def test_the_defaults_are_those_that_were_measured() -> None:
    """With the pocket kit on two cores; docs/LOG.md has the figures. Whoever changes one measures again."""
    assert dataclasses.asdict(RetrievalSettings(weights={})) == {
        "weights": {}, "picture_weight": 1.0, "rank_constant": 60.0, "depth": 40, "rerank": 8, "per_file": 4,
        "apart": False,
    }  # fmt: skip
    assert dict(RetrievalSettings().weights) == {"clip": 0.3, "text": 1.0, "bm25": 1.0}
    assert dataclasses.asdict(RelevanceSettings()) == {
        "seen": (-6.25, 4.35, 13.4), "read": (-15.25, -5.03, 29.43), "looks": (-3.55, 12.34, 0.43, 4.0),
        "threshold": 0.1,
    }  # fmt: skip
    assert dataclasses.asdict(PromptSettings()) == {
        "instructions": "small", "example": False, "evidence_tokens": 450, "max_evidence": 6, "max_passages": 0,
        "beside": 2, "max_pictures": 1, "history_tokens": 200,
    }  # fmt: skip
    assert dataclasses.asdict(AnswerSettings()) == {
        "max_new_tokens": 96, "steps": 0, "asks_model": False, "weights": (0.0, 1.0, 0.0), "least_confidence": 0.0,
        "least_whole_collection": 0.55, "least_when_refused": 0.1,
    }  # fmt: skip
    assert dataclasses.asdict(CitationSettings()) == {
        "least_support": 0.9, "least_answer": 0.5, "answer_weights": (-2.0, 1.0, 2.0, 0.5), "most_pairs": 6,
    }  # fmt: skip


def test_a_server_has_time_for_long_prompts_and_a_window_that_every_model_of_today_has() -> None:
    server = GeneratorSettings(url="http://a", model="m")
    assert (server.timeout_seconds, server.context_tokens, server.temperature) == (120.0, 8192, 0.0)
    assert server.image_tokens == 800  # LLaVA-1.5's 576 for a picture, with room for the marks around it


def test_what_is_certain_counts_like_one_in_a_million() -> None:
    assert [log_odds(1.0), -log_odds(0.0)] == pytest.approx([log(1e6)] * 2, rel=1e-6)
    everything = CitationSettings(answer_weights=(0.0, 0.0, 1.0, 0.0))
    assert everything.answers(0.5, 0.0, 0.5) == pytest.approx(1e-6, rel=1e-5)


def test_a_password_in_the_address_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValueError, match="api_key_env") as caught:
        GeneratorSettings(url="http://user:secret@host/v1", model="m")
    assert "secret" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RagSettings().prompt = PromptSettings()


def test_confidence_rises_with_what_search_finds_and_with_the_models_yes() -> None:
    settings = AnswerSettings(weights=(0.0, 1.0, 0.5))
    assert settings.confidence(0.9, 0.9) > settings.confidence(0.5, 0.9) > settings.confidence(0.5, 0.1)
    assert AnswerSettings().confidence(0.7, 0.0) == pytest.approx(0.7)
