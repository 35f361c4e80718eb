import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from aggregation.scope import QuestionScope, ScopeWeightsError
from indexing.embedding.text import SentenceEncoder
from llava_model.kits import KitError, find, shipped_weights
from rag.settings import AnswerSettings


def weights(folder: Path, **changed: object) -> Path:
    """Layers for vectors of two numbers: log-odds are -1 + 2 max(0, x) - 4 max(0, y - 0.5)."""
    layers = {"hidden_HD": [[1, 0], [0, 1]], "hidden_constant_H": [0, -0.5], "weights_H": [2, -4], "constant": [-1]}
    file = folder / "whole_collection.safetensors"
    save_file({name: np.array(value, np.float32) for name, value in {**layers, **changed}.items()}, file)
    return file


def test_the_probability_is_the_logistic_function_of_what_the_layers_make_of_the_vector(tmp_path: Path) -> None:
    scope = QuestionScope(weights(tmp_path))
    assert scope.probability(np.array([0.6, 0.8], np.float32)) == pytest.approx(1 / (1 + math.exp(1.0)))
    assert scope.probability(np.array([1.0, 0.0], np.float32)) == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert scope.probability(np.array([-1.0, 0.0], np.float32)) == pytest.approx(1 / (1 + math.exp(1.0)))


def test_extreme_weights_give_a_probability_all_the_same(tmp_path: Path) -> None:
    scope = QuestionScope(weights(tmp_path, weights_H=[1e30, -1e30]))
    assert scope.probability(np.array([1.0, 0.0], np.float32)) == 1.0
    assert scope.probability(np.array([0.0, 1.0], np.float32)) == pytest.approx(0.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"constant": []}, {"constant": [math.nan]}, {"weights_H": [1.0, math.inf]}, {"weights_H": [1.0]},
        {"weights_H": 1.0}, {"hidden_HD": [1.0, 0.0]}, {"hidden_constant_H": [[0.0, 0.0]]},
    ],
    ids=str,
)  # fmt: skip
def test_layers_that_do_not_fit_or_are_no_numbers_are_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    with pytest.raises(ScopeWeightsError, match=r"whole_collection\.safetensors"):
        QuestionScope(weights(tmp_path, **changed))


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 64, b"\x00" * 7])
def test_a_file_that_is_missing_or_damaged_is_refused_with_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "weights.safetensors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ScopeWeightsError, match=r"weights\.safetensors") as caught:
        QuestionScope(file)
    assert any("Install Llavero again" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("shape", [(3,), (2, 2), ()])
def test_a_vector_of_another_embedder_is_refused_with_both_widths(tmp_path: Path, shape: tuple[int, ...]) -> None:
    scope = QuestionScope(weights(tmp_path))
    with pytest.raises(ScopeWeightsError, match="vectors of 2 numbers") as caught:
        scope.probability(np.ones(shape, np.float32))
    assert str(shape) in str(caught.value)


def test_the_kit_small_ships_weights_for_its_embedders_vectors_and_the_kit_pocket_none() -> None:
    file = shipped_weights("small").whole_collection
    assert file is not None
    assert 0 < QuestionScope(file).probability(np.zeros(384, np.float32)) < 1
    assert shipped_weights("pocket").whole_collection is None


WHOLE = (
    "How many delivery notes are there from Ostermann?",
    "¿Qué presupuestos superan los 900 euros?",
    "Welche Unterlagen handeln vom Glasdach?",
    "Quel est le total de toutes les quittances ?",
)
ONE = (
    "How many strings does a viola have?",
    "¿Cuál es el total de la factura 8890?",
    "Welcher Planet hat die meisten Monde?",
    "Combien de pages compte ce roman ?",
)


@pytest.fixture(scope="module")
def embedder() -> SentenceEncoder:
    try:
        return SentenceEncoder(find("small").path("text"))
    except KitError:
        pytest.skip("the kit small is not installed")


def test_the_shipped_weights_tell_the_two_kinds_in_four_languages(embedder: SentenceEncoder) -> None:
    file = shipped_weights("small").whole_collection
    assert file is not None
    scope, least = QuestionScope(file), AnswerSettings().least_whole_collection
    assert [scope.probability(each) >= least for each in embedder.encode(WHOLE)] == [True] * len(WHOLE)
    assert [scope.probability(each) >= least for each in embedder.encode(ONE)] == [False] * len(ONE)
