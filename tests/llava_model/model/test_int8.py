"""Linear layers in 8 bits: near the real numbers, exact where they are whole, the same one token at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from llava_model.model.int8 import Int8Linear

pytestmark = pytest.mark.skipif(not torch.cpu._is_vnni_supported(), reason="the processor does not multiply 8 bits")


def layer(inputs: int, outputs: int, *, bias: bool = True, seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs, bias=bias)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(8, 96), st.integers(1, 80), st.booleans(), st.integers(0, 1000))
def test_the_error_of_an_output_is_within_the_two_roundings(
    tokens: int, inputs: int, outputs: int, bias: bool, seed: int
) -> None:
    real = layer(inputs, outputs, bias=bias, seed=seed)
    x_MI = torch.randn(tokens, inputs)
    error_MO = (Int8Linear.of(real)(x_MI) - real(x_MI)).abs()
    half_x_M1 = x_MI.abs().amax(1, keepdim=True) / 254
    half_w_O = real.weight.abs().amax(1) / 254
    most_MO = half_x_M1 * real.weight.abs().sum(1) + half_w_O * x_MI.abs().sum(1, keepdim=True)
    assert (error_MO <= most_MO + inputs * half_x_M1 * half_w_O + 1e-5).all()


def test_whole_numbers_are_exact() -> None:
    real = layer(16, 8)
    with torch.no_grad():
        real.weight.copy_(torch.randint(-127, 128, (8, 16)).float())
        real.weight[:, 0] = 127
        real.bias.zero_()
    x_MI = torch.randint(-127, 128, (5, 16)).float()
    x_MI[:, 0] = 127
    assert torch.equal(Int8Linear.of(real)(x_MI), x_MI @ real.weight.T)


def test_a_token_does_not_depend_on_those_beside_it_and_zeros_stay_zeros() -> None:
    rounded = Int8Linear.of(layer(32, 12, bias=False))
    x_MI = torch.randn(7, 32) * torch.tensor([1e-3, 1, 1e3, 0, 1, 1, 1]).unsqueeze(1)
    together_MO = rounded(x_MI)
    alone_MO = torch.cat([rounded(row.unsqueeze(0)) for row in x_MI])
    assert torch.equal(together_MO, alone_MO) and not together_MO[3].any()


def test_shapes_in_front_and_other_formats_of_numbers_are_taken() -> None:
    rounded = Int8Linear.of(layer(8, 3))
    output = rounded(torch.randn(2, 5, 8, dtype=torch.bfloat16))
    assert output.shape == (2, 5, 3) and output.dtype == torch.float32 and "out_features=3" in repr(rounded)
