"""Which samples an epoch takes, and in which order."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llava_model.data.batches import Mixture
from llava_model.data.sample_file import SampleFile
from llava_model.errors import BadMixtureError

MakeFile = Callable[[str, int], SampleFile]


@pytest.fixture
def make_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeFile:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(name: str, samples: int) -> SampleFile:
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
        records = [{"id": f"{name}{number}", "messages": turns} for number in range(samples)]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return SampleFile.open(path)

    return make


def _times(mixture: Mixture, file: int, epoch: int, seed: int = 1) -> Counter[int]:
    return Counter(sample for number, sample in mixture.epoch(seed=seed, epoch=epoch).tolist() if number == file)


def test_weights_say_how_often_a_sample_comes(make_file: MakeFile) -> None:
    mixture = Mixture([(make_file("a", 10), 1.0), (make_file("b", 10), 0.5), (make_file("c", 10), 2.5)])
    assert mixture.length() == len(mixture.epoch(seed=1, epoch=0)) == 10 + 5 + 25
    assert _times(mixture, 0, epoch=0) == Counter(range(10))
    assert sorted(_times(mixture, 1, epoch=0).values()) == [1] * 5
    assert sorted(_times(mixture, 2, epoch=0).values()) == [2] * 5 + [3] * 5


def test_the_next_epoch_takes_the_other_half(make_file: MakeFile) -> None:
    mixture = Mixture([(make_file("a", 10), 0.5)])
    assert _times(mixture, 0, epoch=0) + _times(mixture, 0, epoch=1) == Counter(range(10))
    assert _times(mixture, 0, epoch=2) == _times(mixture, 0, epoch=0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    samples=st.integers(1, 40),
    weight=st.floats(0.05, 4, allow_nan=False),
    seed=st.integers(-5, 2**70),
    epochs=st.integers(1, 8),
)
def test_over_all_epochs_no_sample_comes_twice_more_than_another(
    samples: int, weight: float, seed: int, epochs: int, make_file: MakeFile
) -> None:
    file = make_file("a", samples)
    if samples * weight < 0.5:
        with pytest.raises(BadMixtureError):
            Mixture([(file, weight)])
        return
    mixture = Mixture([(file, weight)])
    seen: Counter[int] = Counter(dict.fromkeys(range(samples), 0))
    for epoch in range(epochs):
        pairs = mixture.epoch(seed=seed, epoch=epoch)
        assert len(pairs) == mixture.length()
        seen.update(pairs[:, 1].tolist())
    assert max(seen.values()) - min(seen.values()) <= 1


def test_the_order_is_the_same_on_every_machine(make_file: MakeFile) -> None:
    mixture = Mixture([(make_file("a", 4), 1.0), (make_file("b", 4), 0.5)])
    # Written down once; another result would make every resumed run see another batch.
    assert mixture.epoch(seed=7, epoch=3).tolist() == [[0, 0], [1, 3], [0, 1], [1, 0], [0, 2], [0, 3]]


def test_the_order_changes_with_seed_and_epoch_and_leaves_global_generators_alone(make_file: MakeFile) -> None:
    mixture = Mixture([(make_file("a", 100), 1.0)])
    states = (random.getstate(), np.random.get_state()[1].tolist())
    orders = {mixture.epoch(seed=seed, epoch=epoch).tobytes() for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert np.array_equal(mixture.epoch(seed=1, epoch=1), mixture.epoch(seed=1, epoch=1))


def test_a_row_of_an_epoch_is_a_sample(make_file: MakeFile) -> None:
    mixture = Mixture([(make_file("a", 3), 1.0), (make_file("b", 3), 1.0)])
    ids = {mixture[pair].id for pair in mixture.epoch(seed=0, epoch=0)}
    assert ids == {"a0", "a1", "a2", "b0", "b1", "b2"}


def test_the_fingerprint_follows_content_and_weight_not_place(make_file: MakeFile, tmp_path: Path) -> None:
    first, second = make_file("a", 3), make_file("b", 3)
    (tmp_path / "elsewhere").mkdir()
    moved = SampleFile.open(second.path.rename(tmp_path / "elsewhere" / "c.jsonl"))
    fingerprint = Mixture([(first, 1.0), (second, 0.5)]).fingerprint
    assert Mixture([(first, 1.0), (moved, 0.5)]).fingerprint == fingerprint
    assert Mixture([(first, 1.0), (second, 0.6)]).fingerprint != fingerprint
    assert Mixture([(second, 0.5), (first, 1.0)]).fingerprint != fingerprint


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), 0.01])
def test_a_weight_that_takes_nothing_is_refused_with_the_file(weight: float, make_file: MakeFile) -> None:
    with pytest.raises(BadMixtureError, match=r"a\.jsonl"):
        Mixture([(make_file("a", 10), weight)])


def test_a_mixture_of_nothing_is_refused(make_file: MakeFile) -> None:
    with pytest.raises(BadMixtureError, match="at least one file"):
        Mixture([])
    with pytest.raises(BadMixtureError, match="takes no sample of the 0"):
        Mixture([(make_file("a", 0), 1.0)])
