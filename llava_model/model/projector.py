"""Vision features → vectors in the language model's space.

Legend: N pictures, P positions per picture, V width of a feature, E width of the language model.
"""

import torch
from torch import nn

from llava_model.model.config import ProjectorKind


class Projector(nn.Module):
    """`linear`: one layer (LLaVA v1). `mlp2x_gelu`: two with an exact GELU between them (LLaVA-1.5)."""

    def __init__(self, kind: ProjectorKind, *, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.kind, self.vision_width, self.text_width = kind, vision_width, text_width
        layers: list[nn.Module] = [nn.Linear(vision_width, text_width)]
        if kind == "mlp2x_gelu":
            layers += [nn.GELU(), nn.Linear(text_width, text_width)]
        self.layers = nn.Sequential(*layers)

    def forward(self, features_NPV: torch.Tensor) -> torch.Tensor:
        """→ projected_NPE"""
        projected_NPE: torch.Tensor = self.layers(features_NPV)
        return projected_NPE
