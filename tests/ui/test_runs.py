"""Runs over the whole library: kept whole, numbered once, given up, stopped; and looked at without a thread."""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ui.runs import MOST_ATTEMPTS, RunKind, Runs, RunView, RunWork


def found_nothing(asked: Any, log: Path, on_count: Callable[[int, int], None]) -> dict[str, Any]:
    on_count(1, 1)
    return {"asked": asked}


class Opened:
    """Opens the runs of a folder, as often as a process would be started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._all = folder, list[Runs]()

    def __call__(self, work: RunWork = found_nothing) -> Runs:
        works: dict[RunKind, RunWork] = {"extraction": work, "evaluation": work}
        self._all.append(Runs(self.folder, works))
        return self._all[-1]

    def close(self) -> None:
        for runs in self._all:
            runs.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(tmp_path / "runs")
    yield opened
    opened.close()


def ended(runs: Runs, number: int) -> RunView:
    deadline = time.monotonic() + 30
    while (view := runs.find(number)) is None or view.state not in ("done", "stopped", "failed"):
        assert time.monotonic() < deadline, view
        time.sleep(0.005)
    return view


def left_by_a_killed_process(folder: Path, **begun: Any) -> Path:
    """A run that was begun and has no result."""
    folder.mkdir(parents=True)
    asked = {"kind": "extraction", "made": "2026-01-01T00:00:00+00:00", "asked": {}}
    (folder / "request.json").write_text(json.dumps(asked))
    if begun:
        (folder / "begun.json").write_text(json.dumps({"attempts": 1, "recorded": 0, "stop": False} | begun))
    return folder


def test_a_process_that_is_killed_while_a_run_is_handed_in_stops_no_later_run(opened: Opened) -> None:
    (opened.folder / "1").mkdir(parents=True)  # made, and then nothing was written
    (opened.folder / "2").mkdir()
    (opened.folder / "2" / ".request.json").write_text("{")
    runs = opened()
    assert ended(runs, runs.submit("extraction", {"a": 1})).state == "done"


def test_what_was_never_whole_or_was_being_forgotten_is_removed_at_the_next_start(opened: Opened) -> None:
    for name in (".new-3", ".gone-2", "4"):
        (opened.folder / name).mkdir(parents=True)
        if name != "4":
            (opened.folder / name / "request.json").write_text("{}")
    assert opened().all() == []
    assert list(opened.folder.iterdir()) == []


def test_a_folder_that_stands_in_the_way_is_stepped_over(opened: Opened) -> None:
    runs = opened()
    (opened.folder / "1").mkdir(parents=True)
    (opened.folder / "1" / "a note").write_text("of somebody")
    assert runs.submit("extraction", {}) == 2


def test_the_number_of_a_run_that_was_forgotten_is_not_given_again(opened: Opened) -> None:
    runs = opened()
    first = runs.submit("extraction", {})
    ended(runs, first)
    runs.cancel(first)
    assert runs.find(first) is None and not (opened.folder / str(first)).exists()
    second = runs.submit("extraction", {})
    ended(runs, second)
    runs.cancel(second)
    runs.close()
    assert first < second < opened().submit("extraction", {})


def test_a_run_that_ends_every_process_is_given_up(opened: Opened) -> None:
    left_by_a_killed_process(opened.folder / "1", attempts=MOST_ATTEMPTS)
    begun = threading.Event()

    def deadly(*asked: Any) -> dict[str, Any]:
        begun.set()
        return {}

    runs = opened(deadly)
    view = ended(runs, 1)
    assert view.state == "failed" and "3 times" in view.problem[0] and not begun.is_set()
    assert [each.state for each in opened().all()] == ["failed"]


def test_every_start_is_counted_and_an_orderly_end_is_not(opened: Opened) -> None:
    began = threading.Event()

    def slow(asked: Any, log: Path, on_count: Callable[[int, int], None]) -> dict[str, Any]:
        began.set()
        while True:
            on_count(0, 1)
            time.sleep(0.005)

    runs = opened(slow)
    note = opened.folder / str(runs.submit("extraction", {})) / "begun.json"
    assert began.wait(10)
    assert json.loads(note.read_text())["attempts"] == 1
    runs.close()
    assert json.loads(note.read_text())["attempts"] == 0


def test_a_run_that_has_found_more_since_is_not_given_up(opened: Opened) -> None:
    folder = left_by_a_killed_process(opened.folder / "1", attempts=MOST_ATTEMPTS, recorded=4)
    (folder / "records.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    assert ended(opened(), 1).state == "done"


def test_a_stop_that_was_asked_for_survives_a_kill(opened: Opened) -> None:
    began, never = threading.Event(), threading.Event()

    def hang(*asked: Any) -> dict[str, Any]:
        began.set()
        never.wait(30)
        return {}

    runs = opened(hang)
    number = runs.submit("extraction", {})
    assert began.wait(10)
    runs.cancel(number)
    shutil.copytree(opened.folder, opened.folder.with_name("killed"))  # as it lies there when the process is killed
    never.set()
    killed = Opened(opened.folder.with_name("killed"))
    try:
        assert ended(killed(), number).state == "stopped"
    finally:
        killed.close()


def test_a_result_is_read_while_a_run_is_handed_in(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = opened()
    number = runs.submit("extraction", {"a": 1})
    ended(runs, number)
    free: list[bool] = []
    load = json.loads

    def look(text: str) -> Any:
        other = threading.Thread(target=lambda: free.append(runs.find(number) is not None), daemon=True)
        other.start()
        other.join(2)
        return load(text)

    monkeypatch.setattr("ui.runs.json.loads", look)
    assert runs.result(number) == {"asked": {"a": 1}}
    assert free == [True]


def test_a_result_that_is_forgotten_while_it_is_read_is_none(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = opened()
    number = runs.submit("extraction", {})
    ended(runs, number)
    read = Path.read_text

    def late(path: Path, *how: Any) -> str:
        runs.cancel(number)
        return read(path, *how)

    monkeypatch.setattr(Path, "read_text", late)
    assert runs.result(number) is None


def test_many_people_watch_a_run_and_no_thread_waits_for_it(opened: Opened) -> None:
    go = threading.Event()

    def wait(asked: Any, log: Path, on_count: Callable[[int, int], None]) -> dict[str, Any]:
        on_count(1, 2)
        go.wait(30)
        return {}

    runs = opened(wait)
    number = runs.submit("extraction", {})

    async def watch() -> list[Any]:
        return [event["event"] async for event in runs.events(number, lambda view: {"state": view.state})]

    async def all_of_them() -> list[list[Any]]:
        before = threading.active_count()
        watching = [asyncio.create_task(watch()) for _ in range(100)]
        await asyncio.sleep(0.5)
        assert threading.active_count() == before
        go.set()
        return await asyncio.wait_for(asyncio.gather(*watching), 20)

    assert {tuple(sorted(set(each))) for each in asyncio.run(all_of_them())} == {("progress", "run")}
