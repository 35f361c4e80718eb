"""What is kept of prompts: the longest common beginning is found, and the longest unused goes first."""

import random

import pytest
import torch

from llava_model.serving.prefixes import Kept, Layers, Path, PrefixPool, common, hold, layers_of, length, release

BYTES = 2 * 4  # a key and a value of one number each


def numbers(keys: list[int]) -> Layers:
    """Keys and values that tell their position's key, so that a wrong place would show."""
    tensor_GSD = torch.tensor(keys, dtype=torch.float32).view(1, -1, 1)
    return [(tensor_GSD, tensor_GSD + 0.5)]


def keep(pool: PrefixPool, keys: list[int]) -> Path:
    return pool.keep(keys, lambda start: numbers(keys[start:]))


def shown(path: Path) -> list[int]:
    return [int(key) for key in layers_of(path)[0][0].flatten()] if path else []


def test_the_longest_common_beginning_wins() -> None:
    pool = PrefixPool(10_000)
    keep(pool, [1, 2, 3])
    keep(pool, [1, 2, 4, 5, 6])
    keep(pool, [7, 8])
    for asked, expected in (
        ([1, 2, 4, 5, 9], [1, 2, 4, 5]),
        ([1, 2, 3, 9], [1, 2, 3]),
        ([1, 9], [1]),
        ([7, 8], [7, 8]),
        ([9], []),
    ):
        assert shown(pool.find(asked)) == expected


def test_only_what_is_new_is_kept() -> None:
    pool = PrefixPool(10_000)
    first = keep(pool, [1, 2, 3, 4])
    again = keep(pool, [1, 2, 3, 4])
    second = keep(pool, [1, 2, 9])
    assert again == first and pool.bytes == 5 * BYTES
    assert second == ((first[0][0], 2), (second[1][0], 1))


@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_finds_what_a_plain_comparison_finds(seed: int) -> None:
    rng, pool, kept = random.Random(seed), PrefixPool(100_000), list[list[int]]()
    for _ in range(40):
        keys = [rng.randrange(3) for _ in range(rng.randrange(1, 25))]
        if kept and rng.random() < 0.5:
            keys = rng.choice(kept) + keys
        best = max((common(tuple(keys), tuple(other)) for other in kept), default=0)
        found = pool.find(keys)
        assert length(found) == best and shown(found) == keys[:best]
        assert shown(keep(pool, keys)) == keys
        kept.append(keys)


def test_a_conversation_of_many_turns_is_written_together_in_the_end() -> None:
    pool, keys = PrefixPool(10_000), list[int]()
    parts = []
    for turn in range(20):
        keys += [turn, turn]
        parts.append(len(keep(pool, keys)))
    assert max(parts) <= 7 and shown(pool.find(keys)) == keys


def test_the_longest_unused_goes_first_but_not_what_others_go_on_from() -> None:
    pool = PrefixPool(8 * BYTES)
    keep(pool, [1, 2, 3])
    keep(pool, [1, 2, 3, 4, 5])  # goes on from the first
    keep(pool, [6, 7, 8])
    pool.find([6])
    keep(pool, [9])
    assert pool.bytes <= 8 * BYTES
    assert length(pool.find([1, 2, 3, 4, 5])) == 3 and length(pool.find([6, 7, 8])) == 3


def test_what_is_in_use_stays() -> None:
    pool = PrefixPool(3 * BYTES)
    path = keep(pool, [1, 2, 3])
    hold(path)
    keep(pool, [4, 5, 6])
    assert length(pool.find([1, 2, 3])) == 3
    release(path)
    keep(pool, [7])
    assert pool.bytes <= 3 * BYTES


def test_nothing_is_found_behind_a_beginning_that_differs() -> None:
    pool = PrefixPool(10_000)
    keep(pool, [1, 2, 3])
    keep(pool, [1, 2, 3, 4])
    assert shown(pool.find([1, 9, 3, 4])) == [1]
    pool.clear()
    assert pool.find([1]) == () and isinstance(keep(pool, [1])[0][0], Kept)
