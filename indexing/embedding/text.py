"""Sentences → unit vectors, with a BERT-format encoder (transformers) and masked mean pooling.

    "Wie hoch ist der Berg?" ─ prefix of its role ─► "query: Wie hoch ist der Berg?" ─► tokens ─► network
        ─► the mean of all tokens' vectors: one vector for the sentence
        ─► the vectors of the sentence's own tokens: for late interaction (MaxSim)

An encoder that was trained with prefixes has them in `config_sentence_transformers.json` (sentence-transformers'
"prompts": query, passage); MiniLM has none.

Legend: B sentences, T tokens, D width of a vector.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from indexing.embedding.protocol import Vectors, WeightsError, pick_device

if TYPE_CHECKING:
    from torch import Tensor

Role = Literal["query", "passage"]

_MOST_SENTENCES, _MOST_TOKENS = 32, 2_048
"""Of a batch, padding included. Attention takes the square of a sentence's length: 32 of 512 tokens took 0.7 GB, 8 of
them still 0.16 GB more than 4."""


class SentenceEncoder:
    """Equal to the mean of transformers' own last hidden states over the real tokens, scaled to length 1.

    What is longer than the model's positions (512 tokens for MiniLM) loses its end. Words such as
    "[SEP]" in the text stay words: they never become the tokenizer's special tokens.

    Weights that are stored as bfloat16 are computed with as such where the processor can; their words' table stays on
    the disk, and the rows that are used come from there.
    """

    def __init__(self, folder: Path, *, device: str = "auto") -> None:
        """Load the encoder in `folder`, which holds config, weights and tokenizer; nothing is fetched."""
        from transformers import AutoModel, AutoTokenizer

        if not (folder / "config.json").is_file():
            raise WeightsError(folder, "config.json is missing")
        self.folder = folder
        self._device = pick_device(device)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True, dtype=_dtype(folder, self._device))
        self._model.eval().to(self._device)
        positions = int(self._model.config.max_position_embeddings)
        self._max_tokens = min(positions, int(self._tokenizer.model_max_length))
        self._prefixes = _prefixes(folder)
        self._prefix_tokens = {role: self._count(prefix.rstrip()) for role, prefix in self._prefixes.items()}
        self.dimensions = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str], role: Role = "query") -> Vectors:
        """(B, D) in the order of `texts`. Texts that are compared with each other, of equal rank, are all queries."""
        vectors_BD = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for chosen, hidden_BTD, mask_BT1 in self._run(texts, role):
            mean_BD = (hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1)
            vectors_BD[chosen] = _unit(mean_BD).cpu().numpy()
        return vectors_BD

    def encode_tokens(self, texts: Sequence[str], role: Role = "query") -> list[Vectors]:
        """For each text (T, D), unit vectors of its own tokens, without special ones and those of the prefix.

        An empty text has none: (0, D).
        """
        vectors: list[Vectors] = [np.empty((0, self.dimensions), np.float32)] * len(texts)
        first = 1 + self._prefix_tokens[role]  # after the token that begins every sentence
        for chosen, hidden_BTD, mask_BT1 in self._run(texts, role):
            unit_BTD = _unit(hidden_BTD).cpu().numpy()
            lasts = mask_BT1.sum(1).flatten().int().tolist()
            for row, (index, last) in enumerate(zip(chosen, lasts, strict=True)):
                vectors[index] = unit_BTD[row, first : max(first, last - 1)].copy()
        return vectors

    def _run(self, texts: Sequence[str], role: Role) -> Iterator[tuple[list[int], "Tensor", "Tensor"]]:
        """Positions in `texts`, last hidden states in float32, and the mask (B, T, 1) of real tokens, batch by batch.

        Batches hold sentences of like length, so that little is padding.
        """
        import torch

        if not texts:
            return
        prefix = self._prefixes[role]
        tokens = self._tokenizer(
            [prefix + text for text in texts], truncation=True, max_length=self._max_tokens, split_special_tokens=True
        )["input_ids"]
        for chosen in _batches([len(each) for each in tokens]):
            batch = self._tokenizer.pad({"input_ids": [tokens[index] for index in chosen]}, return_tensors="pt")
            batch = batch.to(self._device)
            with torch.inference_mode():
                hidden_BTD = self._model(**batch).last_hidden_state.float()
            yield chosen, hidden_BTD, batch["attention_mask"].unsqueeze(-1).float()

    def _count(self, text: str) -> int:
        """Tokens of a text by itself, without special ones."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else 0


def _dtype(folder: Path, device: str) -> Any:
    """bfloat16 where the weights are stored so and the processor computes with it; else float32."""
    import torch

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    stored = config.get("dtype", config.get("torch_dtype", "float32"))
    if stored != "bfloat16" or (device == "cpu" and not _computes_bfloat16()):
        return torch.float32
    return torch.bfloat16


def _computes_bfloat16() -> bool:
    """Whether this processor has instructions for it (AVX512-BF16, AMX). Without, torch is slower than in float32."""
    import torch

    return any(
        getattr(torch.cpu, name, lambda: False)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )


def _prefixes(folder: Path) -> dict[Role, str]:
    """What stands before a question and before a passage; "" for encoders without prefixes."""
    try:
        content = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        content = {}
    prompts = content.get("prompts") or {}
    return {"query": str(prompts.get("query", "")), "passage": str(prompts.get("passage", ""))}


def _unit(vectors_D: "Tensor") -> "Tensor":
    from torch.nn.functional import normalize

    return normalize(vectors_D, dim=-1)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions of sentences that go through the network together, the shortest first."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if batch and (len(batch) == _MOST_SENTENCES or (len(batch) + 1) * lengths[index] > _MOST_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
