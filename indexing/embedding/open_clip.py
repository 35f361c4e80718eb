"""Any open_clip model behind the `Embedder` protocol; vectors and preprocessing are open_clip's own.

Legend: B batch, D width of a vector, T tokens, H W pixels, C colours.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from indexing.embedding.pocket import scale_and_shift
from indexing.embedding.protocol import (
    ImageEmbedding,
    MissingEmbedderPackageError,
    Pixels,
    Preprocess,
    UnknownModelError,
    Vectors,
    WeightsError,
    keep_freed_memory,
    pick_device,
)
from indexing.embedding.registry import EmbedderFormat, KitParts
from indexing.embedding.text import SentenceEncoder

_TEXT_BATCH = 64
_LOADING_ERRORS = (RuntimeError, OSError, ValueError, KeyError)


class OpenClipEmbedder:
    """Pictures and words in the model's joint space; passages in a sentence encoder's."""

    def __init__(
        self,
        model: str,
        checkpoint: Path | str | None,
        *,
        text: Path,
        device: str = "auto",
        name: str | None = None,
    ) -> None:
        """Load the model; nothing is fetched from a hub, whatever is missing.

        Args:
            model: open_clip's name, such as "ViT-B-32"; with a folder it only serves to name the embedder.
            checkpoint: a folder in open_clip's own layout (`open_clip_config.json`, weights, tokenizer), which
                also says how pictures are prepared; or a file of weights, with open_clip's defaults; or one
                of open_clip's tags, if the hub's cache holds it; or None for random weights (from seed 0).
            text: the sentence encoder's folder.
            device: "auto", "cpu", "cuda" …
            name: what a library records; by default made of model and checkpoint.
        """
        weights = checkpoint.stem if isinstance(checkpoint, Path) else checkpoint or "random"
        self.name = name or f"open_clip:{model}/{weights}"
        self.device = pick_device(device)
        if self.device == "cpu":
            keep_freed_memory()
        self._model, self._tokenize = _load(model, checkpoint, self.device)
        self._sentences = SentenceEncoder(text, device=self.device)
        self.text_dimensions = self._sentences.dimensions
        self.preprocess, mean, std = _preprocessing(model, self._model)
        self._scale_C, self._shift_C = scale_and_shift(mean, std, self.device)
        self.clip_dimensions = self._embed_words(["a photo"]).shape[1]

    def embed_images(self, pixels_BHWC: Pixels) -> ImageEmbedding:
        """Unit vectors; no labels, since the model has no classes of its own."""
        import torch

        if not len(pixels_BHWC):
            return ImageEmbedding(vectors_BD=np.empty((0, self.clip_dimensions), np.float32), labels=())
        with torch.inference_mode():
            pixels = torch.from_numpy(np.array(pixels_BHWC)).to(self.device)  # a copy: torch minds read-only arrays
            normalised_BHWC = pixels.float().mul_(self._scale_C).add_(self._shift_C)
            vectors_BD = self._model.encode_image(normalised_BHWC.permute(0, 3, 1, 2), normalize=True)
        return ImageEmbedding(vectors_BD=vectors_BD.cpu().numpy(), labels=((),) * len(pixels_BHWC))

    def embed_image_queries(self, texts: Sequence[str]) -> Vectors:
        """The model's own text tower; what is longer than its context (77 tokens for CLIP) loses its end."""
        vectors_BD = np.empty((len(texts), self.clip_dimensions), dtype=np.float32)
        for start in range(0, len(texts), _TEXT_BATCH):
            batch = texts[start : start + _TEXT_BATCH]
            vectors_BD[start : start + len(batch)] = self._embed_words(batch)
        return vectors_BD

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """The sentence encoder's vectors."""
        return self._sentences.encode(texts, "passage")

    def embed_questions(self, texts: Sequence[str]) -> Vectors:
        """The sentence encoder's vectors."""
        return self._sentences.encode(texts, "query")

    def embed_passage_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """The sentence encoder's vectors of tokens."""
        return self._sentences.encode_tokens(texts, "passage")

    def embed_question_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """The sentence encoder's vectors of tokens."""
        return self._sentences.encode_tokens(texts, "query")

    def _embed_words(self, texts: Sequence[str]) -> Vectors:
        import torch

        special = _special_tokens(self._tokenize)
        tokens_BT = self._tokenize([special.sub(_split_apart, text) for text in texts]).to(self.device)
        with torch.inference_mode():
            vectors_BD: Vectors = self._model.encode_text(tokens_BT, normalize=True).cpu().numpy()
        return vectors_BD


def _load(model: str, checkpoint: Path | str | None, device: str) -> tuple[Any, Any]:
    try:
        import open_clip
        import torch
    except ImportError as error:
        raise MissingEmbedderPackageError("open_clip_torch") from error
    source, pretrained = _where(model, checkpoint, open_clip)
    place = checkpoint if isinstance(checkpoint, Path) else Path(pretrained or source)
    with _no_hub(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            network = open_clip.create_model(
                source,
                pretrained=pretrained,
                device=device,
                precision="fp32",
                require_pretrained=checkpoint is not None,
            )
        except _LOADING_ERRORS as error:
            raise _not_loaded(place, str(error).splitlines()[0][:300]) from error
        try:
            return network.eval().requires_grad_(False), open_clip.get_tokenizer(source)
        except _LOADING_ERRORS as error:
            raise _not_loaded(place, "its tokenizer is neither there nor in the hub's cache") from error


def _not_loaded(place: Path, reason: str) -> WeightsError:
    failure = WeightsError(place, reason)
    failure.add_note(
        "A folder in open_clip's layout (open_clip_config.json, open_clip_model.safetensors and, where "
        "the model needs them, tokenizer files) loads without a network."
    )
    return failure


def _where(model: str, checkpoint: Path | str | None, open_clip: Any) -> tuple[str, str | None]:
    """What open_clip is to be called with: its name for the model, and its `pretrained`."""
    if isinstance(checkpoint, Path) and not checkpoint.exists():
        raise WeightsError(checkpoint, "there is no such file or folder")
    if isinstance(checkpoint, Path) and checkpoint.is_dir():
        if not (checkpoint / "open_clip_config.json").is_file():
            raise WeightsError(checkpoint, "open_clip_config.json is missing")
        return f"local-dir:{checkpoint}", None
    if model not in open_clip.list_models():
        raise UnknownModelError(model, open_clip.list_models())
    if isinstance(checkpoint, str) and not open_clip.get_pretrained_cfg(model, checkpoint).get("hf_hub"):
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
        raise WeightsError(Path(checkpoint), f"'{model}' has no such tag on the hub; its tags: {tags}")
    return model, None if checkpoint is None else str(checkpoint)


@contextmanager
def _no_hub() -> Iterator[None]:
    """open_clip and transformers ask the hub for whatever a folder lacks; inside this they find it closed."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _preprocessing(name: str, network: Any) -> tuple[Preprocess, Sequence[float], Sequence[float]]:
    import open_clip

    wanted = open_clip.get_model_preprocess_cfg(network)
    sides = wanted["size"] if isinstance(wanted["size"], (tuple, list)) else (wanted["size"],)
    if len(set(sides)) != 1:
        raise WeightsError(Path(name), f"it sees pictures of {sides} pixels; only squares are supported")
    preprocess = Preprocess(
        size=int(sides[0]),
        resize_to=int(sides[0]),
        mode=wanted["resize_mode"],
        interpolation="bilinear" if wanted["interpolation"] == "bilinear" else "bicubic",
        fill=int(wanted["fill_color"]),
    )
    return preprocess, wanted["mean"], wanted["std"]


def _special_tokens(tokenize: Any) -> re.Pattern[str]:
    """The spellings that the tokenizer would read as commands, such as "<end_of_text>"."""
    if hasattr(tokenize, "tokenizer"):
        words = list(tokenize.tokenizer.all_special_tokens)
    else:
        words = [tokenize.decoder[index] for index in tokenize.all_special_ids]
    return re.compile("|".join(map(re.escape, words)) or r"(?!)", re.IGNORECASE)


def _split_apart(match: re.Match[str]) -> str:
    """ "<end_of_text>" → "< end_of_text>": the same words, no command."""
    return f"{match[0][0]} {match[0][1:]}"


def _from_kit(parts: KitParts, device: str) -> OpenClipEmbedder:
    return OpenClipEmbedder(str(parts.options["model"]), parts.vision, text=parts.text, device=device)


EMBEDDER = EmbedderFormat(format="open_clip", load=_from_kit)
