"""NanoDet-g, a detector of COCO's eighty kinds of things, as a plain torch network.

    pixels ─► CSP blocks at strides 8, 16, 32 ─► a pyramid that passes both ways ─► 80 scores and 4 × 11 bins per cell

RangiLyu/nanodet, `config/legacy_v0.x_configs/nanodet-g.yml`: 3.8 million weights, 22.9 mAP on COCO at 416 pixels as
published. Batch normalisations are folded into the convolutions of the file that was converted
(recipes/objects/convert.py, which also compares every output with the graph it was read from).

Legend: B batch, C channels, H W pixels or cells, N cells of all strides, K kinds, R bins of a distance.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from indexing.embedding.protocol import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

SHIPPED = Path(__file__).with_name("nanodet_g.safetensors")
STRIDES = (8, 16, 32)
KINDS = 80
BINS = 11
_WIDTH = 128  # of the pyramid and the heads
_SLOPE = 0.1


class Convolution(nn.Module):
    """3 × 3, or 1 × 1 without an activation behind it."""

    def __init__(self, into: int, out: int, *, size: int = 3, stride: int = 1, active: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, size, stride, padding=size // 2)
        self._active = active

    def forward(self, x_BCHW: "Tensor") -> "Tensor":
        """The same number of cells, divided by the stride."""
        out_BCHW: Tensor = self.conv(x_BCHW)
        return functional.leaky_relu(out_BCHW, _SLOPE, inplace=True) if self._active else out_BCHW


class SmallBlock(nn.Module):
    """Half of the channels, and those convolved once more."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels // 2)
        self.second = Convolution(channels // 2, channels // 2)

    def forward(self, x_BCHW: "Tensor") -> "Tensor":
        """As many channels as came in."""
        half_BCHW = self.first(x_BCHW)
        return torch.cat((self.second(half_BCHW), half_BCHW), dim=1)


class CspBlock(nn.Module):
    """What came in beside what small blocks made of it."""

    def __init__(self, channels: int, blocks: int, *, stride: int) -> None:
        super().__init__()
        self.enter = Convolution(channels, channels, stride=stride)
        self.blocks = nn.Sequential(*(SmallBlock(channels) for _ in range(blocks)))
        self.leave = Convolution(channels, channels)

    def forward(self, x_BCHW: "Tensor") -> "Tensor":
        """Twice as many channels as came in."""
        entered_BCHW = self.enter(x_BCHW)
        return torch.cat((self.leave(self.blocks(entered_BCHW)), entered_BCHW), dim=1)


class NanoDet(nn.Module):
    """Pictures whose sides are multiples of 32 → scores and bins of every cell, stride 8 first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, stride=2)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.opening = CspBlock(32, 1, stride=1)
        self.stages = nn.ModuleList(
            CspBlock(channels, blocks, stride=2) for channels, blocks in ((64, 2), (128, 2), (256, 3))
        )
        self.laterals = nn.ModuleList(Convolution(into, _WIDTH, size=1, active=False) for into in (128, 256, 512))
        self.towers = nn.ModuleList(Convolution(_WIDTH, _WIDTH) for _ in STRIDES)
        self.heads = nn.ModuleList(Convolution(_WIDTH, KINDS + 4 * BINS, size=1, active=False) for _ in STRIDES)

    def forward(self, pixels_BCHW: "Tensor") -> tuple["Tensor", "Tensor"]:
        """Normalised pixels → (B, N, K) scores 0..1 and (B, N, 4, R) bins before their softmax."""
        x_BCHW = self.opening(self.pool(self.stem(pixels_BCHW)))
        levels: list[Tensor] = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x_BCHW = stage(x_BCHW)
            levels.append(lateral(x_BCHW))
        for at in (1, 0):
            levels[at] = levels[at] + _scaled(levels[at + 1], 2.0)
        for at in (1, 2):
            levels[at] = levels[at] + _scaled(levels[at - 1], 0.5)
        out_BNC = torch.cat(
            [
                head(tower(level)).flatten(2).transpose(1, 2)
                for level, tower, head in zip(levels, self.towers, self.heads, strict=True)
            ],
            dim=1,
        )
        scores_BNK, bins_BNC = torch.split(out_BNC, [KINDS, 4 * BINS], dim=-1)
        return scores_BNK.sigmoid(), bins_BNC.reshape(*bins_BNC.shape[:2], 4, BINS)


def _scaled(level_BCHW: "Tensor", by: float) -> "Tensor":
    return functional.interpolate(level_BCHW, scale_factor=by, mode="bilinear", align_corners=False)


def load_network(weights: Path = SHIPPED, *, device: str = "cpu") -> NanoDet:
    """In inference form, float32, channels last. Raises WeightsError: missing, damaged, or another network's."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = NanoDet()
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise WeightsError(weights, str(error).splitlines()[0]) from error
    network.eval().requires_grad_(False).to(device)
    network.to(memory_format=torch.channels_last)
    return network
