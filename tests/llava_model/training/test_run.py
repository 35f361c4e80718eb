"""A stage from files to a checkpoint: what it starts from, and which of its parts answer afterwards."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_world import write_samples

from llava_model.benchmarks.asking import parts_in
from llava_model.checkpoints.manifest import read_manifest
from llava_model.checkpoints.parts import ADAPTER, PROJECTOR_FILE, load_trained
from llava_model.errors import CheckpointMismatchError, IncompleteCheckpointError
from llava_model.kits import weights_folder
from llava_model.kits.errors import KitError
from llava_model.training.loop import RunSettings
from llava_model.training.report import TrainReport
from llava_model.training.run import DataFile, StageRun, run_stage
from llava_model.training.stages import INSTRUCT, Lora

STAGE = replace(INSTRUCT, learning_rate=1e-2, batch=4, epochs=1, max_tokens=256, lora=Lora(rank=2, alpha=4))


@pytest.fixture
def train(tmp_path: Path, save_language: Callable[..., Any]) -> Callable[..., TrainReport]:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    save_language(tmp_path / "language")
    torch.manual_seed(0)
    CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=28,
            patch_size=14,
        )
    ).save_pretrained(tmp_path / "vision")  # fmt: skip
    (tmp_path / "data").mkdir()
    write_samples(tmp_path / "data", 8)

    def run(name: str, start: Path | None = None, seed: int = 0) -> TrainReport:
        return run_stage(
            StageRun(
                stage=STAGE, data=(DataFile(path=tmp_path / "data/samples.jsonl"),), language=tmp_path / "language",
                vision=tmp_path / "vision", start=start, settings=RunSettings(out=tmp_path / name, seed=seed),
            )
        )  # fmt: skip

    return run


def shipped(checkpoint: Path, folder: Path) -> Path:
    """The same weights in the shape in which a kit brings them."""
    folder.mkdir()
    shutil.copy(checkpoint / PROJECTOR_FILE, folder)
    shutil.copytree(checkpoint / ADAPTER, folder / ADAPTER)
    (folder / "run.json").write_text(json.dumps({"config": read_manifest(checkpoint).config}))
    return folder


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / PROJECTOR_FILE) | load_file(checkpoint / ADAPTER / "adapter_model.safetensors")


def test_training_goes_on_from_shipped_weights_as_from_the_checkpoint_that_they_were(
    train: Callable[..., TrainReport], tmp_path: Path
) -> None:
    first = train("first").checkpoint
    from_run = train("from-run", first.parent, seed=1).checkpoint
    from_kit = train("from-kit", shipped(first, tmp_path / "kit"), seed=1).checkpoint
    one, other = weights(from_run), weights(from_kit)
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], old) for name, old in weights(first).items())
    assert read_manifest(from_kit).config["start"] == read_manifest(first).config


def test_the_parts_that_answer_are_those_of_a_runs_last_checkpoint(
    train: Callable[..., TrainReport], tmp_path: Path
) -> None:
    checkpoint = train("run").checkpoint
    wanted = (None, checkpoint / PROJECTOR_FILE, checkpoint / ADAPTER)
    assert parts_in(tmp_path / "run") == parts_in(checkpoint) == wanted
    with pytest.raises(IncompleteCheckpointError):
        parts_in(tmp_path / "data")


def test_a_kit_without_trained_weights_says_what_to_do() -> None:
    assert (weights_folder("pocket") / PROJECTOR_FILE).is_file()
    with pytest.raises(KitError) as refused:
        weights_folder("laptop")
    assert "--start" in " ".join(refused.value.__notes__)


def test_an_adapter_that_the_next_stage_would_lose_is_refused(
    train: Callable[..., TrainReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("first")
    monkeypatch.setitem(globals(), "STAGE", replace(STAGE, lora=Lora(rank=3, alpha=6)))
    with pytest.raises(CheckpointMismatchError, match="would lose") as refused:
        train("second", tmp_path / "first")
    assert "--to merged" in " ".join(refused.value.__notes__)
    assert not list((tmp_path / "second").glob("checkpoint-*"))


def test_qlora_trains_an_adapter_under_weights_in_4_bits(
    train: Callable[..., TrainReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes")
    monkeypatch.setitem(globals(), "STAGE", replace(STAGE, lora=Lora(rank=2, alpha=4, quantize="nf4")))
    checkpoint = train("run").checkpoint
    learned = load_file(checkpoint / ADAPTER / "adapter_model.safetensors")
    assert learned and all(tensor.isfinite().all() for tensor in learned.values())
    assert all(tensor.any() for name, tensor in learned.items() if "lora_B" in name)  # they start as zeros
    whole = load_trained(checkpoint, language=tmp_path / "language", vision=tmp_path / "vision", dtype=torch.float32)
    assert all(parameter.dtype == torch.float32 for parameter in whole.language.parameters())
