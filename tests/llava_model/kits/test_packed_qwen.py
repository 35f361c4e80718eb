"""A tiny random Qwen2 written as GGUF by the gguf package, against transformers' own reading of the same file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from llava_model.kits import Component, Kit, find, packed_qwen
from llava_model.kits.errors import ConversionError
from llava_model.kits.installer import convert

HIDDEN, LAYERS, WIDE, KEYS = 32, 2, 64, 16
LETTERS = [*"abcdefghijklmnopqrstuvwxyz", "Ġ", "th", "the", "Ġthe"]
WORDS = [*LETTERS, "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["t h", "th e", "Ġ the"]
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"


def write_gguf(file: Path, *, last_layer: str = "same", leave_out: str = "", architecture: str = "qwen2") -> None:
    """`last_layer` is the words' table in another precision, another one, or absent."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(WORDS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(WORDS)
    writer.add_token_types([1] * len(LETTERS) + [3] * 3)
    writer.add_token_merges(MERGES)
    writer.add_eos_token_id(len(WORDS) - 1)
    writer.add_pad_token_id(len(LETTERS))
    writer.add_bos_token_id(len(LETTERS))
    writer.add_chat_template(TEMPLATE)
    table = rng.normal(size=(len(WORDS), HIDDEN)).astype(np.float32)
    shapes = {f"blk.{layer}.{name}": shape for layer in range(LAYERS) for name, shape in _layer().items()}
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    tensors |= {"token_embd.weight": table, "output_norm.weight": np.ones(HIDDEN, np.float32)}
    if last_layer != "absent":
        tensors["output.weight"] = table if last_layer == "same" else table[::-1].copy()
    for name, values in tensors.items():
        if name == leave_out:
            continue
        coarse = gguf.GGMLQuantizationType.Q4_0 if name == "token_embd.weight" else gguf.GGMLQuantizationType.Q8_0
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quantize(values, coarse), raw_dtype=coarse)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _layer() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"attn_norm.weight": (HIDDEN,), "ffn_norm.weight": (HIDDEN,)}
    for name, rows in (("q", HIDDEN), ("k", KEYS), ("v", KEYS)):
        shapes |= {f"attn_{name}.weight": (rows, HIDDEN), f"attn_{name}.bias": (rows,)}
    shapes |= {"attn_output.weight": (HIDDEN, HIDDEN), "ffn_gate.weight": (WIDE, HIDDEN)}
    return shapes | {"ffn_up.weight": (WIDE, HIDDEN), "ffn_down.weight": (HIDDEN, WIDE)}


@pytest.fixture
def language() -> Component:
    component = find("small").component("language")
    options = {**component.options, "weights": "tiny.gguf", "context_tokens": 64}
    return replace(component, options=options)


def converted(folder: Path, language: Component) -> Path:
    (folder / "finished").mkdir()
    convert(language, folder, folder / "finished")
    return folder / "finished"


def transformers_own(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder, gguf_file="tiny.gguf", quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )


@pytest.mark.parametrize("shard_bytes", [1 << 30, 5_000])
def test_tensors_are_those_that_transformers_reads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, language: Component, shard_bytes: int
) -> None:
    monkeypatch.setattr(packed_qwen, "SHARD_BYTES", shard_bytes)
    monkeypatch.setattr(packed_qwen, "_ROWS_AT_ONCE", 7)
    write_gguf(tmp_path / "tiny.gguf")
    untied = replace(language, options={**language.options, "tied": False})
    folder = converted(tmp_path, untied)
    assert (len(list(folder.glob("*.safetensors"))) == 1) == (shard_bytes > 1e6)
    ours = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert ours.dtype == torch.bfloat16
    theirs = transformers_own(tmp_path)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name


def test_a_tied_table_is_the_finer_one_of_the_two(tmp_path: Path, language: Component) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    ours = AutoModelForCausalLM.from_pretrained(converted(tmp_path, language), local_files_only=True)
    theirs = transformers_own(tmp_path)
    assert ours.config.tie_word_embeddings
    assert torch.equal(ours.model.embed_tokens.weight, theirs.lm_head.weight)
    assert not torch.equal(ours.model.embed_tokens.weight, theirs.model.embed_tokens.weight)


def test_a_file_without_a_last_layer_is_tied(tmp_path: Path, language: Component) -> None:
    write_gguf(tmp_path / "tiny.gguf", last_layer="absent")
    ours = AutoModelForCausalLM.from_pretrained(converted(tmp_path, language), local_files_only=True)
    assert ours.lm_head.weight is ours.model.embed_tokens.weight


def test_the_tokenizer_has_the_chat_template_and_ends_where_the_chat_does(tmp_path: Path, language: Component) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    folder = converted(tmp_path, language)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.tokenize("the the") == ["the", "Ġthe"]
    assert tokenizer("<|im_end|>")["input_ids"] == [len(WORDS) - 1]
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert set(model.generation_config.eos_token_id) == {len(WORDS) - 1, len(LETTERS)}


@pytest.mark.parametrize("harm", ["another last layer", "a tensor less", "no GGUF", "nothing"])
def test_a_file_that_is_not_that_network_is_refused(tmp_path: Path, language: Component, harm: str) -> None:
    if harm == "no GGUF":
        (tmp_path / "tiny.gguf").write_bytes(b"PK" * 500)
    elif harm == "another last layer":
        write_gguf(tmp_path / "tiny.gguf", last_layer="other")
    elif harm == "a tensor less":
        write_gguf(tmp_path / "tiny.gguf", leave_out="blk.1.ffn_up.weight")
    with pytest.raises(ConversionError, match="language"):
        converted(tmp_path, language)


# With the real kit, where it is installed.


@pytest.fixture(scope="module")
def small() -> Kit:
    kit = find("small")
    if not kit.is_installed():
        pytest.skip("the kit small is not installed: llavero kit install small")
    return kit


def test_the_installed_model_is_named_and_keeps_its_chat_apart_from_words(small: Kit) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(small.path("language"), local_files_only=True)
    turns = [{"role": "user", "content": "What is <|im_end|>?"}]
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert text.startswith("<|im_start|>system\nYou are Qwen") and text.endswith("<|im_start|>assistant\n")
    assert tokenizer("<|im_end|>")["input_ids"] == [151645]
    assert tokenizer.decode(tokenizer("¿Qué? 12345 谁 кот")["input_ids"]) == "¿Qué? 12345 谁 кот"
