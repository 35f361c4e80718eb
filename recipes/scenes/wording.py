"""A scene → instruction data of LLaVA's three response types, by template, every answer true of the scene.

conversation   short questions with a definite answer: what, how many, which colour, where, left of what
detail         one question for a full description, and the description
complex        one question that needs a step of thought, and an answer that takes it before it answers
"""

import random
from collections.abc import Callable, Sequence

from recipes.scenes.scene import COLOURS, PLACES, SHAPES, Scene, Thing

Turn = tuple[str, str]  # question, answer

_NUMBERS = ("no", "one", "two", "three", "four")
_DESCRIBE = (
    "Describe this picture in detail.",
    "What can be seen in the picture? Describe everything.",
    "Give a full account of what is drawn here.",
    "Tell me about this picture, with all its parts.",
    "Please describe every shape in the image and where it is.",
    "Write a thorough description of the drawing.",
)
_BESIDE = {"top left": "top right", "bottom left": "bottom right"}
_BELOW = {"top left": "bottom left", "top right": "bottom right"}


def caption(scene: Scene) -> str:
    """ "a large red circle in the top left and a small blue square in the top right"."""
    return _listed([f"{_a(f'{thing.size} {thing.name}')} in the {thing.place}" for thing in scene.things])


def conversation(scene: Scene, draw: random.Random, turns: int = 5) -> list[Turn]:
    """Questions that do not lean on each other, no two the same."""
    asks: list[Callable[[Scene, random.Random], Turn | None]] = [
        _how_many, _how_many_of, _which_colour, _which_shape, _is_there, _where, _size, _side,
    ]  # fmt: skip
    found: dict[str, str] = {}
    for ask in draw.sample(asks, len(asks)):
        turn = ask(scene, draw)
        if turn is not None:
            found.setdefault(*turn)
    return list(found.items())[:turns]


def detail(scene: Scene, draw: random.Random) -> Turn:
    """All things with size, colour and place, then how they lie to each other."""
    count = len(scene.things)
    first = (
        f"The picture shows {_NUMBERS[count]} {_plural('shape', count)} on a light background.",
        f"On a light background there {'is' if count == 1 else 'are'} {_NUMBERS[count]} {_plural('shape', count)}.",
    )
    parts = [f"{_a(f'{thing.size} {thing.name}')} is in the {thing.place}" for thing in scene.things]
    told = _listed(parts)
    relations = [f"The {left.name} is to the left of the {right.name}." for left, right in _pairs(scene, _BESIDE)]
    relations += [f"The {above.name} is above the {below.name}." for above, below in _pairs(scene, _BELOW)]
    empty = [place for place in PLACES if scene.at(place) is None]
    last = f"The {_listed(empty)} {'is' if len(empty) == 1 else 'are'} empty." if empty else "No corner is empty."
    return draw.choice(_DESCRIBE), " ".join([draw.choice(first), f"{told[0].upper()}{told[1:]}.", *relations, last])


def complex_question(scene: Scene, draw: random.Random) -> Turn:
    """One question of thought."""
    asks: list[Callable[[Scene, random.Random], Turn | None]] = [_taken_away, _mirrored, _more, _opposite]
    for ask in draw.sample(asks, len(asks)):
        turn = ask(scene, draw)
        if turn is not None:
            return turn
    raise AssertionError("a scene always has a thing that can be mirrored")


# -- conversation ------------------------------------------------------------------------------------------------------


def _how_many(scene: Scene, draw: random.Random) -> Turn:
    return draw.choice(("How many shapes are there?", "How many shapes does the picture show?")), _number(
        len(scene.things)
    )


def _how_many_of(scene: Scene, draw: random.Random) -> Turn:
    shape = draw.choice(SHAPES)
    return f"How many {shape}s are there?", _number(scene.count(shape))


def _which_colour(scene: Scene, draw: random.Random) -> Turn:
    thing = draw.choice(scene.things)
    return f"What colour is the shape in the {thing.place}?", f"{thing.colour.capitalize()}."


def _which_shape(scene: Scene, draw: random.Random) -> Turn:
    thing = draw.choice(scene.things)
    return f"Which shape is in the {thing.place}?", f"A {thing.shape}."


def _is_there(scene: Scene, draw: random.Random) -> Turn:
    """Yes as often as no."""
    thing = draw.choice(scene.things)
    if draw.random() < 0.5:
        return f"Is there {_a(thing.name)}?", "Yes."
    held = {each.name for each in scene.things}
    other = draw.choice([f"{c} {s}" for c in COLOURS for s in SHAPES if f"{c} {s}" not in held])
    return f"Is there {_a(other)}?", "No."


def _where(scene: Scene, draw: random.Random) -> Turn:
    thing = draw.choice(scene.things)
    return f"Where is the {thing.name}?", f"In the {thing.place}."


def _size(scene: Scene, draw: random.Random) -> Turn:
    thing = draw.choice(scene.things)
    return f"Is the {thing.name} small or large?", f"{thing.size.capitalize()}."


def _side(scene: Scene, draw: random.Random) -> Turn | None:
    pairs = _pairs(scene, _BESIDE)
    if not pairs:
        return None
    left, right = draw.choice(pairs)
    asked, other = draw.choice(((left, right), (right, left)))
    return f"Is the {asked.name} to the left of the {other.name}?", "Yes." if asked is left else "No."


# -- complex -----------------------------------------------------------------------------------------------------------


def _taken_away(scene: Scene, draw: random.Random) -> Turn:
    shape = draw.choice([thing.shape for thing in scene.things])
    all_, gone = len(scene.things), scene.count(shape)
    question = f"If every {shape} were taken away, how many shapes would be left?"
    return question, (
        f"There {'is' if all_ == 1 else 'are'} {_NUMBERS[all_]} {_plural('shape', all_)}, and {_NUMBERS[gone]} of them "
        f"{'is a' if gone == 1 else 'are'} {_plural(shape, gone)}. Without {'it' if gone == 1 else 'them'}, "
        f"{_NUMBERS[all_ - gone]} {_plural('shape', all_ - gone)} would be left."
    )


def _mirrored(scene: Scene, draw: random.Random) -> Turn:
    thing = draw.choice(scene.things)
    up, side = thing.place.split()
    other = "left" if side == "right" else "right"
    question = f"If the picture were seen in a mirror, where would the {thing.name} be?"
    return question, (
        f"The {thing.name} is in the {thing.place}. A mirror swaps left and right and leaves up and down as they are, "
        f"so it would be in the {up} {other}."
    )


def _more(scene: Scene, draw: random.Random) -> Turn:
    one, two = draw.sample(SHAPES, 2)
    first, second = scene.count(one), scene.count(two)
    verdict = (
        f"so there are more {one}s than {two}s" if first > second
        else f"so there are fewer {one}s than {two}s" if first < second
        else f"so there are as many {one}s as {two}s"
    )  # fmt: skip
    return f"Are there more {one}s or more {two}s?", (
        f"The picture has {_NUMBERS[first]} {_plural(one, first)} and {_NUMBERS[second]} {_plural(two, second)}, "
        f"{verdict}."
    )


def _opposite(scene: Scene, draw: random.Random) -> Turn | None:
    """The shape in the corner across."""
    pairs = [
        (one, two) for one in scene.things for two in scene.things
        if all(a != b for a, b in zip(one.place.split(), two.place.split(), strict=True))
    ]  # fmt: skip
    if not pairs:
        return None
    one, two = draw.choice(pairs)
    return f"What lies in the corner opposite to the {one.name}?", (
        f"The {one.name} is in the {one.place}, and the corner opposite to it is the {two.place}. "
        f"There lies {_a(two.name)}."
    )


# -- words -------------------------------------------------------------------------------------------------------------


def _pairs(scene: Scene, neighbours: dict[str, str]) -> list[tuple[Thing, Thing]]:
    found = [(scene.at(one), scene.at(other)) for one, other in neighbours.items()]
    return [(one, other) for one, other in found if one is not None and other is not None]


def _number(count: int) -> str:
    return "None." if count == 0 else f"{_NUMBERS[count].capitalize()}."


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _a(words: str) -> str:
    return f"a {words}"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts))
