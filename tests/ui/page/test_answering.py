import threading
from collections.abc import Iterator
from typing import Any

from rag.errors import GeneratorTimeoutError
from rag.events import Answer, Token
from ui.page.answering import RunningAnswer


def an_answer(text: str) -> Answer:
    return Answer(text=text, refused=False, citations=(), hits=(), model="m", milliseconds={"retrieve": 1.0})


class Script:
    """A conversation with the model that goes on when the test says so."""

    def __init__(self) -> None:
        self.next = threading.Semaphore(0)
        self.closed = threading.Event()

    def __call__(self) -> Iterator[Any]:
        try:
            for word in ("one ", "two ", "three "):
                assert self.next.acquire(timeout=5)
                yield Token(text=word)
            yield an_answer("one two three")
        finally:
            self.closed.set()

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self.next.release()


def until_text(running: RunningAnswer, text: str) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if running.view().text == text:
            return
        pause.wait(0.005)
    raise AssertionError(f"'{running.view().text}' never became '{text}'")


def test_words_can_be_read_while_the_model_writes() -> None:
    script = Script()
    running = RunningAnswer(script)
    assert not running.view().finished
    script.go(2)
    until_text(running, "one two ")
    script.go(1)
    assert running.wait(120)
    answer = running.view().answer
    assert answer is not None and answer.text == "one two three" and running.view().finished


def test_a_stop_shows_at_once_and_closes_the_model_at_its_next_word() -> None:
    script = Script()
    running = RunningAnswer(script)
    script.go(1)
    until_text(running, "one ")
    running.stop()
    assert running.view().finished and running.view().stopped and not script.closed.is_set()
    script.go(1)
    assert script.closed.wait(120)
    assert running.view().text == "one "


def test_an_answer_that_nobody_watches_stops_by_itself() -> None:
    script = Script()
    running = RunningAnswer(script, abandoned_after_seconds=-1.0)
    script.go(1)
    assert script.closed.wait(120)
    assert running.view().stopped


def test_the_clock_stands_still_when_it_is_over() -> None:
    script = Script()
    running = RunningAnswer(script)
    script.go(3)
    assert running.wait(120)
    assert running.view().seconds == running.view().seconds


def test_a_fault_keeps_the_words_so_far() -> None:
    def broken() -> Iterator[Any]:
        yield Token(text="half ")
        raise GeneratorTimeoutError("http://127.0.0.1:9/v1", 3)

    running = RunningAnswer(broken)
    assert running.wait(120)
    view = running.view()
    assert view.text == "half " and "did not answer within 3 seconds" in view.problem[0]
