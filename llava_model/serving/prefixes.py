"""Beginnings of prompts whose keys and values are kept, so that what several prompts share is computed once.

Kept stretches form a tree: each holds some positions, and says after which others they were read. A prompt takes the
longest way through the tree that it begins with; only what comes behind is read, and kept as a stretch of its own.

    system text + evidence + question 1      one stretch
    system text + evidence + question 2      a part of that stretch, then a stretch for the second question

Legend: G key heads, S positions, D width of a head.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from llava_model.serving.generate import Key

Layers = list[tuple[torch.Tensor, torch.Tensor]]  # keys_GSD and values_GSD of each layer


@dataclass(eq=False, slots=True)
class Kept:
    """A stretch of positions, read after those of `before`."""

    before: "Path"
    keys: tuple[Key, ...]
    layers: Layers
    used: int = 0  # larger is later
    readers: int = 0  # requests that run on it

    @property
    def bytes(self) -> int:
        """What its keys and values take."""
        return sum(tensor.nbytes for pair in self.layers for tensor in pair)


Path = tuple[tuple[Kept, int], ...]
"""Stretches one after the other, and how many of each one's positions count."""

_MOST_PARTS = 6
"""A way of more parts is written together, because every part costs each step some calls."""


def length(path: Path) -> int:
    """Positions of the whole way."""
    return sum(count for _, count in path)


def layers_of(path: Path) -> Layers:
    """The whole way in one piece (a copy, unless it is one part)."""
    parts = [[(k_GSD[:, :n], v_GSD[:, :n]) for k_GSD, v_GSD in kept.layers] for kept, n in path]
    if len(parts) == 1:
        return parts[0]
    return [
        (torch.cat([k_GSD for k_GSD, _ in pairs], 1), torch.cat([v_GSD for _, v_GSD in pairs], 1))
        for pairs in zip(*parts, strict=True)
    ]


class PrefixPool:
    """What is kept, up to `most_bytes`; the longest unused goes first. Used by one thread."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: list[Kept] = []
        self._clock = itertools.count(1)

    @property
    def bytes(self) -> int:
        """What all that is kept takes."""
        return sum(kept.bytes for kept in self._kept)

    def find(self, keys: Sequence[Key]) -> Path:
        """The longest kept way that `keys` begin with."""
        wanted, found = tuple(keys), dict[Kept, int]()
        best: Path = ()
        for kept in self._kept:
            way = _way(kept, wanted, found)
            if length(way) > length(best):
                best = way
        for kept, _ in best:
            kept.used = next(self._clock)
        return best

    def keep(self, keys: Sequence[Key], layers_from: Callable[[int], Layers]) -> Path:
        """Keep the positions of `keys` that are not kept yet → the way to all of them.

        `layers_from(n)` gives the keys and values of all positions from n on, in tensors that nobody else changes.
        """
        path = self.find(keys)
        known = length(path)
        if known == len(keys):
            return path
        if len(path) >= _MOST_PARTS:
            behind = layers_from(known)
            layers = [
                (torch.cat([k, more_k], 1), torch.cat([v, more_v], 1))
                for (k, v), (more_k, more_v) in zip(layers_of(path), behind, strict=True)
            ]
            path, known = (), 0
        else:
            layers = layers_from(known)
        kept = Kept(path, tuple(keys[known:]), layers, used=next(self._clock))
        self._kept.append(kept)
        self._make_room()
        return (*path, (kept, len(kept.keys)))

    def clear(self) -> None:
        """Forget everything; what runs keeps its own."""
        self._kept.clear()

    def _make_room(self) -> None:
        """A stretch goes only if nothing runs on it and nothing was read after it."""
        excess = self.bytes - self._most_bytes
        while excess > 0:
            inner = {part for kept in self._kept for part, _ in kept.before}
            free = [kept for kept in self._kept if not kept.readers and kept not in inner]
            if not free:
                return
            oldest = min(free, key=lambda kept: kept.used)
            self._kept.remove(oldest)
            excess -= oldest.bytes


def hold(path: Path) -> None:
    """A request runs on these positions from now on."""
    for kept, _ in path:
        kept.readers += 1


def release(path: Path) -> None:
    """It does no longer."""
    for kept, _ in path:
        kept.readers -= 1


def _way(kept: Kept, wanted: tuple[Key, ...], found: dict[Kept, int]) -> Path:
    """The way to as much of this stretch as `wanted` has; () if it has not all that comes before."""
    for part, count in kept.before:
        _match(part, wanted, found)
        if found[part] < count:
            return ()
    count = _match(kept, wanted, found)
    return (*kept.before, (kept, count)) if count else ()


def _match(kept: Kept, wanted: tuple[Key, ...], found: dict[Kept, int]) -> int:
    """How many of the stretch's keys stand in `wanted` at the stretch's own place."""
    if kept not in found:
        start = length(kept.before)
        found[kept] = common(kept.keys, wanted[start : start + len(kept.keys)])
    return found[kept]


def common(one: tuple[Key, ...], other: tuple[Key, ...]) -> int:
    """How many keys both begin with. Halving compares whole tuples, which Python does fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
