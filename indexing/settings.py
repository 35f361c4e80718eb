"""How files are read, cut and embedded, and how much one file may cost before it is refused.

Read from the library's file by the composition root, passed by keyword. Every limit is a number that people can raise.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from indexing.chunking import ChunkSettings

MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadLimits:
    """Bounds for one file and for the worker process that reads it."""

    max_file_bytes: int = 1_000 * MEGABYTE
    """The file on disk."""
    max_pixels: int = 120_000_000
    """Width × height of a picture, read from its header before a pixel is decoded."""
    max_side: int = 100_000
    """Width or height of a picture; a strip of one pixel's width takes more memory than a square of as many pixels."""
    max_pages: int = 10_000
    """Pages or sheets that are read; the rest is left out with a note."""
    max_frames: int = 2_000
    """The same for the frames of a picture file: each is decoded, and looked at for words."""
    max_figures: int = 200
    """Embedded pictures that are kept from one document."""
    max_unpacked_bytes: int = 600 * MEGABYTE
    """What a zipped document (DOCX, PPTX, XLSX, EPUB) may unpack to, summed over its members."""
    max_unpacked_ratio: int = 250
    """Unpacked over packed size, looked at once the unpacked size is over 20 MB."""
    max_text_characters: int = 40_000_000
    """Words of one file; more is cut with a note."""
    max_spool_bytes: int = 8_000 * MEGABYTE
    """Page images and figures that one file may write."""
    max_depth: int = 4
    """A mail in a mail in a mail: how deep attachments are followed."""
    max_attachments: int = 100
    """Attachments that are read from one mail, at every depth together."""
    max_archive_files: int = 1_000
    """The same for a file that is an archive, or has one inside of it."""
    max_letters: int = 20_000
    """Letters that are read from one mailbox."""
    seconds: float = 120.0
    """Wall time before a parser counts as hung …"""
    seconds_per_megabyte: float = 30.0
    """… more of it for each megabyte of the file …"""
    seconds_per_page: float = 10.0
    """… and for each page that the reader reports as done."""
    max_memory_bytes: int = 1_500 * MEGABYTE
    """Resident memory of a worker with its children; over it the worker is killed."""
    large_memory_bytes: int = 600 * MEGABYTE
    """A worker that grows over this waits, standing still, while another one is as large; a page of OCR takes 0.5 GB.
    One that is larger than this after its file is replaced by a fresh one."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if getattr(self, each.name) <= 0:
                raise ValueError(f"{each.name} must be positive, is {getattr(self, each.name)}")

    def to_json(self) -> dict[str, float]:
        """Plain numbers for the worker's first line."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, float]) -> "ReadLimits":
        """The way back; unknown names raise TypeError."""
        return cls(**values)  # type: ignore[arg-type]  # ints stay ints through JSON

    def seconds_for(self, size_bytes: int, pages_done: int) -> float:
        """Wall time that a file of this size may have taken after that many pages."""
        return self.seconds + self.seconds_per_megabyte * size_bytes / MEGABYTE + self.seconds_per_page * pages_done


_MEMORY_FOR_ANOTHER_WORKER = 4 << 30


def _workers() -> int:
    """One for each core this process may use. The third and further ones only where memory is plenty.

    A worker that reads words in a picture takes about 0.5 GB, and one at a time takes more than 0.6
    (`large_memory_bytes`); with two of them a run over hostile files took 2.7 GB in all.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, max(2, available_memory() // _MEMORY_FOR_ANOTHER_WORKER))


def available_memory() -> int:
    """Bytes that this machine can give without swapping."""
    import psutil

    return int(psutil.virtual_memory().available)


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
    objects: bool = True
    """Whether things, their numbers and colours are looked for in pictures; about a third more work."""
    limits: ReadLimits = field(default_factory=ReadLimits)
    """What one file may cost before it is refused; section [indexing.limits]."""
    chunks: ChunkSettings = field(default_factory=ChunkSettings)
    """How long chunks are; section [indexing.chunks]."""

    def __post_init__(self) -> None:
        for name in ("workers", "picture_batch", "text_batch", "write_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, is {getattr(self, name)}")
