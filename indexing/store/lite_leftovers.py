"""What a process that was killed can leave in Milvus Lite's folder and Milvus Lite 3.2.2 cannot go on with.

A flush writes its rows to a segment, commits them in `manifest.json` and deletes the write-ahead logs that held them.
Where the process dies before the last of these logs is gone, the next one replays it: rows that are in a segment are in
memory again, with old numbers, and every flush ends in "current_seq is monotonic" until something new is written.

A collection is there when it has a `schema.json`. Where the process dies before that is written, or has deleted it with
half of the collection, the folder is in the way of the next collection of that name.
"""

import json
import re
import shutil
from pathlib import Path

_LOG = re.compile(r"wal_(?:data|delta)_(\d+)\.arrow")


def drop_leftovers(folder: Path) -> None:
    """Delete what nobody can use any more from the engine's folder. Called before the engine opens it. Raises OSError.

    Rows that were in it are missing from the store then; the ledger knows them, and they are written again.
    """
    for collection in folder.glob("collections/*"):
        if not collection.is_dir() or collection.is_symlink():
            continue  # no collection, and not in the way of one
        if (collection / "schema.json").exists():
            _drop_flushed_logs(collection)
        else:
            shutil.rmtree(collection)


def _drop_flushed_logs(collection: Path) -> None:
    """Those with a lower number than the log that is in use."""
    in_use = _log_in_use(collection / "manifest.json")
    for log in collection.glob("wal/wal_*.arrow"):
        found = _LOG.fullmatch(log.name)
        if found and int(found[1]) < in_use:
            log.unlink(missing_ok=True)


def _log_in_use(manifest: Path) -> int:
    """0 where the manifest does not say."""
    try:
        told = json.loads(manifest.read_text(encoding="utf-8"))["active_wal_number"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0
    return told if isinstance(told, int) else 0
