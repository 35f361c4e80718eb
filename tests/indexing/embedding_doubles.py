"""Tiny models with random weights, in the formats of the real ones."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

NAMES = ["cat", "dog", "red", "green", "blue"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "big", "##s", *NAMES]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small only wait for each other's threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save_sentence_encoder(folder: Path) -> Path:
    """24-d, 64 positions, 38 words; whatever it does not know is "[UNK]"."""
    import torch
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    words = list(dict.fromkeys(WORDS))
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer", "model_max_length": 64, "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=64, **sizes)).save_pretrained(folder)
    return folder


def save_classifier(folder: Path, *, classes: int = 1000) -> Path:
    """The pocket kit's network, random but not neutral: its normalisations have statistics of their own."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0", num_classes=classes)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
            module.weight.data.uniform_(0.8, 1.2)
            module.bias.data.normal_(0, 0.1)
    torch.nn.init.normal_(network.classifier.weight, std=0.1)
    save_file(network.state_dict(), folder / "model.safetensors")
    colours = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}
    config = {
        "architecture": "tf_efficientnet_lite0",
        "num_classes": classes,
        "pretrained_cfg": {"num_classes": classes, "input_size": [3, 224, 224], "classifier": "classifier", **colours},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
