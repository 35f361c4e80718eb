"""Vision towers opened from folders, as transformers and timm write them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llava_model.errors import CheckpointMismatchError, MissingFileError
from llava_model.model.config import LlavaConfig
from llava_model.model.towers import load_tower

ARCHITECTURE = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def timm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EfficientNet-Lite0 with random weights, as timm lays a local folder out."""
    import timm
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("timm")
    torch.manual_seed(0)
    network = timm.create_model(ARCHITECTURE, pretrained=False)
    save_file(network.state_dict(), folder / "model.safetensors")
    preprocessing = {
        "input_size": [3, 224, 224],
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": [127 / 255] * 3,
        "std": [128 / 255] * 3,
    }
    values = {"architecture": ARCHITECTURE, "num_classes": 1000, "pretrained_cfg": preprocessing}
    (folder / "config.json").write_text(json.dumps(values))
    return folder


def test_efficientnet_gives_its_grid_row_by_row(timm_folder: Path) -> None:
    import timm
    from safetensors.torch import load_file

    tower = load_tower(timm_folder, LlavaConfig())
    network = timm.create_model(ARCHITECTURE, pretrained=False).eval()
    network.load_state_dict(load_file(timm_folder / "model.safetensors"))
    pixels = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        grid = network.forward_features(pixels)
    features = tower(pixels)
    assert (tower.width, tower.tokens_per_image) == (1280, 49)
    assert features.shape == (2, 49, 1280)
    assert torch.equal(features[1, 7 * 2 + 3], grid[1, :, 2, 3])


def test_a_pooled_grid_holds_the_mean_of_its_patches(timm_folder: Path) -> None:
    whole, pooled, one = (load_tower(timm_folder, LlavaConfig(pooled_grid=side)) for side in (None, 4, 1))
    pixels = torch.randn(1, 3, 224, 224)
    features = whole(pixels)
    assert (pooled.tokens_per_image, one.tokens_per_image) == (16, 1)
    torch.testing.assert_close(one(pixels)[0, 0], features[0].mean(dim=0))
    corner = features[0].reshape(7, 7, -1)[:2, :2].mean(dim=(0, 1))
    torch.testing.assert_close(pooled(pixels)[0, 0], corner)


def test_a_tower_is_prepared_as_its_folder_says(timm_folder: Path) -> None:
    preprocess = load_tower(timm_folder, LlavaConfig()).preprocess
    assert (preprocess.size, preprocess.resize_to, preprocess.mode) == (224, 256, "crop")


@pytest.mark.parametrize(
    ("tower", "select", "tokens"), [("clip", "default", 4), ("clip", "full", 5), ("siglip", "full", 4)]
)
def test_a_saved_transformers_tower_gives_the_hidden_states_of_the_last_layer_but_one(
    tower: str, select: Any, tokens: int, make_foreign: Callable[..., Any], tmp_path: Path
) -> None:
    foreign = make_foreign(tower=tower, select=select)
    network = foreign.model.vision_tower
    network.save_pretrained(tmp_path)
    loaded = load_tower(tmp_path, LlavaConfig(feature_select=select))
    pixels = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        states = network(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
    assert loaded.tokens_per_image == tokens
    assert torch.equal(loaded(pixels), states[:, -tokens:])


def test_the_vision_half_of_a_whole_clip_will_do(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    sides = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    whole = CLIPModel(CLIPConfig(text_config=sides, vision_config=sides | {"image_size": 28, "patch_size": 14}))
    whole.save_pretrained(tmp_path)
    loaded = load_tower(tmp_path, LlavaConfig())
    pixels = torch.randn(1, 3, 28, 28)
    with torch.no_grad():
        states = whole.vision_model(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
    assert torch.equal(loaded(pixels), states[:, 1:])


def test_a_siglip_without_a_word_about_preprocessing_is_squashed(
    make_foreign: Callable[..., Any], tmp_path: Path
) -> None:
    make_foreign(tower="siglip", select="full").model.vision_tower.save_pretrained(tmp_path)
    preprocess = load_tower(tmp_path, LlavaConfig(feature_select="full")).preprocess
    assert (preprocess.mode, preprocess.size, preprocess.mean) == ("squash", 28, (0.5, 0.5, 0.5))


def test_more_pooled_positions_than_patches_are_an_error(timm_folder: Path) -> None:
    with pytest.raises(CheckpointMismatchError, match="pooled_grid: found 8"):
        load_tower(timm_folder, LlavaConfig(pooled_grid=8))


def test_weights_of_another_network_are_an_error(timm_folder: Path, tmp_path: Path) -> None:
    values = json.loads((timm_folder / "config.json").read_text()) | {"architecture": "resnet18"}
    (tmp_path / "config.json").write_text(json.dumps(values))
    (tmp_path / "model.safetensors").write_bytes((timm_folder / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointMismatchError, match="resnet18"):
        load_tower(tmp_path, LlavaConfig())


def test_a_model_that_is_no_vision_tower_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(CheckpointMismatchError, match="found llama"):
        load_tower(tmp_path, LlavaConfig())


def test_missing_files_of_a_tower_are_named(timm_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"config\.json"):
        load_tower(tmp_path, LlavaConfig())
    (tmp_path / "config.json").write_text((timm_folder / "config.json").read_text())
    with pytest.raises(MissingFileError, match=r"model\.safetensors"):
        load_tower(tmp_path, LlavaConfig())
