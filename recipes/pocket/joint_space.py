"""Fit the pocket kit's joint space of pictures and words, on captioned drawings.

    python recipes/pocket/joint_space.py --data build/pocket-data --out joint_space.safetensors

Kernel ridge regression in closed form, no seed needed: from what the frozen classifier saw in a picture to the sentence
vector of its caption (and a little of its tags), and back from a caption to what its pictures look like. Sentence
vectors are relative to the mean class and partly whitened. Every picture of the training sets is stored, projected and
in 8 bits, but for those too close to a held-out one. Beforehand a quarter of the groups of clip art is held back, each
quarter once, and the score on them is printed.

Legend: N pictures, M captions, P inputs, R width after the projection, Q width of looks, D width of a word vector,
E the same, narrowed, K classes.
"""

import argparse
import logging
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexing.embedding.joint_space import NUMBERS, TEMPERATURE, JointSpace
from indexing.embedding.pocket import class_vectors, imagenet_classes
from indexing.embedding.text import SentenceEncoder
from recipes.pocket.features import Array, picture_features
from recipes.pocket.leakage import too_close
from recipes.pocket.samples import caption_of, read_records

log = logging.getLogger(__name__)

SETS = {
    "clipart/train": 1.0,
    "emoji/train": 0.5,
    "fluent/train": 0.5,
    "clipart/other_language": 0.5,
    "flags/train": 0.5,
}  # weight of each
_HELD_OUT = "clipart/held_out"  # looked at only to keep its neighbours out of the fit
_TAGS_ALONE = "clipart/other_language"  # titles nobody asks for in English; the tags are English
_MAX_TAGS = 6
_BLOCKS = ((1280, 1.3), (1000, 1.0), (3 * 320, 1.0), (3 * 112, 1.0), (192, 0.6), (1280, 1.0))
"""Width and weight of features, classes, two stages, colours and the features where they are strongest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Of the fit."""

    sharpness: float = 1.0  # likeness is exp(-sharpness * squared distance)
    ridge: float = 0.1
    whitening: float = 0.25  # power that the spread of words in each direction is divided by
    tags: float = 0.3  # their part in a caption's vector
    classes_weight: float = 3.0  # of the class mixture beside the learned part; less costs photographs their places
    width: int = 304  # R; the kit's own weights stay below 20 MB together
    looks_width: int = 127  # Q; with a sentence vector's 384 and the number of nearness 512
    looks_weight: float = 0.6
    words_width: int = 192  # E, of the words that looks are learned from
    word_sharpness: float = 1.5
    word_ridge: float = 0.3
    nearness_weight: float = 0.3
    parts: int = 4  # of the groups of clip art, each held back once


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """Captioned pictures as the fit sees them."""

    inputs_NP: Array
    classes_ND: Array  # mixture of class vectors
    captions_ND: Array  # unit vectors relative to the mean class, not whitened
    answers_ND: Array  # the same with tags
    weights_N: Array
    groups: list[str]  # "" where the validation part takes none
    names: list[str]

    def some(self, chosen: Any) -> "Pictures":
        """Those with the given indices."""
        return Pictures(
            inputs_NP=self.inputs_NP[chosen],
            classes_ND=self.classes_ND[chosen],
            captions_ND=self.captions_ND[chosen],
            answers_ND=self.answers_ND[chosen],
            weights_N=self.weights_N[chosen],
            groups=[self.groups[index] for index in np.arange(len(self.groups))[chosen]],
            names=[self.names[index] for index in np.arange(len(self.names))[chosen]],
        )


class Words:
    """The sentence encoder and the class vectors, relative to the mean class."""

    def __init__(self, text: Path) -> None:
        self._encoder = SentenceEncoder(text, device="cpu")
        classes_KD = class_vectors(self._encoder, *imagenet_classes())
        self.centre_D: Array = classes_KD.mean(0)
        self.classes_KD: Array = classes_KD - self.centre_D

    def __call__(self, texts: list[str]) -> Array:
        """Plain sentence vectors."""
        distinct = sorted(set(texts))
        vectors = dict(zip(distinct, self._encoder.encode(distinct), strict=True))
        return np.stack([vectors[text] for text in texts])


def fit(pictures: Pictures, text_map_DD: Array, settings: Settings) -> dict[str, Any]:
    """The tensors of the joint space, in 8 and 16 bits where that is enough; `JointSpace` computes with them."""
    shift_P, scale_P = standardisation(pictures.inputs_NP)
    unit_NP = unit((pictures.inputs_NP - shift_P) * scale_P)
    projection = in_bytes(first_axes(unit_NP, np.ones(len(unit_NP)), settings.width).T)
    stored = in_bytes(unit(unit_NP @ back(*projection).T))
    narrow_NR = back(*stored)
    words_ND = unit(pictures.answers_ND @ text_map_DD)
    answers = in_bytes(regress(narrow_NR, words_ND, pictures.weights_N, settings.sharpness, settings.ridge))
    tensors, rows = _looks(narrow_NR, unit(pictures.captions_ND @ text_map_DD), pictures.weights_N, settings)
    rows |= {"projection": projection, "stored": stored, "answers": answers}
    tensors |= {"shift": shift_P, "scale": scale_P, "text_map": text_map_DD.astype(np.float16)}
    for name, (values, factors) in rows.items():
        tensors |= {name: values, f"{name}.factors": factors}
    return tensors | {name: np.array([getattr(settings, name)], dtype=np.float32) for name in NUMBERS}


def _looks(
    narrow_NR: Array, words_ND: Array, weights_N: Array, settings: Settings
) -> tuple[dict[str, Array], dict[str, tuple[Array, Array]]]:
    """From a caption to what its pictures look like; pictures of one caption count as their mean. Tensors, and rows in
    bytes with their factors."""
    centre_R = np.average(narrow_NR, axis=0, weights=weights_N).astype(np.float32)
    looks_RQ = first_axes(unit(narrow_NR - centre_R), weights_N, settings.looks_width).astype(np.float16)
    narrow_DE = first_axes(words_ND, weights_N, settings.words_width).astype(np.float16)
    looks_NQ = unit((narrow_NR - centre_R) @ looks_RQ.astype(np.float32))
    words_NE = unit(words_ND @ narrow_DE.astype(np.float32))
    _, firsts_M, whose_N = np.unique(words_NE.round(4), axis=0, return_index=True, return_inverse=True)
    weights_M = np.bincount(whose_N.ravel(), weights=weights_N).astype(np.float32)
    looks_MQ = np.zeros((len(firsts_M), looks_NQ.shape[1]), dtype=np.float32)
    np.add.at(looks_MQ, whose_N.ravel(), looks_NQ * weights_N[:, None])
    looks_MQ /= weights_M[:, None]
    captions = in_bytes(words_NE[firsts_M])
    pictured = in_bytes(regress(back(*captions), looks_MQ, weights_M, settings.word_sharpness, settings.word_ridge))
    tensors = {"narrow": narrow_DE, "looks.centre": centre_R, "looks": looks_RQ}
    return tensors, {"captions": captions, "pictured": pictured}


def regress(given_NR: Array, wanted_ND: Array, weights_N: Array, sharpness: float, ridge: float) -> Array:
    """Kernel ridge regression's coefficients (N, D); of what is like nothing given it predicts zero, the mean."""
    likeness_NN = kernel(given_NR, given_NR, sharpness)
    likeness_NN[np.diag_indices_from(likeness_NN)] += ridge / weights_N
    solved_ND: Array = np.linalg.solve(likeness_NN, wanted_ND - np.average(wanted_ND, axis=0, weights=weights_N))
    return solved_ND


def first_axes(rows_NR: Array, weights_N: Array, count: int) -> Array:
    """(R, count): the directions in which the rows are largest."""
    _, axes_RR = np.linalg.eigh((rows_NR * weights_N[:, None].astype(np.float32)).T @ rows_NR)
    axes: Array = axes_RR[:, ::-1][:, :count]
    return axes


def standardisation(inputs_NP: Array) -> tuple[Array, Array]:
    """Shift and scale, such that every block of inputs weighs what `_BLOCKS` says, however wide it is."""
    shift_P = inputs_NP.mean(0)
    scales = []
    ends = np.cumsum([width for width, _ in _BLOCKS])
    for block, (width, weight) in zip(np.split(inputs_NP, ends[:-1], axis=1), _BLOCKS, strict=True):
        floor = 0.1 * block.std()  # an input that hardly ever varies is not blown up
        scales.append(weight / (block.std(0) + floor + 1e-6) / np.sqrt(width))
    return shift_P, np.concatenate(scales).astype(np.float32)


def whitening_map(corpus_ND: Array, power: float) -> Array:
    """(D, D), symmetric: directions in which words differ much count less, by that power of their spread."""
    spread_D, axes_DD = np.linalg.eigh(corpus_ND.T @ corpus_ND / len(corpus_ND))
    damped_D = (spread_D + 0.1 * spread_D.mean()) ** -power
    mapped_DD: Array = ((axes_DD * (damped_D / damped_D.mean())) @ axes_DD.T).astype(np.float32)
    return mapped_DD


def kernel(one_NR: Array, other_MR: Array, sharpness: float) -> Array:
    """(N, M): 1 for equal unit vectors."""
    likeness_NM: Array = np.exp((one_NR @ other_MR.T - 1) * (2 * sharpness), dtype=np.float32)
    return likeness_NM


def in_bytes(values_NM: Array) -> tuple[Array, Array]:
    """int8, and for each row the factor that brings it back."""
    factors_N = (np.abs(values_NM).max(1) / 127 + 1e-12).astype(np.float32)
    return np.rint(values_NM / factors_N[:, None]).astype(np.int8), factors_N


def back(values_NM: Array, factors_N: Array) -> Array:
    """What `in_bytes` was given, to within half a step."""
    return values_NM.astype(np.float32) * factors_N[:, None]


def unit(vectors_ND: Array) -> Array:
    """Of length 1."""
    scaled_ND: Array = vectors_ND / np.linalg.norm(vectors_ND, axis=-1, keepdims=True)
    return scaled_ND


def load_set(data: Path, name: str, weight: float, vision: Path, words: Words, tags: float) -> Pictures:
    """A JSONL file's pictures. Of the other language's titles those without tags are left out."""
    file = data / f"{name}.jsonl"
    records: list[Any] = read_records(file)
    if name == _TAGS_ALONE:
        records = [record for record in records if record["tags"]]
    seen = picture_features(vision, [file.parent / r["images"][0] for r in records], data / "cache" / "features")
    captions = [caption_of(record) for record in records]
    tag_texts = [", ".join(r["tags"][:_MAX_TAGS]) or text for r, text in zip(records, captions, strict=True)]
    captions_ND, tags_ND = words(captions), words(tag_texts)
    answers_ND = tags_ND if name == _TAGS_ALONE else (1 - tags) * captions_ND + tags * tags_ND
    groups = [str(record["group"]) if name == "clipart/train" else "" for record in records]
    return Pictures(
        inputs_NP=seen.inputs_NP,
        classes_ND=probabilities(seen.logits_NK) @ words.classes_KD,
        captions_ND=unit(unit(captions_ND) - words.centre_D),
        answers_ND=unit(unit(answers_ND) - words.centre_D),
        weights_N=np.full(len(records), weight, dtype=np.float32),
        groups=groups,
        names=[str(record["id"]).removeprefix("clipart-") for record in records],
    )


def probabilities(logits_NK: Array) -> Array:
    """Softmax at the embedder's temperature."""
    scaled_NK = logits_NK / TEMPERATURE
    powers_NK = np.exp(scaled_NK - scaled_NK.max(-1, keepdims=True))
    shares_NK: Array = powers_NK / powers_NK.sum(-1, keepdims=True)
    return shares_NK


def joined(sets: list[Pictures]) -> Pictures:
    """One after the other."""
    arrays = {name: np.concatenate([getattr(one, name) for one in sets]) for name in _ARRAYS}
    groups, names = ([word for one in sets for word in getattr(one, field)] for field in ("groups", "names"))
    return Pictures(**arrays, groups=groups, names=names)


def clear_of(pictures: Pictures, held_out: Pictures) -> Pictures:
    """Without those too close to a held-out picture, by name or by looks; nothing else of the held-out set is used."""
    shift_P, scale_P = standardisation(pictures.inputs_NP)
    unit_NP, held_MP = (unit((one.inputs_NP - shift_P) * scale_P) for one in (pictures, held_out))
    left_out_N = too_close(pictures.names, unit_NP, held_out.names, held_MP)
    log.info("%d of %d pictures left out: too close to held-out ones", left_out_N.sum(), len(left_out_N))
    return pictures.some(~left_out_N)


_ARRAYS = ("inputs_NP", "classes_ND", "captions_ND", "answers_ND", "weights_N")


def validated(pictures: Pictures, text_map_DD: Array, settings: Settings) -> float:
    """Recall@10 of clip art's own captions, each part of the groups searched in a space fitted on all the rest."""
    groups = sorted({group for group in pictures.groups if group})
    random.Random(1).shuffle(groups)
    part_of = {group: number % settings.parts for number, group in enumerate(groups)}
    parts = np.array([part_of.get(group, -1) for group in pictures.groups])
    scores = []
    for part in range(settings.parts):
        inside = parts == part
        space = joint_space(fit(pictures.some(~inside), text_map_DD, settings))
        _, firsts = np.unique(pictures.captions_ND[inside].round(5), axis=0, return_index=True)  # each caption once
        gallery = pictures.some(np.flatnonzero(inside)[np.sort(firsts)])
        similar = space.queries(gallery.captions_ND) @ embedded(space, gallery).T
        scores.append(float(((similar > np.diag(similar)[:, None]).sum(1) < 10).mean()))
        log.info("part %d: %d drawings, recall@10 %.3f", part + 1, len(similar), scores[-1])
    return sum(scores) / len(scores)


def joint_space(tensors: dict[str, Any]) -> JointSpace:
    """As the product reads it."""
    import torch

    return JointSpace({name: torch.from_numpy(np.ascontiguousarray(each)) for name, each in tensors.items()})


def embedded(space: JointSpace, pictures: Pictures) -> Array:
    """Pictures in the joint space."""
    import torch

    vectors_ND: Array = space.place(torch.from_numpy(pictures.inputs_NP), torch.from_numpy(pictures.classes_ND)).numpy()
    return vectors_ND


def train(data: Path, kit: Path, out: Path, settings: Settings) -> None:
    """Read the sets, validate, fit, and write the file in one step."""
    from safetensors.numpy import save_file

    words = Words(kit / "text")
    pictures = joined([load_set(data, name, w, kit / "vision", words, settings.tags) for name, w in SETS.items()])
    held_out = load_set(data, _HELD_OUT, 0.0, kit / "vision", words, settings.tags)
    pictures = clear_of(pictures, held_out)
    corpus_ND = np.unique(np.concatenate([pictures.captions_ND, unit(words.classes_KD)]).round(6), axis=0)
    text_map_DD = whitening_map(corpus_ND, settings.whitening).astype(np.float16).astype(np.float32)
    score = validated(pictures, text_map_DD, settings)
    log.info("fitting on %d pictures", len(pictures.groups))
    tensors = fit(pictures, text_map_DD, settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}  # safetensors ignores strides
    save_file(
        tensors, partial, metadata={"fit": f"{settings}, recall@10 in parts {score:.3f}"}
    )  # one: the order of several is random
    partial.chmod(0o644)  # safetensors writes for the owner alone
    partial.replace(out)
    log.info("%s: %.2f MB", out, out.stat().st_size / 1e6)


def main() -> int:
    """The command."""
    from llava_model.kits import find

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("build/pocket-data"))
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(chosen.data.resolve(), find("pocket").folder, chosen.out, Settings())
    return 0


if __name__ == "__main__":
    sys.exit(main())
