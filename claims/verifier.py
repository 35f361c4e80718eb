"""How probable it is that a passage says what a claim says: the lower layers of the text embedder, read as a
cross-encoder, with a LoRA and a head that Llavero trained (recipes/small/train_verifier.py).

claim, passage → words matched by `claims.alignment.align` → tokens, each with its word's mark → layers → head → odds

The marks are why a small model and little training do: it need not find out which word went where, only what it
means that two names changed places, that a clause was left out, that a word came in.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from claims.alignment import FEATURES, MARKS, NO_WORD, Alignment, align
from claims.errors import VerifierWeightsError
from claims.tokens import TextToken

_BATCH = 16
_WORD_WIDTH = 64
_HEAD_WIDTH = 128


class LowRank(nn.Module):
    """A frozen linear layer and what was learned beside it: x W + x A B · 2 (LoRA, Hu et al. 2021)."""

    def __init__(self, frozen: nn.Linear, rank: int) -> None:
        super().__init__()
        self.frozen = frozen.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, frozen.in_features) / math.sqrt(frozen.in_features))
        self.up = nn.Parameter(torch.zeros(frozen.out_features, rank))

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """The layer's output with the learned part."""
        learned = (x_BTD @ self.down.T.to(x_BTD.dtype)) @ self.up.T.to(x_BTD.dtype)
        out: torch.Tensor = self.frozen(x_BTD) + 2 * learned
        return out

    def merged(self) -> nn.Linear:
        """One layer that computes the same."""
        with torch.no_grad():
            self.frozen.weight += 2 * self.up @ self.down
        return self.frozen


class Network(nn.Module):
    """The lower layers of a BERT with LoRA, marks added to the words' vectors, and a head that reads what each
    word says under its mark, pooled, beside what `align` counts."""

    def __init__(self, encoder: Any, *, layers: int, rank: int) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.encoder.encoder.layer = self.encoder.encoder.layer[:layers]
        self.encoder.pooler = None
        for name, module in list(self.encoder.encoder.named_modules()):
            if isinstance(module, nn.Linear):
                self._replace(name, LowRank(module, rank))
        width = encoder.config.hidden_size
        self.marks = nn.Embedding(MARKS, width)
        nn.init.zeros_(self.marks.weight)
        self.word = nn.Linear(width, _WORD_WIDTH)
        self.word_marks = nn.Embedding(MARKS, _WORD_WIDTH)
        pooled = 4 * _WORD_WIDTH + FEATURES
        self.head = nn.Sequential(nn.Linear(pooled, _HEAD_WIDTH), nn.GELU(), nn.Linear(_HEAD_WIDTH, 1))

    def forward(
        self,
        ids_BT: torch.Tensor,
        marks_BT: torch.Tensor,
        in_claim_BT: torch.Tensor,
        mask_BT: torch.Tensor,
        features_BF: torch.Tensor,
    ) -> torch.Tensor:
        """Logits of entailment, one for each pair."""
        hidden_BTD = self.hidden(ids_BT, marks_BT, mask_BT)
        return self.judged(hidden_BTD, marks_BT, in_claim_BT, mask_BT, features_BF)

    def hidden(self, ids_BT: torch.Tensor, marks_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        """What the encoder makes of both texts."""
        words_BTD = self.encoder.embeddings.word_embeddings(ids_BT) + self.marks(marks_BT)
        words_BTD = words_BTD.to(self.encoder.embeddings.LayerNorm.weight.dtype)
        hidden_BTD: torch.Tensor = self.encoder(inputs_embeds=words_BTD, attention_mask=mask_BT).last_hidden_state
        return hidden_BTD.float()

    def judged(
        self,
        hidden_BTD: torch.Tensor,
        marks_BT: torch.Tensor,
        in_claim_BT: torch.Tensor,
        mask_BT: torch.Tensor,
        features_BF: torch.Tensor,
    ) -> torch.Tensor:
        """What the head makes of that."""
        said_BTW = nn.functional.gelu(self.word(hidden_BTD) + self.word_marks(marks_BT))
        in_passage_BT = mask_BT.bool() & ~in_claim_BT
        parts = [*_pooled(said_BTW, in_claim_BT), *_pooled(said_BTW, in_passage_BT)]
        logits: torch.Tensor = self.head(torch.cat([*parts, features_BF], dim=1))
        return logits.squeeze(-1)

    def compute_in(self, dtype: torch.dtype) -> None:
        """Let the frozen layers compute in bfloat16, faster where a CPU knows it; what is learned stays exact."""
        learned = {name for name, value in self.named_parameters() if value.requires_grad}
        for name, value in self.named_parameters():
            if name not in learned and name.startswith("encoder.") and "word_embeddings" not in name:
                value.data = value.data.to(dtype)

    def trained(self) -> dict[str, torch.Tensor]:
        """What was learned, by name."""
        return {name: value.detach() for name, value in self.named_parameters() if value.requires_grad}

    def load_trained(self, tensors: dict[str, torch.Tensor]) -> None:
        """Put in what was learned. Raises KeyError or RuntimeError where it is not this network's."""
        own = self.trained()
        if own.keys() != tensors.keys():
            raise KeyError(f"{sorted(own.keys() ^ tensors.keys())[:3]} are missing or too many")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(tensors[name])

    def merge(self) -> None:
        """Fold the learned parts into the layers they belong to."""
        for name, module in list(self.encoder.encoder.named_modules()):
            if isinstance(module, LowRank):
                self._replace(name, module.merged())

    def _replace(self, name: str, module: nn.Module) -> None:
        parent, _, own = name.rpartition(".")
        setattr(self.encoder.encoder.get_submodule(parent), own, module)


def _pooled(said_BTW: torch.Tensor, part_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and maximum over the tokens of one text."""
    inside_BT1 = part_BT.unsqueeze(-1)
    mean_BW = (said_BTW * inside_BT1).sum(1) / inside_BT1.sum(1).clamp(min=1)
    return mean_BW, said_BTW.masked_fill(~inside_BT1, -1.0).amax(1)  # a GELU's least value is -0.17


class CrossVerifier:
    """A trained network with its tokenizer; deterministic."""

    def __init__(self, network: Network, tokenizer: Any, *, max_tokens: int, temperature: float = 1.0) -> None:
        self._network = network.eval()
        self._tokenizer, self._max_tokens, self._temperature = tokenizer, max_tokens, temperature

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """See Verifier. A passage that is too long for the network is cut at its end."""
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
        found = [0.0] * len(pairs)
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            batch = encode([pairs[i] for i in chosen], self._tokenizer, self._max_tokens)
            with torch.inference_mode():
                probabilities = (self._network(*batch).double() / self._temperature).sigmoid().tolist()
            for place, probability in zip(chosen, probabilities, strict=True):
                found[place] = probability
        return found


def has_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16 faster than in float32."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def encode(pairs: Sequence[tuple[str, str]], tokenizer: Any, max_tokens: int) -> tuple[torch.Tensor, ...]:
    """(ids_BT, marks_BT, in_claim_BT, mask_BT, features_BF) of pairs."""
    claims = [claim for claim, _ in pairs]
    longest = max(map(len, tokenizer(claims, add_special_tokens=False, verbose=False).input_ids), default=0)
    fits = longest + tokenizer.num_special_tokens_to_add(pair=True) < max_tokens
    coded = tokenizer(
        claims,
        [passage for _, passage in pairs],
        truncation="only_second" if fits else "longest_first",
        max_length=max_tokens,
        padding=True,
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    marks, in_claim, features = [], [], []
    for row, pair in enumerate(pairs):
        aligned = align(*pair)
        of_part = coded.sequence_ids(row)
        marks.append(_marks(aligned, of_part, coded["offset_mapping"][row].tolist()))
        in_claim.append([part == 0 for part in of_part])
        features.append(aligned.features)
    return (
        coded["input_ids"],
        torch.tensor(marks),
        torch.tensor(in_claim),
        coded["attention_mask"],
        torch.tensor(features),
    )


def _marks(aligned: Alignment, of_part: Sequence[int | None], offsets: Sequence[Sequence[int]]) -> list[int]:
    words = (_by_sign(aligned.claim), _by_sign(aligned.passage))
    return [
        NO_WORD if part is None else next((words[part][i] for i in range(start, end) if i in words[part]), NO_WORD)
        for part, (start, end) in zip(of_part, offsets, strict=True)
    ]


def _by_sign(marked: Sequence[tuple[TextToken, int]]) -> dict[int, int]:
    return {place: mark for token, mark in marked for place in range(token.start, token.end)}


def load_verifier(embedder: Path, weights: Path) -> CrossVerifier:
    """The verifier of a kit: the embedder's folder (transformers' format, a BERT) and the trained file beside it.
    Raises VerifierWeightsError."""
    from transformers import AutoModel, AutoTokenizer

    try:
        with safe_open(str(weights), framework="pt") as file:
            config = json.loads(file.metadata()["config"])
            trained = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118  # it is no dict
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise VerifierWeightsError(f"{weights} holds no verifier ({error})") from error
    encoder = AutoModel.from_pretrained(
        embedder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )  # eager: short texts, for which the fused attention of CPUs is slow
    network = Network(encoder, layers=config["layers"], rank=config["rank"])
    try:
        network.load_trained(trained)
    except (KeyError, RuntimeError) as error:
        raise VerifierWeightsError(f"{weights} does not fit the text embedder in {embedder}") from error
    network.merge()
    if has_bfloat16():
        network.compute_in(torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(embedder, local_files_only=True)
    return CrossVerifier(network, tokenizer, max_tokens=config["max_tokens"], temperature=config["temperature"])
