"""One indexing run in a process of its own, to be killed: `python killable_run.py tiny|pocket FILES LIBRARY`.

Says a line when it begins, one for each step that it tells its caller of, and one when it ends.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

from indexing_doubles import PlainReader, TinyEmbedder, open_library

from indexing import pipeline as run
from indexing.embedding.protocol import Embedder
from indexing.pipeline import Progress, index
from indexing.prefetch import ReaderFactory
from indexing.settings import IndexingSettings

import_module("pymilvus")  # a second of imports that need no killing
run._PROGRESS_SECONDS = 0.0  # tell of every step
DELAY_SECONDS = 0.01


def main(kind: str, files: Path, folder: Path) -> None:
    embedder = pocket() if kind == "pocket" else tiny()
    os.write(1, b"begins\n")
    library, store = open_library(folder, embedder)
    readers: ReaderFactory | None = None if kind == "pocket" else lambda: PlainReader(library.spool)
    index(
        [files],
        library=library,
        store=store,
        embedder=embedder,
        readers=readers,
        settings=IndexingSettings(picture_batch=4, text_batch=2, write_batch=6),
        on_progress=tell,
    )
    os.write(1, b"ends\n")
    store.close()
    library.close()


def tell(progress: Progress) -> None:
    os.write(1, b"step\n")


def tiny() -> Embedder:
    embedder = TinyEmbedder()
    embedder.delay_seconds = DELAY_SECONDS
    return embedder


def pocket() -> Embedder:
    from indexing.embedding.pocket import PocketEmbedder
    from llava_model.kits import find

    kit = find("pocket")
    return PocketEmbedder(kit.path("vision"), kit.path("text"), device="cpu")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
