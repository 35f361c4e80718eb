from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from indexing.embedding.adapter import JointSpace, Seen, inputs
from recipes.pocket.joint_space import Pictures, Settings, back, embedded, fit, in_bytes, unit, whitening_map
from recipes.pocket.leakage import too_close
from recipes.pocket.score_joint_space import ranks, recall

WIDTH = 1280 + 1000 + 3 * 320 + 3 * 112 + 192  # what the network's outputs come to
DIMENSIONS = 16


def seen(count: int, seed: int) -> Seen:
    """Random outputs of the shapes of EfficientNet-Lite0's."""
    generator = torch.Generator().manual_seed(seed)
    return Seen(
        pixels_BCHW=torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8),
        stages_BCHW=(
            torch.randn(count, 112, 4, 4, generator=generator),
            torch.randn(count, 320, 2, 2, generator=generator),
        ),
        features_BF=torch.rand(count, 1280, generator=generator),
        logits_BK=torch.randn(count, 1000, generator=generator),
    )


@pytest.fixture(scope="module")
def outputs() -> Seen:
    return seen(24, 0)


@pytest.fixture(scope="module")
def pictures(outputs: Seen) -> Pictures:
    random = np.random.default_rng(0)
    words = unit(random.normal(size=(24, DIMENSIONS)).astype(np.float32))
    return Pictures(
        inputs_NP=inputs(outputs).numpy(),
        classes_ND=0.1 * random.normal(size=(24, DIMENSIONS)).astype(np.float32),
        captions_ND=words,
        answers_ND=words,
        weights_N=np.ones(24, dtype=np.float32),
        groups=[""] * 24,
        names=[str(number) for number in range(24)],
    )


@pytest.fixture(scope="module")
def fitted(pictures: Pictures) -> dict[str, np.ndarray]:
    return fit(pictures, whitening_map(pictures.captions_ND, 0.25), Settings(width=20))


def test_the_product_makes_the_vectors_that_the_fit_was_judged_by(
    outputs: Seen, pictures: Pictures, fitted: dict[str, np.ndarray]
) -> None:
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in fitted.items()}
    made = JointSpace("tiny", tensors).images(outputs, torch.from_numpy(pictures.classes_ND)).numpy()
    assert pictures.inputs_NP.shape == (24, WIDTH)
    np.testing.assert_allclose(unit(made), embedded(fitted, pictures), atol=1e-4)


def test_pictures_that_were_fitted_lie_next_to_their_captions(
    pictures: Pictures, fitted: dict[str, np.ndarray]
) -> None:
    asked = unit(pictures.captions_ND @ fitted["text_map"].astype(np.float32))
    assert (np.argmax(asked @ embedded(fitted, pictures).T, axis=1) == np.arange(24)).mean() > 0.9


def test_fitting_twice_gives_the_same_bytes(pictures: Pictures, fitted: dict[str, np.ndarray]) -> None:
    again = fit(pictures, whitening_map(pictures.captions_ND, 0.25), Settings(width=20))
    assert all(again[name].tobytes() == fitted[name].tobytes() for name in fitted)


@given(st.integers(0, 1000))
def test_eight_bits_are_off_by_half_a_step_at_most(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(3, 7)).astype(np.float32)
    stored, factors = in_bytes(values)
    assert stored.dtype == np.int8 and (np.abs(back(stored, factors) - values) <= 0.5001 * factors[:, None]).all()


def test_neighbours_of_held_out_pictures_are_left_out_by_name_or_by_looks() -> None:
    axes = np.eye(3, dtype=np.float32)
    assert too_close(["a/cat_02", "b/owl", "c/cow"], axes, ["a/cat_01"], axes[1:2]).tolist() == [True, True, False]


def test_ranks_count_better_pictures_and_equal_captions_as_one() -> None:
    similarity = np.array([[0.1, 0.9, 0.5], [0.2, 0.8, 0.9], [0.0, 0.1, 0.2]], dtype=np.float32)
    assert ranks(similarity, ["cat", "dog", "owl"]).tolist() == [3, 2, 1]
    assert ranks(similarity, ["cat", "Cat", "owl"]).tolist() == [1, 2, 1]


def test_an_interval_holds_its_score() -> None:
    found = recall(np.array([1, 2, 30, 4]), 10)
    assert found["score"] == 0.75 and found["low"] <= 0.75 <= found["high"]


def test_the_weights_that_ship_fit_the_size_that_was_promised() -> None:
    weights = Path(__file__).parents[2] / "llava_model/kits/weights/pocket"
    assert sum(file.stat().st_size for file in weights.rglob("*.safetensors")) <= 20_000_000
