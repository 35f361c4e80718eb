"""Things in a picture → what is said of it: "2 people, dining table, red car at the left".

The words go where a picture's labels go, and each thing stays a region with a box. Numbers are what a detector saw: it
misses what is small or hidden, so of more than a handful the words only say "many".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from indexing.embedding.protocol import Label
from indexing.objects.kinds import BY_NAME, Thing
from indexing.objects.other_animals import without_other_animals
from indexing.records import Box, Line

_MOST_KINDS = 8
_MOST_COUNTED = 8
_MOST_PLACED = 3
_LEAST_PLACED = 0.02
"""Share of the picture from which a thing's place is worth a word."""
_WIDE = 0.6
"""A thing that is wider stands at no side."""
_SIDES = (0.36, 0.64)
_FRONT = 0.95
"""What reaches so far down, in the middle, stands in front."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What is said of a picture's things."""

    words: str
    """Phrases, largest things first and people before all; "" where nothing was seen."""
    labels: tuple[Label, ...]
    """Its kinds, for the space of words: people where there are several."""
    regions: tuple[Line, ...]
    """Each thing by its kind and colour, with its box."""


def sight_of(things: Sequence[Thing], labels: Sequence[Label] = ()) -> Sight:
    """In words. `labels` are a classifier's, of the whole picture: an animal that they contradict is left out."""
    groups: dict[str, list[Thing]] = {}
    for thing in without_other_animals(things, labels):
        groups.setdefault(thing.kind, []).append(thing)
    ordered = sorted(groups.values(), key=lambda group: (group[0].kind != "person", -max(map(_area, group))))
    ordered = ordered[:_MOST_KINDS]
    placed = sorted((group[0] for group in ordered if len(group) == 1), key=lambda thing: -_area(thing))[:_MOST_PLACED]
    phrases = [_phrase(group, with_place=group[0] in placed) for group in ordered]
    return Sight(
        words=", ".join(phrases),
        labels=tuple(Label(text=_name(group), probability=max(thing.score for thing in group)) for group in ordered),
        regions=tuple(
            Line(text=f"{thing.colour} {thing.kind}".strip(), box=thing.box) for group in ordered for thing in group
        ),
    )


def is_named(region: str, sentence: str) -> bool:
    """Whether a sentence speaks of a region's kind, be it of one or of several."""
    kind = next((name for name in BY_NAME if region == name or region.endswith(f" {name}")), region)
    names = {kind, BY_NAME[kind].plural} if kind in BY_NAME else {kind}
    return any(re.search(rf"\b{re.escape(name)}\b", sentence, re.IGNORECASE) for name in names)


def _phrase(group: Sequence[Thing], *, with_place: bool) -> str:
    if len(group) == 1:
        (thing,) = group
        place = _place(thing.box) if with_place and _area(thing) >= _LEAST_PLACED else ""
        return f"{thing.colour} {thing.kind} {place}".strip()
    colours = {thing.colour for thing in group}
    colour = colours.pop() if len(colours) == 1 else ""
    number = str(len(group)) if len(group) <= _MOST_COUNTED else "many"
    return " ".join(filter(None, (number, colour, _name(group))))


def _name(group: Sequence[Thing]) -> str:
    kind = group[0].kind
    return kind if len(group) == 1 else BY_NAME[kind].plural


def _place(box: Box) -> str:
    x0, _, x1, y1 = box
    middle = (x0 + x1) / 2
    if x1 - x0 > _WIDE:
        return ""
    if middle < _SIDES[0]:
        return "at the left"
    if middle > _SIDES[1]:
        return "at the right"
    return "in front" if y1 > _FRONT else "in the middle"


def _area(thing: Thing) -> float:
    x0, y0, x1, y1 = thing.box
    return (x1 - x0) * (y1 - y0)
