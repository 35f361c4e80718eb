"""A picture that comes with a question, as evidence: what the recognisers of indexed pictures say of it."""

import hashlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from indexing.embedding.protocol import Embedder
from indexing.objects.kinds import Thing
from indexing.objects.words import sight_of
from indexing.records import Chunk, Hit

See = Callable[[Image.Image], tuple[Thing, ...]]
"""An RGB picture → the things in it."""
NAME = "your picture"
_LEAST_PROBABILITY, _MOST_LABELS, _MOST_LINES = 0.1, 5, 40


def recognised(image: Image.Image, embedder: Embedder, see: See = lambda picture: ()) -> Hit | None:
    """The things that `see` finds in the picture, its labels and the words in it as a hit that leads all others; None
    where nothing was recognised."""
    picture = image.convert("RGB")
    squares_BHWC = embedder.preprocess.crop(picture)[np.newaxis]
    labels = embedder.embed_images(squares_BHWC).labels[0][:_MOST_LABELS]
    sure = [label for label in labels if label.probability >= _LEAST_PROBABILITY]
    things = see(picture)
    sight = sight_of(things, sure)
    kinds = {thing.kind for thing in things}
    told = ", ".join(label.text for label in sure if label.text not in kinds)
    written = _words(picture)
    text = "\n".join(part for part in (sight.words, told, written) if part)
    if not text:
        return None
    digest = hashlib.sha256(squares_BHWC.tobytes()).hexdigest()
    chunk = Chunk(content_hash=digest, path=NAME, kind="image", ordinal=0, text=text, title=NAME, regions=sight.regions)
    return Hit(chunk=chunk, score=1.0, channels={})


def _words(picture: Image.Image) -> str:
    """Lines that OCR finds in it; none where the packages for that are not installed."""
    try:
        from indexing.readers.image import words_in
    except ImportError:
        return ""
    _, words = words_in(picture)
    return "\n".join(line.text for line in words.lines[:_MOST_LINES]) if words else ""
