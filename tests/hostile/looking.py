"""Says what a library holds, as JSON: each file with its notes and the words of its chunks. A process of its own:

    python looking.py LIBRARY

`looked` starts that process: this one never opens a library.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from traps import HERE, Traps

from indexing.library import Library
from indexing.store import MilvusStore


def looked(folder: Path, traps: Traps) -> list[dict[str, Any]]:
    """What `look` says, from a process of its own; [] where the library cannot be opened."""
    command = [sys.executable, HERE / "looking.py", folder]
    said = subprocess.run(command, env=traps.environment(), cwd=HERE.parents[1], capture_output=True, check=False)
    found: list[dict[str, Any]] = json.loads(said.stdout) if said.returncode == 0 else []
    return found


def look(folder: Path) -> list[dict[str, Any]]:
    """Everything that the ledger lists, and the text that the store holds for it."""
    with Library.open(folder) as library:
        store = MilvusStore.open(
            library.milvus,
            collection=library.record.collection,
            clip_dimensions=library.record.clip_dimensions,
            text_dimensions=library.record.text_dimensions,
        )
        try:
            return [_entry(library, store, entry) for entry in library.ledger.entries()]
        finally:
            store.close()


def _entry(library: Library, store: MilvusStore, entry: Any) -> dict[str, Any]:
    content = library.ledger.content_of(entry.path)
    chunks = store.get(list(content.ids())) if content else []
    return {
        "path": entry.path,
        "state": entry.state,
        "reason": entry.reason,
        "notes": list(entry.notes),
        "chunks": len(chunks),
        "text": "\n".join(chunk.searchable_text for chunk in chunks),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look(Path(sys.argv[1]))))
