"""How files are read, cut and embedded. Read from the library's file by the composition root, passed by keyword."""

import os
from dataclasses import dataclass, field

from indexing.chunking import ChunkSettings
from indexing.readers.limits import ReadLimits


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexingSettings:
    """Section [indexing]; what is not said there keeps these values."""

    workers: int = field(default_factory=_cores)
    """Processes that read files; the cores this process may use."""
    picture_batch: int = 32
    """Pictures that go through the embedder together."""
    text_batch: int = 32
    """Passages that go through the embedder together."""
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
