"""Things that share a key or are paired belong to one group, and so do their partners' partners."""

from collections.abc import Iterable, Sequence


def grouped(keys: Sequence[Iterable[str]], pairs: Iterable[tuple[int, int]] = ()) -> list[int]:
    """A group's number for each thing: the index of the group's first member.

    `grouped([["cat"], ["dog"], ["dog", "wolf"]], [])` → `[0, 1, 1]`.
    """
    parents = list(range(len(keys)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    def join(one: int, other: int) -> None:
        low, high = sorted((root(one), root(other)))
        parents[high] = low

    first: dict[str, int] = {}
    for index, named in enumerate(keys):
        for key in named:
            join(first.setdefault(key, index), index)
    for one, other in pairs:
        join(one, other)
    return [root(index) for index in range(len(keys))]
