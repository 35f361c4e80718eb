"""A picture → the things in it, each with its kind, score and box.

    kept picture ─► 384 pixels long, sides of multiples of 32 ─► NanoDet ─► boxes over a threshold ─► one box a thing

On a processor with matrix instructions for bfloat16 the network computes in that: a third of the time, and boxes that
differ by a pixel or two. Others take float32 and a smaller picture, which finds fewer small things.

Legend: N cells or boxes, K kinds, R bins of a distance, H W pixels, C colours.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from indexing.embedding.protocol import MissingEmbedderPackageError
from indexing.objects.colours import colour_of
from indexing.objects.kinds import KINDS, Thing
from indexing.objects.network import BINS, SHIPPED, STRIDES, load_network

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SCORE = 0.45
"""Chosen by eye on 75 photographs that are not ours; docs/LOG.md says what it draws."""
_SAME_KIND, _ANY_KIND = 0.5, 0.75
"""Overlap (intersection over union) from which two boxes are one thing: of one kind, and of two that look alike."""
_MOST_THINGS = 60
_LEAST_SIDE = 64
"""A picture whose longer side has fewer pixels is an icon, or part of one."""
_SIDE, _SIDE_IN_FLOAT32 = 384, 288  # it learned from 416 pixels at scales of 0.6 to 1.4; these keep the work in bounds
_COARSEST = STRIDES[-1]
_MEAN_BGR, _DEVIATION_BGR = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


class Detector:
    """NanoDet with what is around it. Threads may call it at the same time."""

    def __init__(self, weights: Path = SHIPPED, *, device: str = "cpu") -> None:
        """Raises WeightsError, MissingEmbedderPackageError."""
        import torch

        try:
            import torchvision  # noqa: F401  # brings the operator that `things_of` calls
        except ImportError as error:
            raise MissingEmbedderPackageError("torchvision") from error
        self._device = device
        fast = device != "cpu" or _has_bfloat16_matrices()
        self._type = torch.bfloat16 if device == "cpu" and fast else torch.float32
        self.side = _SIDE if fast else _SIDE_IN_FLOAT32
        """Pixels of a picture's longer side that it looks at."""
        self._network = load_network(weights, device=device).to(self._type)
        mean_C, deviation_C = torch.tensor(_MEAN_BGR, device=device), torch.tensor(_DEVIATION_BGR, device=device)
        self._scale_C, self._shift_C = 1 / deviation_C, -mean_C / deviation_C

    def things(self, picture: Image.Image) -> tuple[Thing, ...]:
        """What is seen in an RGB picture, the surest first."""
        if max(picture.size) < _LEAST_SIDE:
            return ()
        found = self._found(picture)
        return tuple(replace(thing, colour=colour_of(thing.kind, thing.box, picture)) for thing in found)

    def _found(self, picture: Image.Image) -> tuple[Thing, ...]:
        import torch

        size = network_size(picture.size, self.side)
        small_HWC = np.array(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))[:, :, ::-1]
        pixels_HWC = torch.from_numpy(np.ascontiguousarray(small_HWC)).to(self._device)
        with torch.inference_mode():
            normal_HWC = (pixels_HWC * self._scale_C + self._shift_C).to(self._type)
            scores_BNK, bins_BN4R = self._network(normal_HWC.permute(2, 0, 1).unsqueeze(0))
            return things_of(scores_BNK[0].float().cpu(), bins_BN4R[0].float().cpu(), size)


def network_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height for the network: the longer is `side`, both are multiples of 32, which stretches a little.

    >>> network_size((640, 480), 416)
    (416, 320)
    """
    longest = max(size)
    width, height = (max(_COARSEST, round(each * side / longest / _COARSEST) * _COARSEST) for each in size)
    return width, height


def things_of(
    scores_NK: "Tensor", bins_N4R: "Tensor", size: tuple[int, int], *, least: float = LEAST_SCORE
) -> tuple[Thing, ...]:
    """The network's outputs for a picture of that width and height → things, the surest first.

    A distance from a cell's middle to a side of its box is the mean of its bins (Generalized Focal Loss, Li et al.,
    2020), in strides.
    """
    import torch
    from torchvision.ops import batched_nms, nms

    best_N, kinds_N = scores_NK.max(-1)
    at_N = torch.nonzero(best_N >= least).squeeze(1)
    boxes_N4 = _boxes(bins_N4R[at_N], *(each[at_N] for each in _cells(size)))
    boxes_N4 = boxes_N4.clamp(min=0).minimum(torch.tensor((*size, *size), dtype=boxes_N4.dtype))
    best_N, kinds_N = best_N[at_N], kinds_N[at_N]
    kept = batched_nms(boxes_N4, best_N, kinds_N, _SAME_KIND)
    kept = kept[nms(boxes_N4[kept], best_N[kept], _ANY_KIND)][:_MOST_THINGS]
    width, height = size
    return tuple(
        Thing(kind=KINDS[kind].name, score=score, box=(x0 / width, y0 / height, x1 / width, y1 / height))
        for kind, score, (x0, y0, x1, y1) in zip(
            kinds_N[kept].tolist(), best_N[kept].tolist(), boxes_N4[kept].tolist(), strict=True
        )
    )


def _boxes(bins_N4R: "Tensor", middles_N2: "Tensor", strides_N: "Tensor") -> "Tensor":
    """(N, 4) in pixels, from distances to the left, top, right and bottom."""
    import torch

    distances_N4 = bins_N4R.softmax(-1) @ torch.arange(BINS, dtype=bins_N4R.dtype) * strides_N[:, None]
    return torch.cat([middles_N2 - distances_N4[:, :2], middles_N2 + distances_N4[:, 2:]], dim=-1)


@cache
def _cells(size: tuple[int, int]) -> tuple["Tensor", "Tensor"]:
    """Middles (N, 2) and strides (N) of all cells of a picture, in pixels, in the network's order."""
    import torch

    middles: list[Tensor] = []
    strides: list[Tensor] = []
    for stride in STRIDES:
        across, down = (torch.arange(side // stride) for side in size)
        rows, columns = torch.meshgrid(down, across, indexing="ij")
        middles.append((torch.stack([columns.flatten(), rows.flatten()], dim=-1) + 0.5) * stride)
        strides.append(torch.full((len(middles[-1]),), float(stride)))
    return torch.cat(middles), torch.cat(strides)


def _has_bfloat16_matrices() -> bool:
    """Whether this processor multiplies matrices of bfloat16 (AMX); elsewhere it is slower than float32."""
    import torch

    asked = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(asked and asked())
