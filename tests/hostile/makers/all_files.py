"""The files of one run: every crafted one, and mutations until the number is reached."""

from collections.abc import Iterator
from itertools import chain, islice

from makers import (
    HostileFile,
    World,
    bombs,
    mails,
    markup,
    mutations,
    nested,
    office,
    pdfs,
    pictures,
    places,
    postscript,
    punctuation,
    words,
)

_CRAFTED = (postscript, pictures, bombs, pdfs, nested, punctuation, words, mails, markup, office, places)


def hostile_files(world: World, *, number: int, only: str = "") -> Iterator[HostileFile]:
    """In a folder for each kind. Of the crafted ones a random part where fewer are wanted than there are; `only` keeps
    the kinds whose name contains it."""
    crafted = [file for maker in _CRAFTED for file in maker.attacks(world) if only in file.kind]
    if len(crafted) > number:
        crafted = world.random.sample(crafted, number)
    wanted = [kind for kind in mutations.kinds() if only in kind]
    mutated = (file for file in mutations.attacks(world) if file.kind in wanted) if wanted else ()
    return chain(crafted, islice(mutated, number - len(crafted)))
