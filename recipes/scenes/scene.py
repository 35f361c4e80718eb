"""Drawn scenes whose every fact is known: up to four coloured shapes, one in each corner of the picture.

    Scene(things=(Thing(shape="circle", colour="red", size="large", place="top left"), …))

What can be said of a scene follows from these values alone, so that every answer made from it is true.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

SHAPES = ("circle", "square", "triangle")
COLOURS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")
SIZES = ("small", "large")
PLACES = ("top left", "top right", "bottom left", "bottom right")

_COUNTS = {1: 1, 2: 3, 3: 4, 4: 3}
"""How many things a scene holds, and how often."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """One shape. `name` is what it is called where no other thing has that shape and colour."""

    shape: str
    colour: str
    size: str
    place: str

    @property
    def name(self) -> str:
        """ "red circle"."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True, slots=True)
class Scene:
    """Things in reading order of their places; no two have shape and colour in common."""

    things: tuple[Thing, ...]

    def at(self, place: str) -> Thing | None:
        """What lies in that corner."""
        return next((thing for thing in self.things if thing.place == place), None)

    def count(self, shape: str) -> int:
        """How many things have this shape."""
        return sum(thing.shape == shape for thing in self.things)


def a_scene(draw: random.Random) -> Scene:
    """A scene by chance."""
    count = draw.choices(list(_COUNTS), list(_COUNTS.values()))[0]
    places = sorted(draw.sample(PLACES, count), key=PLACES.index)
    kinds = draw.sample([(shape, colour) for shape in SHAPES for colour in COLOURS], count)
    return Scene(
        tuple(
            Thing(shape=shape, colour=colour, size=draw.choice(SIZES), place=place)
            for place, (shape, colour) in zip(places, kinds, strict=True)
        )
    )


def scenes(seed: int) -> Iterator[Scene]:
    """Scenes without end, no two alike."""
    draw = random.Random(seed)
    seen: set[Scene] = set()
    while True:
        scene = a_scene(draw)
        if scene not in seen:
            seen.add(scene)
            yield scene
