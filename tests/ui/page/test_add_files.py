import time
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ui.page import add_files, shared


def upload_page() -> None:
    from ui.page import add_files

    add_files.draw_page()


@pytest.fixture
def page(bench: Any) -> AppTest:
    return opened()


def opened() -> AppTest:
    return AppTest.from_function(upload_page, default_timeout=120).run()


def shown(page: AppTest) -> str:
    assert not page.exception
    return "\n".join(element.value for element in page.html)


def add_button(page: AppTest) -> Any:
    return next(button for button in page.button if button.label == "Add to the library")


def send(page: AppTest, *files: tuple[str, bytes, str]) -> AppTest:
    page.file_uploader[0].set_value(files).run()
    assert not add_button(page).disabled
    add_button(page).click().run()
    return page


def until_running(name: str) -> None:
    deadline = time.monotonic() + 120
    while (running := shared.queue().view().running) is None or running.progress is None or name not in running.names:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def idle(page: AppTest) -> AppTest:
    assert shared.queue().wait_until_idle(120)
    return page.run()


def test_several_files_are_kept_in_the_library_and_can_be_found(bench: Any, page: AppTest) -> None:
    send(page, ("a.txt", b"alpha", "text/plain"), ("../../b.txt", b"beta", "text/plain"))
    idle(page)
    assert (bench.library_folder / "uploads" / "a.txt").read_bytes() == b"alpha"
    assert (bench.library_folder / "uploads" / "b.txt").read_bytes() == b"beta"
    assert {chunk.text for chunk in bench.chunk_list} >= {"alpha", "beta"}
    assert "2 files added" in shown(page)


def test_progress_is_told_with_rate_and_time_left_and_a_second_session_sees_it(bench: Any, page: AppTest) -> None:
    bench.may_index.clear()
    send(page, ("a.txt", b"alpha", "text/plain"))
    until_running("a.txt")
    page.run()
    other = opened()
    assert "Indexing: 0 of 1 files" in shown(page) and "2.0 files/s · 1 s left · a.txt" in shown(page)
    assert "Indexing: 0 of 1 files (started by somebody else)" in shown(other)
    bench.may_index.set()
    assert "1 file added" in shown(idle(other))


def test_a_second_upload_waits_its_turn_and_can_be_taken_back(bench: Any, page: AppTest) -> None:
    bench.may_index.clear()
    send(page, ("a.txt", b"alpha", "text/plain"))
    until_running("a.txt")
    other = send(opened(), ("b.txt", b"beta", "text/plain"))
    assert "Waiting, number 1: b.txt" in shown(other)
    next(button for button in other.button if button.label == "Take back").click().run()
    bench.may_index.set()
    assert "Taken back before it began: b.txt" in shown(idle(other))
    assert "beta" not in {chunk.text for chunk in bench.chunk_list}


def test_a_running_job_can_be_stopped(bench: Any, page: AppTest) -> None:
    bench.may_index.clear()
    send(page, ("a.txt", b"alpha", "text/plain"))
    until_running("a.txt")
    page.run()
    next(button for button in page.button if button.label == "Stop").click().run()
    assert "Stopped." in shown(idle(page))


def test_a_file_that_cannot_be_read_is_named_with_its_reason(bench: Any, page: AppTest) -> None:
    send(page, ("<i>odd</i>.bin", b"\0\0", "application/octet-stream"), ("a.txt", b"alpha", "text/plain"))
    text = shown(idle(page))
    assert "1 file added" in text and "_i_odd" not in text
    assert "i_.bin: nobody here reads this kind of file" in text


def test_the_button_waits_for_the_files(bench: Any, page: AppTest) -> None:
    assert add_button(page).disabled  # before any has arrived, and again when they were taken
    send(page, ("a.txt", b"alpha", "text/plain"))
    assert add_button(page).disabled and not page.file_uploader[0].value


def test_an_empty_file_is_refused_and_that_is_still_said_when_the_others_are_done(bench: Any, page: AppTest) -> None:
    send(page, ("empty.txt", b"", "text/plain"), ("a.txt", b"alpha", "text/plain"))
    text = shown(idle(page))
    assert "&#x27;empty.txt&#x27; is empty" in text and "1 file added" in text


def test_a_full_disk_is_one_message(bench: Any, monkeypatch: pytest.MonkeyPatch, page: AppTest) -> None:
    def full(*_: Any, **__: Any) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(add_files, "save", full)
    assert "No space left on device" in shown(send(page, ("a.txt", b"alpha", "text/plain")))
    assert not shared.queue().view().busy
