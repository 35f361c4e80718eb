"""The two files for llama.cpp, read back by its own Python package and by transformers' loader."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llava_model.checkpoints.gguf import (
    GgufContent,
    GgufExport,
    export_gguf,
    language_content,
    tensor_of,
    vision_content,
    write_file,
)
from llava_model.checkpoints.gguf_vocabulary import read_vocabulary
from llava_model.checkpoints.hf import from_hf_model
from llava_model.checkpoints.manifest import Manifest, read_manifest
from llava_model.checkpoints.parts import TrainedModel
from llava_model.errors import CheckpointWriteError, ExportError
from llava_model.images import ImagePreprocess
from llava_model.model.composition import LlavaModel, Projector
from llava_model.model.towers import TransformersTower
from llava_model.text.tokenize import image_token_id

gguf = pytest.importorskip("gguf")

TEXTS = ["How many chairs did it make in 1994?", "two  spaces, 12345 – naïve café €", "<|im_end|> user\n\n東京", ""]


def _trained(model: LlavaModel, tokenizer: Any) -> TrainedModel:
    manifest = Manifest(
        stage="instruct", step=1, seed=0, config={}, llava={}, data_fingerprint="", git_hash="", base={}
    )
    return TrainedModel(model=model, tokenizer=tokenizer, tokenizer_folder=Path(), manifest=manifest, brings_tower=True)


@pytest.fixture
def make_trained(make_foreign: Callable[..., Any], make_tokenizer: Callable[[str], Any]) -> Callable[..., TrainedModel]:
    def make(*, kind: str = "chatml", mode: Any = "pad", **options: Any) -> TrainedModel:
        tokenizer = make_tokenizer(kind)
        options = {"vocabulary": len(tokenizer), "image_token": image_token_id(tokenizer)} | options
        return _trained(from_hf_model(make_foreign(**options), ImagePreprocess(size=28, mode=mode)), tokenizer)

    return make


def _read(path: Path) -> dict[str, Any]:
    fields = gguf.GGUFReader(path).fields
    return {name: field.contents() for name, field in fields.items()}


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """As transformers would see them: GGUF counts dimensions from the other end, its reader turns them back."""
    return {tensor.name: torch.from_numpy(np.array(tensor.data)) for tensor in gguf.GGUFReader(path).tensors}


def _reload(export: GgufExport) -> Any:
    from transformers import AutoModelForCausalLM, GgufConfig

    return AutoModelForCausalLM.from_pretrained(
        export.language.parent,
        gguf_file=export.language.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
        local_files_only=True,
    ).eval()


def _logits(language: Any) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = language(input_ids=torch.arange(3, 60)[None]).logits
    return logits


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_transformers_own_loader_gets_the_same_logits(
    tied: bool, make_trained: Callable[..., TrainedModel], tmp_path: Path
) -> None:
    trained = make_trained(tied=tied)
    export = export_gguf(trained, tmp_path / "out", name="tiny", number_format="f32")
    assert torch.equal(_logits(_reload(export)), _logits(trained.model.language))


@pytest.mark.parametrize(("number_format", "dtype"), [("f16", torch.float16), ("bf16", torch.bfloat16)])
def test_half_precision_files_hold_the_rounded_weights(
    number_format: Any, dtype: torch.dtype, make_trained: Callable[..., TrainedModel], tmp_path: Path
) -> None:
    trained = make_trained()
    export = export_gguf(trained, tmp_path / "out", name="tiny", number_format=number_format)
    for parameter in trained.model.language.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.to(dtype).float()
    assert torch.equal(_logits(_reload(export)), _logits(trained.model.language))


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "mistral"])
def test_other_families_come_back_with_the_same_logits(
    kind: str, make_tokenizer: Callable[[str], Any], tmp_path: Path
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = make_tokenizer("chatml")
    torch.manual_seed(0)
    settings = AutoConfig.for_model(
        kind, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=len(tokenizer), max_position_embeddings=512, pad_token_id=None,
        head_dim=128 if kind == "qwen3" else 12, bos_token_id=None,
        eos_token_id=None, sliding_window=None, rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    )  # fmt: skip
    language = AutoModelForCausalLM.from_config(settings).eval()
    for parameter in language.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    trained = _trained(LlavaModel(language=language, image_token_id=image_token_id(tokenizer)), tokenizer)
    export = export_gguf(trained, tmp_path / "out", name="tiny", number_format="f32", language_only=True)
    assert export.vision is None and [path.name for path in tmp_path.glob("out/*.gguf")] == ["tiny-f32.gguf"]
    torch.testing.assert_close(_logits(_reload(export)), _logits(language), rtol=0, atol=1e-6)


def test_the_metadata_say_what_the_configuration_says(
    make_trained: Callable[..., TrainedModel], tmp_path: Path
) -> None:
    trained = make_trained()
    export = export_gguf(trained, tmp_path / "out", name="tiny", number_format="f16")
    said = _read(export.language)
    assert said["general.architecture"] == "llama" and said["general.file_type"] == 1
    assert said["llama.block_count"] == 2 and said["llama.attention.head_count_kv"] == 2
    assert said["llama.context_length"] == 512 and said["llama.rope.dimension_count"] == 12
    assert said["tokenizer.ggml.eos_token_id"] == trained.tokenizer.eos_token_id
    assert said["tokenizer.chat_template"] == trained.tokenizer.chat_template
    assert len(said["tokenizer.ggml.tokens"]) == said["llama.vocab_size"] == len(trained.tokenizer)
    assert read_manifest(tmp_path / "out").stage == "instruct"


def _complete_sentencepiece(tokenizer: Any) -> Any:
    """A sentencepiece tokenizer merges every pair that makes a word; the trained toy only those it saw."""
    import json

    from tokenizers import Tokenizer

    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    model = backend["model"]
    ranks = {"".join(merge): rank for rank, merge in reversed(list(enumerate(model["merges"])))}
    pairs = [(rank, [word[:cut], word[cut:]]) for word, rank in ranks.items() for cut in range(1, len(word))]
    model["merges"] = [pair for _, pair in sorted(pairs) if set(pair) <= set(model["vocab"])]
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(backend))
    return tokenizer


@pytest.mark.parametrize("kind", ["chatml", "llama_2"])
def test_transformers_own_loader_cuts_text_the_same_way(
    kind: str, make_trained: Callable[..., TrainedModel], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    trained = make_trained(kind=kind)
    tokenizer = _complete_sentencepiece(trained.tokenizer) if kind == "llama_2" else trained.tokenizer
    export = export_gguf(trained, tmp_path / "out", name="tiny", number_format="f32")
    back = AutoTokenizer.from_pretrained(tmp_path / "out", gguf_file=export.language.name, local_files_only=True)
    for text in TEXTS:
        wanted = tokenizer.encode(text, add_special_tokens=False)
        assert back.encode(text, add_special_tokens=False) == wanted, text
    assert not any("cut otherwise" in note for note in export.notes)


def test_a_tokenizer_that_merges_less_than_sentencepiece_is_noted(make_tokenizer: Callable[[str], Any]) -> None:
    tokenizer = make_tokenizer("llama_2")
    notes = read_vocabulary(tokenizer, len(tokenizer)).notes
    assert any("keeps apart, such as ('es', 't')" in note for note in notes)
    assert any("--chat-template" in note for note in notes)


def test_rows_without_a_word_are_filled_up_and_the_image_token_behind_the_table_is_left_out(
    make_tokenizer: Callable[[str], Any],
) -> None:
    tokenizer = make_tokenizer("chatml")
    full = len(tokenizer)
    assert read_vocabulary(tokenizer, full).tokens[-1] == "<image>"
    assert "<image>" not in read_vocabulary(tokenizer, full - 1).tokens
    padded = read_vocabulary(tokenizer, full + 2)
    assert padded.tokens[-2:] == (f"[PAD{full}]", f"[PAD{full + 1}]") and padded.types[-2:] == (5, 5)
    with pytest.raises(ExportError, match=f"words behind the {full - 5} rows"):
        read_vocabulary(tokenizer, full - 5)


def test_bytes_specials_and_ordinary_words_are_told_apart(make_tokenizer: Callable[[str], Any]) -> None:
    tokenizer = make_tokenizer("llama_2")
    vocabulary = read_vocabulary(tokenizer, len(tokenizer))
    kinds = dict(zip(vocabulary.tokens, vocabulary.types, strict=True))
    assert (kinds["<unk>"], kinds["</s>"], kinds["<0x0A>"], kinds["▁"]) == (2, 3, 6, 1)
    assert vocabulary.space_first and vocabulary.merges is None


@pytest.mark.parametrize(
    ("family", "name"),
    [("llama", "llama-bpe"), ("qwen2", "qwen2"), ("gpt2", "gpt-2"), ("smollm", "smollm"), ("other", None)],
)
def test_the_split_before_bpe_is_recognised_by_its_expression(
    family: str, name: str | None, make_tokenizer: Callable[[str], Any]
) -> None:
    from tokenizers import Regex, pre_tokenizers
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    splits = {
        "llama": PRETOKENIZE_REGEX.replace(r"\p{N}|", r"\p{N}{1,3}|"),
        "qwen2": PRETOKENIZE_REGEX,
        "other": r"\s+",
    }
    tokenizer = make_tokenizer("chatml")
    if family in splits:
        steps = [
            pre_tokenizers.Split(Regex(splits[family]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    elif family == "smollm":
        steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    else:
        steps = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if name is None:
        with pytest.raises(ExportError, match="way to split text is not known"):
            read_vocabulary(tokenizer, len(tokenizer))
    else:
        assert read_vocabulary(tokenizer, len(tokenizer)).pre == name


def test_a_tokenizer_that_is_no_bpe_is_refused(make_tokenizer: Callable[[str], Any]) -> None:
    tokenizer = make_tokenizer("shouting")
    with pytest.raises(ExportError, match="WordLevel"):
        read_vocabulary(tokenizer, len(tokenizer))


def test_stretched_positions_of_llama_3_go_out_as_factors(make_tokenizer: Callable[[str], Any], tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer("chatml")
    rope = {
        "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }  # fmt: skip
    settings = LlamaConfig(
        hidden_size=48, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, vocab_size=len(tokenizer),
        max_position_embeddings=512, rope_parameters=rope, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    content = language_content(LlamaForCausalLM(settings), tokenizer, name="x", number_format="f32")
    factors = next(tensor for tensor in content.tensors if tensor.name == "rope_freqs.weight").values()
    assert factors[0] == 1.0 and factors[-1] == pytest.approx(8.0)
    settings.rope_parameters = rope | {"rope_type": "yarn"}
    with pytest.raises(ExportError, match="'yarn'"):
        language_content(LlamaForCausalLM(settings), tokenizer, name="x", number_format="f32")


def _by_hand(tensors: dict[str, torch.Tensor], said: dict[str, Any], pixels_NCHW: torch.Tensor) -> torch.Tensor:
    """llama.cpp's LLaVA graph with its tensor names, class token first, as its formulas stand in clip.cpp."""
    from torch.nn import functional as f

    width, heads = said["clip.vision.embedding_length"], said["clip.vision.attention.head_count"]
    eps = said["clip.vision.attention.layer_norm_epsilon"]

    def norm(name: str, hidden_NPV: torch.Tensor) -> torch.Tensor:
        return f.layer_norm(hidden_NPV, (width,), tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps)

    def linear(name: str, hidden_NPV: torch.Tensor) -> torch.Tensor:
        return f.linear(hidden_NPV, tensors[f"{name}.weight"].float(), tensors[f"{name}.bias"])

    def split(hidden_NPV: torch.Tensor) -> torch.Tensor:
        return hidden_NPV.unflatten(-1, (heads, -1)).transpose(1, 2)

    def gelu(hidden: torch.Tensor) -> torch.Tensor:
        if said["clip.use_gelu"]:
            return f.gelu(hidden, approximate="tanh")
        return hidden * torch.sigmoid(1.702 * hidden)

    side = said["clip.vision.patch_size"]
    patches = f.conv2d(
        pixels_NCHW, tensors["v.patch_embd.weight"].float(), tensors.get("v.patch_embd.bias"), stride=side
    )
    hidden = patches.flatten(2).transpose(1, 2)
    has_class = "v.class_embd" in tensors
    if has_class:
        hidden = torch.cat([tensors["v.class_embd"].expand(len(hidden), 1, -1), hidden], dim=1)
    hidden = hidden + tensors["v.position_embd.weight"]
    hidden = norm("v.pre_ln", hidden) if "v.pre_ln.weight" in tensors else hidden
    assert said["clip.vision.feature_layer"] == [said["clip.vision.block_count"]]
    for block in (f"v.blk.{number}" for number in range(said["clip.vision.block_count"])):
        normed = norm(f"{block}.ln1", hidden)
        query, key, value = (split(linear(f"{block}.attn_{part}", normed)) for part in "qkv")
        mixed = f.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        hidden = hidden + linear(f"{block}.attn_out", mixed)
        hidden = hidden + linear(f"{block}.ffn_down", gelu(linear(f"{block}.ffn_up", norm(f"{block}.ln2", hidden))))
    first = linear("mm.0", hidden[:, 1:] if has_class else hidden)
    return linear("mm.2", f.gelu(first))


@pytest.mark.parametrize("tower", ["clip", "siglip"])
@pytest.mark.parametrize("layer", [-2, -1])
@pytest.mark.parametrize("kind", ["mlp2x_gelu", "linear"])
def test_the_vision_file_means_what_the_model_computes(
    tower: str, layer: int, kind: Any, make_trained: Callable[..., TrainedModel], tmp_path: Path
) -> None:
    trained = make_trained(tower=tower, select="default" if tower == "clip" else "full", layer=layer)
    model = trained.model
    model.projector = Projector(kind, vision_width=32, text_width=48)
    export = export_gguf(trained, tmp_path / "out", name="tiny", number_format="f32")
    assert export.vision is not None
    pixels = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        ours = model.projector(model.image_features(pixels))
        theirs = _by_hand(_tensors(export.vision), _read(export.vision), pixels)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=2e-5)


def test_what_llama_cpp_does_otherwise_is_noted(make_trained: Callable[..., TrainedModel], tmp_path: Path) -> None:
    cropped = export_gguf(make_trained(mode="crop"), tmp_path / "clip", name="tiny")
    assert any("#25814" in note for note in cropped.notes) and any("cut to their middle" in n for n in cropped.notes)
    siglip = make_trained(tower="siglip", select="full")
    assert export_gguf(siglip, tmp_path / "siglip", name="tiny").notes == ()


def test_a_tower_that_llama_cpp_does_not_know_is_refused_with_what_to_do(
    make_trained: Callable[..., TrainedModel], tmp_path: Path
) -> None:
    trained = make_trained()
    words_only = _trained(
        LlavaModel(language=trained.model.language, image_token_id=trained.model.image_token_id), trained.tokenizer
    )
    with pytest.raises(ExportError, match=r"llama.cpp takes every patch") as caught:
        export_gguf(words_only, tmp_path / "out", name="tiny")
    assert "llavero serve" in caught.value.__notes__[0] and not (tmp_path / "out").exists()


def test_a_class_token_that_stays_is_refused(make_trained: Callable[..., TrainedModel]) -> None:
    model = make_trained(select="full").model
    assert isinstance(model.tower, TransformersTower) and model.projector is not None
    with pytest.raises(ExportError, match="class token"):
        vision_content(model.tower, model.projector, name="x", number_format="f32")


def test_numbers_that_float16_cannot_hold_are_named(make_trained: Callable[..., TrainedModel], tmp_path: Path) -> None:
    trained = make_trained()
    with torch.no_grad():
        next(trained.model.language.parameters()).view(-1)[3] = 70000.0
    with pytest.raises(ExportError, match=r"token_embd.weight' holds 70000") as caught:
        export_gguf(trained, tmp_path / "out", name="tiny", number_format="f16")
    assert "bf16" in caught.value.__notes__[0] and not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_as_such() -> None:
    content = GgufContent(
        architecture="clip", number_format="f32", describe=lambda writer: None,
        tensors=(tensor_of("v.x", torch.zeros(256, 1024), "f32"),),
    )  # fmt: skip
    with pytest.raises(OSError, match="No space left"):
        write_file(Path("/dev/full"), content)


def test_an_export_never_lands_on_other_files(make_trained: Callable[..., TrainedModel], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("x")
    with pytest.raises(CheckpointWriteError, match="something else is there"):
        export_gguf(make_trained(), tmp_path, name="tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
