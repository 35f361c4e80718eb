"""A large language model on a CPU: held in 8 bits, prepared once, mapped afterwards."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors import SafetensorError

from llava_model.checkpoints import int8
from llava_model.checkpoints.int8 import load_int8, prepared_file, suits_int8
from llava_model.checkpoints.parts import load_language
from llava_model.errors import MissingFileError
from llava_model.model.int8 import Int8Linear
from llava_model.serving.engine import Engine, Turn
from llava_model.serving.opening import prepare

SaveLanguage = Callable[..., Any]
pytestmark = pytest.mark.skipif(not torch.cpu._is_vnni_supported(), reason="the processor does not multiply 8 bits")


@pytest.fixture(autouse=True)
def multiplies_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)


@pytest.fixture
def language(save_language: SaveLanguage, tmp_path: Path) -> Path:
    folder = tmp_path / "kit" / "language"
    folder.mkdir(parents=True)
    save_language(folder)
    return folder


@pytest.fixture
def adapter(language: Path, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    model = load_language(language, dtype=torch.float32)
    with warnings.catch_warnings():  # peft still asks transformers by an old name
        warnings.simplefilter("ignore", FutureWarning)
        adapted: Any = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([[3, 5, 8, 13, 21]])).logits


def test_it_says_nearly_what_the_real_numbers_say_and_the_same_from_its_file(language: Path, adapter: Path) -> None:
    exact = logits(load_language(language, dtype=torch.float32, adapter=adapter))
    first, again = (logits(load_int8(language, adapter=adapter)) for _ in range(2))
    assert torch.equal(first, again) and prepared_file(language, adapter).is_file()
    alike = torch.nn.functional.cosine_similarity(first.flatten(), exact.flatten(), dim=0)
    assert alike > 0.999
    assert logits(load_language(language, dtype=torch.float32)).sub(exact).abs().max() > first.sub(exact).abs().max()


def test_other_weights_make_another_file_and_the_old_one_goes(language: Path, adapter: Path) -> None:
    load_int8(language)
    plain = prepared_file(language, None)
    load_int8(language, adapter=adapter)
    assert prepared_file(language, adapter) != plain and not plain.exists()
    weights = next(language.glob("*.safetensors"))
    before = prepared_file(language, None)
    os.utime(weights, ns=(1, 1))
    assert prepared_file(language, None) != before


@pytest.mark.parametrize("error", [OSError(28, "No space"), SafetensorError("I/O error: No space left on device")])
def test_where_nothing_can_be_written_it_is_held_in_memory(
    language: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(_: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise error

    monkeypatch.setattr("safetensors.torch.save_file", full)
    model = load_int8(language)
    assert any(isinstance(module, Int8Linear) for module in model.modules())
    assert list(prepared_file(language, None).parent.glob("*")) == []


def test_a_damaged_file_is_made_again(language: Path) -> None:
    wanted = logits(load_int8(language))
    prepared_file(language, None).write_bytes(b"damaged")
    assert torch.equal(logits(load_int8(language)), wanted)
    assert prepared_file(language, None).stat().st_size > 1000


def test_a_file_that_was_cut_off_is_never_there(language: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        load_int8(language)
    assert not prepared_file(language, None).exists()


def test_only_large_models_of_linear_layers_suit(language: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not suits_int8(language)
    monkeypatch.setattr(int8, "_LARGE_BYTES", 1)
    assert suits_int8(language)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert not suits_int8(language)


def test_the_engine_holds_a_large_model_in_8_bits_on_a_cpu(language: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "_LARGE_BYTES", 1)
    engine = Engine.load(language, device="cpu")
    assert any(isinstance(module, Int8Linear) for module in engine._model.modules())
    turns = [Turn(role="user", text="Name a fruit.")]
    once, again = ("".join(engine.stream(turns, max_new_tokens=8)) for _ in range(2))
    assert once == again
    real = Engine.load(language, device="cpu", dtype="float32")
    assert not any(isinstance(module, Int8Linear) for module in real._model.modules())


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load_int8(tmp_path)


def test_an_installation_prepares_what_a_cpu_will_map_and_says_so_once(
    language: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = SimpleNamespace(has=lambda name: name == "language", path=lambda name: language)
    monkeypatch.setattr("llava_model.kits.find", lambda name: kit)
    monkeypatch.setattr("llava_model.kits.shipped_weights", lambda name: SimpleNamespace(adapter=None))
    begun: list[str] = []
    prepare("some", lambda: begun.append("small models are not prepared"))
    assert begun == [] and not prepared_file(language, None).exists()
    monkeypatch.setattr(int8, "_LARGE_BYTES", 1)
    for _ in range(2):
        prepare("some", lambda: begun.append("begun"))
    assert begun == ["begun"] and prepared_file(language, None).is_file()
