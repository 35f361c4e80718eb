"""The oracle is transformers' own model, one sentence at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from embedding_doubles import save_sentence_encoder
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from indexing.embedding.protocol import WeightsError
from indexing.embedding.text import SentenceEncoder


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
