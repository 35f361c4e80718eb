"""A run over an address in a process of its own, to be killed in the middle of a file; forked by `forking.Forks`."""

import os
import sys
from importlib import import_module
from pathlib import Path

from forking import say

sys.path.insert(0, str(Path(__file__).parents[1]))
from indexing_doubles import PlainReader, TinyEmbedder, open_library

from indexing.pipeline import index

for name in (
    "pymilvus",
    "milvus_lite.server_manager",
    "milvus_lite.adapter.grpc.server",
    "scipy.sparse",
    "webdav4.fsspec",
):
    import_module(name)  # seconds of imports that need no killing


def run_once(address: str, folder: str) -> None:
    say(f"begins {os.getpid()}")
    embedder = TinyEmbedder()
    library, store = open_library(Path(folder), embedder)
    index([address], library=library, store=store, embedder=embedder, readers=lambda: PlainReader(library.spool))
    say("ends")
