"""The vision file: CLIP or SigLIP up to the layer whose features LLaVA takes, and the projector.

llama.cpp's LLaVA drops the class token, pads every picture to a square, and applies a GELU after the projector's first
layer. A `linear` projector is written as two layers that give the same result: gelu(x) - gelu(-x) = x.
"""

from typing import Any, cast

import torch

from llava_model.errors import ExportError
from llava_model.gguf_export.files import GgufContent, GgufTensor, NumberFormat, tensor_of
from llava_model.projector import Projector
from llava_model.towers import TransformersTower

_ACTIVATIONS = {"quick_gelu": False, "gelu": True, "gelu_pytorch_tanh": True}
"""transformers' name → `clip.use_gelu`."""

_CLIP = "vision_tower.vision_model."


def vision_content(
    tower: TransformersTower, projector: Projector, *, name: str, number_format: NumberFormat
) -> GgufContent:
    """The content of the vision file. Raises ExportError for a tower that llama.cpp's LLaVA cannot run."""
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
