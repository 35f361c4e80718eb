"""One indexing run in a process of its own, to be killed: `python killable_run.py FILES LIBRARY DELAY_SECONDS`."""

import os
import sys
from pathlib import Path

import pymilvus  # noqa: F401  # a second of imports that need no killing
from indexing_doubles import PlainReader, TinyEmbedder, open_library

from indexing.pipeline import index
from indexing.settings import IndexingSettings


def main(files: Path, folder: Path, delay_seconds: float) -> None:
    embedder = TinyEmbedder()
    embedder.delay_seconds = delay_seconds
    os.write(1, b"begins\n")
    library, store = open_library(folder, embedder)
    index(
        [files],
        library=library,
        store=store,
        embedder=embedder,
        readers=lambda: PlainReader(library.spool),
        settings=IndexingSettings(picture_batch=4, text_batch=2, write_batch=6),
    )
    os.write(1, b"ends\n")
    store.close()
    library.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
