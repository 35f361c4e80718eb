import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from indexing.errors import LibraryInUseError
from ui.jobs import IndexChoices, IndexingQueue, JobState, QueueView


class Indexer:
    """Stands in for the workbench: counts runs, waits when told to, fails when told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.fault: Exception | None = None
        self.runs: list[tuple[str, ...]] = []
        self.at_once = 0
        self.most_at_once = 0

    def __call__(
        self,
        paths: Sequence[Path],
        facts: Any,
        on_progress: Callable[[Any], None],
        cancelled: Callable[[], bool],
        choices: IndexChoices,
    ) -> Any:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.runs.append(tuple(path.name for path in paths))
        on_progress(SimpleNamespace(done=0, found=len(paths)))
        self.begun.set()
        try:
            while not self.go.wait(0.005):
                if cancelled():
                    return SimpleNamespace(added=0)
            if self.fault:
                raise self.fault
            on_progress(SimpleNamespace(done=len(paths), found=len(paths)))
            return SimpleNamespace(added=len(paths))
        finally:
            self.at_once -= 1


@pytest.fixture
def indexer() -> Indexer:
    return Indexer()


@pytest.fixture
def queue(indexer: Indexer) -> Iterator[IndexingQueue]:
    queue = IndexingQueue(indexer)
    yield queue
    queue.close()


def ended(queue: IndexingQueue) -> QueueView:
    assert queue.wait_until_idle(120)
    return queue.view()


def states(view: QueueView) -> list[JobState]:
    return [job.state for job in view.finished]


def test_a_job_runs_in_the_background_and_leaves_its_report(queue: IndexingQueue) -> None:
    queue.submit([Path("a.pdf"), Path("b.pdf")], owner="me")
    job = ended(queue).finished[0]
    assert (job.state, job.names, job.owner) == ("done", ("a.pdf", "b.pdf"), "me")
    assert job.report is not None and job.report.added == 2
    assert job.progress is not None and job.progress.done == 2
    assert job.ended_at is not None


def test_one_job_runs_at_a_time_in_the_order_of_arrival(queue: IndexingQueue, indexer: Indexer) -> None:
    indexer.go.clear()
    for name in ("first", "second", "third"):
        queue.submit([Path(name)])
    assert indexer.begun.wait(120)
    view = queue.view()
    assert view.running is not None and view.running.names == ("first",)
    assert [job.names for job in view.waiting] == [("second",), ("third",)]
    indexer.go.set()
    ended(queue)
    assert indexer.runs == [("first",), ("second",), ("third",)]
    assert indexer.most_at_once == 1


def test_a_running_job_can_be_stopped_and_the_next_one_follows(queue: IndexingQueue, indexer: Indexer) -> None:
    indexer.go.clear()
    first = queue.submit([Path("first")])
    queue.submit([Path("second")])
    assert indexer.begun.wait(120)
    queue.cancel(first)
    indexer.go.set()
    assert sorted(states(ended(queue))) == ["done", "stopped"]


def test_a_waiting_job_taken_back_never_runs(queue: IndexingQueue, indexer: Indexer) -> None:
    indexer.go.clear()
    queue.submit([Path("first")])
    second = queue.submit([Path("second")])
    assert indexer.begun.wait(120)
    queue.cancel(second)
    assert queue.view().waiting == ()
    indexer.go.set()
    ended(queue)
    assert indexer.runs == [("first",)]


def test_a_fault_made_for_people_is_kept_with_what_to_do(queue: IndexingQueue, indexer: Indexer) -> None:
    indexer.fault = LibraryInUseError("/lib", "llavero index (process 7)")
    queue.submit([Path("a")])
    job = ended(queue).finished[0]
    assert job.state == "failed"
    assert "process 7" in job.problem[0] and "Close it there" in job.problem[1]


def test_a_surprise_does_not_end_the_queue_and_shows_no_internals(queue: IndexingQueue, indexer: Indexer) -> None:
    indexer.fault = RuntimeError("secret /internal/path")
    queue.submit([Path("a")])
    assert "secret" not in " ".join(ended(queue).finished[0].problem)
    indexer.fault = None
    queue.submit([Path("b")])
    assert states(ended(queue)) == ["done", "failed"]


def test_every_change_of_state_has_another_epoch(queue: IndexingQueue, indexer: Indexer) -> None:
    indexer.go.clear()
    seen = [queue.view().epoch]
    queue.submit([Path("a")])
    assert indexer.begun.wait(120)
    seen.append(queue.view().epoch)
    indexer.go.set()
    seen.append(ended(queue).epoch)
    assert len(set(seen)) == 3


def test_closing_stops_the_running_job_and_ends_the_thread(indexer: Indexer) -> None:
    queue = IndexingQueue(indexer)
    indexer.go.clear()
    queue.submit([Path("a")])
    queue.submit([Path("b")])
    assert indexer.begun.wait(120)
    queue.close(timeout_seconds=5)
    assert indexer.runs == [("a",)]
    with pytest.raises(RuntimeError, match="closed"):
        queue.submit([Path("c")])


def test_jobs_that_a_killed_process_had_taken_are_done_by_the_next_under_their_numbers(tmp_path: Path) -> None:
    kept, began, never = tmp_path / "jobs.json", threading.Event(), threading.Event()

    def hang(paths: Any, facts: Any, on_progress: Any, cancelled: Any, choices: Any) -> Any:
        began.set()
        never.wait(60)

    killed = IndexingQueue(hang, kept_in=kept)
    numbers = [killed.submit([tmp_path / name], facts={"client": [name]}, owner="ada") for name in ("a", "b")]
    assert began.wait(5)
    left = kept.read_text()  # as it lies there when the process is killed
    done: list[Any] = []

    def note(paths: Any, facts: Any, on_progress: Any, cancelled: Any, choices: Any) -> Any:
        done.append((paths, facts))
        return SimpleNamespace()

    never.set()
    killed.close()
    kept.write_text(left)
    queue = IndexingQueue(note, kept_in=kept)
    try:
        assert queue.wait_until_idle(5)
        assert done == [((tmp_path / name,), {"client": [name]}) for name in ("a", "b")]
        assert {view.number: view.state for view in queue.view().finished} == dict.fromkeys(numbers, "done")
        assert queue.submit([tmp_path]) > max(numbers)
        assert queue.wait_until_idle(5)
        assert json.loads(kept.read_text())["jobs"] == []
    finally:
        queue.close()


def test_a_job_that_ends_every_process_is_given_up(tmp_path: Path) -> None:
    kept = tmp_path / "jobs.json"
    job = {"number": 4, "paths": ["/a"], "facts": {}, "owner": "", "attempts": 3}
    kept.write_text(json.dumps({"epoch": 9, "jobs": [job]}))
    queue = IndexingQueue(lambda *asked: pytest.fail("it was begun again"), kept_in=kept)
    try:
        view = queue.find(4)
        assert view is not None and view.state == "failed" and "3 times" in view.problem[0]
    finally:
        queue.close()


def found_nothing(*asked: Any) -> Any:
    return SimpleNamespace()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"epoch": 1, "jobs": [{}]}', '{"epoch": "x", "jobs": []}'])
def test_a_damaged_file_of_jobs_stops_nothing(tmp_path: Path, damage: str) -> None:
    kept = tmp_path / "jobs.json"
    kept.write_text(damage)
    queue = IndexingQueue(found_nothing, kept_in=kept)
    try:
        number = queue.submit([tmp_path])
        assert queue.wait_until_idle(5) and queue.find(number) is not None
    finally:
        queue.close()


def test_a_job_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    queue = IndexingQueue(found_nothing, kept_in=tmp_path / "nowhere" / "jobs.json")
    try:
        with pytest.raises(OSError, match="nowhere"):
            queue.submit([tmp_path])
        assert not queue.view().busy
    finally:
        queue.close()


def test_many_people_watch_a_job_and_no_thread_waits_for_it(queue: IndexingQueue, indexer: Indexer) -> None:
    indexer.go.clear()
    number = queue.submit([Path("a")])
    assert indexer.begun.wait(120)

    async def watch() -> list[Any]:
        return [event["event"] async for event in queue.events(number, lambda view: {"state": view.state})]

    async def all_of_them() -> list[list[Any]]:
        before = threading.active_count()
        watching = [asyncio.create_task(watch()) for _ in range(100)]
        await asyncio.sleep(0.5)
        assert threading.active_count() == before
        indexer.go.set()
        return await asyncio.wait_for(asyncio.gather(*watching), 20)

    assert {tuple(sorted(set(each))) for each in asyncio.run(all_of_them())} == {("job", "progress")}


def test_how_files_are_read_goes_with_the_job_and_outlives_the_process(tmp_path: Path) -> None:
    kept, began, never, read = tmp_path / "jobs.json", threading.Event(), threading.Event(), list[IndexChoices]()
    chosen = IndexChoices(retry_failed=True, follow_links=True, objects=False)

    def hang(paths: Any, facts: Any, on_progress: Any, cancelled: Any, choices: IndexChoices) -> Any:
        read.append(choices)
        began.set()
        never.wait(60)

    killed = IndexingQueue(hang, kept_in=kept)
    killed.submit([tmp_path], choices=chosen)
    assert began.wait(5)
    left = kept.read_text()  # as it lies there when the process is killed
    never.set()
    killed.close()
    kept.write_text(left)
    queue = IndexingQueue(hang, kept_in=kept)
    try:
        assert queue.wait_until_idle(5) and read == [chosen, chosen]
    finally:
        queue.close()


def test_a_stop_that_was_asked_for_survives_a_kill_and_an_orderly_end(tmp_path: Path, indexer: Indexer) -> None:
    kept = tmp_path / "jobs.json"
    began, never = threading.Event(), threading.Event()

    def hang(*asked: Any) -> Any:
        began.set()
        never.wait(60)

    killed = IndexingQueue(hang, kept_in=kept)
    number = killed.submit([tmp_path])
    assert began.wait(5)
    killed.cancel(number)
    left = kept.read_text()  # as it lies there when the process is killed
    threading.Timer(0.2, never.set).start()
    killed.close()
    assert json.loads(kept.read_text())["jobs"] == []
    kept.write_text(left)
    queue = IndexingQueue(lambda *asked: pytest.fail("it was begun again"), kept_in=kept)
    try:
        view = queue.find(number)
        assert view is not None and view.state == "stopped"
        assert json.loads(kept.read_text())["jobs"] == []
    finally:
        queue.close()


def test_jobs_are_on_the_disk_before_they_have_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, synced, fsync = tmp_path / "jobs.json", list[bool](), os.fsync
    monkeypatch.setattr("ui.jobs.os.fsync", lambda descriptor: (synced.append(kept.exists()), fsync(descriptor))[1])
    queue = IndexingQueue(found_nothing, kept_in=kept)
    try:
        queue.submit([tmp_path])
        assert synced[:1] == [False] and kept.exists()
    finally:
        queue.close()
