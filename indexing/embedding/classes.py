"""ImageNet's thousand classes as words and as sentence vectors.

A class is its short name and a little of its dictionary entry. Encoding all of them takes ten
seconds, so the vectors for the pocket kit's encoder ship with the package; for another encoder
they are made anew at every start. To write them again after a change of the recipe:

    python -m indexing.embedding.classes TEXT_FOLDER

Legend: K classes, D width of a vector.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from indexing.embedding.protocol import Vectors
from indexing.embedding.text import SentenceEncoder

SHIPPED = Path(__file__).with_name("imagenet_minilm.safetensors")
_DEFINITION_WEIGHT = 0.25  # chosen together with the temperature; see pocket.py
_PROBES = 8  # classes encoded at every start, to see that the shipped vectors are this encoder's
_TOLERANCE = 1e-3


def imagenet_classes() -> tuple[list[str], list[str]]:
    """The classes in the order of every ImageNet classifier: short names, and dictionary entries.

    "tiger cat", and "tiger cat: a cat having a striped coat".
    """
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo()
    synsets = info.label_names()
    names = [info.label_name_to_description(synset).split(",")[0] for synset in synsets]
    return names, [info.label_name_to_description(synset, detailed=True) for synset in synsets]


def class_vectors(sentences: SentenceEncoder, names: Sequence[str], entries: Sequence[str]) -> Vectors:
    """(K, D), of unit length; from the shipped file where it was made with this very encoder."""
    from safetensors.numpy import load_file

    shipped_KD: Vectors = load_file(SHIPPED)["class_vectors"]
    probes = np.linspace(0, len(names) - 1, _PROBES).astype(int)
    fresh = encode_classes(sentences, [names[k] for k in probes], [entries[k] for k in probes])
    if shipped_KD.shape == (len(names), sentences.dimensions) and np.allclose(
        shipped_KD[probes], fresh, atol=_TOLERANCE
    ):
        return shipped_KD
    return encode_classes(sentences, names, entries)


def encode_classes(sentences: SentenceEncoder, names: Sequence[str], entries: Sequence[str]) -> Vectors:
    """Mostly the name, whose vector lies where questions lie; the entry tells homonyms apart."""
    mixed_KD = sentences.encode(names) + _DEFINITION_WEIGHT * sentences.encode(entries)
    vectors_KD: Vectors = mixed_KD / np.linalg.norm(mixed_KD, axis=-1, keepdims=True)
    return vectors_KD


def write_shipped(text: Path) -> None:
    """Make the shipped file with the sentence encoder in the folder `text`."""
    from safetensors.numpy import save_file

    vectors_KD = encode_classes(SentenceEncoder(text, device="cpu"), *imagenet_classes())
    save_file({"class_vectors": vectors_KD}, SHIPPED, metadata={"encoder": "all-MiniLM-L6-v2"})


if __name__ == "__main__":
    write_shipped(Path(sys.argv[1]))
