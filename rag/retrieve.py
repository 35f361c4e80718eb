"""A question → the chunks that may answer it.

embed → search every channel the store has → gather by reciprocal rank → one place per page → how likely each answers
(the first ones are read word by word) → not too much of one file → one place for pictures that are nearly the same.
Each step's time is in `Retrieval.milliseconds`.

A question that may follow on another is searched and judged twice, by itself and behind the question before it: the
mean of the two probabilities counts, and the wording that fits the first hit better says whether it follows ("and on
Sunday?") or stands by itself.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from indexing.embedding.protocol import Embedder
from indexing.records import Channel, Hit
from indexing.spans import Span, span
from indexing.store import Store
from indexing.store.protocol import Filter, Vector
from rag.errors import EmptyQuestionError, NoChannelError
from rag.fuse import Near, Ranking, fuse, gather_near, merge_pages, spread_files
from rag.relevance import RatedHit, Reranker, judge, judge_wordings, probabilities
from rag.settings import RagSettings


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What is looked for: words, a picture, or both; `k` hits at most. `earlier` is the question before, if any. With
    `apart` pictures that are nearly the same are hits of their own."""

    text: str = ""
    earlier: str = ""
    image: Image.Image | None = None
    k: int = 8
    filter: Filter = field(default_factory=Filter)
    apart: bool = False

    def __post_init__(self) -> None:
        if not self.text.strip() and self.image is None:
            raise EmptyQuestionError
        if self.k < 1:
            raise ValueError(f"k is {self.k}, it must be at least 1")

    @property
    def texts(self) -> tuple[str, ...]:
        """The wordings that are searched."""
        if not self.text.strip():
            return ()
        return (self.text, f"{self.earlier} {self.text}") if self.earlier.strip() else (self.text,)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How likely each hit answers, in their order."""

    probabilities: tuple[float, ...]
    threshold: float

    @property
    def best(self) -> float:
        """How likely anything here answers."""
        return max(self.probabilities, default=0.0)


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """What a search found, likeliest first, and how likely each hit answers."""

    request: SearchRequest
    hits: tuple[Hit, ...]
    verdict: Verdict
    milliseconds: Mapping[str, float]
    notes: tuple[str, ...] = ()
    follows: bool = False
    """The first hit fits the question better behind the one before it."""

    @property
    def relevant(self) -> tuple[bool, ...]:
        """For each hit, whether it may be an answer."""
        return tuple(probability >= self.verdict.threshold for probability in self.verdict.probabilities)

    @property
    def answers(self) -> tuple[Hit, ...]:
        """The hits that may answer; empty means: surely not here."""
        return tuple(hit for hit, relevant in zip(self.hits, self.relevant, strict=True) if relevant)


class Retriever:
    """Searches one library. As safe to share between threads as its store and embedder."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        settings: RagSettings | None = None,
        reranker: Reranker | None = None,
        near: Near = lambda content: {},
    ) -> None:
        self.store, self.embedder, self.reranker, self._near = store, embedder, reranker, near
        self.settings = settings or RagSettings()

    def warm(self) -> None:
        """Do now what the first search would have to do: load the models' first pages."""
        self.embedder.embed_questions(["warm"])

    def search(self, request: SearchRequest) -> Retrieval:
        """See the module's docstring. Raises EmptyQuestionError, NoChannelError, and what the store raises."""
        with span("search", k=request.k, wordings=len(request.texts), picture=request.image is not None) as work:
            found = self._found(request)
            work.count(found=len(found.hits), relevant=len(found.answers))
        return found

    def _found(self, request: SearchRequest) -> Retrieval:
        clock = _Clock()
        rankings = self._rankings(request, clock, self.settings.retrieval.depth)
        with clock.step("fuse"):
            hits = fuse(rankings, constant=self.settings.retrieval.rank_constant)
            hits = fuse(merge_pages(rankings, hits), constant=self.settings.retrieval.rank_constant)
        with clock.step("relevance"):
            judged, follows = self._judged(request, hits)
        apart = request.apart or self.settings.retrieval.apart
        kept = gather_near(judged, self._near, apart=apart)[: request.k]
        return Retrieval(
            request=request,
            hits=tuple(each.hit for each in kept),
            verdict=Verdict(
                probabilities=tuple(each.probability for each in kept), threshold=self.settings.relevance.threshold
            ),
            milliseconds=clock.milliseconds,
            notes=self._notes(request),
            follows=follows,
        )

    def beside(self, hit: Hit, question: str, *, most: int) -> tuple[Hit, ...]:
        """Other words of the hit's page, or of its file where there are no pages: what stands beside a short chunk.

        The likeliest come first; the same chunk is never among them.
        """
        chunk = hit.chunk
        page = (("page", str(chunk.page)),) if chunk.page is not None else ()
        within = Filter(kinds=("text", "table"), where=(("path", chunk.path), *page))
        if most < 1 or "text" not in self.store.channels:
            return ()
        vector = self._vector("text", question)
        found = self.store.search_vector("text", vector, limit=most + 1, filter=within)
        ranking = Ranking(channel="text", weight=1.0, found=found)
        ranked = fuse([ranking], constant=self.settings.retrieval.rank_constant)
        return tuple(each for each in ranked if each.chunk.id != chunk.id)[:most]

    def _judged(self, request: SearchRequest, hits: list[Hit]) -> tuple[list[RatedHit], bool]:
        """The hits with their probabilities, and whether the question follows on the one before."""
        if not request.texts:  # a picture without words asks for likeness: every hit answers
            return [RatedHit(hit=hit, probability=1.0) for hit in hits], False
        choice = self.settings.retrieval
        wordings = [
            judge(text, hits, reranker=self.reranker, most_read=choice.rerank, settings=self.settings.relevance)
            for text in request.texts
        ]
        judged = judge_wordings(wordings)
        alone, behind = probabilities(wordings[0]), probabilities(wordings[-1])
        first = judged[0].hit.chunk.id if judged else ""
        follows = bool(first) and behind[first] > alone[first]
        return spread_files(judged, per_file=choice.per_file), follows

    def rankings(self, words: str, *, limit: int, filter: Filter) -> list[Ranking]:
        """What every channel says of the words, as deep as `limit`; nothing is judged or cut."""
        return self._rankings(SearchRequest(text=words, filter=filter), _Clock(), limit)

    def _rankings(self, request: SearchRequest, clock: "_Clock", limit: int) -> list[Ranking]:
        wanted = self._wanted(request)
        if not wanted:
            needs = ("clip",) if not request.text.strip() else ("clip", "text", "bm25")
            raise NoChannelError(needs, tuple(self.store.channels))
        rankings = list[Ranking]()
        for channel, weight, query in wanted:
            if isinstance(query, str) and channel == "bm25":
                with clock.step("bm25") as work:
                    found = self.store.search_words(query, limit=limit, filter=request.filter)
                    work.count(found=len(found))
            else:
                with clock.step("embed"):
                    vector = self._vector(channel, query)
                with clock.step(channel) as work:
                    found = self.store.search_vector(channel, vector, limit=limit, filter=request.filter)
                    work.count(found=len(found))
            rankings.append(Ranking(channel=channel, weight=weight, found=found))
        return rankings

    def _wanted(self, request: SearchRequest) -> list[tuple[Channel, float, str | Image.Image]]:
        """Channel, weight and query of every search to make."""
        choice = self.settings.retrieval
        wanted: list[tuple[Channel, float, str | Image.Image]] = [
            (channel, choice.weights.get(channel, 0.0), text.strip())
            for text in request.texts
            for channel in self.store.channels
        ]
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
    def step(self, name: str) -> Iterator[Span]:
        start = time.perf_counter()
        try:
            with span(f"search.{name}") as work:
                yield work
        finally:
            self._steps[name] = self._steps.get(name, 0.0) + (time.perf_counter() - start) * 1000

    @property
    def milliseconds(self) -> dict[str, float]:
        total = (time.perf_counter() - self._start) * 1000
        return {**{name: round(spent, 3) for name, spent in self._steps.items()}, "total": round(total, 3)}
