"""A Qwen2 or Qwen3 in GGUF → bfloat16 safetensors, tensor by tensor, so that memory holds one shard and not the model.

transformers' own reader unpacks all tensors to float32 first: 10.7 GB for the 1.5B. Here it is 2 GB, and the tensors
are the same (a test compares them). Config, tokenizer and chat template are transformers' reading of the metadata.

In these models the words' table is also the last layer (`options.tied`). llama.cpp stores it twice, and the last
layer's copy is the finer one: that one serves for both.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llava_model.kits.definition import Component
from llava_model.kits.errors import ConversionError

if TYPE_CHECKING:
    from torch import Tensor

SHARD_BYTES = 1 << 30
_ROWS_AT_ONCE = 8_192
_SAMPLED_ROWS = 64
_SAME_TABLE = 0.98  # cosine of a row in 4 bits to the same row in 6 is 0.99 and more; of different words about 0

_OUTSIDE_LAYERS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_A_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")


def convert_packed_qwen(component: Component, unpacked: Path, target: Path) -> None:
    """Fill `target` with config, tokenizer and shards. Raises ConversionError, ImportError without gguf."""
    import torch
    from gguf import GGUFReader
    from transformers import AutoConfig, AutoTokenizer

    options, weights = component.options, component.options["weights"]
    if not (unpacked / weights).is_file():
        raise ConversionError(component.name, f"the download holds no {weights}")
    try:
        reader = GGUFReader(unpacked / weights)
        tokenizer: Any = AutoTokenizer.from_pretrained(
            unpacked, gguf_file=weights, model_max_length=options["context_tokens"], local_files_only=True
        )
        config: Any = AutoConfig.from_pretrained(unpacked, gguf_file=weights, local_files_only=True)
    except (ValueError, IndexError, KeyError) as error:
        raise ConversionError(component.name, f"{weights} is no readable GGUF ({error})") from error
    if config.model_type not in ("qwen2", "qwen3"):
        raise ConversionError(component.name, f"{weights} holds a {config.model_type}, not a Qwen2 or Qwen3")
    if not tokenizer.chat_template:
        raise ConversionError(component.name, f"{weights} carries no chat template")
    stored = {tensor.name: tensor for tensor in reader.tensors}
    config.tie_word_embeddings = bool(options.get("tied")) or "output.weight" not in stored
    if config.tie_word_embeddings and "output.weight" in stored:
        stored["token_embd.weight"] = _the_finer(component, stored["token_embd.weight"], stored.pop("output.weight"))
    wanted = _names(component, config)
    tensors = ((_transformers_name(component, name), _bfloat16(tensor)) for name, tensor in stored.items())
    _write_shards(component, tensors, wanted, target)
    config.dtype, config.architectures = torch.bfloat16, [wanted.architecture]
    config.save_pretrained(target)
    _save_tokenizer(tokenizer, target)


class _Names(dict[str, tuple[int, ...]]):
    """Names and shapes of the network's parameters, and the name of its class."""

    architecture: str = ""


def _names(component: Component, config: Any) -> _Names:
    """Of a network that takes no memory."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        network: Any = AutoModelForCausalLM.from_config(config)
    names = _Names({name: tuple(tensor.shape) for name, tensor in network.named_parameters()})  # a tied one counts once
    names.architecture = type(network).__name__
    return names


def _transformers_name(component: Component, name: str) -> str:
    if name in _OUTSIDE_LAYERS:
        return _OUTSIDE_LAYERS[name]
    found = _LAYER.fullmatch(name)
    if found is None or found[2] not in _IN_A_LAYER:
        raise ConversionError(component.name, f"nothing is known of a tensor '{name}'")
    return f"model.layers.{found[1]}.{_IN_A_LAYER[found[2]]}.{found[3]}"


def _the_finer(component: Component, table: Any, last: Any) -> Any:
    """The last layer's tensor, after a look at rows of both: it must be the same table, coarser."""
    import numpy as np
    from gguf import dequantize

    rows = np.linspace(0, len(table.data) - 1, _SAMPLED_ROWS).astype(int)
    ours, theirs = (dequantize(tensor.data[rows], tensor.tensor_type) for tensor in (table, last))
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = (ours * theirs).sum(1) / np.maximum(lengths, 1e-12)
    if float(np.median(cosines)) < _SAME_TABLE:
        raise ConversionError(component.name, "its last layer is not the table of words, but options.tied says so")
    return last


def _bfloat16(tensor: Any) -> "Tensor":
    """One tensor unpacked, some rows at a time."""
    import numpy as np
    import torch
    from gguf import dequantize

    shape = tuple(int(length) for length in reversed(tensor.shape))
    unpacked = torch.empty(shape, dtype=torch.bfloat16)
    step = _ROWS_AT_ONCE if len(shape) > 1 else shape[0]
    for start in range(0, shape[0], step):
        part = dequantize(tensor.data[start : start + step], tensor.tensor_type).astype(np.float32, copy=False)
        unpacked[start : start + step] = torch.from_numpy(np.require(part, requirements=["C", "W"]))
    return unpacked


def _write_shards(component: Component, tensors: Iterator[tuple[str, "Tensor"]], wanted: _Names, target: Path) -> None:
    """Several files and the index that transformers reads; a shard is written as soon as it is full."""
    shards: list[list[str]] = []
    shard: dict[str, Tensor] = {}
    total_bytes = 0
    for name, tensor in tensors:
        if wanted.get(name) != tuple(tensor.shape):
            raise ConversionError(component.name, f"{name} is {tuple(tensor.shape)} instead of {wanted.get(name)}")
        size_bytes = tensor.numel() * tensor.element_size()
        if shard and sum(t.numel() * t.element_size() for t in shard.values()) + size_bytes > SHARD_BYTES:
            shards.append(_write_shard(shard, target, len(shards)))
            shard = {}
        shard[name] = tensor
        total_bytes += size_bytes
    shards.append(_write_shard(shard, target, len(shards)))
    missing = wanted.keys() - {name for names in shards for name in names}
    if missing:
        raise ConversionError(component.name, f"{len(missing)} tensors are missing, {min(missing)} among them")
    files = {name: _shard_name(number, len(shards)) for number, names in enumerate(shards) for name in names}
    for number in range(len(shards)):
        (target / _unnumbered(number)).rename(target / _shard_name(number, len(shards)))
    if len(shards) > 1:
        index = {"metadata": {"total_size": total_bytes}, "weight_map": dict(sorted(files.items()))}
        (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def _write_shard(shard: dict[str, "Tensor"], target: Path, number: int) -> list[str]:
    from safetensors.torch import save_file

    save_file(shard, target / _unnumbered(number), metadata={"format": "pt"})
    return list(shard)


def _unnumbered(number: int) -> str:
    return f"shard-{number}.safetensors"


def _shard_name(number: int, count: int) -> str:
    return "model.safetensors" if count == 1 else f"model-{number + 1:05}-of-{count:05}.safetensors"


def _save_tokenizer(tokenizer: Any, target: Path) -> None:
    """With Qwen's normaliser, which transformers leaves out, and the tokens that end an answer: the chat's own, and
    the end of a text."""
    from tokenizers import normalizers

    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    tokenizer.save_pretrained(target)
    file = target / "tokenizer_config.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for key in ("is_local", "local_files_only"):  # true on this machine only
        content.pop(key, None)
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    ends = sorted({tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}, reverse=True)
    generation = {"eos_token_id": ends, "pad_token_id": tokenizer.pad_token_id}
    (target / "generation_config.json").write_text(json.dumps(generation, indent=1), encoding="utf-8")
