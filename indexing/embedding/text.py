"""Sentences → unit vectors, with a MiniLM-format encoder (transformers) and masked mean pooling.

Legend: B sentences, T tokens, D width of a vector.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from indexing.embedding.protocol import Vectors, WeightsError, pick_device

_MOST_SENTENCES, _MOST_TOKENS = 32, 4_096
"""Of a batch, padding included. Attention takes the square of a sentence's length: 32 of 512 tokens took 0.7 GB."""


class SentenceEncoder:
    """Equal to the mean of transformers' own last hidden states over the real tokens, scaled to length 1.

    What is longer than the model's positions (512 tokens for MiniLM) loses its end. Words such as
    "[SEP]" in the text stay words: they never become the tokenizer's special tokens.
    """

    def __init__(self, folder: Path, *, device: str = "auto") -> None:
        """Load the encoder in `folder`, which holds config, weights and tokenizer; nothing is fetched."""
        import torch
        from transformers import AutoModel, AutoTokenizer

        if not (folder / "config.json").is_file():
            raise WeightsError(folder, "config.json is missing")
        self.folder = folder
        self._device = pick_device(device)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        self._model.eval().to(self._device)
        positions = int(self._model.config.max_position_embeddings)
        self._max_tokens = min(positions, int(self._tokenizer.model_max_length))
        self.dimensions = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(B, D) in the order of `texts`; batches hold sentences of like length, so that little is padding."""
        vectors_BD = np.empty((len(texts), self.dimensions), dtype=np.float32)
        if not texts:
            return vectors_BD
        tokens = self._tokenizer(list(texts), truncation=True, max_length=self._max_tokens, split_special_tokens=True)[
            "input_ids"
        ]
        for chosen in _batches([len(each) for each in tokens]):
            vectors_BD[chosen] = self._encode_batch([tokens[index] for index in chosen])
        return vectors_BD

    def _encode_batch(self, tokens: list[list[int]]) -> Vectors:
        import torch

        batch = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            hidden_BTD = self._model(**batch).last_hidden_state
            mask_BT1 = batch["attention_mask"].unsqueeze(-1).to(hidden_BTD.dtype)
            mean_BD = (hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1)
            vectors_BD: Vectors = torch.nn.functional.normalize(mean_BD, dim=-1).cpu().numpy()
        return vectors_BD


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
