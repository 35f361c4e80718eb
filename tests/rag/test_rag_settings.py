import dataclasses

import pytest

from claims.settings import CitationSettings
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
