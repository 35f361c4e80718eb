"""The oracle is transformers' own model, one sentence at a time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from embedding_doubles import save_sentence_encoder
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from indexing.embedding import text
from indexing.embedding.protocol import WeightsError
from indexing.embedding.text import Role, SentenceEncoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sentence_encoder(tmp_path_factory.mktemp("sentences"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> SentenceEncoder:
    return SentenceEncoder(folder, device="cpu")


def transformers_own(tokenizer: Any, model: Any, text: str) -> np.ndarray:
    batch = tokenizer([text], return_tensors="pt", truncation=True)
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state[0]
    return torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy()


def test_vectors_are_transformers_own_in_any_mixture_of_lengths(folder: Path, encoder: SentenceEncoder) -> None:
    texts = ["a cat", "", "a big dog", "cats " * 200, "b c d"] + ["a " * n for n in range(40)]
    oracle = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    theirs = np.stack([transformers_own(*oracle, text) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), theirs, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(alphabet="abc dog cat", max_size=80), max_size=40), seed=st.randoms())
def test_the_order_of_sentences_changes_nothing(encoder: SentenceEncoder, texts: list[str], seed: object) -> None:
    shuffled = list(range(len(texts)))
    seed.shuffle(shuffled)
    straight = encoder.encode(texts)
    np.testing.assert_allclose(encoder.encode([texts[i] for i in shuffled]), straight[shuffled], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(straight, axis=1), 1, atol=1e-5)


def test_special_tokens_in_a_text_stay_words(encoder: SentenceEncoder) -> None:
    """[SEP] and [PAD] have rows of their own; as words they are unknown ones, all of the same vector."""
    first, second = encoder.encode(["a [SEP] cat", "a [PAD] cat"])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_nothing_to_encode_gives_no_vectors(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, 24)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=str(tmp_path)):
        SentenceEncoder(tmp_path)


@pytest.fixture(scope="module")
def with_prefixes(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    """The same network with sentence-transformers' prompts, its weights stored in bfloat16."""
    folder = save_sentence_encoder(tmp_path_factory.mktemp("prefixes"))
    prompts = {"prompts": {"query": "big a: ", "passage": "dog: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")
    AutoModel.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    return SentenceEncoder(folder, device="cpu")


def test_questions_and_passages_get_their_prefixes(encoder: SentenceEncoder, with_prefixes: SentenceEncoder) -> None:
    for role, prefix in (("query", "big a: "), ("passage", "dog: ")):
        theirs, wanted = with_prefixes.encode(["a cat"], role), encoder.encode([prefix + "a cat"])
        assert float((theirs * wanted).sum()) > 0.999


@pytest.mark.parametrize("role", ["query", "passage"])
def test_token_vectors_are_those_of_the_texts_own_tokens(with_prefixes: SentenceEncoder, role: Role) -> None:
    texts = ["a cat", "", "red", "cats " * 200]
    vectors = with_prefixes.encode_tokens(texts, role)
    # "cats" is two tokens; 64 positions hold two special ones and the prefix ("big a :" or "dog : ", both known whole)
    prefix = {"query": 3, "passage": 2}[role]
    assert [each.shape for each in vectors] == [(2, 24), (0, 24), (1, 24), (64 - 2 - prefix, 24)]
    for each in vectors:
        assert each.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(each, axis=1), 1, atol=1e-5)


def test_token_vectors_are_transformers_own(folder: Path, encoder: SentenceEncoder) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        hidden = model(**tokenizer(["a big dog"], return_tensors="pt")).last_hidden_state[0, 1:-1]
    found = encoder.encode_tokens(["b", "a big dog"])[1]
    np.testing.assert_allclose(found, torch.nn.functional.normalize(hidden, dim=-1).numpy(), atol=1e-5)


def test_a_processor_without_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch, with_prefixes: SentenceEncoder
) -> None:
    monkeypatch.setattr(text, "_computes_bfloat16", lambda: False)
    slow = SentenceEncoder(with_prefixes.folder, device="cpu")
    assert slow._model.dtype == torch.float32
    assert float((slow.encode(["a big dog"]) * with_prefixes.encode(["a big dog"])).sum()) > 0.999
