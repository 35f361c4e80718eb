"""The socket of the process that has a library open, with real sockets and a double for the library."""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ui import owner
from ui.api.bodies import QuestionBody
from ui.api.library_routes import question
from ui.api.server import OwnersSocket
from ui.owner import OwnerError, find
from ui.service import Question, question_body, streamed

STATS = {
    "files": 3, "chunks": 9, "kinds": {"text": 9}, "channels": ["text"], "kit": "pocket", "embedder": "e", "bytes": 1,
    "failed": 0, "library": "/library", "store": "Milvus Lite",
}  # fmt: skip


class Service:
    """Answers as a library would."""

    def __init__(self, folder: Path) -> None:
        self.bench = SimpleNamespace(library_folder=folder, sources=SimpleNamespace(check_listed=lambda paths: None))
        self.identity = {
            "process": os.getpid(), "command": "test", "kit": "pocket", "library": str(folder), "reader_is_tiny": True,
        }  # fmt: skip
        self.asked: list[Question] = []
        self.closed = threading.Event()
        self.stopped = threading.Event()

    def stats(self) -> dict[str, Any]:
        return STATS

    def search(self, question: Question) -> dict[str, Any]:
        self.asked.append(question)
        return {"hits": [], "notes": [], "milliseconds": {}}

    def ask(self, question: Question) -> Iterator[dict[str, Any]]:
        try:
            yield {"event": "found", "notes": []}
            for number in range(3 if question.text != "for ever" else 10_000):
                yield {"event": "token", "text": f"{number} "}
            if question.text == "breaks":
                raise OSError(28, "No space left on device")
            yield {"event": "answer", "answer": "0 1 2"}
        finally:
            self.closed.set()

    def index(
        self,
        paths: Any,
        *,
        retry_failed: bool,
        on_progress: Any,
        cancelled: Callable[[], bool],
        follow_links: bool,
        objects: bool,
        facts: dict[str, list[str]],
    ) -> dict[str, Any]:
        while paths == ["/for/ever"] and not cancelled():
            on_progress({"done": 1})
        self.stopped.set()
        return {"added": len(paths), "objects": objects}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    folder = tmp_path / ("x" * 90) / ("y" * 90)  # longer than a socket's path may be
    folder.mkdir(parents=True)
    service = Service(folder)
    listening = OwnersSocket(SimpleNamespace(name="y", service=service))
    yield service
    listening.close()


def found(service: Service) -> owner.OwnersService:
    there = find(service.bench.library_folder)
    assert there is not None
    return there


def test_a_terminal_finds_the_owner_and_asks_it(service: Service) -> None:
    there = found(service)
    assert there.identity["process"] == os.getpid() and there.stats() == STATS
    asked = Question(text="ä", images=(("a.png", b"\0\1"),), history=(("q", "a"),), k=3, where=(("name", "b"),))
    there.search(asked)
    assert service.asked == [asked] and question(QuestionBody(**question_body(asked))) == asked
    assert [event["event"] for event in there.ask(asked)] == ["found", "token", "token", "token", "answer"]


def test_only_the_owners_user_may_connect(service: Service) -> None:
    mode = (service.bench.library_folder / owner.FILE).stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_an_error_on_the_way_is_raised_where_it_is_read(service: Service) -> None:
    with pytest.raises(OwnerError, match="No space left"):
        list(found(service).ask(Question(text="breaks")))


def test_who_stops_reading_stops_the_model(service: Service) -> None:
    events = found(service).ask(Question(text="for ever"))
    assert next(events)["event"] == "found"
    events.close()
    assert service.closed.wait(20)


def test_who_stops_waiting_stops_the_run(service: Service) -> None:
    class StopError(Exception):
        pass

    def stop(progress: Any) -> None:
        raise StopError

    with pytest.raises(StopError):
        found(service).index(["/for/ever"], retry_failed=False, on_progress=stop)
    assert service.stopped.wait(20)
    assert found(service).index(["/a"], retry_failed=False, on_progress=print) == {"added": 1, "objects": True}


def test_objects_are_left_out_by_the_process_that_has_the_library_open(service: Service) -> None:
    report = found(service).index(["/a"], retry_failed=False, on_progress=print, objects=False)
    assert report == {"added": 1, "objects": False}


def test_a_socket_that_nobody_answers_counts_as_none_and_is_replaced(tmp_path: Path) -> None:
    left = owner.listen(tmp_path)
    left.close()  # its owner was killed
    assert (tmp_path / owner.FILE).exists() and find(tmp_path) is None
    again = owner.listen(tmp_path)
    again.close()
    owner.let_go(tmp_path)
    assert find(tmp_path) is None and not (tmp_path / owner.FILE).exists()


def test_a_file_in_the_sockets_place_is_no_owner(tmp_path: Path) -> None:
    (tmp_path / owner.FILE).write_text("no socket")
    assert find(tmp_path) is None


def test_an_owner_that_says_nonsense_is_none(tmp_path: Path) -> None:
    with owner.listen(tmp_path) as listening:
        listening.listen()

        def answer() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(1000)
                client.sendall(b"nonsense\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert find(tmp_path) is None
        thread.join()


def test_progress_is_the_newest_and_the_result_comes_last() -> None:
    def work(on_progress: Any, cancelled: Any) -> dict[str, Any]:
        for number in range(1000):
            on_progress({"done": number})
        return {"added": 1}

    told = list(streamed(work, last="report"))
    assert told[-1] == {"event": "report", "added": 1} and len(told) <= 1001
    assert [each["done"] for each in told[:-1]] == sorted(each["done"] for each in told[:-1])


def test_what_the_work_raises_is_raised() -> None:
    def work(on_progress: Any, cancelled: Any) -> dict[str, Any]:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        list(streamed(work, last="report"))
