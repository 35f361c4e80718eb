"""Animals that COCO has no kind for are taken for one that it has: a hedgehog for a sheep, a lizard for a bird.

ImageNet's classifier, where a kit has one, knows four hundred animals. Where it is sure of an animal, the kind of the
largest animal in the picture has to be that animal's, or it is not said.
"""

from collections.abc import Sequence
from functools import cache

from indexing.embedding.protocol import Label
from indexing.objects.kinds import Thing

_ANIMALS = range(398)
_CLASSES: dict[str, tuple[range, ...]] = {
    "bird": (range(7, 25), range(80, 101), range(127, 147)),
    "dog": (range(151, 276),),
    "cat": (range(281, 286),),
    "bear": (range(294, 298),),
    "horse": (range(339, 340),),
    "zebra": (range(340, 341),),
    "cow": (range(345, 348),),
    "sheep": (range(348, 350),),
    "elephant": (range(101, 102), range(385, 387)),
}
"""Numbers of ImageNet's classes that COCO's kinds hold; it has none for giraffes."""
_OTHER = "another animal"
_SURE, _POSSIBLE = 0.5, 0.1
"""Probability of all animals together from which one is seen, and of a kind's own classes from which it may be it."""


def without_other_animals(things: Sequence[Thing], labels: Sequence[Label]) -> tuple[Thing, ...]:
    """The things without the largest animal's kind, where the classifier is sure that it is something else."""
    animals = [thing for thing in things if thing.kind in _CLASSES]
    if not animals or not labels:
        return tuple(things)
    probability = dict.fromkeys([*_CLASSES, _OTHER], 0.0)
    for label in labels:
        kind = _kinds_of_classes().get(label.text)
        if kind is not None:
            probability[kind] += label.probability
    largest = max(animals, key=lambda thing: (thing.box[2] - thing.box[0]) * (thing.box[3] - thing.box[1])).kind
    if sum(probability.values()) < _SURE or probability[largest] >= _POSSIBLE:
        return tuple(things)
    return tuple(thing for thing in things if thing.kind != largest)


@cache
def _kinds_of_classes() -> dict[str, str]:
    """A class's short name, as labels have it → the kind that holds it."""
    from indexing.embedding.pocket import imagenet_classes

    names, _ = imagenet_classes()
    kinds = {number: kind for kind, ranges in _CLASSES.items() for part in ranges for number in part}
    return {names[number]: kinds.get(number, _OTHER) for number in _ANIMALS}
