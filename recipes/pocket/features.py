"""Pictures → what the pocket kit's frozen network sees in them, kept on disk: 20 ms a picture are spent once.

Legend: N pictures, V views, F features of the network (1280), K ImageNet's classes.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]
_BATCH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """What the network gives for each view of each picture."""

    features_VNF: Array
    logits_VNK: Array


def _as_it_is(picture: Image.Image) -> Image.Image:
    return picture


def _smaller(picture: Image.Image) -> Image.Image:
    """A third wider and higher through a white border, as drawings stand on a page."""
    return ImageOps.expand(picture, border=(picture.width // 6, picture.height // 6), fill="white")


def _squared(picture: Image.Image) -> Image.Image:
    """Bordered to a square, so that the centre crop keeps more of a wide or high picture."""
    side = max(picture.size)
    return ImageOps.pad(picture, (side, side), color="white")


VIEWS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": _as_it_is,  # the first view is the product's own; the others are for training
    "mirrored": ImageOps.mirror,
    "smaller": _smaller,
    "squared": _squared,
}


def picture_features(vision: Path, files: Sequence[Path], cache: Path, *, views: Sequence[str]) -> Features:
    """Features and logits of every view, from `cache` where they were made before from the same pictures."""
    made: list[tuple[Array, Array]] = []
    for view in views:
        stored = cache / f"{_fingerprint(vision, files, view)}.npz"
        if not stored.is_file():
            cache.mkdir(parents=True, exist_ok=True)
            features_NF, logits_NK = _extract(vision, files, VIEWS[view])
            partial = stored.with_name(f".{stored.stem}.partial.npz")
            np.savez(partial, features=features_NF, logits=logits_NK)
            partial.replace(stored)
        with np.load(stored) as arrays:
            made.append((arrays["features"], arrays["logits"]))
    return Features(features_VNF=np.stack([f for f, _ in made]), logits_VNK=np.stack([k for _, k in made]))


def _fingerprint(vision: Path, files: Sequence[Path], view: str) -> str:
    digest = hashlib.sha256(view.encode())
    digest.update((vision / "model.safetensors").read_bytes())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _extract(vision: Path, files: Sequence[Path], view: Callable[[Image.Image], Image.Image]) -> tuple[Array, Array]:
    import torch

    from indexing.embedding.network import load_classifier, scale_and_shift
    from indexing.embedding.pocket import PREPROCESS

    network: Any = load_classifier(vision, "cpu")
    colours = network.pretrained_cfg
    scale_C, shift_C = scale_and_shift(colours["mean"], colours["std"], "cpu")
    features, logits = [], []
    for start in range(0, len(files), _BATCH):
        pixels = np.stack([PREPROCESS.crop(_opened(file, view)) for file in files[start : start + _BATCH]])
        with torch.inference_mode():
            normalised_BCHW = (torch.from_numpy(pixels).float() * scale_C + shift_C).permute(0, 3, 1, 2)
            pooled_BF = network.forward_head(network.forward_features(normalised_BCHW), pre_logits=True)
            features.append(pooled_BF.numpy())
            logits.append(network.get_classifier()(pooled_BF).numpy())
        if start and start % (_BATCH * 50) == 0:
            log.info("features of %d of %d pictures", start, len(files))
    return np.concatenate(features), np.concatenate(logits)


def _opened(file: Path, view: Callable[[Image.Image], Image.Image]) -> Image.Image:
    with Image.open(file) as picture:
        return view(picture.convert("RGB"))
