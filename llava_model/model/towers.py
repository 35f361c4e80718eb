"""Vision towers: pixels in, one feature per position of each picture out. Always frozen, always in eval mode.

Legend: N pictures, C colour channels, H height, W width, P positions per picture, V width of a feature,
G side of the grid of patches.
"""

import json
import math
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from llava_model.errors import CheckpointMismatchError, MissingFileError
from llava_model.images import ImagePreprocess
from llava_model.model.config import LlavaConfig


class VisionTower(nn.Module):
    """A frozen network with the preparation of its pictures, and the number and width of its features."""

    def __init__(
        self, network: nn.Module, *, preprocess: ImagePreprocess, width: int, positions: int, pooled_grid: int | None
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()
        self.preprocess, self.width = preprocess, width
        self.pooled_grid = pooled_grid
        self.grid = math.isqrt(positions)
        if pooled_grid is not None and (self.grid**2 != positions or pooled_grid > self.grid):
            raise CheckpointMismatchError("pooled_grid", found=pooled_grid, wanted=f"a part of {positions} positions")
        self.tokens_per_image = pooled_grid**2 if pooled_grid else positions

    def train(self, mode: bool = True) -> "VisionTower":
        """Stay in eval mode: normalisation statistics must not change, and dropout must not happen."""
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """→ features_NPV, pooled, without a gradient. A feature cache stores these."""
        parameter = next(self.network.parameters())
        features_NPV = self.features(pixels_NCHW.to(parameter.device, parameter.dtype))
        if self.pooled_grid is None:
            return features_NPV
        features_NVGG = features_NPV.transpose(1, 2).reshape(-1, self.width, self.grid, self.grid)
        pooled_NVGG = functional.adaptive_avg_pool2d(features_NVGG, self.pooled_grid)
        return pooled_NVGG.flatten(2).transpose(1, 2)

    def features(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """→ features_NPV before pooling."""
        raise NotImplementedError


class TransformersTower(VisionTower):
    """CLIP or SigLIP: the hidden states of one layer, with or without the class token."""

    def __init__(self, network: nn.Module, *, preprocess: ImagePreprocess, config: LlavaConfig) -> None:
        settings: Any = network.config
        patches = (settings.image_size // settings.patch_size) ** 2
        has_class_token = settings.model_type == "clip_vision_model"
        if config.feature_select == "default" and not has_class_token:
            raise CheckpointMismatchError(
                "feature_select", found="'default'", wanted=f"'full': {settings.model_type} has no class token to drop"
            )
        layers = settings.num_hidden_layers
        if not -layers - 1 <= config.feature_layer <= layers:
            raise CheckpointMismatchError("feature_layer", found=config.feature_layer, wanted=f"one of {layers} layers")
        keeps_class_token = has_class_token and config.feature_select == "full"
        super().__init__(
            network,
            preprocess=preprocess,
            width=settings.hidden_size,
            positions=patches + keeps_class_token,
            pooled_grid=config.pooled_grid,
        )
        self.layer, self.drops_first = config.feature_layer, config.feature_select == "default"

    def features(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """→ features_NPV"""
        states = self.network(pixel_values=pixels_NCHW, output_hidden_states=True).hidden_states
        hidden_NPV: torch.Tensor = states[self.layer]
        return hidden_NPV[:, 1:] if self.drops_first else hidden_NPV


class TimmTower(VisionTower):
    """A convolutional network of timm: its final grid, row by row."""

    def __init__(self, network: nn.Module, *, preprocess: ImagePreprocess, pooled_grid: int | None) -> None:
        blank = torch.zeros(1, 3, preprocess.size, preprocess.size)
        with torch.no_grad():
            shape = _timm_grid(network.eval(), blank).shape
        super().__init__(
            network, preprocess=preprocess, width=shape[1], positions=shape[2] * shape[3], pooled_grid=pooled_grid
        )

    def features(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """→ features_NPV"""
        return _timm_grid(self.network, pixels_NCHW).flatten(2).transpose(1, 2)


def _timm_grid(network: nn.Module, pixels_NCHW: torch.Tensor) -> torch.Tensor:
    """→ grid_NVGG, from a method of timm's that has no type."""
    return cast(torch.Tensor, cast(Any, network).forward_features(pixels_NCHW))


def load_tower(folder: Path, config: LlavaConfig) -> VisionTower:
    """Open a folder with CLIP or SigLIP as transformers writes it, or a network as timm writes it.

    Raises MissingFileError, or CheckpointMismatchError naming the kind of model that was found.
    """
    if not (folder / "config.json").is_file():
        raise MissingFileError(folder / "config.json", "vision tower")
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if "architecture" in values:
        return _load_timm(folder, values, config)
    return _load_transformers(folder, values, config)


def _load_transformers(folder: Path, values: dict[str, Any], config: LlavaConfig) -> VisionTower:
    from transformers import CLIPVisionModel, SiglipVisionModel

    kind = values.get("model_type")
    classes: dict[str, Any] = {
        "clip": CLIPVisionModel,
        "clip_vision_model": CLIPVisionModel,
        "siglip": SiglipVisionModel,
        "siglip_vision_model": SiglipVisionModel,
    }
    if kind not in classes:
        raise CheckpointMismatchError(f"vision tower '{folder}'", found=kind, wanted=f"one of {', '.join(classes)}")
    network = classes[kind].from_pretrained(folder, local_files_only=True, use_safetensors=True)
    preprocess = ImagePreprocess.read(folder, network.config)
    return TransformersTower(network, preprocess=preprocess, config=config)


def _load_timm(folder: Path, values: dict[str, Any], config: LlavaConfig) -> VisionTower:
    import timm
    from safetensors.torch import load_file

    if not (folder / "model.safetensors").is_file():
        raise MissingFileError(folder / "model.safetensors", "vision tower")
    network = timm.create_model(values["architecture"], pretrained=False, num_classes=values.get("num_classes", 1000))
    try:
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except RuntimeError as error:
        raise CheckpointMismatchError(
            f"vision tower '{folder}'", found="other tensors", wanted=values["architecture"]
        ) from error
    preprocess = ImagePreprocess.from_timm(values["pretrained_cfg"])
    return TimmTower(network, preprocess=preprocess, pooled_grid=config.pooled_grid)
