"""A server around a model, real or a double, and the clients of its tests; none of them keeps to good manners."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai

from llava_model.serving.engine import Reply, Turn
from llava_model.serving.http.access_control import listen
from llava_model.serving.http.server import ModelServer, ServerSettings

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many chairs?"}]


class Dawdler:
    """An engine that writes "la " every hundredth of a second until it is told to stop."""

    name, context_tokens, sees_images, most_characters, most_images = "dawdler", 1000, False, 10_000, 0
    max_running = 1

    def __init__(self) -> None:
        self.writing, self.given_up, self.fails = threading.Event(), threading.Event(), False

    def count_tokens(self, turns: list[Turn]) -> int:
        return 5

    def stream(self, turns: list[Turn], *, max_new_tokens: int, cancelled: Callable[[], bool], **_: Any) -> Reply:
        def write(reply: Reply) -> Iterator[str]:
            for _ in range(max_new_tokens):
                if cancelled():
                    self.given_up.set()
                    return
                reply.completion_tokens += 1
                yield "la "
                self.writing.set()
                if self.fails:
                    raise MemoryError("no room")
                time.sleep(0.01)

        return Reply(write, prompt_tokens=5)


@contextmanager
def serving(engine: Any, **settings: Any) -> Iterator[str]:
    """The server's address."""
    key = settings.get("api_key", "")
    server = ModelServer(engine, listen("127.0.0.1", 0, api_key=key), ServerSettings(grace_seconds=1, **settings))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,))
    url = server.url
    thread.start()
    assert ready.wait(60)
    try:
        yield url
    finally:
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


@contextmanager
def client_of(url: str, key: str = "none") -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60) as client:
        yield client


def post(url: str, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(
        f"{url}/chat/completions", content=content, headers={"Content-Type": "application/json", **headers}, timeout=60
    )


def asking(body: Any, **headers: str) -> bytes:
    """A whole request, as it goes over the wire."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /v1/chat/completions HTTP/1.1\r\n{lines}\r\n".encode() + content


@contextmanager
def sent(url: str, data: bytes) -> Iterator[socket.socket]:
    """A connection over which these bytes went, and nothing else."""
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=60) as connection:
        connection.sendall(data)
        yield connection


def rest(connection: socket.socket) -> bytes:
    """All that the server says until it closes the connection."""
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def until_taken(url: str, places: int) -> None:
    """Wait until so many requests are being answered or wait for it."""
    while httpx.get(url.replace("/v1", "/health"), timeout=60).json()["requests"] != places:
        time.sleep(0.01)
