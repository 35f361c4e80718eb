"""Linear layers in 8 bits for a CPU: a quarter of the memory traffic, and the processor's own 8-bit arithmetic.

    hold_in_int8(language)   every linear layer, the last one too, in place

A weight is kept as whole numbers from -127 to 127 with one scale for each output; what comes in gets a scale for each
token when it comes, so nothing is calibrated. Products are summed exactly in 32 bits (`torch._int_mm`: VNNI or AMX
where the processor has them). Numbers between the layers are float32.

Legend: O outputs, I inputs of a layer, M tokens of a pass, R rows, E width of the language model.
"""

from typing import Any

import torch
from torch import nn

_MOST = 127.0
_ROWS_AT_ONCE = 8192


class Int8Linear(nn.Module):
    """A linear layer whose weights and inputs are rounded to 8 bits. For inference alone."""

    weight_OI: torch.Tensor
    scale_O: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, inputs: int, outputs: int, *, bias: bool, device: torch.device | None = None) -> None:
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.register_buffer("weight_OI", torch.empty(outputs, inputs, dtype=torch.int8, device=device))
        self.register_buffer("scale_O", torch.empty(outputs, device=device))
        self.register_buffer("bias", torch.empty(outputs, device=device) if bias else None)

    @classmethod
    def of(cls, layer: nn.Linear) -> "Int8Linear":
        """The layer, rounded; on the meta device only its shape is taken."""
        weight_OI, biased = layer.weight.detach(), layer.bias is not None
        made = cls(layer.in_features, layer.out_features, bias=biased, device=weight_OI.device)
        if not weight_OI.is_meta:
            for start in range(0, len(weight_OI), _ROWS_AT_ONCE):
                part = slice(start, start + _ROWS_AT_ONCE)
                made.weight_OI[part], made.scale_O[part] = _rounded(weight_OI[part].float())
            if made.bias is not None:
                made.bias.copy_(layer.bias.detach())
        return made

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(…, I) → (…, O) in float32."""
        whole_MI, scale_M = _rounded(inputs.reshape(-1, self.in_features).float())
        output_MO = torch._int_mm(whole_MI, self.weight_OI.t()).float()
        output_MO.mul_(scale_M.unsqueeze(1)).mul_(self.scale_O)
        if self.bias is not None:
            output_MO += self.bias
        return output_MO.view(*inputs.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """What torch prints of it."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def _rounded(numbers_RI: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of numbers → whole numbers in int8 and the scale of each row (R,), both exact for a row of zeros."""
    scale_R = numbers_RI.abs().amax(dim=1).div_(_MOST).clamp_(min=torch.finfo(torch.float32).tiny)
    return (numbers_RI / scale_R.unsqueeze(1)).round_().to(torch.int8), scale_R


class _Float32Embedding(nn.Embedding):
    """A table that stays in its own format; what is looked up comes out in float32."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(…,) → (…, E) in float32."""
        return super().forward(input).float()


def hold_in_int8(language: nn.Module) -> nn.Module:
    """Replace every linear layer of a language model in place, one after the other.

    The table of words stays as it is, norms become float32. The model cannot be trained or moved to a GPU afterwards.
    """
    language.requires_grad_(False)
    for module in list(language.modules()):
        for key, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, key, Int8Linear.of(child))
            elif isinstance(child, nn.Embedding):
                child.__class__ = _Float32Embedding
    for parameter in language.parameters():
        if parameter.dim() == 1:
            parameter.data = parameter.data.float()
    settings: Any = language.config
    settings.dtype = torch.float32
    return language
