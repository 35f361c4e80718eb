"""transformers' LLaVA folders, in and out, bit by bit; and the project's own projector files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from llava_model.checkpoints.hf import from_hf, from_hf_model, save_hf
from llava_model.checkpoints.parts import load_projector, save_projector
from llava_model.errors import CheckpointMismatchError, ExportError, MissingFileError
from llava_model.images import ImagePreprocess
from llava_model.model.composition import LlavaModel, Projector
from llava_model.model.config import LlavaConfig
from llava_model.text.templates import Message
from llava_model.text.tokenize import PromptEncoder, image_token_id

Foreign = Callable[..., Any]
Tokenizer = Callable[[str], Any]


def _fitting(make_foreign: Foreign, tokenizer: Any, **options: Any) -> Any:
    return make_foreign(vocabulary=len(tokenizer), image_token=image_token_id(tokenizer), **options)


def _reload(folder: Path) -> Any:
    from transformers import LlavaForConditionalGeneration

    return LlavaForConditionalGeneration.from_pretrained(folder, local_files_only=True)


def _settings(folder: Path) -> Any:
    """config.json without the versions and number formats that loading a model notes in it."""

    def without_notes(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        notes = {"transformers_version", "_name_or_path", "dtype"}
        return {key: value for key, value in pairs if key not in notes}

    return json.loads((folder / "config.json").read_text(), object_pairs_hook=without_notes)


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("tower", ["clip", "siglip"])
def test_what_came_from_transformers_goes_back_bitwise(
    tower: str, tied: bool, make_foreign: Foreign, make_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tokenizer = make_tokenizer("chatml")
    foreign = _fitting(make_foreign, tokenizer, tower=tower, select="default" if tower == "clip" else "full", tied=tied)
    foreign.save_pretrained(tmp_path / "theirs")
    tokenizer.save_pretrained(tmp_path / "theirs")
    save_hf(from_hf(tmp_path / "theirs"), tmp_path / "ours", tokenizer)
    back = _reload(tmp_path / "ours")
    before, after = foreign.state_dict(), back.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    theirs, ours = (_settings(tmp_path / side) for side in ("theirs", "ours"))
    assert ours == theirs


def test_the_first_papers_linear_projector_goes_out_exactly_and_comes_back_as_one_layer(
    make_foreign: Foreign, make_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tokenizer = make_tokenizer("chatml")
    whole = from_hf_model(_fitting(make_foreign, tokenizer), ImagePreprocess(size=28))
    linear = LlavaModel(
        language=whole.language,
        image_token_id=whole.image_token_id,
        tower=whole.tower,
        projector=Projector("linear", vision_width=32, text_width=48),
        config=LlavaConfig(projector="linear"),
    )
    save_hf(linear, tmp_path, tokenizer)
    ids = torch.tensor([[5, *[whole.image_token_id] * 4, 6, 7]])
    pixels = torch.randn(1, 3, 28, 28)
    back = from_hf(tmp_path)
    with torch.no_grad():
        ours = linear(ids, pixels_NCHW=pixels).logits_BKL
        theirs = _reload(tmp_path).eval()(input_ids=ids, pixel_values=pixels).logits
        torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-6)
        assert torch.equal(back(ids, pixels_NCHW=pixels).logits_BKL, ours)
    assert back.config.projector == "linear"


def test_an_image_token_behind_the_table_makes_room_without_changing_a_greedy_answer(
    make_foreign: Foreign, make_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tokenizer = make_tokenizer("chatml")
    rows = len(tokenizer) - 1  # the image token came last
    model = from_hf_model(
        make_foreign(vocabulary=rows, image_token=image_token_id(tokenizer)), ImagePreprocess(size=28)
    )
    save_hf(model, tmp_path, tokenizer)
    ids = torch.tensor([[5, *[model.image_token_id] * 4, 6, 7]])
    pixels = torch.randn(1, 3, 28, 28)
    with torch.no_grad():
        ours = model(ids, pixels_NCHW=pixels).logits_BKL
        theirs = _reload(tmp_path).eval()(input_ids=ids, pixel_values=pixels).logits
    assert ours.shape[-1] == rows
    torch.testing.assert_close(theirs[..., :rows], ours, rtol=0, atol=1e-5)
    assert torch.equal(theirs.argmax(-1), ours.argmax(-1))


@pytest.mark.parametrize("mode", ["crop", "pad", "squash"])
def test_the_saved_processor_turns_words_and_pictures_into_our_numbers(
    mode: Any, make_foreign: Foreign, make_tokenizer: Tokenizer, photograph: Callable[..., Image.Image], tmp_path: Path
) -> None:
    from transformers import AutoProcessor

    tokenizer = make_tokenizer("chatml")
    preprocess = ImagePreprocess(size=28, mode=mode)
    model = from_hf_model(_fitting(make_foreign, tokenizer), preprocess)
    save_hf(model, tmp_path, tokenizer)
    pictures = [photograph(60, 40), photograph(33, 70, seed=1)]
    message = Message.of("user", "Compare them.", images=2)
    encoded = PromptEncoder(tokenizer, tokens_per_image=model.tokens_per_image).encode([message], open_reply=True)
    theirs = AutoProcessor.from_pretrained(tmp_path, local_files_only=True, backend="pil")(
        images=pictures, text=encoded.text, add_special_tokens=False, return_tensors="pt"
    )
    assert theirs["input_ids"][0].tolist() == list(encoded.ids)
    torch.testing.assert_close(theirs["pixel_values"], preprocess.pixels(pictures), rtol=0, atol=1e-5)
    again = from_hf(tmp_path)
    assert again.tower is not None
    torch.testing.assert_close(again.tower.preprocess.pixels(pictures), preprocess.pixels(pictures), rtol=0, atol=0)


def test_a_timm_tower_or_a_pooled_grid_has_no_place_in_transformers_format(
    make_foreign: Foreign, make_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    from llava_model.model.towers import TransformersTower

    tokenizer = make_tokenizer("chatml")
    whole = from_hf_model(_fitting(make_foreign, tokenizer), ImagePreprocess(size=28))
    assert whole.tower is not None
    config = LlavaConfig(pooled_grid=1)
    pooled = TransformersTower(whole.tower.network, preprocess=whole.tower.preprocess, config=config)
    parts: dict[str, Any] = {"language": whole.language, "image_token_id": whole.image_token_id}
    for model, reason in (
        (LlavaModel(**parts), "reads words only"),
        (LlavaModel(**parts, tower=pooled, projector=whole.projector, config=config), "down to 1×1 positions"),
    ):
        with pytest.raises(ExportError, match=reason) as caught:
            save_hf(model, tmp_path, tokenizer)
        assert "llavero serve" in caught.value.__notes__[0]


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_a_projector_that_is_neither_of_the_two_is_named(activation: str, make_foreign: Foreign) -> None:
    with pytest.raises(CheckpointMismatchError, match=f"'{activation}'"):
        from_hf_model(make_foreign(activation=activation), ImagePreprocess(size=28))


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="LLaVA checkpoint not found"):
        from_hf(tmp_path / "nothing")


@pytest.mark.parametrize("kind", ["linear", "mlp2x_gelu"])
def test_a_projector_file_brings_its_settings_back(kind: Any, tmp_path: Path) -> None:
    projector = Projector(kind, vision_width=8, text_width=6)
    config = LlavaConfig(projector=kind, feature_layer=-1, feature_select="full", pooled_grid=4)
    save_projector(tmp_path / "projector.safetensors", projector, config)
    back, settings = load_projector(tmp_path)
    assert settings == config
    assert all(torch.equal(back.state_dict()[name], tensor) for name, tensor in projector.state_dict().items())


def test_a_file_that_is_no_projector_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "projector.safetensors")
    with pytest.raises(CheckpointMismatchError, match="found None"):
        load_projector(tmp_path)
    with pytest.raises(MissingFileError):
        load_projector(tmp_path / "other.safetensors")


@pytest.mark.parametrize("values", [{"projector": "conv"}, {"feature_select": "cls"}, {"pooled_grid": 0}])
def test_settings_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(values.values())))):
        LlavaConfig(**values)


def test_settings_of_a_newer_version_are_refused() -> None:
    with pytest.raises(ValueError, match="'gate'"):
        LlavaConfig.from_json({"projector": "linear", "gate": 1})
