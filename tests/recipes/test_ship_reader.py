"""A checkpoint's adapter → the two files inside the package."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from recipes.small.ship_reader import BASE, main


def test_an_adapter_is_shipped_as_two_files_in_bfloat16_without_a_path_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = tmp_path / "run" / "adapter"
    adapter.mkdir(parents=True)
    weights = {"layer.lora_A.weight": torch.randn(2, 8), "layer.lora_B.weight": torch.randn(8, 2)}
    save_file(weights, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {"base_model_name_or_path": "/home/somebody/qwen", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (adapter / "README.md").write_text("of the library", encoding="utf-8")
    for source in (tmp_path / "run", adapter):
        out = tmp_path / f"kit-{source.name}"
        monkeypatch.setattr(sys, "argv", ["ship_reader", str(source), "--out", str(out)])
        main()
        shipped = [each.relative_to(out).as_posix() for each in sorted(out.rglob("*")) if each.is_file()]
        assert shipped == ["adapter/adapter_config.json", "adapter/adapter_model.safetensors"]
        text = (out / shipped[0]).read_text(encoding="utf-8")
        assert json.loads(text) == {**settings, "base_model_name_or_path": BASE} and "/" not in BASE
        stored = load_file(out / shipped[1])
        assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
        assert all(torch.equal(stored[name], tensor.bfloat16()) for name, tensor in weights.items())
        with safe_open(out / shipped[1], framework="pt") as file:
            assert file.metadata() == {"format": "pt"}
    assert "MB" in capsys.readouterr().out
