"""Indexing runs in processes of their own, to be killed; forked by `forking.Forks`.

A run says a line when it begins (with its process's number), one for each step that it tells its caller of, and one
when it ends.
"""

import os
from importlib import import_module
from pathlib import Path

from forking import say
from indexing_doubles import PlainReader, TinyEmbedder, open_library

from indexing import pipeline as run
from indexing.embedding.protocol import Embedder
from indexing.pipeline import index
from indexing.prefetch import ReaderFactory
from indexing.settings import IndexingSettings

for name in (
    "pymilvus",
    "milvus_lite.server_manager",
    "milvus_lite.adapter.grpc.server",
    "scipy.sparse",
    "torchvision",
):
    import_module(name)  # seconds of imports that need no killing
run._PROGRESS_SECONDS = 0.0  # tell of every step
DELAY_SECONDS = 0.01


def run_once(kind: str, files: str, folder: str) -> None:
    embedder = pocket() if kind == "pocket" else tiny()
    say(f"begins {os.getpid()}")
    library, store = open_library(Path(folder), embedder)
    readers: ReaderFactory | None = None if kind == "pocket" else lambda: PlainReader(library.spool)
    index(
        [Path(files)],
        library=library,
        store=store,
        embedder=embedder,
        readers=readers,
        settings=IndexingSettings(picture_batch=4, text_batch=2, write_batch=6),
        on_progress=lambda _: say("step"),
    )
    say("ends")
    store.close()
    library.close()


def tiny() -> Embedder:
    embedder = TinyEmbedder()
    embedder.delay_seconds = DELAY_SECONDS
    return embedder


def pocket() -> Embedder:
    from indexing.embedding.pocket import PocketEmbedder
    from llava_model.kits import find

    kit = find("pocket")
    return PocketEmbedder(kit.path("vision"), kit.path("text"), device="cpu")
