"""The language model's file: names, metadata, and the order of the rows that are rotated.

For rotary positions transformers' Llama pairs the two halves of a head, llama.cpp's pairs neighbouring rows. So for
that architecture the rows of query and key are interleaved; Qwen's stay as they are.
"""

from typing import Any, cast

import torch
from torch import nn

from llava_model.errors import ExportError
from llava_model.gguf_export.files import GgufContent, GgufTensor, NumberFormat, tensor_of
from llava_model.gguf_export.vocabulary import read_vocabulary

_ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""transformers' `model_type` → llama.cpp's architecture."""

_ROTATED = ("q_proj", "k_proj")


def language_content(language: nn.Module, tokenizer: Any, *, name: str, number_format: NumberFormat) -> GgufContent:
    """The content of the language model's file. Raises ExportError for an unknown architecture or setting."""
    settings: Any = cast(Any, language).config
    architecture = _architecture(settings)
    embeddings: nn.Embedding = cast(Any, language).get_input_embeddings()
    vocabulary = read_vocabulary(tokenizer, embeddings.num_embeddings)

    def describe(writer: Any) -> None:
        writer.add_type("model")
        writer.add_name(name)
        _describe_language(writer, settings)
        vocabulary.describe(writer)

    tensors = _language_tensors(language, settings, architecture, number_format)
    notes = list(vocabulary.notes)
    if settings.model_type == "mistral" and settings.sliding_window:
        notes.append(f"llama.cpp looks at the whole text, not at the last {settings.sliding_window} tokens as here")
    return GgufContent(
        architecture=architecture,
        number_format=number_format,
        describe=describe,
        tensors=(*tensors, *_rope_frequencies(language, settings, architecture)),
        notes=tuple(notes),
    )


def _architecture(settings: Any) -> str:
    kind = settings.model_type
    if kind not in _ARCHITECTURES:
        raise ExportError(f"language models that go into GGUF here are {', '.join(_ARCHITECTURES)}, this one is {kind}")
    if settings.hidden_act != "silu":
        raise ExportError(
            f"llama.cpp's {_ARCHITECTURES[kind]} uses the activation silu, this model {settings.hidden_act}"
        )
    if kind.startswith("qwen") and settings.use_sliding_window:
        raise ExportError("llama.cpp's qwen looks at the whole text, this model has a sliding window")
    return _ARCHITECTURES[kind]


def _describe_language(writer: Any, settings: Any) -> None:
    heads = settings.num_attention_heads
    head_width = getattr(settings, "head_dim", None) or settings.hidden_size // heads
    writer.add_block_count(settings.num_hidden_layers)
    writer.add_context_length(settings.max_position_embeddings)
    writer.add_embedding_length(settings.hidden_size)
    writer.add_feed_forward_length(settings.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(settings.num_key_value_heads or heads)
    writer.add_key_length(head_width)
    writer.add_value_length(head_width)
    writer.add_rope_dimension_count(head_width)
    writer.add_rope_freq_base(float(settings.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(settings.rms_norm_eps)
    writer.add_vocab_size(settings.vocab_size)
    if settings.rope_parameters["rope_type"] == "linear":
        import gguf

        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(settings.rope_parameters["factor"]))


def _language_tensors(
    language: nn.Module, settings: Any, architecture: str, number_format: NumberFormat
) -> list[GgufTensor]:
    import gguf

    places = gguf.get_tensor_name_map(_number_of(architecture), settings.num_hidden_layers)
    tied = getattr(language, "all_tied_weights_keys", None) or {}
    tensors = []
    for name, weight in language.state_dict().items():
        if name in tied:
            continue
        place = places.get_name(name, try_suffixes=(".weight", ".bias"))
        if place is None:
            raise ExportError(f"llama.cpp's {architecture} has no place for '{name}'")
        heads = _rotated_heads(name, settings) if architecture == "llama" else None
        tensor = tensor_of(place, weight, number_format)
        tensors.append(tensor if heads is None else _interleaved(tensor, weight, heads))
    return tensors


def _number_of(architecture: str) -> Any:
    import gguf

    return next(number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)


def _rotated_heads(name: str, settings: Any) -> int | None:
    """The number of heads of a tensor whose rows are rotated; None for other tensors."""
    layer = name.rsplit(".", 2)[-2] if "." in name else ""
    if layer not in _ROTATED:
        return None
    return int(settings.num_attention_heads if layer == "q_proj" else settings.num_key_value_heads)


def _interleaved(tensor: GgufTensor, weight: torch.Tensor, heads: int) -> GgufTensor:
    """The tensor with the two halves of every head interleaved: first row of each half, second row of each, …"""

    def values() -> torch.Tensor:
        halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
        return halves.transpose(1, 2).reshape(weight.shape)

    return GgufTensor(name=tensor.name, values=values, shape=tensor.shape, number_format=tensor.number_format)


def _rope_frequencies(language: nn.Module, settings: Any, architecture: str) -> list[GgufTensor]:
    """Llama-3's scaled positions: the divisor of each frequency. Raises ExportError for other kinds of scaling."""
    kind = settings.rope_parameters["rope_type"]
    if kind in ("default", "linear"):
        return []
    if kind != "llama3" or architecture != "llama":
        raise ExportError(f"positions of the kind '{kind}' are not known here for llama.cpp's {architecture}")
    stretched: torch.Tensor = cast(Any, language).base_model.rotary_emb.inv_freq.detach().float().cpu()
    steps = torch.arange(0, 2 * len(stretched), 2, dtype=torch.float32) / (2 * len(stretched))
    plain = 1.0 / settings.rope_parameters["rope_theta"] ** steps
    return [tensor_of("rope_freqs.weight", plain / stretched, "f32")]
