"""COCO's eighty kinds of things in the order of every detector trained on it, and how one speaks of them."""

from dataclasses import dataclass

from indexing.records import Box


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """One thing that was seen."""

    kind: str
    """One of COCO's eighty, in the singular."""
    score: float
    """The network's estimate, 0..1, of kind and box together."""
    box: Box
    colour: str = ""
    """Its main colour, where that is said of its kind and one stands out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of thing."""

    name: str
    """In the singular; of scissors and skis in the plural, as one says them."""
    plural: str
    is_coloured: bool = False
    """Whether the colours in its box are its own, and tell it from others: a car, not a bicycle or a pizza."""
    is_animal: bool = False
    """Of its colours only those of furs and feathers are said; green and blue are what it stands on."""


_NAMES = (
    "person, bicycle, car*, motorcycle*, airplane*, bus*, train*, truck*, boat*, traffic light, fire hydrant*, "
    "stop sign, parking meter, bench*, bird~, cat~, dog~, horse~, sheep~, cow~, elephant, bear~, zebra, giraffe, "
    "backpack*, umbrella*, handbag*, tie*, suitcase*, frisbee*, skis, snowboard*, sports ball*, kite*, baseball bat, "
    "baseball glove, skateboard, surfboard*, tennis racket, bottle*, wine glass, cup*, fork, knife, spoon, bowl*, "
    "banana, apple*, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair*, couch*, potted plant, "
    "bed*, dining table, toilet, TV, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, "
    "refrigerator*, book*, clock, vase*, scissors, teddy bear*, hair drier, toothbrush"
)
"""`*` has colours of its own, `~` is an animal with them."""
_PLURALS = {
    "person": "people",
    "knife": "knives",
    "mouse": "mice",
    **{name: name for name in ("sheep", "skis", "scissors", "broccoli")},
}


def plural_of(name: str) -> str:
    """Of a kind's name.

    >>> plural_of("wine glass"), plural_of("person"), plural_of("couch")
    ('wine glasses', 'people', 'couches')
    """
    if name in _PLURALS:
        return _PLURALS[name]
    return f"{name}es" if name.endswith(("s", "sh", "ch")) else f"{name}s"


def _kind(written: str) -> Kind:
    name = written.rstrip("*~")
    is_animal = written.endswith("~")
    return Kind(name=name, plural=plural_of(name), is_coloured=is_animal or written != name, is_animal=is_animal)


KINDS = tuple(_kind(each) for each in _NAMES.split(", "))
BY_NAME = {kind.name: kind for kind in KINDS}
