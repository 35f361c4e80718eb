"""The original LLaVA's folders, in all the layouts its scripts write, made on the spot."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llava_model.checkpoints.hf import from_hf_model
from llava_model.checkpoints.llava_original import import_llava
from llava_model.checkpoints.manifest import read_manifest
from llava_model.checkpoints.parts import load_projector, load_trained
from llava_model.errors import (
    CheckpointMismatchError,
    MissingFileError,
    MissingPackageError,
    UnsafeFileError,
    WrongBaseError,
)
from llava_model.images import ImagePreprocess
from llava_model.model.composition import LlavaModel
from llava_model.text.tokenize import image_token_id

SETTINGS = {
    "model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"], "_name_or_path": "lmsys/vicuna-7b-v1.5",
    "mm_vision_tower": "openai/clip-vit-large-patch14-336", "mm_vision_select_layer": -2, "mm_hidden_size": 32,
    "mm_vision_select_feature": "patch", "mm_projector_type": "mlp2x_gelu", "mm_use_im_start_end": False,
    "image_aspect_ratio": "square", "use_mm_proj": True,
}  # fmt: skip


class Parts:
    """A tiny LLaVA in transformers' composition, and its base folders on disk."""

    def __init__(self, folder: Path, foreign: Any, tokenizer: Any) -> None:
        self.language, self.vision = folder / "tiny-vicuna", folder / "tiny-clip"
        self.whole: LlavaModel = from_hf_model(foreign, ImagePreprocess(size=28))
        language: Any = self.whole.language
        language.save_pretrained(self.language)
        tokenizer.save_pretrained(self.language)
        foreign.model.vision_tower.save_pretrained(self.vision)
        self.ids = torch.tensor([[5, *[self.whole.image_token_id] * 4, 6, 7]])
        self.pixels = torch.randn(1, 3, 28, 28)

    def logits(self, model: LlavaModel) -> torch.Tensor:
        with torch.no_grad():
            return model(self.ids, pixels_NCHW=self.pixels).logits_BKL

    def projector(self) -> dict[str, torch.Tensor]:
        assert self.whole.projector is not None
        weights = self.whole.projector.state_dict()
        return {name.replace("layers.", ""): tensor for name, tensor in weights.items()}


@pytest.fixture
def parts(tmp_path: Path, make_foreign: Callable[..., Any], make_tokenizer: Callable[[str], Any]) -> Parts:
    tokenizer = make_tokenizer("chatml")
    foreign = make_foreign(vocabulary=len(tokenizer), image_token=image_token_id(tokenizer))
    return Parts(tmp_path, foreign, tokenizer)


def _folder(path: Path, **changes: Any) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(SETTINGS | changes))
    return path


def test_a_projector_alone_gives_the_same_logits_on_its_base(parts: Parts, tmp_path: Path) -> None:
    source = _folder(tmp_path / "pretrain")
    torch.save({f"model.mm_projector.{name}": t for name, t in parts.projector().items()}, source / "mm_projector.bin")
    import_llava(source, tmp_path / "ours", language=parts.language, vision=parts.vision)
    ours = load_trained(tmp_path / "ours", language=parts.language, vision=parts.vision, dtype=torch.float32)
    assert torch.equal(parts.logits(ours), parts.logits(parts.whole))


def test_the_first_papers_linear_projector_is_the_default_where_the_configuration_is_silent(tmp_path: Path) -> None:
    source = _folder(tmp_path / "v1")
    settings = {name: value for name, value in SETTINGS.items() if name != "mm_projector_type"}
    (source / "config.json").write_text(json.dumps(settings))
    weight, bias = torch.randn(48, 32, dtype=torch.bfloat16), torch.randn(48, dtype=torch.bfloat16)
    torch.save({"model.mm_projector.weight": weight, "model.mm_projector.bias": bias}, source / "mm_projector.bin")
    import_llava(source, tmp_path / "ours")
    projector, config = load_projector(tmp_path / "ours")
    assert config.projector == "linear"
    assert torch.equal(projector.state_dict()["layers.0.weight"], weight.float())
    assert torch.equal(projector.state_dict()["layers.0.bias"], bias.float())


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks by an old name
@pytest.mark.parametrize("pickled", [True, False], ids=["bin", "safetensors"])
def test_a_lora_run_gives_the_logits_that_peft_gives(pickled: bool, parts: Parts, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(parts.language, local_files_only=True)
    adapted = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"])).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    source = _folder(tmp_path / "llava-v1.5-7b-lora")
    adapted.save_pretrained(source)
    if pickled:
        torch.save(load_file(source / "adapter_model.safetensors"), source / "adapter_model.bin")
        (source / "adapter_model.safetensors").unlink()
    prefix = "base_model.model.model.mm_projector"
    torch.save({f"{prefix}.{name}": t for name, t in parts.projector().items()}, source / "non_lora_trainables.bin")
    import_llava(source, tmp_path / "ours", language=parts.language, vision=parts.vision)
    ours = load_trained(tmp_path / "ours", language=parts.language, vision=parts.vision, dtype=torch.float32)
    unmerged = LlavaModel(
        language=adapted, tower=parts.whole.tower, projector=parts.whole.projector, image_token_id=ours.image_token_id
    )
    torch.testing.assert_close(parts.logits(ours), parts.logits(unmerged), rtol=0, atol=1e-5)
    assert (parts.logits(ours) - parts.logits(parts.whole)).abs().max() > 1e-2


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_whole_checkpoint_in_shards_gives_the_same_logits(zipped: bool, parts: Parts, tmp_path: Path) -> None:
    source = _folder(tmp_path / "llava-v1.5-7b", **_text_settings(parts))
    language: Any = parts.whole.language
    tensors = {name: tensor.clone() for name, tensor in language.state_dict().items()}
    tensors |= {f"model.mm_projector.{name}": tensor for name, tensor in parts.projector().items()}
    tensors["model.vision_tower.vision_tower.vision_model.embeddings.class_embedding"] = torch.zeros(32)
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.zeros(6)
    names = sorted(tensors)
    shards = {f"pytorch_model-0000{n}-of-00002.bin": names[n - 1 :: 2] for n in (1, 2)}
    for file, held in shards.items():
        torch.save({name: tensors[name] for name in held}, source / file, _use_new_zipfile_serialization=zipped)
    places = {name: file for file, held in shards.items() for name in held}
    (source / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    for path in parts.language.glob("*token*"):
        (source / path.name).write_bytes(path.read_bytes())
    import_llava(source, tmp_path / "ours", vision=parts.vision)
    ours = load_trained(tmp_path / "ours", language=None, vision=parts.vision, dtype=torch.float32)
    assert torch.equal(parts.logits(ours), parts.logits(parts.whole))
    (source / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(MissingFileError, match="00002-of-00002"):
        import_llava(source, tmp_path / "incomplete", vision=parts.vision)
    assert not (tmp_path / "incomplete").exists()


def _text_settings(parts: Parts) -> dict[str, Any]:
    values = json.loads((parts.language / "config.json").read_text())
    return {name: value for name, value in values.items() if name not in SETTINGS}


def test_an_import_opens_only_on_the_base_it_was_imported_for(
    parts: Parts, save_language: Callable[..., Any], tmp_path: Path
) -> None:
    source = _folder(tmp_path / "pretrain")
    torch.save({f"model.mm_projector.{name}": t for name, t in parts.projector().items()}, source / "mm_projector.bin")
    import_llava(source, tmp_path / "ours", language=parts.language, vision=parts.vision)
    save_language(tmp_path / "other-vicuna", seed=7)
    with pytest.raises(WrongBaseError, match=r"trained on 'tiny-vicuna' .*, not on '.*other-vicuna'"):
        load_trained(tmp_path / "ours", language=tmp_path / "other-vicuna", vision=parts.vision, dtype=torch.float32)


def test_pictures_are_padded_where_the_original_padded_them(parts: Parts, tmp_path: Path) -> None:
    source = _folder(tmp_path / "pretrain", image_aspect_ratio="pad")
    torch.save({f"model.mm_projector.{name}": t for name, t in parts.projector().items()}, source / "mm_projector.bin")
    import_llava(source, tmp_path / "ours", language=parts.language, vision=parts.vision)
    ours = load_trained(tmp_path / "ours", language=parts.language, vision=parts.vision, dtype=torch.float32)
    assert ours.tower is not None and ours.tower.preprocess.mode == "pad"


def test_the_original_names_of_the_base_stand_in_the_manifest_where_no_folders_are_given(
    parts: Parts, tmp_path: Path
) -> None:
    source = _folder(tmp_path / "pretrain")
    torch.save({f"model.mm_projector.{name}": t for name, t in parts.projector().items()}, source / "mm_projector.bin")
    import_llava(source, tmp_path / "ours")
    base = read_manifest(tmp_path / "ours").base
    assert base["language"]["name"] == "lmsys/vicuna-7b-v1.5"
    assert base["vision"]["name"] == "openai/clip-vit-large-patch14-336"
    with pytest.raises(CheckpointMismatchError, match=r"no language model of its own.*lmsys/vicuna-7b-v1.5"):
        load_trained(tmp_path / "ours", language=None, vision=None, dtype=torch.float32)


class _Code:
    """What a pickle may carry: a call that is made when it is opened."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("protocol", ["torch", "bare pickle"])
def test_a_pickle_with_code_in_it_is_refused_and_does_not_run(protocol: str, tmp_path: Path) -> None:
    source, victim = _folder(tmp_path / "pretrain"), tmp_path / "victim"
    content = {"model.mm_projector.weight": torch.zeros(2, 2), "x": _Code(victim)}
    if protocol == "torch":
        torch.save(content, source / "mm_projector.bin")
    else:
        (source / "mm_projector.bin").write_bytes(pickle.dumps(content))
    with pytest.raises(UnsafeFileError, match=r"mm_projector.bin' wants to run code"):
        import_llava(source, tmp_path / "ours")
    assert not victim.exists() and not (tmp_path / "ours").exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    source = _folder(tmp_path / "pretrain")
    torch.save({"model.mm_projector.weight": torch.zeros(40, 40)}, source / "mm_projector.bin")
    cut = (source / "mm_projector.bin").read_bytes()[:3000]
    (source / "mm_projector.bin").write_bytes(cut)
    with pytest.raises(CheckpointMismatchError, match=r"mm_projector.bin'.*damaged"):
        import_llava(source, tmp_path / "ours")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mm_projector_type": "mlp3x_gelu"}, "mlp3x_gelu"),
        ({"mm_use_im_start_end": True}, "marks around every picture"),
        ({"image_aspect_ratio": "anyres", "mm_patch_merge_type": "spatial_unpad"}, "several crops"),
        ({"mm_vision_select_feature": "cls"}, "mm_vision_select_feature: found 'cls'"),
    ],
)
def test_what_this_composition_cannot_say_is_refused_by_name(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    source = _folder(tmp_path / "other", **changes)
    with pytest.raises(CheckpointMismatchError, match=words):
        import_llava(source, tmp_path / "ours")


def test_a_lora_run_that_trained_more_than_the_projector_is_refused(parts: Parts, tmp_path: Path) -> None:
    source = _folder(tmp_path / "lora")
    (source / "adapter_config.json").write_text("{}")
    torch.save({"base_model.model.model.embed_tokens.weight": torch.zeros(2)}, source / "non_lora_trainables.bin")
    with pytest.raises(CheckpointMismatchError, match="trained as well"):
        import_llava(source, tmp_path / "ours")


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="LLaVA's configuration not found"):
        import_llava(tmp_path, tmp_path / "ours")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointMismatchError, match="no mm_vision_tower"):
        import_llava(tmp_path, tmp_path / "ours")


def test_a_sentencepiece_model_names_the_package_that_reads_it(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llava_model.checkpoints import llava_original as module

    source = _folder(tmp_path / "whole", **_text_settings(parts))
    language: Any = parts.whole.language
    torch.save(dict(language.state_dict()), source / "pytorch_model.bin")
    (source / "tokenizer.model").write_bytes(b"\n")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="sentencepiece") as caught:
        import_llava(source, tmp_path / "ours")
    assert "pip install sentencepiece" in caught.value.__notes__[0]
