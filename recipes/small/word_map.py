"""Fit the map from multilingual-e5's vectors to MiniLM's, through which kit small searches pictures in many languages.

    python recipes/small/word_map.py --data build/pocket-data --out indexing/embedding/imagenet_e5.safetensors

The pocket kit's joint space of pictures and words was fitted on MiniLM's sentence vectors, which know English alone. A
linear map carries e5's there: ridge regression in closed form, no seed. It learns from what a thing is called:

    ImageNet-21k's 21,843 synsets, "tabby, tabby cat", and some definitions (timm)     e5 of English → MiniLM of it
    1,900 emoji by their names in 12 languages, "Katzengesicht" (CLDR, pinned)         e5 of each → MiniLM of English

No picture is looked at, and no question. 20 minutes on two busy cores. `--held-out` prints how well a name finds its
English one among all emoji.

Legend: N texts, D width of a vector.
"""

import argparse
import json
import logging
import sys
import xml.etree.ElementTree as ElementTree  # of a pinned archive
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexing.embedding.pocket import encode_classes, imagenet_classes
from indexing.embedding.text import SentenceEncoder
from recipes.pocket.fetch import FetchError, fetch, read_sources

log = logging.getLogger(__name__)

LANGUAGES = "en ar de es fr it ja nl pl pt ru zh".split()
_CLDR = "unicode-cldr-core"
_RIDGE = 0.01  # of the vectors' mean square; e5's differ little from each other, so their small directions matter
_LONG, _ONE_IN = 28, 6  # characters; a long text costs as much time as six names
_EMOJI_WEIGHT = 1.0
_HELD_OUT = 10  # one emoji in so many

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A text in any language, and what it means in English."""

    text: str
    english: str
    emoji: str = ""
    language: str = "en"


def synsets() -> list[Pair]:
    """ImageNet-21k's names, the first of each, and definitions; of what is long, one in six."""
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo("imagenet22k")
    texts: list[str] = []
    for label in info.label_names():
        names, _, definition = info.label_name_to_description(label, detailed=True).partition(": ")
        texts += [names.split(",")[0].strip(), definition] if definition else [names]
    distinct = [text for text in dict.fromkeys(texts) if text]
    short = [text for text in distinct if len(text) < _LONG]
    kept = short + [text for text in distinct if len(text) >= _LONG][::_ONE_IN]
    return [Pair(text=text, english=text) for text in kept]


def emoji_names(cldr: Path) -> list[Pair]:
    """Names in every language with the English ones."""
    english = _names(cldr, "en")
    return [
        Pair(text=name, english=english[emoji], emoji=emoji, language=language)
        for language in LANGUAGES
        for emoji, name in _names(cldr, language).items()
        if emoji in english
    ]


def _names(cldr: Path, language: str) -> dict[str, str]:
    """Emoji → its name."""
    (file,) = cldr.rglob(f"common/annotations/{language}.xml")
    entries = ElementTree.parse(file).iter("annotation")
    return {entry.get("cp", ""): entry.text for entry in entries if entry.get("type") == "tts" and entry.text}


def fit(theirs_ND: Array, ours_ND: Array, weights_N: Array) -> tuple[Array, Array]:
    """Map (D, D) and shift (D,), such that theirs @ map + shift is near to ours."""
    share_N = weights_N / weights_N.sum()
    theirs_D, ours_D = share_N @ theirs_ND, share_N @ ours_ND
    from_ND, to_ND = theirs_ND - theirs_D, ours_ND - ours_D
    square_DD = (from_ND * share_N[:, None]).T @ from_ND
    ridge_DD = _RIDGE * np.trace(square_DD) / len(square_DD) * np.eye(len(square_DD))
    map_DD = np.linalg.solve(square_DD + ridge_DD, (from_ND * share_N[:, None]).T @ to_ND)
    return map_DD.astype(np.float32), (ours_D - theirs_D @ map_DD).astype(np.float32)


def encode(encoder: SentenceEncoder, texts: Sequence[str]) -> Array:
    """Each distinct text once."""
    distinct = sorted(set(texts))
    places = {text: place for place, text in enumerate(distinct)}
    vectors_ND = np.empty((len(distinct), encoder.dimensions), np.float32)
    step = 4_096
    for start in range(0, len(distinct), step):
        vectors_ND[start : start + step] = encoder.encode(distinct[start : start + step])
        log.info("%d of %d texts", min(start + step, len(distinct)), len(distinct))
    return vectors_ND[[places[text] for text in texts]]


def score(pairs: Sequence[Pair], mapped_ND: Array, english_ND: Array, asked: Sequence[int]) -> dict[str, float]:
    """By language: how often a name's nearest English name, of all emoji, is its own."""
    all_ED, whose = _distinct([pair.english for pair in pairs], english_ND)
    found: dict[str, list[bool]] = {}
    for index in asked:
        nearest = int(np.argmax(all_ED @ _unit(mapped_ND[index])))
        found.setdefault(pairs[index].language, []).append(nearest == whose[index])
    return {language: round(float(np.mean(hits)), 3) for language, hits in sorted(found.items())}


def _distinct(texts: Sequence[str], vectors_ND: Array) -> tuple[Array, list[int]]:
    places: dict[str, int] = {}
    for text in texts:
        places.setdefault(text, len(places))
    firsts = [texts.index(text) for text in places]
    return vectors_ND[firsts], [places[text] for text in texts]


def _unit(vectors_D: Array) -> Array:
    return vectors_D / np.linalg.norm(vectors_D, axis=-1, keepdims=True)


def write(out: Path, map_DD: Array, shift_D: Array, encoder: SentenceEncoder) -> None:
    """With the encoder's vectors of ImageNet's classes, by which the embedder knows it."""
    from safetensors.numpy import save_file

    classes_KD = encode_classes(encoder, *imagenet_classes())
    halves = {"map": map_DD.astype(np.float16), "class_vectors": classes_KD.astype(np.float16)}
    save_file({**halves, "shift": shift_D}, out, metadata={"from": "multilingual-e5-small", "to": "all-MiniLM-L6-v2"})


def main() -> int:
    """The command."""
    from llava_model.kits import find

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("build/pocket-data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--held-out", action="store_true", help="also fit without one emoji in ten, and score those")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        fetch([source for source in read_sources() if source.name == _CLDR], chosen.data.resolve())
    except FetchError as error:
        log.error("%s", " ".join([str(error), *getattr(error, "__notes__", [])]))
        return 1
    named = emoji_names(chosen.data / "sources" / _CLDR)
    pairs = [*named, *synsets()]
    log.info("%d pairs, %d of them emoji", len(pairs), len(named))
    e5, minilm = (SentenceEncoder(find(kit).path("text"), device="cpu") for kit in ("small", "pocket"))
    theirs_ND, ours_ND = encode(e5, [pair.text for pair in pairs]), encode(minilm, [pair.english for pair in pairs])
    weights_N = np.array([_EMOJI_WEIGHT if pair.emoji else 1.0 for pair in pairs], np.float32)
    if chosen.held_out:
        kinds = sorted({pair.emoji for pair in named})
        held = set(kinds[::_HELD_OUT])
        asked = [index for index, pair in enumerate(named) if pair.emoji in held]
        kept = np.array([pair.emoji not in held for pair in pairs])
        map_DD, shift_D = fit(theirs_ND[kept], ours_ND[kept], weights_N[kept])
        mapped_ND = theirs_ND[: len(named)] @ map_DD + shift_D
        print(json.dumps(score(named, mapped_ND, ours_ND[: len(named)], asked), indent=1))
    write(chosen.out, *fit(theirs_ND, ours_ND, weights_N), e5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
