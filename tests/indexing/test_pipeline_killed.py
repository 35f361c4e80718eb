"""`kill -9` anywhere, then a normal run: the same library as an undisturbed one."""

import hashlib
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexing_doubles import TinyEmbedder, make_files, open_library

import indexing
from indexing.recovery import compare

SCRIPT = Path(__file__).with_name("killable_run.py")
DELAY_SECONDS = 0.02
LIBRARIES, KILLS_EACH = 7, 3  # a run that goes on after a kill is killed again


def start(files: Path, library: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(files), str(library), str(DELAY_SECONDS)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(indexing.__file__).parent.parent), "PATH": "/usr/bin:/bin"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    return process


def run_undisturbed(files: Path, library: Path) -> float:
    """Seconds from opening the library to the last row."""
    with start(files, library) as process:
        started = time.monotonic()
        assert process.stdout is not None
        assert process.stdout.readline() == "ends\n"
        seconds = time.monotonic() - started
        assert process.wait(120) == 0
    return seconds


def change_files(folder: Path) -> None:
    """What happens between two runs: new, changed, moved, copied and deleted files."""
    make_files(folder / "more", pictures=10, texts=6)
    for number in range(0, 8, 2):
        (folder / f"text {number:03d}.txt").write_text(f"rewritten {number}\fwith another page")
    (folder / "picture 001.png").rename(folder / "moved.png")
    shutil.copy(folder / "picture 002.png", folder / "a copy.png")
    for name in ("picture 003.png", "text 001.txt", "copy.txt"):
        (folder / name).unlink()


def state(folder: Path) -> dict[str, Any]:
    """Everything that a library says, without times."""
    library, store = open_library(folder, TinyEmbedder())
    try:
        assert compare(library, store).agrees
        rows = {each for each, _ in store.ids()}
        stored = store._client.get(store._collection, sorted(rows), output_fields=["*"])
        return {
            "rows": {row["id"]: {name: _plain(value) for name, value in row.items()} for row in stored},
            "files": [
                (entry.path, entry.state, entry.reason, entry.kind, entry.chunks) for entry in library.ledger.entries()
            ],
            "contents": {content.hash: content for content in library.ledger.contents()},
            "unfinished": library.ledger.unfinished(),
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


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist() if isinstance(value, list | np.ndarray) else value


@pytest.mark.timeout(240)
def test_a_run_killed_at_twenty_one_moments_leaves_the_same_library_as_an_undisturbed_one(tmp_path: Path) -> None:
    files, nothing, old = tmp_path / "files", tmp_path / "nothing", tmp_path / "old"
    make_files(files, pictures=40, texts=30)
    run_undisturbed(files, old)
    change_files(files)
    updated, fresh = tmp_path / "updated", tmp_path / "fresh"
    shutil.copytree(old, updated)
    nothing.mkdir()
    seconds = {old: run_undisturbed(files, updated), nothing: run_undisturbed(files, fresh)}
    expected = {old: state(updated), nothing: state(fresh)}

    moments = random.Random(20)
    killed = 0
    for number in range(LIBRARIES):
        before = old if number % 2 else nothing  # there is something to update and to remove, or all is new
        library = tmp_path / f"killed-{number}"
        shutil.copytree(before, library)
        for _ in range(KILLS_EACH):
            with start(files, library) as process:
                time.sleep(moments.uniform(0.0, seconds[before]))
                process.kill()
                assert process.stdout is not None
                killed += process.stdout.read() == ""  # in the middle, and not after the end
        run_undisturbed(files, library)
        assert state(library) == expected[before]
    assert killed >= LIBRARIES * KILLS_EACH // 2
