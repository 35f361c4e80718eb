"""Chunks → rows: pictures and passages go through the embedder in batches across files, rows go to the store.

Legend: B batch, H W pixels, C colour channels, D width of a vector.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from indexing.chunking import with_labels, with_words
from indexing.embedding.protocol import Embedder, ImageEmbedding, Label, Pixels, Vectors, give_back_freed_memory
from indexing.errors import StoreError
from indexing.ledger import Content
from indexing.objects.kinds import Thing
from indexing.objects.words import sight_of
from indexing.readers.decoding import open_kept
from indexing.readers.output import PICTURE
from indexing.records import Chunk
from indexing.settings import IndexingSettings
from indexing.spans import span
from indexing.store import Row, Store, fitting
from indexing.store.protocol import Vector

if TYPE_CHECKING:
    from indexing.objects.detect import Detector

_Result = TypeVar("_Result")

_PICTURED = ("image", "page", "figure")
_PASSAGES = ("text", "table", "figure")
_LAST_PARTS = 4
"""The last batch is cut into so many parts, so that no thread stands idle while one computes all of it."""
_MOST_AT_ONCE = 4  # each batch holds its activations
_LEAST_PROBABILITY, _MOST_LABELS = 0.1, 5
"""Which labels are said of a picture; a doubtful one misleads the search for words."""


@dataclass(kw_only=True, slots=True)
class Job:
    """A file on its way into the store; `missing` rows are still to be acknowledged."""

    content: Content
    missing: int
    is_written: Callable[[], None] = field(repr=False)
    picture: Callable[[Chunk], Path] = field(repr=False)
    """Where the picture that is kept of a chunk lies now."""


_Pictured = tuple[Job, Chunk, Pixels]
_Things = tuple[Thing, ...]


class RowMaker:
    """Takes files, calls `Job.is_written` once all their rows are in the store. Close it.

    `embedder` is a function, since a run that finds nothing new never loads one. `on_batch` is called after each
    batch: a long document is many of them.
    """

    def __init__(
        self,
        *,
        embedder: Callable[[], Embedder],
        store: Store,
        settings: IndexingSettings,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self._embedder, self._store, self._settings, self._on_batch = embedder, store, settings, on_batch
        self._batches: ParallelBatches | None = None
        self._pictures: list[_Pictured] = []
        self._detector: Detector | None = None
        self._embedding: deque[tuple[list[_Pictured], Future[ImageEmbedding], Future[list[_Things]]]] = deque()
        self._passages: list[tuple[Job, Chunk, Vector | None]] = []
        self._rows: list[tuple[Job, Row]] = []
        self._label_vectors: dict[str, Vector] = {}
        self.written = 0

    def add(self, job: Job, chunks: Sequence[Chunk], pixels: Mapping[str, Pixels]) -> None:
        """Queue a file's chunks; whatever fills a batch is embedded and written before this returns."""
        if not chunks:
            job.is_written()
        for chunk in chunks:
            square = _square_of(chunk, pixels)
            if square is None:
                self._add_passage(job, chunk, None)
            else:
                self._pictures.append((job, chunk, square))
                if len(self._pictures) >= self._settings.picture_batch:
                    self._embed_pictures()

    def flush(self) -> None:
        """Embed and write everything that is waiting for its batch to fill."""
        self._embed_pictures(parts=_LAST_PARTS)
        while self._embedding:
            self._take_embedded()
        self._embed_passages()
        self._write()

    def _add_passage(self, job: Job, chunk: Chunk, clip: Vector | None) -> None:
        if chunk.kind not in _PASSAGES or not chunk.text:
            self._add_row(job, Row(chunk=chunk, clip=clip))
            return
        self._passages.append((job, chunk, clip))
        if len(self._passages) >= self._settings.text_batch:
            self._embed_passages()

    def _add_row(self, job: Job, row: Row) -> None:
        self._rows.append((job, replace(row, chunk=fitting(row.chunk))))
        if len(self._rows) >= self._settings.write_batch:
            self._write()

    def close(self) -> None:
        """Embed no more."""
        if self._batches is not None:
            self._batches.close()

    def _embed_pictures(self, *, parts: int = 1) -> None:
        """Begin with the batch, or its `parts`, and take an earlier one's vectors once every thread has work."""
        waiting, self._pictures = self._pictures, []
        if not waiting:
            return
        if self._batches is None:
            self._batches = ParallelBatches(self._embedder())
            self._detector = _detector(self._embedder().device) if self._settings.objects else None
        size = -(-len(waiting) // parts) if self._batches.count > 1 else len(waiting)
        for start in range(0, len(waiting), size):
            part = waiting[start : start + size]
            pixels_BHWC = np.stack([square for _, _, square in part])
            embedded = self._batches.submit(pixels_BHWC)
            seen = self._batches.run(partial(_things, self._detector, part))
            self._embedding.append((part, embedded, seen))
        while len(self._embedding) > self._batches.count:
            self._take_embedded()

    def _take_embedded(self) -> None:
        waiting, embedding, seeing = self._embedding.popleft()
        with span("index.embed_pictures", pictures=len(waiting)):
            embedded, seen = embedding.result(), seeing.result()
        told = [
            _told(chunk, labels, things) if _needs_labels(chunk) else (chunk, [])
            for (_, chunk, _), labels, things in zip(waiting, embedded.labels, seen, strict=True)
        ]
        self._learn({label.text for _, labels in told for label in labels})
        for (job, bare, _), clip, (chunk, labels) in zip(waiting, embedded.vectors_BD, told, strict=True):
            if _needs_labels(bare):
                self._add_row(job, Row(chunk=chunk, clip=clip, text=self._mixed(labels) if labels else None))
            else:
                self._add_passage(job, chunk, clip)
        self._on_batch()

    def _learn(self, labels: set[str]) -> None:
        """Passage vectors of labels not met before: so many, and not one for each picture, pass the text model."""
        new = sorted(labels - self._label_vectors.keys())
        if new:
            self._label_vectors |= zip(new, self._embedder().embed_passages(new), strict=True)

    def _mixed(self, labels: Sequence[Label]) -> Vector:
        """Labels' passage vectors, weighted by probability, at unit length."""
        mixed = sum(
            (label.probability * self._label_vectors[label.text] for label in labels),
            start=np.zeros(self._embedder().text_dimensions, dtype=np.float32),
        )
        return _unit(mixed)

    def _embed_passages(self) -> None:
        waiting, self._passages = self._passages, []
        if not waiting:
            return
        give_back_freed_memory()  # a text pass needs other sizes than the pictures' did
        with span("index.embed_passages", passages=len(waiting)):
            vectors_BD = self._embedder().embed_passages([chunk.searchable_text for _, chunk, _ in waiting])
        for (job, chunk, clip), text in zip(waiting, vectors_BD, strict=True):
            self._add_row(job, Row(chunk=chunk, clip=clip, text=text))
        self._on_batch()

    def _write(self) -> None:
        waiting, self._rows = self._rows, []
        give_back_freed_memory()  # the store takes its own
        if not waiting:
            return
        with span("index.write", rows=len(waiting)):
            self.written += self._store.upsert([row for _, row in waiting])
        for job, _ in waiting:
            job.missing -= 1
            if job.missing == 0:
                job.is_written()


class ParallelBatches:
    """Embeds as many batches at once as torch has threads, at most four; on a GPU one. Close it.

    One batch on two threads makes them wait for each other at the end of every layer, and for whatever else wants a
    core. Two batches with a thread each do not wait: the pocket network passes a third more pictures that way.
    """

    def __init__(self, embedder: Embedder) -> None:
        import torch

        self._embed = embedder.embed_images
        threads = torch.get_num_threads() if embedder.device == "cpu" else 1
        self.count = min(_MOST_AT_ONCE, threads)
        self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="embed")
        if self.count > 1:
            self._divide(threads)

    def submit(self, pixels_BHWC: Pixels) -> "Future[ImageEmbedding]":
        """Embed as soon as one of the threads is free."""
        return self.run(lambda: self._embed(pixels_BHWC))

    def run(self, work: "Callable[[], _Result]") -> "Future[_Result]":
        """The same for what else is to be computed."""
        return self._pool.submit(work)

    def close(self) -> None:
        """What has not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _divide(self, threads: int) -> None:
        """Each batch computes with its share of torch's threads; the rest of this process keeps what it had."""
        import torch

        all_here = threading.Barrier(self.count)

        def narrow() -> None:
            torch.get_num_threads()  # a thread's first call takes what is set for all, and would undo this one
            torch.set_num_threads(threads // self.count)  # for this thread and for those yet to come
            all_here.wait()

        for each in [self._pool.submit(narrow) for _ in range(self.count)]:
            each.result()
        torch.set_num_threads(threads)


def _needs_labels(chunk: Chunk) -> bool:
    """A picture without words of its own gets its labels as words; pages and captioned figures keep their own."""
    return chunk.kind == "image" or (chunk.kind == "figure" and not chunk.text)


def _detector(device: str) -> "Detector":
    from indexing.objects.detect import Detector

    return Detector(device=device)


def _things(detector: "Detector | None", waiting: Sequence[_Pictured]) -> list[_Things]:
    """What is seen in each picture that is to be told in words; raises StoreError where one is gone."""
    return [
        _things_in(detector, job.picture(chunk)) if detector is not None and _needs_labels(chunk) else ()
        for job, chunk, _ in waiting
    ]


def _things_in(detector: "Detector", file: Path) -> _Things:
    try:
        return detector.things(open_kept(file, least_side=detector.side))
    except OSError as error:
        raise StoreError(f"the kept picture '{file}' cannot be read: {error}") from error


def _told(chunk: Chunk, labels: Sequence[Label], things: _Things) -> tuple[Chunk, list[Label]]:
    """The chunk with what its picture shows in words and regions, and all of that as labels."""
    sure = _sure(labels)
    if not things:
        return with_labels(chunk, sure, least=0.0, most=_MOST_LABELS), sure
    sight = sight_of(things, sure)
    kinds = {thing.kind for thing in things}
    others = [label for label in sure if label.text not in kinds]
    seen = replace(with_words(chunk, sight.words), regions=sight.regions)
    return with_labels(seen, others, least=0.0, most=_MOST_LABELS), [*sight.labels, *others]


def _sure(labels: Sequence[Label]) -> list[Label]:
    return [label for label in labels[:_MOST_LABELS] if label.probability >= _LEAST_PROBABILITY]


def _square_of(chunk: Chunk, pixels: Mapping[str, Pixels]) -> Pixels | None:
    """The prepared pixels of what the chunk shows; a text chunk's page image is there to look at only."""
    if chunk.kind not in _PICTURED:
        return None
    square = pixels.get(PurePosixPath(chunk.image).name)
    return pixels.get(PICTURE) if square is None and chunk.kind == "image" else square


def _unit(vector: Vectors) -> Vectors:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
