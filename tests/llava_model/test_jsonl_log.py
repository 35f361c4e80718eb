"""A log that grows by whole lines, with one writer at a time."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from llava_model.jsonl_log import BadLineError, JsonlLog, LogInUseError

Opened = tuple[JsonlLog, dict[int, Any]]


@pytest.fixture
def opened() -> Iterator[Callable[..., Opened]]:
    logs: list[JsonlLog] = []

    def call(path: Path, **settings: Any) -> Opened:
        log, found = JsonlLog(path, path.with_suffix(".note.json"), settings), dict[int, Any]()
        logs.append(log)
        log.open(lambda record, place: found.update({place: record}))
        return log, found

    yield call
    for log in logs:
        log.close()


def test_every_record_is_found_again_at_its_place(opened: Callable[..., Opened], tmp_path: Path) -> None:
    log, _ = opened(tmp_path / "a.jsonl")
    places = [log.append({"n": n, "text": "für\n" * n}) for n in range(3)]
    assert [log.record_at(place)["n"] for place in reversed(places)] == [2, 1, 0]
    log.close()
    _, found = opened(tmp_path / "a.jsonl")
    assert [(place, record["n"]) for place, record in found.items()] == list(zip(places, range(3), strict=True))


def test_half_a_last_line_is_cut_off_and_the_next_record_stands_alone(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 1}\n\n{"n": 2}\n{"n": 3, "te')
    log, found = opened(path)
    assert [record["n"] for record in found.values()] == [1, 2]
    log.append({"n": 4})
    assert path.read_bytes() == b'{"n": 1}\n\n{"n": 2}\n{"n": 4}\n'


def test_a_whole_line_of_somebody_else_is_named_by_number_and_the_file_stays_free(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1}\nnotes\n')
    with pytest.raises(BadLineError) as caught:
        opened(path)
    assert caught.value.number == 2 and path.read_text() == '{"n": 1}\nnotes\n'
    path.unlink()
    opened(path)[0].close()


def test_a_second_writer_is_refused_and_the_note_keeps_the_settings_of_the_first(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    log, _ = opened(tmp_path / "a.jsonl", model="one")
    with pytest.raises(LogInUseError, match=r"process \d+"):
        opened(tmp_path / "a.jsonl", model="two")
    assert log.noted()["model"] == "one"


def test_an_owner_that_refuses_an_earlier_runs_settings_changes_nothing(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    opened(tmp_path / "a.jsonl", model="one")[0].close()
    (tmp_path / "a.jsonl").write_bytes(b'{"n": 1}\n{"n"')

    def refuse(noted: Mapping[str, Any]) -> None:
        raise RuntimeError(noted["model"])

    log = JsonlLog(tmp_path / "a.jsonl", tmp_path / "a.note.json", {"model": "two"})
    with pytest.raises(RuntimeError, match="one"):
        log.open(lambda record, place: None, check=refuse)
    assert log.noted()["model"] == "one" and (tmp_path / "a.jsonl").read_bytes() == b'{"n": 1}\n{"n"'
