from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from indexing.embedding.joint_space import NetworkOutputs, inputs
from recipes.pocket import joint_space as recipe
from recipes.pocket.joint_space import _BLOCKS as BLOCKS
from recipes.pocket.joint_space import (
    Pictures,
    Settings,
    back,
    embedded,
    fit,
    in_bytes,
    joint_space,
    unit,
    whitening_map,
)
from recipes.pocket.leakage import too_close
from recipes.pocket.score_joint_space import ranks, recall

DIMENSIONS = 16
NARROW = ((64, 1.3), (50, 1.0), (3 * 16, 1.0), (3 * 8, 1.0), (192, 0.6), (64, 1.0))
"""Blocks of inputs as the network's are, in fewer channels: a fit takes the third power of their number."""


@pytest.fixture(autouse=True, scope="module")
def narrow() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "_BLOCKS", NARROW)
        yield


def seen(
    count: int, seed: int, *, features: int = 64, classes: int = 50, stages: tuple[int, int] = (8, 16)
) -> NetworkOutputs:
    """Random outputs of the shapes of EfficientNet-Lite0's, in fewer channels."""
    generator = torch.Generator().manual_seed(seed)
    return NetworkOutputs(
        pixels_BCHW=torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8),
        stages_BCHW=(
            torch.randn(count, stages[0], 4, 4, generator=generator),
            torch.randn(count, stages[1], 2, 2, generator=generator),
        ),
        strongest_BF=torch.rand(count, features, generator=generator),
        features_BF=torch.rand(count, features, generator=generator),
        logits_BK=torch.randn(count, classes, generator=generator),
    )


@pytest.fixture(scope="module")
def outputs() -> NetworkOutputs:
    return seen(24, 0)


@pytest.fixture(scope="module")
def pictures(outputs: NetworkOutputs) -> Pictures:
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


SETTINGS = Settings(width=20, looks_width=9, words_width=12)


@pytest.fixture(scope="module")
def fitted(pictures: Pictures) -> dict[str, np.ndarray]:
    return fit(pictures, whitening_map(pictures.captions_ND, 0.25), SETTINGS)


def test_the_recipes_blocks_are_the_networks_outputs() -> None:
    whole = seen(2, 0, features=1280, classes=1000, stages=(112, 320))
    assert inputs(whole).shape == (2, sum(width for width, _ in BLOCKS))


def test_both_sides_have_one_width_and_unit_length(
    outputs: NetworkOutputs, pictures: Pictures, fitted: dict[str, np.ndarray]
) -> None:
    space = joint_space(fitted)
    made = space.images(outputs, torch.from_numpy(pictures.classes_ND)).numpy()
    asked = space.queries(pictures.captions_ND)
    assert pictures.inputs_NP.shape == (24, sum(width for width, _ in NARROW))
    assert made.shape == asked.shape == (24, space.dimensions) == (24, DIMENSIONS + 9 + 1)
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([made, asked]), axis=1), 1, atol=1e-5)


def test_pictures_that_were_fitted_lie_next_to_their_captions(
    pictures: Pictures, fitted: dict[str, np.ndarray]
) -> None:
    space = joint_space(fitted)
    similar = space.queries(pictures.captions_ND) @ embedded(space, pictures).T
    assert (np.argmax(similar, axis=1) == np.arange(24)).mean() > 0.9


def test_words_alone_and_looks_alone_find_their_pictures(pictures: Pictures, fitted: dict[str, np.ndarray]) -> None:
    """Each of the two comparisons works by itself."""
    space = joint_space(fitted)
    asked, made = space.queries(pictures.captions_ND), embedded(space, pictures)
    for part in (slice(DIMENSIONS), slice(DIMENSIONS, DIMENSIONS + 9)):
        assert (np.argmax(asked[:, part] @ made[:, part].T, axis=1) == np.arange(24)).mean() > 0.6


def test_pictures_of_one_caption_are_stored_once_as_words(pictures: Pictures) -> None:
    twice = pictures.some([*range(24), *range(24)])
    fitted = fit(twice, whitening_map(pictures.captions_ND, 0.25), SETTINGS)
    assert len(fitted["stored"]) == 48 and len(fitted["captions"]) == 24


def test_a_picture_near_to_every_caption_comes_later(pictures: Pictures, fitted: dict[str, np.ndarray]) -> None:
    """The last number is minus its nearness, and a question's last number is positive."""
    space = joint_space(fitted)
    assert (embedded(space, pictures)[:, -1] < 0).all() and (space.queries(pictures.captions_ND)[:, -1] > 0).all()


def test_fitting_twice_gives_the_same_bytes(pictures: Pictures, fitted: dict[str, np.ndarray]) -> None:
    again = fit(pictures, whitening_map(pictures.captions_ND, 0.25), SETTINGS)
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
