"""Pictures → what the pocket kit's frozen network sees in them, kept on disk: 20 ms a picture are spent once.

Legend: N pictures, P inputs of the joint space, K ImageNet's classes.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]
_BATCH = 16
_RECIPE = 5  # counted up when the inputs change, so that no stale ones are read


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """What the network gives for each picture."""

    inputs_NP: Array
    logits_NK: Array


def picture_features(vision: Path, files: Sequence[Path], cache: Path) -> Features:
    """From `cache` where they were made before from the same pictures by the same network."""
    stored = cache / f"{_fingerprint(vision, files)}.npz"
    if not stored.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        inputs_NP, logits_NK = _extract(vision, files)
        partial = stored.with_name(f".{stored.stem}.partial.npz")
        np.savez(partial, inputs=inputs_NP, logits=logits_NK)
        partial.replace(stored)
    with np.load(stored) as arrays:
        return Features(inputs_NP=arrays["inputs"], logits_NK=arrays["logits"])


def _fingerprint(vision: Path, files: Sequence[Path]) -> str:
    digest = hashlib.sha256(f"{_RECIPE}".encode())
    digest.update((vision / "model.safetensors").read_bytes())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _extract(vision: Path, files: Sequence[Path]) -> tuple[Array, Array]:
    import torch

    from indexing.embedding.joint_space import inputs, look
    from indexing.embedding.pocket import PREPROCESS, load_classifier, scale_and_shift

    network: Any = load_classifier(vision, "cpu")
    colours = network.pretrained_cfg
    scale_C, shift_C = scale_and_shift(colours["mean"], colours["std"], "cpu")
    made, logits = [], []
    for start in range(0, len(files), _BATCH):
        pixels = np.stack([PREPROCESS.crop(_opened(file)) for file in files[start : start + _BATCH]])
        with torch.inference_mode():
            seen = look(network, torch.from_numpy(pixels), scale_C, shift_C)
            made.append(inputs(seen).numpy())
            logits.append(seen.logits_BK.numpy())
        if start and start % (_BATCH * 50) == 0:
            log.info("features of %d of %d pictures", start, len(files))
    return np.concatenate(made), np.concatenate(logits)


def _opened(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")
