"""Read and write transformers' LLaVA checkpoints, without changing a weight.

Modules are moved between the two models instead of copying tensors: the tower, the language model's body and its head
have the same classes in both. transformers has no `linear` projector; it is written as two layers with the activation
"linear", of which the second is the identity.
"""

from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from llava_model.errors import CheckpointMismatchError, ExportError, MissingFileError
from llava_model.images import ImagePreprocess
from llava_model.model.composition import LlavaModel, Projector
from llava_model.model.config import LlavaConfig, ProjectorKind
from llava_model.model.towers import TransformersTower
from llava_model.text.tokenize import image_token_id

_HF_LAYERS = {
    "linear": {"layers.0": "linear_1"},
    "mlp2x_gelu": {"layers.0": "linear_1", "layers.2": "linear_2"},
}


def from_hf(folder: Path, *, dtype: torch.dtype = torch.float32) -> LlavaModel:
    """Load a folder of transformers' LLaVA, from safetensors on disk only."""
    from transformers import LlavaForConditionalGeneration

    if not (folder / "config.json").is_file():
        raise MissingFileError(folder / "config.json", "LLaVA checkpoint")
    foreign = LlavaForConditionalGeneration.from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True
    )
    settings: Any = foreign.config
    return from_hf_model(foreign, ImagePreprocess.read(folder, settings.vision_config))


def from_hf_model(foreign: Any, preprocess: ImagePreprocess) -> LlavaModel:
    """Make our model of the parts of transformers' LLaVA. The weights are shared, not copied."""
    settings = foreign.config
    if not isinstance(settings.vision_feature_layer, int):
        raise CheckpointMismatchError(
            "vision_feature_layer", found=settings.vision_feature_layer, wanted="one layer, not several"
        )
    projector = _projector_in(foreign)
    config = LlavaConfig(
        projector=projector.kind,
        feature_layer=settings.vision_feature_layer,
        feature_select=settings.vision_feature_select_strategy,
    )
    tower = TransformersTower(foreign.model.vision_tower, preprocess=preprocess, config=config)
    language = _language_of(foreign.model.language_model, foreign.lm_head, settings.text_config)
    language.generation_config = foreign.generation_config
    return LlavaModel(
        language=language,
        tower=tower,
        projector=projector,
        image_token_id=settings.image_token_id,
        config=config,
    )


def save_hf(model: LlavaModel, folder: Path, tokenizer: Any) -> None:
    """Write a folder that transformers, vLLM and SGLang load: weights, configuration, processor, tokenizer.

    transformers looks the image token up before replacing it. If its id is larger than the embedding table, the table
    grows; the new rows are the mean of the old ones, so that no greedy answer changes. Raises ExportError for towers
    that transformers' LLaVA does not have, and for pooled grids.
    """
    tower, projector = exportable(model, "transformers' LLaVA")
    if image_token_id(tokenizer) != model.image_token_id:
        raise CheckpointMismatchError("image token", found=image_token_id(tokenizer), wanted=model.image_token_id)
    foreign = _foreign_of(model, tower, projector)
    if model.image_token_id >= foreign.get_input_embeddings().num_embeddings:
        foreign = _with_room_for(model.image_token_id, foreign)
    foreign.save_pretrained(folder)
    _processor(tower, tokenizer).save_pretrained(folder)


def exportable(model: LlavaModel, taker: str) -> tuple[TransformersTower, Projector]:
    """Tower and projector, if another program (`taker`) can run them. Raises ExportError."""
    tower, projector = model.tower, model.projector
    if tower is None or projector is None:
        reason = "this model reads words only"
    elif not isinstance(tower, TransformersTower):
        reason = f"this one looks through '{type(tower.network).__name__}'"
    elif tower.pooled_grid is not None:
        reason = f"this one averages the picture down to {tower.pooled_grid}×{tower.pooled_grid} positions"
    else:
        return tower, projector
    error = ExportError(f"{taker} takes every patch of a CLIP or SigLIP tower, {reason}")
    error.add_note("Serve it with: llavero serve. For other programs its language model alone: --to merged")
    raise error


def _projector_in(foreign: Any) -> Projector:
    weights = foreign.model.multi_modal_projector.state_dict()
    kind = _kind_of(foreign.config.projector_hidden_act, weights)
    first = weights["linear_1.weight"]
    with torch.device("meta"):
        projector = Projector(kind, vision_width=first.shape[1], text_width=first.shape[0])
    own = {
        f"{ours}.{name}": weights[f"{theirs}.{name}"]
        for ours, theirs in _HF_LAYERS[kind].items()
        for name in ("weight", "bias")
    }
    projector.load_state_dict(own, assign=True)
    return projector.requires_grad_(True)


def _kind_of(activation: str, weights: dict[str, torch.Tensor]) -> ProjectorKind:
    if "linear_1.bias" not in weights:
        raise CheckpointMismatchError("projector", found="no bias", wanted="a projector with bias")
    if activation == "gelu":
        return "mlp2x_gelu"
    second = weights["linear_2.weight"]
    is_identity = torch.equal(second, torch.eye(len(second)).to(second)) and not weights["linear_2.bias"].any()
    if activation == "linear" and is_identity:
        return "linear"
    raise CheckpointMismatchError("projector_hidden_act", found=f"'{activation}'", wanted="'gelu'")


def _language_of(body: nn.Module, head: nn.Module, settings: Any) -> nn.Module:
    """A causal language model with this body and head in place of its own, which take no memory."""
    import transformers

    factory: Any = transformers.AutoModelForCausalLM
    with torch.device("meta"):
        language = factory.from_config(settings)
    setattr(language, language.base_model_prefix, body)
    language.set_output_embeddings(head)
    return cast(nn.Module, language.eval())


def _foreign_of(model: LlavaModel, tower: TransformersTower, projector: Projector) -> Any:
    from transformers import LlavaConfig as ForeignConfig
    from transformers import LlavaForConditionalGeneration

    language: Any = model.language
    settings = ForeignConfig(
        vision_config=cast(Any, tower.network).config,
        text_config=language.config,
        image_token_index=model.image_token_id,
        image_seq_length=tower.tokens_per_image,
        projector_hidden_act="gelu" if projector.kind == "mlp2x_gelu" else "linear",
        vision_feature_layer=model.config.feature_layer,
        vision_feature_select_strategy=model.config.feature_select,
        tie_word_embeddings=language.config.tie_word_embeddings,
        dtype=language.dtype,
    )
    with torch.device("meta"):
        foreign: Any = LlavaForConditionalGeneration(settings)
    foreign.model.vision_tower = tower.network
    foreign.model.language_model = language.base_model
    foreign.lm_head = language.get_output_embeddings()
    foreign.model.multi_modal_projector.load_state_dict(_foreign_projector(projector), assign=True)
    foreign.generation_config = language.generation_config
    return foreign.eval()


def _foreign_projector(projector: Projector) -> dict[str, torch.Tensor]:
    own = projector.state_dict()
    weights = {
        f"{theirs}.{name}": own[f"{ours}.{name}"]
        for ours, theirs in _HF_LAYERS[projector.kind].items()
        for name in ("weight", "bias")
    }
    if projector.kind == "linear":
        bias = own["layers.0.bias"]
        weights |= {"linear_2.weight": torch.eye(len(bias)).to(bias), "linear_2.bias": torch.zeros_like(bias)}
    return weights


def _with_room_for(token: int, foreign: Any) -> Any:
    """A copy of the model with an embedding table that has a row for the token."""
    from copy import deepcopy

    foreign = deepcopy(foreign)
    old = foreign.get_input_embeddings().num_embeddings
    rows = -(-(token + 1) // 64) * 64
    foreign.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        for layer in (foreign.get_input_embeddings(), foreign.get_output_embeddings()):
            layer.weight[old:] = layer.weight[:old].mean(dim=0)
    return foreign


def _processor(tower: TransformersTower, tokenizer: Any) -> Any:
    """transformers' processor that turns the same picture and text into the same numbers."""
    from transformers import LlavaProcessor

    settings: Any = tower.network.config
    processor: Any = LlavaProcessor
    return processor(
        image_processor=image_processor(tower.preprocess),
        tokenizer=tokenizer,
        patch_size=settings.patch_size,
        vision_feature_select_strategy="default" if tower.drops_first else "full",
        num_additional_image_tokens=int(settings.model_type == "clip_vision_model"),
        chat_template=tokenizer.chat_template,
    )


def image_processor(preprocess: ImagePreprocess) -> Any:
    """transformers' image processor that does the same as ours."""
    from transformers import CLIPImageProcessorPil, LlavaImageProcessorPil, SiglipImageProcessorPil

    resample = 2 if preprocess.interpolation == "bilinear" else 3
    shared: dict[str, Any] = {
        "image_mean": list(preprocess.mean),
        "image_std": list(preprocess.deviation),
        "resample": resample,
    }
    side = {"height": preprocess.size, "width": preprocess.size}
    if preprocess.mode == "squash":
        return SiglipImageProcessorPil(size=side, **shared)
    shortest = {"shortest_edge": preprocess.resize_to or preprocess.size}
    if preprocess.mode == "pad":
        return LlavaImageProcessorPil(size=shortest, crop_size=side, do_pad=True, **shared)
    return CLIPImageProcessorPil(size=shortest, crop_size=side, **shared)
