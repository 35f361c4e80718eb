"""A trained checkpoint: opened only on its own base, merged exactly, handed on without a changed weight."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file

from llava_model.checkpoints.hf import from_hf, from_hf_model, save_hf
from llava_model.checkpoints.manifest import Manifest, base_of, read_manifest, writing
from llava_model.checkpoints.parts import (
    ADAPTER,
    PROJECTOR_FILE,
    load_trained,
    open_trained,
    save_as_hf,
    save_merged,
    save_projector,
)
from llava_model.errors import (
    CheckpointMismatchError,
    ExportError,
    IncompleteCheckpointError,
    MissingFileError,
    WrongBaseError,
)
from llava_model.images import ImagePreprocess
from llava_model.model.composition import LlavaModel, Projector
from llava_model.model.config import LlavaConfig
from llava_model.text.tokenize import image_token_id, load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks by an old name


class Run:
    """Base folders, and a checkpoint with a LoRA adapter and a projector as a training stage leaves it."""

    def __init__(self, folder: Path, foreign: Any, save_language: Callable[..., Any], dtype: torch.dtype) -> None:
        self.language, self.vision = folder / "tiny-lm", folder / "tiny-clip"
        self.checkpoint = folder / "run" / "checkpoint-000010"
        base = save_language(self.language).to(dtype)
        for parameter in base.parameters():
            parameter.data *= (
                0.3 if parameter.dim() > 1 else 1.0
            )  # the size of trained weights: float32 errors stay small
        base.save_pretrained(self.language)
        foreign.model.vision_tower.save_pretrained(self.vision)
        self.adapted = self._with_adapter(base)
        self.projector = Projector("mlp2x_gelu", vision_width=32, text_width=48)
        self.ids = torch.tensor([[5, *[image_token_id(load_tokenizer(self.language))] * 4, 6, 7]])
        self.pixels = torch.randn(1, 3, 28, 28)
        manifest = Manifest(
            stage="instruct", step=10, seed=1, config={"lora_rank": 4}, llava=LlavaConfig().to_json(),
            data_fingerprint="data", git_hash="", base=base_of(language=self.language, vision=self.vision),
        )  # fmt: skip
        with writing(self.checkpoint, manifest) as unfinished:
            save_projector(unfinished / PROJECTOR_FILE, self.projector, LlavaConfig())
            self.adapted.save_pretrained(unfinished / ADAPTER)
            (unfinished / "state").mkdir()
            (unfinished / "state" / "optimizer").write_bytes(b"state")

    def _with_adapter(self, base: Any) -> Any:
        from peft import LoraConfig, get_peft_model

        adapted = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")).eval()
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.02)
        return adapted

    def load(self, folder: Path | None = None, **changes: Path | None) -> LlavaModel:
        base: dict[str, Path | None] = {"language": self.language, "vision": self.vision}
        return load_trained(folder or self.checkpoint, **cast(Any, base | changes), dtype=torch.float32)

    def logits(self, model: LlavaModel) -> torch.Tensor:
        with torch.no_grad():
            return model(self.ids, pixels_NCHW=self.pixels).logits_BKL


@pytest.fixture
def make_run(tmp_path: Path, make_foreign: Callable[..., Any], save_language: Callable[..., Any]) -> Callable[..., Run]:
    return lambda dtype=torch.float32: Run(tmp_path, make_foreign(), save_language, dtype)


@pytest.fixture
def run(make_run: Callable[..., Run]) -> Run:
    return make_run()


def test_a_merged_adapter_gives_the_logits_of_the_unmerged_one(run: Run, tmp_path: Path) -> None:
    merged = run.load()
    unmerged = LlavaModel(
        language=run.adapted, tower=merged.tower, projector=run.projector, image_token_id=merged.image_token_id
    )
    torch.testing.assert_close(run.logits(merged), run.logits(unmerged), rtol=0, atol=1e-5)
    with run.adapted.disable_adapter():
        assert (run.logits(merged) - run.logits(unmerged)).abs().max() > 0.1, "the adapter does something"
    save_merged(open_trained(run.checkpoint, language=run.language, vision=run.vision), tmp_path / "merged")
    alone = run.load(tmp_path / "merged", language=None)
    torch.testing.assert_close(run.logits(alone), run.logits(unmerged), rtol=0, atol=1e-5)
    assert torch.equal(run.logits(alone), run.logits(merged))


def test_a_merged_checkpoint_has_the_tokenizer_byte_for_byte_and_leaves_adapter_and_state_behind(
    run: Run, tmp_path: Path
) -> None:
    save_merged(open_trained(run.checkpoint, language=run.language, vision=run.vision), tmp_path / "merged")
    files = read_manifest(tmp_path / "merged").files
    assert {name.split("/")[0] for name in files} == {"language", PROJECTOR_FILE}
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "merged" / "language" / name).read_bytes() == (run.language / name).read_bytes()
    assert read_manifest(tmp_path / "merged").config == {"lora_rank": 4}


def test_weights_stored_in_half_precision_are_merged_in_float32_and_rounded_once(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(torch.bfloat16)
    trained = open_trained(run.checkpoint, language=run.language, vision=run.vision)
    exact = run.load().language.state_dict()
    for name, weight in trained.model.language.state_dict().items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, exact[name].to(torch.bfloat16)), name
    save_merged(trained, tmp_path / "merged")
    saved = load_file(tmp_path / "merged" / PROJECTOR_FILE)
    assert all(torch.equal(saved[name], weight) for name, weight in run.projector.state_dict().items())


def test_another_language_model_than_the_one_trained_on_is_refused_by_name(
    run: Run, save_language: Callable[..., Any], tmp_path: Path
) -> None:
    save_language(tmp_path / "lookalike", seed=2)
    with pytest.raises(WrongBaseError, match=r"the adapter in .* was trained on 'tiny-lm' .*, not on '.*lookalike'"):
        run.load(language=tmp_path / "lookalike")


def test_another_tower_than_the_one_trained_on_is_refused_by_name(
    run: Run, make_foreign: Callable[..., Any], tmp_path: Path
) -> None:
    other = make_foreign().model.vision_tower
    with torch.no_grad():
        next(other.parameters()).add_(1)
    other.save_pretrained(tmp_path / "other-clip")
    with pytest.raises(WrongBaseError, match=r"the projector in .* was trained on 'tiny-clip' .*, not on '.*other"):
        run.load(vision=tmp_path / "other-clip")


def test_the_same_base_under_another_name_is_taken(run: Run, tmp_path: Path) -> None:
    run.language.rename(tmp_path / "moved")
    assert run.load(language=tmp_path / "moved").tower is not None


def test_a_base_that_was_not_given_is_asked_for_by_name(run: Run) -> None:
    with pytest.raises(CheckpointMismatchError, match=r"no vision model of its own.*'tiny-clip'"):
        run.load(vision=None)
    with pytest.raises(MissingFileError, match="language model"):
        open_trained(run.checkpoint, vision=run.vision)


def test_a_checkpoint_whose_adapter_was_cut_is_refused(run: Run) -> None:
    weights = run.checkpoint / ADAPTER / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(IncompleteCheckpointError, match=r"adapter/adapter_model.safetensors has"):
        run.load()


def test_a_folder_that_is_neither_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"manifest.json"):
        open_trained(tmp_path)


def test_a_trained_checkpoint_goes_to_transformers_and_back_bitwise(run: Run, tmp_path: Path) -> None:
    trained = open_trained(run.checkpoint, language=run.language, vision=run.vision)
    save_as_hf(trained, tmp_path / "hf")
    back = from_hf(tmp_path / "hf")
    assert torch.equal(run.logits(back), run.logits(run.load()))
    again = open_trained(tmp_path / "hf")
    save_merged(again, tmp_path / "merged")
    alone = run.load(tmp_path / "merged", language=None, vision=None)
    assert torch.equal(run.logits(alone), run.logits(back)), "it brought its own tower"


def test_transformers_reads_what_was_merged_and_answers_alike(run: Run, tmp_path: Path) -> None:
    from transformers import LlavaForConditionalGeneration

    save_as_hf(open_trained(run.checkpoint, language=run.language, vision=run.vision), tmp_path / "hf")
    theirs = LlavaForConditionalGeneration.from_pretrained(tmp_path / "hf", local_files_only=True).eval()
    with torch.no_grad():
        logits = theirs(input_ids=run.ids, pixel_values=run.pixels).logits
    torch.testing.assert_close(logits, run.logits(run.load()), rtol=0, atol=1e-5)


def test_a_linear_projector_in_transformers_format_comes_with_a_word_about_vllm(run: Run, tmp_path: Path) -> None:
    trained = open_trained(run.checkpoint, language=run.language, vision=run.vision)
    model = trained.model
    linear = LlavaModel(
        language=model.language, tower=model.tower, image_token_id=model.image_token_id,
        projector=Projector("linear", vision_width=32, text_width=48), config=LlavaConfig(projector="linear"),
    )  # fmt: skip
    notes = save_as_hf(replace(trained, model=linear), tmp_path / "hf")
    assert any("vLLM" in note for note in notes)
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["projector_hidden_act"] == "linear"


def test_a_network_of_timm_is_refused_with_what_to_do(
    make_foreign: Callable[..., Any], make_tokenizer: Callable[[str], Any], tmp_path: Path
) -> None:
    timm = pytest.importorskip("timm")
    from llava_model.model.towers import TimmTower

    tokenizer = make_tokenizer("chatml")
    foreign = make_foreign(vocabulary=len(tokenizer), image_token=image_token_id(tokenizer))
    whole = from_hf_model(foreign, ImagePreprocess(size=28))
    network = timm.create_model("test_efficientnet", pretrained=False)
    tower = TimmTower(network, preprocess=ImagePreprocess(size=64), pooled_grid=None)
    model = LlavaModel(
        language=whole.language, tower=tower, image_token_id=whole.image_token_id,
        projector=Projector("linear", vision_width=tower.width, text_width=48), config=LlavaConfig(projector="linear"),
    )  # fmt: skip
    with pytest.raises(ExportError, match="CLIP or SigLIP tower, this one looks through 'EfficientNet'") as caught:
        save_hf(model, tmp_path, tokenizer)
    assert "llavero serve" in caught.value.__notes__[0]
