"""`kill -9` at random moments of every command that changes a library (tests/hostile/kills.py)."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))

from kills import Kills


@pytest.mark.timeout(300)
def test_twenty_kills_of_index_remove_rebuild_and_watch_leave_what_undisturbed_runs_leave(tmp_path: Path) -> None:
    kills = Kills(work=tmp_path)
    try:
        mended = list(kills.moments(20))
    finally:
        kills.close()
    assert {line.partition(",")[0] for line in mended} == {"index", "index of more", "remove", "rebuild", "watch"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_same_holds_with_readers_that_are_processes(tmp_path: Path) -> None:
    kills = Kills(work=tmp_path, readers="real", seed=3)
    try:
        assert len(list(kills.moments(20))) > 5
    finally:
        kills.close()


@pytest.mark.timeout(300)
def test_every_command_that_meets_a_full_disk_says_so_and_ends_well_with_room(tmp_path: Path) -> None:
    kills = Kills(work=tmp_path)
    try:
        said = list(kills.full_disks(1))
    except PermissionError as error:
        pytest.skip(f"mounting is not allowed here: {error}")
    finally:
        kills.close()
    assert len(said) == 5 and all("disk" in line.partition(": ")[2] for line in said)
