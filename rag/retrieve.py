"""A question → the chunks that may answer it.

embed → search every channel the store has → fuse by rank → rerank by coverage → one place per page →
judge what is relevant → not too much of one file. Each step's time is in `Retrieval.milliseconds`.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from indexing.embedding.protocol import Embedder
from indexing.records import Channel, Hit
from indexing.store import Store
from indexing.store.protocol import Filter, Vector
from rag.errors import EmptyQuestionError, NoChannelError
from rag.fuse import Ranking, fuse, merge_pages, pictures_first, rerank, spread_files
from rag.question import Intent, read_intent
from rag.relevance import Level, Verdict, judge, measure
from rag.settings import RagSettings
from rag.terms import with_date_writings

EMPTY_LIBRARY = "The library is empty: index files first."


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What is looked for: words, a picture, or both; `k` hits at most."""

    text: str = ""
    image: Image.Image | None = None
    k: int = 8
    filter: Filter = field(default_factory=Filter)

    def __post_init__(self) -> None:
        if not self.text.strip() and self.image is None:
            raise EmptyQuestionError
        if self.k < 1:
            raise ValueError(f"k is {self.k}, it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """What a search found. `relevant` holds one word per hit; `verdict` says whether anything answers, and why."""

    request: SearchRequest
    hits: tuple[Hit, ...]
    verdict: Verdict
    milliseconds: Mapping[str, float]
    notes: tuple[str, ...] = ()

    @property
    def relevant(self) -> tuple[bool, ...]:
        """For each hit, whether it counts as an answer."""
        return tuple(probability >= self.verdict.threshold for probability in self.verdict.probabilities)

    @property
    def answers(self) -> tuple[Hit, ...]:
        """The relevant hits alone, best first; empty means: nothing relevant here."""
        return tuple(hit for hit, relevant in zip(self.hits, self.relevant, strict=True) if relevant)

    @property
    def evidence(self) -> tuple[Hit, ...]:
        """What a model should read: the relevant hits, and what else was found in the files they are from."""
        answering = {hit.chunk.content_hash for hit in self.answers}
        return tuple(hit for hit in self.hits if hit.chunk.content_hash in answering)


class Retriever:
    """Searches one library. As safe to share between threads as its store and embedder."""

    def __init__(self, store: Store, embedder: Embedder, settings: RagSettings | None = None) -> None:
        self.store, self.embedder = store, embedder
        self.settings = settings or RagSettings()
        self._background: Mapping[Channel, Level] = {}
        self._rows_measured = -1
        self._measuring = threading.Lock()

    def warm(self) -> None:
        """Do now what the first search would have to do: load the models' first pages, measure the background."""
        self._measured_background()

    def search(self, request: SearchRequest) -> Retrieval:
        """See the module's docstring. Raises EmptyQuestionError, NoChannelError, and what the store raises."""
        clock = _Clock()
        intent = read_intent(request.text)
        rankings = self._rankings(request, intent, clock)
        with clock.step("fuse"):
            hits = self._ordered(rankings, intent)
        with clock.step("background"):
            background = self._measured_background()
        with clock.step("relevance"):
            verdict = judge(intent.subject, hits, background, self.settings.relevance)
            if not hits and not self._rows_measured:
                verdict = replace(verdict, reason=EMPTY_LIBRARY)
        return Retrieval(
            request=request,
            hits=tuple(hits[: request.k]),
            verdict=verdict.first(request.k),
            milliseconds=clock.milliseconds,
            notes=self._notes(request),
        )

    def _ordered(self, rankings: list[Ranking], intent: Intent) -> list[Hit]:
        choice = self.settings.retrieval
        hits = fuse(rankings, constant=choice.rank_constant)
        if intent.wants_picture:
            hits = rerank(intent.subject, hits, share=choice.picture_coverage_weight)
            hits = pictures_first(hits, penalty=choice.words_penalty)
        else:
            hits = fuse(merge_pages(rankings, hits), constant=choice.rank_constant)
            hits = rerank(intent.subject, hits, share=choice.coverage_weight)
        return spread_files(hits, per_file=choice.per_file)

    def _rankings(self, request: SearchRequest, intent: Intent, clock: "_Clock") -> list[Ranking]:
        wanted = self._wanted(request, intent)
        if not wanted:
            needs = ("clip",) if not request.text.strip() else ("clip", "text", "bm25")
            raise NoChannelError(needs, tuple(self.store.channels))
        limit, rankings = self.settings.retrieval.depth, list[Ranking]()
        for channel, weight, query in wanted:
            if isinstance(query, str) and channel == "bm25":
                with clock.step("bm25"):
                    found = self.store.search_words(with_date_writings(query), limit=limit, filter=request.filter)
            else:
                with clock.step("embed"):
                    vector = self._vector(channel, query)
                with clock.step(channel):
                    found = self.store.search_vector(channel, vector, limit=limit, filter=request.filter)
            rankings.append(Ranking(channel=channel, weight=weight, found=found))
        return rankings

    def _wanted(self, request: SearchRequest, intent: Intent) -> list[tuple[Channel, float, str | Image.Image]]:
        """Channel, weight and query of every search to make."""
        choice = self.settings.retrieval
        weights = choice.picture_weights if intent.wants_picture else choice.weights
        wanted: list[tuple[Channel, float, str | Image.Image]] = []
        if intent.subject.strip():
            wanted += [(c, weights.get(c, 0.0), intent.subject.strip()) for c in self.store.channels]
        if request.image is not None and "clip" in self.store.channels:
            wanted.append(("clip", choice.picture_weight, request.image))
        return [(channel, weight, query) for channel, weight, query in wanted if weight > 0]

    def _vector(self, channel: Channel, query: str | Image.Image) -> Vector:
        if isinstance(query, Image.Image):
            pixels = self.embedder.preprocess.crop(query.convert("RGB"))
            vectors_BD = self.embedder.embed_images(pixels[np.newaxis]).vectors_BD
        elif channel == "clip":
            vectors_BD = self.embedder.embed_image_queries([query])
        else:
            vectors_BD = self.embedder.embed_questions([query])
        vector_D: Vector = vectors_BD[0]
        return vector_D

    def _measured_background(self) -> Mapping[Channel, Level]:
        """Measured once, and again when the library has grown or shrunk by a quarter."""
        rows = self.store.count()
        with self._measuring:
            if self._rows_measured < 0 or abs(rows - self._rows_measured) > self._rows_measured / 4:
                self._background, self._rows_measured = measure(self.store, self.embedder), rows
            return self._background

    def _notes(self, request: SearchRequest) -> tuple[str, ...]:
        missing = [c for c in self.settings.retrieval.weights if c not in self.store.channels]
        notes = [f"This store has no '{channel}' channel; the search went without it." for channel in missing]
        if request.image is not None and "clip" not in self.store.channels:
            notes.append("The picture had no say: this store cannot search by picture.")
        return tuple(notes)


class _Clock:
    """Adds up the time of each named step."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._steps: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._steps[name] = self._steps.get(name, 0.0) + (time.perf_counter() - start) * 1000

    @property
    def milliseconds(self) -> dict[str, float]:
        total = (time.perf_counter() - self._start) * 1000
        return {**{name: round(spent, 3) for name, spent in self._steps.items()}, "total": round(total, 3)}
