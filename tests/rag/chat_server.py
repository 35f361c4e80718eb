"""A small OpenAI-compatible server on 127.0.0.1 that does what a test tells it and remembers what it was sent."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ChatServer:
    reply: str = "The tank holds 1.8 litres [1]."
    model: str = "llava"
    key: str = ""  # "" takes any
    delay_seconds: float = 0.0
    body: bytes | None = None  # instead of a proper reply
    status: int = 200
    location: str = ""
    breaks_off: bool = False  # in the middle of a stream
    calls: list[tuple[str, dict[str, Any]]] = field(
        default_factory=list
    )  # tools to call, one a request, before `reply`
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(server: ChatServer) -> Iterator[ChatServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append(asked)
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            server.paths.append(self.path)
            time.sleep(server.delay_seconds)
            if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                return self.send(401, {"error": {"message": "wrong key"}})
            if server.status != 200 or server.body is not None:
                return self.send_bytes(server.status, server.body or b"{}")
            if asked["model"] != server.model:
                return self.send(404, {"error": {"message": f"no model {asked['model']}"}})
            if asked.get("stream"):
                return self.stream()
            message: dict[str, Any] = {"role": "assistant", "content": server.reply}
            if server.calls:
                name, arguments = server.calls.pop(0)
                function = {"name": name, "arguments": json.dumps(arguments)}
                call = {"id": f"call-{len(server.requests)}", "type": "function", "function": function}
                message = {"role": "assistant", "content": "", "tool_calls": [call]}
            choice = {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
            }
            return self.send(
                200, {"id": "1", "object": "chat.completion", "created": 1, "model": server.model, "choices": [choice]}
            )

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            words = server.reply.split(" ")
            for i, word in enumerate(words):
                if server.breaks_off and i == 2:
                    self.wfile.write(b"data: {not json\n\n")
                    return
                delta = {"role": "assistant", "content": word if i == 0 else f" {word}"}
                self.event({"index": 0, "delta": delta, "finish_reason": None})
            self.event({"index": 0, "delta": {}, "finish_reason": "stop"})
            self.wfile.write(b"data: [DONE]\n\n")

        def event(self, choice: dict[str, Any]) -> None:
            chunk = {
                "id": "1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": server.model,
                "choices": [choice],
            }
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()

        def send(self, status: int, value: Any) -> None:
            self.send_bytes(status, json.dumps(value).encode())

        def send_bytes(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if server.location:
                self.send_header("Location", server.location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listening.server_port}/v1"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
