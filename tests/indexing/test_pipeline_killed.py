"""`kill -9` anywhere, then a normal run: the same library as an undisturbed one."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from forking import Forks
from indexing_doubles import change_files, make_files
from library_state import assert_same, state

import indexing
from llava_model.kits import find

SCRIPT = Path(__file__).with_name("killable_run.py")
LIBRARIES, KILLS_EACH = 7, 3  # a run that goes on after a kill is killed again
SAMPLE = Path(indexing.__file__).parent.parent / "examples" / "sample" / "collection"


class Runs:
    """Starts one run after the other, each in a process of its own."""

    def __init__(self) -> None:
        self._forks = Forks(SCRIPT)
        self.close = self._forks.close

    def undisturbed(self, kind: str, files: Path, library: Path) -> int:
        """How many steps it took."""
        self._start(kind, files, library)
        words, codes = self._forks.rest()
        assert codes == [0] and words[-1] == "ends"
        return words.count("step")

    def killed(self, kind: str, files: Path, library: Path, *, steps: int, moments: random.Random) -> bool:
        """Kills at any step or shortly after; returns whether that was in the middle, and not after the end."""
        process = self._start(kind, files, library)
        for _ in range(moments.randint(0, steps)):
            if self._forks.hear().startswith("gone"):
                return False
        time.sleep(moments.uniform(0.0, 0.03))
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        words, _ = self._forks.rest()
        return "ends" not in words

    def _start(self, kind: str, files: Path, library: Path) -> int:
        self._forks.start("run_once", kind, str(files), str(library))
        begins, process = self._forks.hear().split()
        assert begins == "begins"
        return int(process)


@pytest.fixture
def runs() -> Iterator[Runs]:
    runs = Runs()
    yield runs
    runs.close()


@pytest.mark.timeout(300)
def test_a_run_killed_at_twenty_one_moments_leaves_the_same_library_as_an_undisturbed_one(
    tmp_path: Path, runs: Runs
) -> None:
    files, nothing, old = tmp_path / "files", tmp_path / "nothing", tmp_path / "old"
    make_files(files, pictures=40, texts=30)
    runs.undisturbed("tiny", files, old)
    change_files(files)
    updated, fresh = tmp_path / "updated", tmp_path / "fresh"
    shutil.copytree(old, updated)
    nothing.mkdir()
    steps = {old: runs.undisturbed("tiny", files, updated), nothing: runs.undisturbed("tiny", files, fresh)}
    expected = {old: state(updated), nothing: state(fresh)}

    moments = random.Random(20)
    killed = 0
    for number in range(LIBRARIES):
        before = old if number % 2 else nothing  # there is something to update and to remove, or all is new
        library = tmp_path / f"killed-{number}"
        shutil.copytree(before, library)
        for _ in range(KILLS_EACH):
            killed += runs.killed("tiny", files, library, steps=steps[before] // 2, moments=moments)
        runs.undisturbed("tiny", files, library)
        assert_same(state(library), expected[before])
    assert killed >= 20


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_same_holds_for_the_pocket_kit_and_real_readers(tmp_path: Path, runs: Runs) -> None:
    if not find("pocket").is_installed():
        pytest.skip("the pocket kit is not installed")
    files, library = tmp_path / "files", tmp_path / "library"
    files.mkdir()
    kept = {".jpg", ".png", ".webp", ".gif", ".md", ".html", ".eml"}
    for number, file in enumerate(sorted(each for each in SAMPLE.rglob("*") if each.suffix in kept)):
        shutil.copy(file, files / f"{number:03d} {file.name}")
    steps = runs.undisturbed("pocket", files, tmp_path / "undisturbed")
    expected = state(tmp_path / "undisturbed")
    moments = random.Random(20)
    assert sum(runs.killed("pocket", files, library, steps=steps // 2, moments=moments) for _ in range(8)) >= 4
    runs.undisturbed("pocket", files, library)
    assert_same(state(library), expected)
