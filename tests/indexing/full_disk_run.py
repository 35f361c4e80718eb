"""One indexing run in a process of its own: `python full_disk_run.py FILES LIBRARY`; says how it ended.

Milvus Lite leaves files open that it could not write; they go with the process.
"""

import json
import sys
from pathlib import Path

from indexing_doubles import TinyEmbedder, open_library

from indexing.errors import IndexingError
from indexing.pipeline import index
from indexing.settings import IndexingSettings


def run(source: Path, folder: Path) -> None:
    library, store = open_library(folder, TinyEmbedder())
    try:
        index(
            [source],
            library=library,
            store=store,
            embedder=TinyEmbedder(),
            settings=IndexingSettings(workers=1, picture_batch=4, text_batch=8, write_batch=16),
        )
    finally:
        store.close()
        library.close()


if __name__ == "__main__":
    try:
        run(Path(sys.argv[1]), Path(sys.argv[2]))
    except IndexingError as error:
        sys.stdout.write(json.dumps([str(error), getattr(error, "__notes__", [])]))
    else:
        sys.stdout.write(json.dumps(["", []]))
