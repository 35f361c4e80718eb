"""How likely is each hit to answer the question? Three logistic functions, calibrated for each kit.

    seen    words, before they were read: cosine of question and passage, and share of the question's words
    read    the first hits, read word by word (late interaction): each word of the question takes its nearest of the
            passage's, in the vectors of the text encoder's tokens; from "ColBERT" (Khattab & Zaharia, 2020)
    looks   pictures: cosine of the question and the picture, and with the words that it was recognised as; and the
            share of the question's words among these

All give a probability on one scale, so that hits of every kind can be put in one order by it, and so that one threshold
says what is surely not there. No word of any language is known here; what tells a near miss from an answer is what
the encoder learned. `RelevanceSettings` holds the numbers, `recipes/calibrate.py` finds them.

Legend: D width of a vector, T tokens.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from indexing.embedding.protocol import Embedder, Vectors
from indexing.records import Chunk, Hit
from rag.settings import RelevanceSettings

_REMEMBERED_CHUNKS = 512
_MOST_CHARACTERS = 4_000  # of a chunk that is read word by word: a long table says what it is about in its first rows


@dataclass(frozen=True, kw_only=True, slots=True)
class RatedHit:
    """A hit with the probability 0..1 that it answers the question."""

    hit: Hit
    probability: float


class Reranker(Protocol):
    """Reads chunks with the question in mind."""

    def scores(self, question: str, chunks: Sequence[Chunk]) -> list[float]:
        """For each chunk how well it fits, on the scale that `RelevanceSettings.read` was calibrated for."""


class LateInteraction:
    """Reads with the token vectors of the library's own text encoder. Safe to share between threads.

    The vectors of the chunks that were read last are remembered, in half precision.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def scores(self, question: str, chunks: Sequence[Chunk]) -> list[float]:
        """The mean over the question's tokens of the cosine with the chunk's nearest token; 0 without words."""
        (asked_TD,) = self._embedder.embed_question_tokens([question])
        return [_interaction(asked_TD, passage_TD) for passage_TD in self._vectors(chunks)]

    def _vectors(self, chunks: Sequence[Chunk]) -> list[Vectors]:
        with self._lock:
            new = {chunk.id: chunk for chunk in chunks if chunk.id not in self._known}
        texts = [chunk.searchable_text[:_MOST_CHARACTERS] for chunk in new.values()]
        made = dict(zip(new, self._embedder.embed_passage_tokens(texts), strict=True)) if new else {}
        with self._lock:
            self._known.update((name, vectors_TD.astype(np.float16)) for name, vectors_TD in made.items())
            found = [self._known[chunk.id] for chunk in chunks]
            for chunk in chunks:
                self._known.move_to_end(chunk.id)
            while len(self._known) > max(_REMEMBERED_CHUNKS, len(chunks)):
                self._known.popitem(last=False)
        return [vectors_TD.astype(np.float32) for vectors_TD in found]


def _interaction(asked_TD: Vectors, passage_TD: Vectors) -> float:
    if not len(asked_TD) or not len(passage_TD):
        return 0.0
    return float((asked_TD @ passage_TD.T).max(axis=1).mean())


class CrossEncoder:
    """Reads with a model that was trained to rerank (a sequence classifier of transformers), from a folder."""

    def __init__(self, folder: Path, *, device: str) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model: Any = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32
        )
        self._model.eval().to(device)

    def scores(self, question: str, chunks: Sequence[Chunk]) -> list[float]:
        """The model's own probability, by the logistic function of its one logit."""
        import torch

        if not chunks:
            return []
        pairs = [[question, chunk.searchable_text[:_MOST_CHARACTERS]] for chunk in chunks]
        batch = self._tokenizer(pairs, padding=True, truncation=True, return_tensors="pt").to(self._model.device)
        with torch.inference_mode():
            scores: list[float] = self._model(**batch).logits[:, 0].float().sigmoid().tolist()
        return scores


def judge(
    question: str, hits: Sequence[Hit], *, reranker: Reranker | None, most_read: int, settings: RelevanceSettings
) -> list[RatedHit]:
    """The hits with their probabilities, likeliest first. Of those with words the first `most_read` are read.

    What was not read never stands before what was: the two functions are calibrated, but not against each other's
    mistakes.
    """
    least_similar = min((_score(hit, "text") for hit in hits if "text" in hit.channels), default=0.0)
    seen = sorted((RatedHit(hit=hit, probability=_seen(hit, least_similar, settings)) for hit in hits), key=_order)
    if reranker is None or not question.strip():
        return seen
    wordy = [each for each in seen if _has_words(each.hit)][:most_read]
    scores = reranker.scores(question, [each.hit.chunk for each in wordy])
    read = [
        replace(each, probability=_read(each.hit, least_similar, score, settings))
        for each, score in zip(wordy, scores, strict=True)
    ]
    known = {each.hit.chunk.id for each in read}
    least = min((each.probability for each in read), default=1.0)
    rest = [
        replace(each, probability=min(each.probability, least)) if _has_words(each.hit) else each
        for each in seen
        if each.hit.chunk.id not in known
    ]
    return sorted([*sorted(read, key=_order), *rest], key=lambda each: -each.probability)  # equals stay as they are


def judge_wordings(wordings: Sequence[list[RatedHit]]) -> list[RatedHit]:
    """Hits that were judged by several wordings, of which nobody knows which is meant: the mean probability counts."""
    if len(wordings) == 1:
        return wordings[0]
    hits = {each.hit.chunk.id: each.hit for each in wordings[0]}
    by_hit = [probabilities(each) for each in wordings]
    rated = [
        RatedHit(hit=hit, probability=sum(each[name] for each in by_hit) / len(by_hit)) for name, hit in hits.items()
    ]
    return sorted(rated, key=_order)


def probabilities(rated: Sequence[RatedHit]) -> dict[str, float]:
    """By the chunk's id."""
    return {each.hit.chunk.id: each.probability for each in rated}


def _order(judged: RatedHit) -> tuple[float, float, str]:
    return -judged.probability, -judged.hit.score, judged.hit.chunk.id


def _score(hit: Hit, channel: Any) -> float:
    seen = hit.channels.get(channel)
    return seen.score if seen else 0.0


def _has_words(hit: Hit) -> bool:
    """Words of its own, and not what a picture was recognised as. The words of a whole page are those of its passages,
    which are hits of their own."""
    return bool(hit.chunk.text) and hit.chunk.kind not in ("image", "page")


def _is_written_page(hit: Hit) -> bool:
    """All pages of words look alike, so neither its looks nor words that its passages have say anything for it."""
    return bool(hit.chunk.text) and hit.chunk.kind == "page"


def _similarity(hit: Hit, least: float) -> float:
    """The text channel's cosine. It has found others, so what it has not found is at most as similar as the least."""
    return _score(hit, "text") if "text" in hit.channels else least


def _seen(hit: Hit, least: float, settings: RelevanceSettings) -> float:
    if _is_written_page(hit):
        return 0.0
    if not _has_words(hit):
        return _looks(hit, settings)
    constant, similarity, share = settings.seen
    return _logistic(constant + similarity * _similarity(hit, least) + share * _score(hit, "bm25"))


def _read(hit: Hit, least: float, score: float, settings: RelevanceSettings) -> float:
    constant, similarity, interaction = settings.read
    return _logistic(constant + similarity * _similarity(hit, least) + interaction * score)


def _looks(hit: Hit, settings: RelevanceSettings) -> float:
    constant, similarity, words, share = settings.looks
    looked = similarity * _score(hit, "clip")
    return _logistic(constant + looked + words * _score(hit, "text") + share * _score(hit, "bm25"))


def _logistic(odds: float) -> float:
    return 1 / (1 + exp(-odds)) if odds > -700 else 0.0
