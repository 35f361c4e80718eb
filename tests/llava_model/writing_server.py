"""An OpenAI-compatible server on this machine that misbehaves as it is told; runs by itself for the tests that kill.

`reply(body, number)` says what happens to the request: a text is the answer, a Trouble anything else.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Trouble:
    status: int = 200
    text: str = ""
    finish: str = "stop"
    retry_after: str = ""
    location: str = ""
    delay_seconds: float = 0.0
    raw: bytes | None = None  # instead of a proper body
    usage: dict[str, int] | None = field(default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 50})


@dataclass
class WritingServer:
    reply: Callable[[dict[str, Any], int], str | Trouble]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


CONVERSATION = """Question: What animal is here?
Answer: A dog is here, number {number}.
===
Question: Where does it stand?
Answer: It stands on the left."""
DETAIL = (
    "A dog stands on the grass in picture {number} and looks at a red ball that lies in front of it. The lawn is wet "
    "and there are trees in the background. The dog has a brown coat and it seems to wait for somebody to throw it."
)
COMPLEX = """Question: Why does the dog look at the ball in picture {number}?
Answer: The ball lies in front of the dog and nobody holds it, so the dog is probably waiting for the next throw. Dogs \
that like to play often fix their eyes on the toy before they run, number {number}."""
READING = """Question: What is the total?
Answer: The total is 17.00 EUR.
Lines: 2
===
Question: Who is the cook?
Answer: NOT STATED
Lines: none"""


def good(body: dict[str, Any], number: int = 0) -> str:
    """What a well-behaved model writes; the number comes from the picture, so that no two are alike."""
    system = body["messages"][0]["content"]
    told = next(
        turn["content"]
        for turn in reversed(body["messages"])
        if turn["content"].startswith(("Sentences:", "Text:", "Objects:"))
    )
    name = "".join(character for character in told.split("Objects:")[0] if character.isdigit())[:6] or "0"
    if "detailed description" in system:
        return DETAIL.replace("{number}", name)
    if "reasoning" in system:
        return COMPLEX.replace("{number}", name)
    return (READING if "reading exercises" in system else CONVERSATION).replace("{number}", name)


@contextmanager
def serving(reply: Callable[[dict[str, Any], int], str | Trouble] = good) -> Iterator[WritingServer]:
    server = WritingServer(reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.bodies.append(body)
                server.times.append(time.monotonic())
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
                number = len(server.bodies)
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                self.answer(server.reply(body, number))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                with server.lock:
                    server.at_once -= 1

        def answer(self, said: str | Trouble) -> None:
            trouble = said if isinstance(said, Trouble) else Trouble(text=said)
            time.sleep(trouble.delay_seconds)
            choice = {"message": {"role": "assistant", "content": trouble.text}, "finish_reason": trouble.finish}
            body = {"choices": [choice], **({"usage": trouble.usage} if trouble.usage else {})}
            content = trouble.raw if trouble.raw is not None else json.dumps(body).encode()
            self.send_response(trouble.status)
            if trouble.retry_after:
                self.send_header("Retry-After", trouble.retry_after)
            if trouble.location:
                self.send_header("Location", trouble.location)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def log_message(self, *parts: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256
        daemon_threads = True

    with running(Server(("127.0.0.1", 0), Handler)) as server.url:
        yield server


@contextmanager
def running(http: ThreadingHTTPServer) -> Iterator[str]:
    """Its address, while it answers in a thread."""
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
