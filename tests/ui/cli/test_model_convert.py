"""`llavero model convert` and `export` as a person uses them, on a tiny LLaVA made on the spot."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from command_line import Run

COMMAND = ("model",)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from llava_model.text.tokenize import prepare_tokenizer

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=280, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    backend.train_from_iterator(["what is in the picture"], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>")
    fast.chat_template = "{% for m in messages %}{{ m['content'] }}<|end|>{% endfor %}"
    return prepare_tokenizer(fast)


class Folders(NamedTuple):
    language: Path
    vision: Path
    original: Path  # of the first LLaVA, stage 1


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    made = Folders(tmp_path / "tiny-lm", tmp_path / "tiny-clip", tmp_path / "llava-pretrain")
    tokenizer = _tokenizer()
    shape: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    LlamaForCausalLM(
        LlamaConfig(**shape, num_hidden_layers=1, vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=None)
    ).save_pretrained(made.language)
    tokenizer.save_pretrained(made.language)
    CLIPVisionModel(CLIPVisionConfig(**shape, num_hidden_layers=2, image_size=28, patch_size=14)).save_pretrained(
        made.vision
    )
    made.original.mkdir()
    settings = {"model_type": "llava", "mm_vision_tower": "openai/clip-vit-large-patch14", "mm_hidden_size": 32}
    (made.original / "config.json").write_text(json.dumps(settings))
    weights = {"model.mm_projector.weight": torch.randn(32, 32), "model.mm_projector.bias": torch.randn(32)}
    torch.save(weights, made.original / "mm_projector.bin")
    return made


@pytest.fixture
def checkpoint(run: Run, folders: Folders, tmp_path: Path) -> Path:
    done = run(
        "convert", "--from-llava", folders.original, tmp_path / "ours",
        "--language", folders.language, "--vision", folders.vision,
    )  # fmt: skip
    assert done.code == 0, done.err
    return tmp_path / "ours"


def _base(folders: Folders) -> tuple[object, ...]:
    return "--language", folders.language, "--vision", folders.vision


def test_the_original_llava_goes_to_transformers_in_one_command(run: Run, folders: Folders, tmp_path: Path) -> None:
    from transformers import LlavaForConditionalGeneration

    done = run("convert", "--from-llava", folders.original, "--to", "hf", tmp_path / "hf", *_base(folders), "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert "config.json" in document["files"] and any("vLLM" in note for note in document["notes"])
    theirs = LlavaForConditionalGeneration.from_pretrained(tmp_path / "hf", local_files_only=True)
    original = torch.load(folders.original / "mm_projector.bin", weights_only=True)
    projector = theirs.state_dict()
    first = next(weight for name, weight in projector.items() if name.endswith("linear_1.weight"))
    assert torch.equal(first, original["model.mm_projector.weight"])
    assert not list(tmp_path.glob("llavero-import-*"))


def test_a_checkpoint_is_merged_and_its_files_are_listed(
    run: Run, folders: Folders, checkpoint: Path, tmp_path: Path
) -> None:
    done = run("convert", checkpoint, "--to", "merged", tmp_path / "merged", *_base(folders))
    assert done.code == 0, done.err
    listed = {line.split()[-1] for line in done.out.splitlines()}
    assert str(tmp_path / "merged" / "language" / "model.safetensors") in listed
    assert str(tmp_path / "merged" / "projector.safetensors") in listed


def test_an_older_conversion_is_kept_unless_asked_otherwise(
    run: Run, folders: Folders, checkpoint: Path, tmp_path: Path
) -> None:
    words = ("convert", checkpoint, "--to", "merged", tmp_path / "merged", *_base(folders))
    assert run(*words).code == 0
    refused = run(*words)
    assert refused.code == 1 and "something is there already" in refused.err and "--replace" in refused.err
    assert run(*words, "--replace").code == 0


def test_replace_does_not_touch_a_folder_of_other_things(
    run: Run, folders: Folders, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    done = run("convert", checkpoint, "--to", "merged", tmp_path / "photos", *_base(folders), "--replace")
    assert done.code == 1 and "no checkpoint" in done.err
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["one.jpg"]


def test_another_base_is_refused_in_one_line(run: Run, folders: Folders, checkpoint: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    other = AutoModelForCausalLM.from_pretrained(folders.language, local_files_only=True)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    other.save_pretrained(folders.language)
    done = run("convert", checkpoint, "--to", "merged", tmp_path / "merged", *_base(folders))
    assert done.code == 1 and "was trained on 'tiny-lm'" in done.err and "Traceback" not in done.err
    assert done.out == "" and not (tmp_path / "merged").exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["{ours}", "{out}"], "merged or hf"),
        (["{ours}", "--to", "merged"], "CHECKPOINT and OUT"),
        (["{ours}", "{out}", "--to", "checkpoint"], "--from-llava"),
        (["{ours}", "{ours}", "--to", "merged", "--replace"], "holds what is to be read"),
    ],
)
def test_a_command_that_makes_no_sense_is_a_usage_error(
    words: list[str], hint: str, run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    done = run("convert", *(word.format(ours=checkpoint, out=tmp_path / "out") for word in words))
    assert done.code == 2 and hint in " ".join(done.err.split())


def test_both_gguf_files_are_written_and_llama_cpps_differences_are_told(
    run: Run, folders: Folders, checkpoint: Path, tmp_path: Path
) -> None:
    gguf = pytest.importorskip("gguf")
    done = run("export", checkpoint, "--gguf", tmp_path / "gguf", "--name", "tiny llava", *_base(folders))
    assert done.code == 0, done.err
    names = sorted(path.name for path in (tmp_path / "gguf").glob("*.gguf"))
    assert names == ["mmproj-tiny-llava-f16.gguf", "tiny-llava-f16.gguf"]
    reader = gguf.GGUFReader(tmp_path / "gguf" / names[0])
    assert reader.fields["clip.projector_type"].contents() == "mlp"
    assert "Note: llama.cpp" in done.err


def test_a_missing_checkpoint_is_named(run: Run, tmp_path: Path) -> None:
    for words in (
        ("convert", tmp_path / "no", tmp_path / "out", "--to", "hf"),
        ("export", tmp_path / "no", "--gguf", tmp_path / "out"),
    ):
        done = run(*words)
        assert done.code == 1 and "checkpoint not found" in done.err and "Traceback" not in done.err


def test_the_progress_line_shows_sizes_rate_and_what_is_left() -> None:
    from ui.cli.model_checkpoints import _progress

    assert _progress("writing out", 65.0, 0, 0) == "writing out · 1 min 05 s"
    assert _progress("writing out", 2.0, 500_000_000, 1_500_000_000) == (
        "writing out · 500.0 MB of 1.5 GB · 250.0 MB/s · 4 s left"
    )
