"""Conversions: against timm itself on random weights, and the pocket kit where it is installed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from llava_model.kits import Component, Kit, find
from llava_model.kits.errors import ConversionError
from llava_model.kits.installer import convert


@pytest.fixture
def vision() -> Component:
    return find("pocket").component("vision")


def foreign_weights(folder: Path) -> dict[str, torch.Tensor]:
    """timm's tensors under names of another project, as the archive holds them."""
    torch.manual_seed(0)
    own = timm.create_model("tf_efficientnet_lite0").state_dict()
    return {f"_part{number}.{name.rsplit('.', 1)[-1]}": tensor for number, (name, tensor) in enumerate(own.items())}


def save(folder: Path, weights: object, vision: Component) -> Path:
    (folder / "unpacked").mkdir()
    (folder / "finished").mkdir()
    torch.save(weights, folder / "unpacked" / vision.options["weights"])
    return folder / "finished"


def test_a_converted_network_computes_what_the_original_tensors_do(tmp_path: Path, vision: Component) -> None:
    weights = foreign_weights(tmp_path)
    finished = save(tmp_path, weights, vision)
    convert(vision, tmp_path / "unpacked", finished)
    original = timm.create_model("tf_efficientnet_lite0").eval()
    original.load_state_dict(dict(zip(original.state_dict(), weights.values(), strict=True)))
    converted = timm.create_model(f"local-dir:{finished}", pretrained=True).eval()
    pictures = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(converted(pictures), original(pictures))
    assert converted.pretrained_cfg["mean"] == pytest.approx([127 / 255] * 3)
    assert converted.pretrained_cfg["std"] == pytest.approx([128 / 255] * 3)
    assert sorted(path.name for path in finished.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("harm", ["one tensor less", "another shape", "another order"])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, vision: Component, harm: str) -> None:
    weights = foreign_weights(tmp_path)
    names = list(weights)
    if harm == "one tensor less":
        del weights[names[-1]]
    elif harm == "another shape":
        weights[names[0]] = torch.zeros(1)
    else:
        weights = {name: weights[name] for name in [names[1], names[0], *names[2:]]}
    with pytest.raises(ConversionError, match="vision"):
        convert(vision, tmp_path / "unpacked", save(tmp_path, weights, vision))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("evil-was-here"),)


def test_a_pickle_that_runs_code_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vision: Component) -> None:
    monkeypatch.chdir(tmp_path)
    finished = save(tmp_path, {"weight": Evil()}, vision)
    with pytest.raises(ConversionError, match="vision"):
        convert(vision, tmp_path / "unpacked", finished)
    assert not (tmp_path / "evil-was-here").exists()


def test_an_unknown_recipe_is_refused(tmp_path: Path, vision: Component) -> None:
    with pytest.raises(ConversionError, match="no recipe 'magic'"):
        convert(replace(vision, options={"recipe": "magic"}), tmp_path, tmp_path)


# With the real kit, where it is installed.


@pytest.fixture(scope="module")
def pocket() -> Kit:
    kit = find("pocket")
    if not kit.is_installed():
        pytest.skip("the pocket kit is not installed: llavero kit install pocket")
    return kit


def test_nothing_of_the_pocket_kit_is_a_pickle(pocket: Kit) -> None:
    suffixes = {path.suffix for path in pocket.folder.rglob("*") if path.is_file()}
    assert not suffixes & {".pth", ".pt", ".pkl", ".ckpt", ".gguf", ".py"}


def test_the_language_model_answers_through_its_own_chat_template(pocket: Kit) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = pocket.path("language")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 2
    turns = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=16, do_sample=False)
    assert "Paris" in tokenizer.decode(output[0, inputs["input_ids"].shape[1] :])


def test_a_converted_folder_names_no_place_of_the_machine_that_made_it(pocket: Kit) -> None:
    for file in pocket.folder.rglob("*.json"):
        if file.stat().st_size < 100_000:
            assert str(Path.home()) not in file.read_text(encoding="utf-8")
    assert "local_files_only" not in json.loads((pocket.path("language") / "tokenizer_config.json").read_text())
