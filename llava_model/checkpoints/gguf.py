"""A trained model → the two files that llama.cpp runs: the language model, and `mmproj-…` with tower and projector.

    write_file         GgufContent → a file, one tensor at a time
    language_content   Llama, Mistral, Qwen2, Qwen3: names, metadata, order of rotated rows
    vision_content     CLIP or SigLIP with LLaVA's projector
    export_gguf        both files, or none

The tokenizer is `gguf_vocabulary`'s. The rules are those of ggml-org/llama.cpp (`conversion/`, `tools/mtmd/clip.cpp`
and its legacy LLaVA scripts); tensor names come from the tables of its package gguf.
"""

import errno
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import nn

from llava_model.checkpoints.gguf_vocabulary import read_vocabulary
from llava_model.checkpoints.hf import exportable
from llava_model.checkpoints.manifest import writing
from llava_model.checkpoints.parts import TrainedModel
from llava_model.errors import ExportError, MissingPackageError
from llava_model.model.composition import Projector
from llava_model.model.towers import TransformersTower

NumberFormat = Literal["f32", "f16", "bf16"]

_FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32}  # gguf.LlamaFileType
_QUANTISATION_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """One tensor of the file. Vectors are float32, as in llama.cpp's converter; matrices have the file's format."""

    name: str
    values: Callable[[], torch.Tensor]
    """Called when the tensor is written, so that at most one permuted copy is in memory."""

    shape: tuple[int, ...]
    number_format: NumberFormat


@dataclass(frozen=True, kw_only=True)
class GgufContent:
    """Everything that a file will hold."""

    architecture: str
    number_format: NumberFormat
    describe: Callable[[Any], None]
    """Writes the metadata with a `gguf.GGUFWriter`."""

    tensors: tuple[GgufTensor, ...]
    notes: tuple[str, ...] = ()


def tensor_of(name: str, tensor: torch.Tensor, number_format: NumberFormat) -> GgufTensor:
    """A tensor that is written as it is, in the format that `GgufTensor` describes."""
    return GgufTensor(
        name=name,
        values=lambda: tensor,
        shape=tuple(tensor.shape),
        number_format=number_format if tensor.dim() > 1 else "f32",
    )


def write_file(path: Path, content: GgufContent) -> None:
    """Write header, metadata and tensors, without a second copy of the weights in memory.

    Raises ExportError for a number that the format cannot hold.
    """
    import gguf

    writer: Any = gguf.GGUFWriter(path, content.architecture)
    writer.add_file_type(_FILE_TYPES[content.number_format])
    writer.add_quantization_version(_QUANTISATION_VERSION)
    content.describe(writer)
    for tensor in content.tensors:
        kind = gguf.GGMLQuantizationType[tensor.number_format.upper()]
        width = np.dtype(np.float32 if tensor.number_format == "f32" else np.float16)
        writer.add_tensor_info(tensor.name, tensor.shape, width, math.prod(tensor.shape) * width.itemsize, kind)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in content.tensors:
            writer.write_tensor_data(_numbers(tensor))
    except OSError as error:
        if error.errno is None:  # numpy reports the bytes it could not write, but not why
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        writer.close()


def _numbers(tensor: GgufTensor) -> "np.ndarray[Any, Any]":
    values = tensor.values().detach().cpu()
    if tensor.number_format == "f32":
        return values.float().contiguous().numpy()
    if tensor.number_format == "bf16":
        return values.to(torch.bfloat16).contiguous().view(torch.int16).numpy()
    halves = values.to(torch.float16).contiguous()
    if not torch.isfinite(halves).all():
        largest = values.abs().max().item()
        error = ExportError(f"'{tensor.name}' holds {largest:g}, float16 ends at 65504")
        error.add_note("Choose bf16 or f32.")
        raise error
    return halves.numpy()


_ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""transformers' `model_type` → llama.cpp's architecture."""

_ROTATED = ("q_proj", "k_proj")


def language_content(language: nn.Module, tokenizer: Any, *, name: str, number_format: NumberFormat) -> GgufContent:
    """The content of the language model's file. Raises ExportError for an unknown architecture or setting.

    For rotary positions transformers' Llama pairs the two halves of a head, llama.cpp's pairs neighbouring rows. So
    for that architecture the rows of query and key are interleaved; Qwen's stay as they are.
    """
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


_ACTIVATIONS = {"quick_gelu": False, "gelu": True, "gelu_pytorch_tanh": True}
"""transformers' name → `clip.use_gelu`."""

_CLIP = "vision_tower.vision_model."


def vision_content(
    tower: TransformersTower, projector: Projector, *, name: str, number_format: NumberFormat
) -> GgufContent:
    """The content of the vision file: CLIP or SigLIP up to the layer whose features LLaVA takes, and the projector.

    llama.cpp's LLaVA drops the class token, pads every picture to a square, and applies a GELU after the projector's
    first layer. A `linear` projector is written as two layers that give the same result: gelu(x) - gelu(-x) = x.
    Raises ExportError for a tower that llama.cpp's LLaVA cannot run.
    """
    settings: Any = cast(Any, tower.network).config
    layers = _layers_needed(tower, settings)

    def describe(writer: Any) -> None:
        writer.add_type("mmproj")
        writer.add_name(name)
        writer.add_description("image encoder for LLaVA")
        writer.add_clip_has_vision_encoder(True)
        writer.add_bool("clip.has_text_encoder", False)
        writer.add_bool("clip.has_llava_projector", True)
        writer.add_clip_projector_type("mlp")
        writer.add_vision_projection_dim(projector.text_width)
        writer.add_vision_image_size(settings.image_size)
        writer.add_vision_patch_size(settings.patch_size)
        writer.add_vision_embedding_length(settings.hidden_size)
        writer.add_vision_feed_forward_length(settings.intermediate_size)
        writer.add_vision_block_count(layers)
        writer.add_vision_head_count(settings.num_attention_heads)
        writer.add_vision_attention_layernorm_eps(settings.layer_norm_eps)
        writer.add_vision_image_mean(list(tower.preprocess.mean))
        writer.add_vision_image_std(list(tower.preprocess.deviation))
        writer.add_vision_use_gelu(_ACTIVATIONS[settings.hidden_act])
        writer.add_array("clip.vision.feature_layer", [layers])

    return GgufContent(
        architecture="clip",
        number_format=number_format,
        describe=describe,
        tensors=(*_tower_tensors(tower, layers, number_format), *_projector_tensors(projector, number_format)),
        notes=tuple(_vision_notes(tower)),
    )


def _vision_notes(tower: TransformersTower) -> list[str]:
    """How llama.cpp treats pictures differently, in sentences for the user."""
    notes = []
    if tower.drops_first:
        notes.append(
            "llama.cpp since May 2025 puts CLIP's class token behind the patches, which shifts every position "
            "(ggml-org/llama.cpp #25814): use a build with its fix (#25844), or pictures are misread there"
        )
    if tower.preprocess.mode != "pad":
        given = {"crop": "cut to their middle", "squash": "squashed to a square"}[tower.preprocess.mode]
        notes.append(f"llama.cpp pads pictures to a square, this model was given them {given}")
    return notes


def _layers_needed(tower: TransformersTower, settings: Any) -> int:
    """How many of the tower's layers the features need."""
    if settings.model_type == "clip_vision_model" and not tower.drops_first:
        raise ExportError("llama.cpp's LLaVA drops the class token, this model keeps it")
    if settings.hidden_act not in _ACTIVATIONS:
        raise ExportError(f"llama.cpp's CLIP has the activations {', '.join(_ACTIVATIONS)}, not {settings.hidden_act}")
    count = settings.num_hidden_layers
    layers = tower.layer if tower.layer >= 0 else count + 1 + tower.layer
    if layers < 1:
        raise ExportError("llama.cpp's LLaVA looks at least at the first layer's output, this model at its input")
    return int(layers)


def _tower_tensors(tower: TransformersTower, layers: int, number_format: NumberFormat) -> list[GgufTensor]:
    import gguf

    places = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, layers)
    tensors = []
    for full_name, weight in tower.network.state_dict().items():
        name = full_name.removeprefix("vision_model.")
        parts = name.split(".")
        is_unused = parts[0] in ("post_layernorm", "head") or (parts[0] == "encoder" and int(parts[2]) >= layers)
        if is_unused or name == "embeddings.position_ids":
            continue
        place = places.get_name(_CLIP + name, try_suffixes=(".weight", ".bias"))
        if place is None:
            raise ExportError(f"llama.cpp's CLIP has no place for '{name}'")
        tensors.append(tensor_of(place, weight, _embedding_format(name, number_format) or number_format))
    return tensors


def _embedding_format(name: str, number_format: NumberFormat) -> NumberFormat | None:
    """The formats of llama.cpp's converter: f16 or f32 for the patch convolution, f32 for the other embeddings."""
    if "patch_embedding" in name:
        return "f16" if number_format == "f16" else "f32"
    return "f32" if name.startswith("embeddings.") else None


def _projector_tensors(projector: Projector, number_format: NumberFormat) -> list[GgufTensor]:
    own = projector.state_dict()
    first, first_bias = own["layers.0.weight"], own["layers.0.bias"]
    if projector.kind == "linear":
        identity = torch.eye(projector.text_width)
        weights = {
            "mm.0.weight": torch.cat([first, -first]),
            "mm.0.bias": torch.cat([first_bias, -first_bias]),
            "mm.2.weight": torch.cat([identity, -identity], dim=1),
            "mm.2.bias": torch.zeros(projector.text_width),
        }
    else:
        weights = {
            "mm.0.weight": first,
            "mm.0.bias": first_bias,
            "mm.2.weight": own["layers.2.weight"],
            "mm.2.bias": own["layers.2.bias"],
        }
    return [tensor_of(name, weight, number_format) for name, weight in weights.items()]


@dataclass(frozen=True, kw_only=True)
class GgufExport:
    """The files written, and notes for their user."""

    language: Path
    vision: Path | None
    notes: tuple[str, ...]


def export_gguf(
    trained: TrainedModel, folder: Path, *, name: str, number_format: NumberFormat = "f16", language_only: bool = False
) -> GgufExport:
    """Write `NAME-FORMAT.gguf` and `mmproj-NAME-FORMAT.gguf` into `folder`, both or nothing.

    Raises ExportError for parts that llama.cpp's files cannot hold, MissingPackageError without gguf, and
    CheckpointWriteError.
    """
    if find_spec("gguf") is None:
        raise MissingPackageError("gguf", purpose="writing GGUF files", install="'llavero[kits]'")
    language = language_content(trained.model.language, trained.tokenizer, name=name, number_format=number_format)
    contents = {f"{name}-{number_format}.gguf": language}
    if not language_only:
        tower, projector = exportable(trained.model, "llama.cpp")
        vision = vision_content(tower, projector, name=name, number_format=number_format)
        contents[f"mmproj-{name}-{number_format}.gguf"] = vision
    with writing(folder, trained.manifest) as unfinished:
        for file, content in contents.items():
            write_file(unfinished / file, content)
    paths = [folder / file for file in contents]
    notes = tuple(note for content in contents.values() for note in content.notes)
    return GgufExport(language=paths[0], vision=paths[1] if len(paths) > 1 else None, notes=notes)
