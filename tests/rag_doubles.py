"""Small honest stand-ins: a store in memory, an embedder of hashed words, an engine that says what it was told."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from indexing.embedding.protocol import ImageEmbedding, Pixels, Preprocess, Vectors
from indexing.records import Box, Channel, Chunk, Hit, Kind, Line
from indexing.store.protocol import EVERYTHING, Filter, Found, Row, Vector
from llava_model.serving.engine import Turn
from rag.settings import RelevanceSettings

WIDTH = 64


def chunk(
    text: str = "",
    *,
    file: str = "a.txt",
    kind: Kind = "text",
    ordinal: int = 0,
    page: int | None = None,
    title: str = "",
    heading: str = "",
    boxed: bool = False,
    image: str = "",
) -> Chunk:
    """A chunk whose lines are the lines of its text; `boxed` lays them out from top to bottom."""
    lines = text.splitlines()
    return Chunk(
        content_hash=hashlib.sha256(file.encode()).hexdigest(),
        path=f"/library/{file}",
        kind=kind,
        ordinal=ordinal,
        page=page,
        title=title,
        heading=heading,
        text=text,
        image=image,
        lines=tuple(Line(text=line, box=_row(i, len(lines))) for i, line in enumerate(lines)) if boxed else (),
    )


def _row(place: int, rows: int) -> Box:
    return (0.1, place / rows, 0.9, (place + 0.8) / rows)


def hit(of: Chunk, score: float = 1.0) -> Hit:
    return Hit(chunk=of, score=score, channels={})


class WordEmbedder:
    """Texts with common words are near each other; a picture is as near to a word as its red value says."""

    name, clip_dimensions, text_dimensions = "words", WIDTH, WIDTH
    preprocess = Preprocess(size=8, resize_to=8)
    device = "cpu"

    def embed_images(self, pixels_BHWC: Pixels) -> ImageEmbedding:
        vectors = [_vector([f"red{int(pixels[0, 0, 0]) // 16}"]) for pixels in pixels_BHWC]
        return ImageEmbedding(vectors_BD=np.stack(vectors), labels=((),) * len(vectors))

    def embed_image_queries(self, texts: Sequence[str]) -> Vectors:
        return self.embed_passages(texts)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return np.stack([_vector(re.findall(r"\w+", text.lower())) for text in texts])

    def embed_questions(self, texts: Sequence[str]) -> Vectors:
        return self.embed_passages(texts)

    def embed_passage_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """One vector for each word."""
        return [
            np.stack([_vector([word]) for word in re.findall(r"\w+", text.lower())] or [_vector([])]) for text in texts
        ]

    def embed_question_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        return WordEmbedder.embed_passage_tokens(self, texts)


def _vector(words: Sequence[str]) -> Vector:
    vector = np.full(WIDTH, 1e-6, np.float32)
    for word in words:
        vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % WIDTH] += 1
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class MemoryStore:
    """Rows in a list, searched by brute force; words count by how many of them a chunk shares."""

    def __init__(self, rows: Sequence[Row], channels: tuple[Channel, ...] = ("clip", "text", "bm25")) -> None:
        self.rows, self.channels = list(rows), channels

    def search_vector(self, channel: Channel, vector: Vector, *, limit: int, filter: Filter = EVERYTHING) -> Found:
        scored = [
            (row.chunk, float(np.dot(stored, vector)))
            for row in self.rows
            if (stored := row.clip if channel == "clip" else row.text) is not None
        ]
        return self._best(scored, limit, filter)

    def search_words(self, query: str, *, limit: int, filter: Filter = EVERYTHING) -> Found:
        wanted = set(re.findall(r"\w+", query.lower()))
        shared = [
            (row.chunk, len(wanted & set(re.findall(r"\w+", row.chunk.searchable_text.lower()))) / max(1, len(wanted)))
            for row in self.rows
        ]
        return self._best([(found, score) for found, score in shared if score], limit, filter)

    def count(self) -> int:
        return len(self.rows)

    @staticmethod
    def _best(scored: Found, limit: int, chosen: Filter) -> Found:
        kept = [each for each in scored if not chosen.kinds or each[0].kind in chosen.kinds]
        kept = [each for each in kept if chosen.only is None or each[0].content_hash in chosen.only]
        return sorted(kept, key=lambda each: (-each[1], each[0].id))[:limit]


def rows(*chunks: Chunk) -> list[Row]:
    """Rows with the word embedder's vectors; pictures get a clip vector of their text."""
    embedder = WordEmbedder()
    return [
        Row(
            chunk=each,
            clip=embedder.embed_image_queries([each.text])[0] if each.kind in ("image", "page", "figure") else None,
            text=embedder.embed_passages([each.searchable_text])[0] if each.searchable_text else None,
        )
        for each in chunks
    ]


RELEVANCE = RelevanceSettings(
    seen=(-4.0, 6.0, 6.0), read=(-7.0, 2.0, 12.0), looks=(-5.0, 10.0, 2.0, 0.0), threshold=0.1
)
"""Fits the word embedder: a passage that holds half of the question's words may be an answer."""


class ScriptedEngine:
    """Says its script, a few letters at a time; remembers what it was asked and whether it was closed."""

    name, context_tokens = "scripted", 2048

    def __init__(self, script: str, *, sees_images: bool = False, piece: int = 3) -> None:
        self.script, self.sees_images, self._piece = script, sees_images, piece
        self.asked: list[tuple[Turn, ...]] = []
        self.options: dict[str, object] = {}
        self.closed = self.finished = False

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """One token a word, four a turn, fifty a picture."""
        return sum(len(turn.text.split()) + 4 + 50 * len(turn.images) for turn in turns)

    def stream(self, turns: Sequence[Turn], **options: object) -> Iterator[str]:
        self.asked.append(tuple(turns))
        self.options = options
        return self._say(options.get("stop") or ())

    def _say(self, stop: object) -> Iterator[str]:
        text = self.script
        for mark in stop if isinstance(stop, tuple) else ():
            text = text.split(mark)[0]
        try:
            for start in range(0, len(text), self._piece):
                yield text[start : start + self._piece]
            self.finished = True
        finally:
            self.closed = True


CountTokens = Callable[[Sequence[Turn]], int]
