"""All that a library holds, to be compared with another one's."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from indexing.library import Library, LibraryRecord, compare
from indexing.store import MilvusStore

VECTORS = ("clip", "text", "bm25")


def state(folder: Path, collection: str = "llavero") -> dict[str, Any]:
    """Everything that a library says, without times. `collection` "" is the one that the library names."""
    record = LibraryRecord.read(folder)
    assert record is not None
    library = Library.open(folder)
    store = MilvusStore.open(
        library.milvus,
        collection=collection or record.collection,
        clip_dimensions=record.clip_dimensions,
        text_dimensions=record.text_dimensions,
    )
    try:
        assert compare(library, store).agrees
        ids = sorted(each for each, _ in store.ids())
        stored = store._client.get(store._collection, ids, output_fields=["*"])
        return {
            "rows": [{name: value for name, value in row.items() if name not in VECTORS} for row in stored],
            "vectors": np.array([[*row["clip"], *row["text"]] for row in stored]),
            "words": [row["bm25"] for row in stored],
            "files": [
                (entry.path, entry.state, entry.reason, entry.kind, entry.chunks) for entry in library.ledger.entries()
            ],
            "contents": {content.hash: content for content in library.ledger.contents()},
            "unfinished": library.ledger.unfinished(),
            "collections": len(store._client.list_collections()),
            "half done": [name for name in ("rebuild.json",) if (folder / name).exists()],
            "pictures": {
                str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
                for part in ("pages", "thumbs", "spool")
                for file in (folder / part).rglob("*")
                if file.is_file()
            },
        }
    finally:
        store.close()
        library.close()


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for part in expected:
        if part == "vectors":  # the last digits depend on what else was in the batch
            np.testing.assert_allclose(found[part], expected[part], atol=1e-5)
        else:
            assert found[part] == expected[part]
