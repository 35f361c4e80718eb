"""How files are read, cut and embedded. Read from the library's file by the composition root, passed by keyword."""

import os
from dataclasses import dataclass, field

from indexing.chunking import ChunkSettings
from indexing.readers.limits import ReadLimits

_MEMORY_FOR_ANOTHER_WORKER = 4 << 30


def _workers() -> int:
    """One for each core this process may use. The third and further ones only where memory is plenty.

    A worker that has met text in a picture holds about 0.6 GB; with two of them a whole run stays under 2.5 GB.
    """
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, max(2, psutil.virtual_memory().available // _MEMORY_FOR_ANOTHER_WORKER))


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexingSettings:
    """Section [indexing]; what is not said there keeps these values."""

    workers: int = field(default_factory=_workers)
    """Processes that read files; by default as many as cores and memory allow."""
    picture_batch: int = 32
    """Pictures that go through the embedder together."""
    text_batch: int = 128
    """Passages that are given to the embedder together; it sorts them by length."""
    write_batch: int = 256
    """Rows that are written to the store together."""
    limits: ReadLimits = field(default_factory=ReadLimits)
    """What one file may cost before it is refused; section [indexing.limits]."""
    chunks: ChunkSettings = field(default_factory=ChunkSettings)
    """How long chunks are; section [indexing.chunks]."""

    def __post_init__(self) -> None:
        for name in ("workers", "picture_batch", "text_batch", "write_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, is {getattr(self, name)}")
