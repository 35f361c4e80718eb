"""The reader of the kit `small`: one stage that trains its language model, words alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from llava_model.checkpoints.manifest import latest, read_manifest
from llava_model.checkpoints.parts import ADAPTER, PROJECTOR_FILE
from llava_model.training.stages import PRESETS, Lora, stage_of
from ui.cli.main import app


def test_the_preset_has_the_numbers_that_the_shipped_weights_were_trained_with() -> None:
    (stage,) = PRESETS["small"]
    assert (stage.name, stage.trains, stage.projector_rate) == ("ground", ("language",), None)
    assert (stage.learning_rate, stage.batch, stage.epochs, stage.max_tokens) == (2e-4, 32, 1, 1536)
    assert stage.lora == Lora(rank=8, alpha=16) and stage.source == "Llavero: recipes/small"
    with pytest.raises(ValueError, match="'small' has no stage 'align', but ground"):
        stage_of("small", "align")


def test_the_command_trains_an_adapter_without_a_tower_and_without_a_projector(
    tmp_path: Path, save_language: Callable[..., Any]
) -> None:
    save_language(tmp_path / "language")
    samples = [
        {"id": f"s{at}", "messages": [{"role": "user", "content": f"[1] The fox is {at}. How old is the fox?"},
                                      {"role": "assistant", "content": f"{at} [1]."}]}
        for at in range(12)
    ]  # fmt: skip
    data = tmp_path / "train.jsonl"
    data.write_text("\n".join(map(json.dumps, samples)), encoding="utf-8")
    options = ["--language", tmp_path / "language", "--batch", 4, "--dtype", "float32"]
    command = ["model", "train", "ground", "--preset", "small", "--kit", "small", "--words-only", "--data", data]
    ran = CliRunner().invoke(app, list(map(str, [*command, *options, "--out", tmp_path / "run"])))
    assert ran.exit_code == 0, ran.output
    checkpoint = latest(tmp_path / "run")
    assert checkpoint is not None and not (checkpoint / PROJECTOR_FILE).exists()
    manifest = read_manifest(checkpoint)
    assert manifest.step == 3 and manifest.config["stage"]["lora"]["rank"] == 8
    learned = load_file(checkpoint / ADAPTER / "adapter_model.safetensors")
    assert all(bool(tensor.any()) for name, tensor in learned.items() if "lora_B" in name)  # they start as zeros
    assert all(bool(torch.isfinite(tensor).all()) for tensor in learned.values())
