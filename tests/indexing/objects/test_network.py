import pytest
import torch
from safetensors.torch import load_file, save_file

from indexing.embedding.protocol import WeightsError
from indexing.objects.network import BINS, KINDS, SHIPPED, load_network

# Of the graph that the weights came from, run operation by operation (recipes/objects/convert.py) on these pixels.
SCORES = [[0.0250477, 0.0146217, 0.00997299], [0.0191307, 0.00625836, 0.00885778], [0.21564, 0.0251137, 0.0727668]]
BINS_OF_THREE_CELLS = [[2.92449, 2.61041, 0.486461], [-0.77059, 0.112591, 0.338461], [-1.96877, -1.53014, -1.17315]]


def test_the_network_gives_what_the_graph_gave_that_its_weights_came_from() -> None:
    pixels_BCHW = torch.randn(1, 3, 416, 416, generator=torch.Generator().manual_seed(7))
    with torch.inference_mode():
        scores_BNK, bins_BN4R = load_network()(pixels_BCHW)
    assert scores_BNK.shape == (1, 52**2 + 26**2 + 13**2, KINDS) and bins_BN4R.shape[2:] == (4, BINS)
    cells = [0, 2704 + 100, 2704 + 676 + 84]
    torch.testing.assert_close(scores_BNK[0, cells, :3], torch.tensor(SCORES), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(bins_BN4R[0, cells, 1, :3], torch.tensor(BINS_OF_THREE_CELLS), atol=1e-3, rtol=1e-3)


def test_a_damaged_file_of_weights_is_named_in_one_sentence(tmp_path) -> None:
    damaged = tmp_path / "half.safetensors"
    damaged.write_bytes(SHIPPED.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match=r"cannot load a model from .*half\.safetensors: ") as raised:
        load_network(damaged)
    assert "\n" not in str(raised.value)
    with pytest.raises(WeightsError, match="missing"):
        load_network(tmp_path / "missing.safetensors")


def test_weights_of_another_network_are_refused(tmp_path) -> None:
    other = tmp_path / "other.safetensors"
    tensors = load_file(SHIPPED)
    tensors["stem.conv.weight"] = torch.zeros(2, 2)
    save_file(tensors, other)
    with pytest.raises(WeightsError, match="cannot load a model from"):
        load_network(other)
