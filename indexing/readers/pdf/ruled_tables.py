"""Where rules and filled bands say that a table may be: grids, and stretches between horizontal rules.

Boxes and rules are fractions of the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexing.readers.reading_order import Piece, levels
from indexing.records import Box

NEAR = 0.006

Rule = tuple[float, float, float]
"""Position, start and end."""

Candidate = tuple[Box, tuple[float, ...], tuple[float, ...]]
"""Where a table may be, the x of its column rules and the y of its row rules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Thin lines on a page, and the edges of filled bands: (y, x0, x1) and (x, y0, y1)."""

    horizontal: tuple[Rule, ...] = ()
    vertical: tuple[Rule, ...] = ()


def candidates(rules: Rules, pieces: Sequence[Piece]) -> list[Candidate]:
    """Grids, and stretches between horizontal rules of one width; one inside another is one table."""
    horizontal = _end_to_end(rules.horizontal)[:300]
    vertical = _end_to_end(rules.vertical)[:300]
    whole: list[Candidate] = []
    found = [*_between_rules(horizontal, pieces), *_grids(horizontal, vertical)]
    for box, columns, ys in sorted(found, key=lambda each: -_area(each[0])):
        for index, (other, its_columns, its_ys) in enumerate(whole):
            if _area(_overlap(box, other)) > 0.8 * _area(box):
                joined = _distinct([*its_columns, *columns]), _distinct([*its_ys, *ys])
                whole[index] = (other, *joined)
                break
        else:
            whole.append((box, columns, ys))
    return whole


def _end_to_end(rules: Sequence[Rule]) -> list[Rule]:
    """Rules that are drawn cell by cell, as one; (position, start, end)."""
    joined: list[Rule] = []
    for position, start, end in sorted(rules)[:4_000]:
        for index in range(len(joined) - 1, max(-1, len(joined) - 40), -1):
            other, its_start, its_end = joined[index]
            near = position - other <= NEAR / 2
            if near and start <= its_end + NEAR and end >= its_start - NEAR:
                joined[index] = (other, min(start, its_start), max(end, its_end))
                break
        else:
            joined.append((position, start, end))
    return joined


def _grids(horizontal: Sequence[Rule], vertical: Sequence[Rule]) -> list[Candidate]:
    """Connected groups of crossing rules."""
    groups: list[tuple[set[int], set[int]]] = []
    for v, (x, y0, y1) in enumerate(vertical):
        crossing = {
            h for h, (y, x0, x1) in enumerate(horizontal) if x0 - NEAR <= x <= x1 + NEAR and y0 - NEAR <= y <= y1 + NEAR
        }
        if not crossing:
            continue
        merged = (crossing, {v})
        apart = []
        for group in groups:
            if group[0] & merged[0]:
                merged = (merged[0] | group[0], merged[1] | group[1])
            else:
                apart.append(group)
        groups = [*apart, merged]
    found: list[Candidate] = []
    for across, down in groups:
        ys = _distinct([horizontal[h][0] for h in across])
        long = [vertical[v] for v in down if vertical[v][2] - vertical[v][1] >= 0.4 * (ys[-1] - ys[0])]
        xs = _distinct([x for x, _, _ in long])
        if len(xs) >= 2 and len(ys) >= 2 and len(xs) + len(ys) >= 5:
            x0, x1 = (pick(horizontal[h][end] for h in across) for pick, end in ((min, 1), (max, 2)))
            found.append(((min(x0, xs[0]), ys[0], max(x1, xs[-1]), ys[-1]), xs, ys))
    return found


def _between_rules(horizontal: Sequence[Rule], pieces: Sequence[Piece]) -> list[Candidate]:
    """Horizontal rules of one width above each other, as in books: top, under the header, bottom.

    Running text between two of them parts one table from the next.
    """
    found: list[Candidate] = []
    left = list(horizontal)
    while left:
        first = left[0]
        alike = [r for r in left if abs(r[1] - first[1]) < 0.01 and abs(r[2] - first[2]) < 0.01]
        left = [r for r in left if r not in alike]
        if first[2] - first[1] <= 0.1:
            continue
        for ys in _unbroken(_distinct([r[0] for r in alike]), first, pieces):
            height = ys[-1] - ys[0]
            is_frame = len(ys) == 2 and height > 0.75
            if len(ys) >= 2 and height > 0.02 and not is_frame:
                found.append(((first[1], ys[0], first[2], ys[-1]), (), ys))
    return found


def _unbroken(ys: Sequence[float], rule: Rule, pieces: Sequence[Piece]) -> Iterator[tuple[float, ...]]:
    run = [ys[0]]
    for above, below in pairwise(ys):
        if _is_running_text((rule[1], above, rule[2], below), pieces):
            yield tuple(run)
            run = []
        run.append(below)
    yield tuple(run)


def _is_running_text(box: Box, pieces: Sequence[Piece]) -> bool:
    """Most lines begin at the left edge and go on without a gap for most of the width."""
    x0, _, x1, _ = box
    lines = levels([piece for piece in pieces if middle_in(piece.box, box)])
    long = [
        line
        for line in lines
        if len(line) == 1
        and line[0].box[0] < x0 + 0.1 * (x1 - x0)
        and line[0].box[2] - line[0].box[0] >= 0.6 * (x1 - x0)
    ]
    return len(lines) >= 2 and 2 * len(long) >= len(lines)


def middle_in(inner: Box, outer: Box) -> bool:
    """True when the middle of the one lies in the other, or hardly outside of it."""
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] - NEAR <= x <= outer[2] + NEAR and outer[1] - NEAR <= y <= outer[3] + NEAR


def _overlap(box: Box, other: Box) -> Box:
    x0, y0, x1, y1 = max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3])
    return (x0, y0, max(x0, x1), max(y0, y1))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _distinct(values: Sequence[float]) -> tuple[float, ...]:
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > NEAR:
            kept.append(value)
    return tuple(kept)
