"""What is too much is refused before any work; who is slow, silent or gone keeps nobody out."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import httpx
import pytest
from serving_world import HELLO, Dawdler, asking, post, rest, sent, serving, until_taken

from llava_model.errors import RequestRefusedError
from llava_model.serving.engine import Engine, Reply, Turn
from llava_model.serving.http import request_queue as desk
from llava_model.serving.http.connections import Bodies, BodyLimits, ConnectionLimits
from llava_model.serving.http.request_queue import ConversationLimits

ASKED = {"model": "dawdler", "messages": HELLO, "max_tokens": 2}
AT_ONCE = ConnectionLimits(request_seconds=0.05, unread_seconds=0.05)
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def in_turns(count: int) -> list[dict[str, Any]]:
    return [{"role": "assistant" if place % 2 else "user", "content": "x"} for place in range(count)]


# -- counted before any work ------------------------------------------------------------------------------------------


class Untouchable(Dawdler):
    """Sees pictures, has 1,000 tokens of context, and must not be given any work."""

    sees_images, most_images, most_characters = True, 10, 5_000

    def stream(self, *_: Any, **__: Any) -> Reply:
        raise AssertionError("this should have been refused before")


@pytest.mark.parametrize(
    ("messages", "found", "room"),
    [
        (in_turns(1_001), "1,001 messages", "1,000"),
        ([{"role": "user", "content": "x" * 3_000}, {"role": "user", "content": "x" * 2_001}], "5,001 char", "5,000"),
        ([{"role": "user", "content": [PICTURE] * 11}], "11 pictures", "10"),
        ([{"role": "user", "content": [PICTURE]}] * 11, "11 pictures", "10"),
    ],
)
def test_what_cannot_fit_the_model_is_refused_with_both_numbers_before_any_work(
    messages: list[Any], found: str, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "open_picture", Untouchable.stream)
    with serving(Untouchable()) as url:
        error = post(url, ASKED | {"messages": messages}).json()["error"]
    assert found in error["message"] and f"room for {room}" in error["message"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")


def test_the_settings_bound_a_model_whose_context_is_very_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "open_picture", Untouchable.stream)
    limits = ConversationLimits(messages=4, pictures=2, characters=30)
    tries = [
        (in_turns(5), "5 messages, there is room for 4"),
        ([{"role": "user", "content": "x" * 31}], "31 characters, there is room for 30"),
        ([{"role": "user", "content": [PICTURE] * 3}], "3 pictures, there is room for 2"),
    ]
    with serving(Untouchable(), conversation=limits) as url:
        for messages, said in tries:
            assert said in post(url, ASKED | {"messages": messages}).json()["error"]["message"]


def test_a_picture_for_a_model_that_reads_words_is_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "open_picture", Untouchable.stream)
    with serving(Dawdler()) as url:
        error = post(url, ASKED | {"messages": [{"role": "user", "content": [PICTURE]}]}).json()["error"]
    assert error["code"] == "images_not_supported" and "1 images" in error["message"]


def test_a_real_model_says_how_much_can_fit(
    save_language: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("words")
    save_language(folder)
    engine = Engine.load(folder, dtype="float32", device="cpu")
    longest = max(map(len, engine._encoder.tokenizer.get_vocab()))
    assert (engine.most_characters, engine.most_images) == (256 * longest, 0)
    most = "".join(chr(33 + place % 90) for place in range(engine.most_characters))
    assert engine.count_tokens([Turn(role="user", text=most)]) > engine.context_tokens


# -- preparing ends when its client leaves ----------------------------------------------------------------------------


class Reading(Dawdler):
    """Reads prompts until it is allowed to go on, and notes whose."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self.reading, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()

    def stream(self, turns: list[Turn], *, before_step: Callable[[], object], **options: Any) -> Reply:
        self.read.append(turns[-1].text)
        self.reading.set()
        assert self.go_on.wait(60)
        try:
            before_step()
        except RequestRefusedError:
            self.ended.set()
            raise
        return super().stream(turns, **options)


def test_preparing_ends_when_its_client_leaves_and_who_left_the_queue_is_never_read() -> None:
    engine = Reading()
    with serving(engine) as url:
        with sent(url, asking(ASKED)):
            assert engine.reading.wait(60)
            with sent(url, asking(ASKED | {"messages": [{"role": "user", "content": "never read"}]})):
                until_taken(url, 2)
        until_taken(url, 0)
        engine.go_on.set()
        assert engine.ended.wait(60)
        assert post(url, ASKED | {"messages": [{"role": "user", "content": "after"}]}).status_code == 200
        assert engine.read == [HELLO[-1]["content"], "after"] and engine.writing.is_set() is not False


# -- bodies under way -------------------------------------------------------------------------------------------------


def half(body: Any = ASKED) -> bytes:
    """A request whose body does not come to its end."""
    return asking(body)[:-5]


def test_slow_bodies_take_no_place() -> None:
    with serving(Dawdler(), most_waiting=0) as url, sent(url, half()), sent(url, half()) as slow:
        assert post(url, ASKED).status_code == 200
        slow.sendall(asking(ASKED)[-5:])
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_more_bodies_than_there_is_room_for_cut_off_the_one_that_stands_still() -> None:
    with serving(Dawdler(), body=BodyLimits(count=2), connection=AT_ONCE) as url:
        with sent(url, half()) as first, sent(url, half()), sent(url, half()):
            said = rest(first)
        assert said.startswith(b"HTTP/1.1 408") and b"came too slowly" in said
        assert post(url, ASKED).status_code == 200


def test_a_body_that_does_not_end_is_told_so_and_cut_off() -> None:
    with serving(Dawdler(), body=BodyLimits(seconds=0.05), connection=AT_ONCE) as url, sent(url, half()) as slow:
        said = rest(slow)
        assert said.startswith(b"HTTP/1.1 408") and b"not complete after 0.05 s" in said


class Sender:
    """A request of which a test gives the pieces one by one."""

    def __init__(self) -> None:
        self.headers = {"content-type": "application/json"}
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def give(self, piece: bytes | None) -> None:
        self._pieces.put_nowait(piece)
        for _ in range(5):
            await asyncio.sleep(0)

    async def stream(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece


def test_when_memory_is_short_whoever_stands_still_goes_first_though_it_sent_most() -> None:
    async def run() -> None:
        bodies = Bodies(BodyLimits(bytes_each=1000, bytes_together=1500))
        senders = [Sender() for _ in range(3)]
        tasks = []
        for sender in senders:
            tasks.append(asyncio.create_task(bodies.receive(cast(Any, sender))))
            await sender.give(b"")
        hoarding, honest, newest = senders
        await hoarding.give(b"x" * 990)
        await honest.give(b"y" * 500)
        await newest.give(b"z" * 500)
        with pytest.raises(RequestRefusedError, match="990 bytes so far"):
            await tasks[0]
        await honest.give(None)
        await newest.give(None)
        assert [len(await task) for task in tasks[1:]] == [500, 500]

    asyncio.run(run())


# -- connections ------------------------------------------------------------------------------------------------------

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("data", [b"", HEAD, b"\r\n", HEAD + b"\r\n" + HEAD])
def test_a_connection_without_a_whole_request_is_closed(data: bytes) -> None:
    with serving(Dawdler(), connection=AT_ONCE) as url, sent(url, data) as silent:
        assert rest(silent).count(b"HTTP/1.1 200") == data.count(b"\r\n\r\n")


def test_who_goes_on_sending_behind_a_refusal_is_closed_too() -> None:
    with serving(Dawdler(), api_key="s3cret", connection=AT_ONCE) as url:
        head = asking(b"", **{"Content-Length": "1000000"})
        with sent(url, head) as refused:
            assert refused.recv(12) == b"HTTP/1.1 401"
            assert _sends_until_closed(refused)


def _sends_until_closed(connection: socket.socket) -> bool:
    """A byte now and then, as a slow client does."""
    pause = threading.Event()
    for _ in range(1_000_000):
        try:
            connection.sendall(b"x")
        except OSError:
            return True
        pause.wait(0.01)
    return False


def test_of_silent_connections_the_oldest_makes_room() -> None:
    two = ConnectionLimits(without_request=2)
    with serving(Dawdler(), connection=two) as url, sent(url, HEAD) as oldest, sent(url, HEAD), sent(url, b""):
        assert rest(oldest) == b""
        assert post(url, ASKED).status_code == 200


def test_a_request_that_is_being_answered_never_makes_room() -> None:
    engine, one = Dawdler(), ConnectionLimits(without_request=1)
    asking_long = asking(ASKED | {"max_tokens": 30}, Connection="close")
    with serving(engine, connection=one) as url, sent(url, asking_long) as asked:
        assert engine.writing.wait(60)
        with sent(url, HEAD), sent(url, HEAD) as last:
            assert rest(asked).startswith(b"HTTP/1.1 200")
            last.sendall(b"\r\n")
            assert last.recv(12) == b"HTTP/1.1 200"


class Shouter(Dawdler):
    """Says more at a time than a connection holds."""

    def stream(self, turns: list[Turn], **options: Any) -> Reply:
        quiet = super().stream(turns, **options)

        def write(reply: Reply) -> Iterator[str]:
            for text in quiet:
                yield text * 500_000

        return Reply(write, prompt_tokens=5)


def test_who_does_not_take_the_answer_frees_the_model() -> None:
    engine = Shouter()
    with serving(engine, connection=AT_ONCE) as url:
        with sent(url, asking(ASKED | {"max_tokens": 900, "stream": True})):
            assert engine.given_up.wait(60)
        until_taken(url, 0)


def test_what_comes_behind_a_request_does_not_hide_that_the_client_leaves() -> None:
    engine = Dawdler()
    with serving(engine) as url:
        with sent(url, asking(ASKED | {"max_tokens": 900}) + HEAD) as leaving:
            assert engine.writing.wait(60)
            leaving.sendall(HEAD)
        assert engine.given_up.wait(60)
        until_taken(url, 0)


def test_two_requests_on_one_connection_are_both_answered() -> None:
    with serving(Dawdler()) as url, httpx.Client() as client:
        for _ in range(2):
            assert client.post(f"{url}/chat/completions", json=ASKED).status_code == 200
