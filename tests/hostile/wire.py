"""HTTP as bytes: what a well-behaved library would never send, and the status that comes back."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

PATIENCE_SECONDS = 60.0
_PIECE = 1 << 16


def post(body: bytes | Mapping[str, Any], path: str = "/v1/chat/completions", **headers: str) -> bytes:
    """A request with its body; `Content_Type="text/plain"` replaces a header, "" leaves it out."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(content))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return head("POST", path, given) + content


def get(path: str, method: str = "GET", **headers: str) -> bytes:
    """A request without a body."""
    return head(
        method, path, {"Host": "127.0.0.1"} | {name.replace("_", "-"): value for name, value in headers.items()}
    )


def head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """The lines before a body."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked(pieces: list[bytes]) -> bytes:
    """A body without a length."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as opened:
        yield opened


def exchange(port: int, data: bytes, *, on_sent: Callable[[], object] = lambda: None) -> tuple[int, bytes]:
    """Status and whole answer; status 0 where the connection was closed without one."""
    with connection(port) as opened:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            opened.sendall(data)
        on_sent()
        return answer_of(opened)


def answer_of(opened: socket.socket) -> tuple[int, bytes]:
    """What the server says on this connection: the head, and as much of the body as its length tells."""
    answer = b""
    with suppress(ConnectionResetError):
        while not _is_whole(answer) and (piece := opened.recv(_PIECE)):
            answer += piece
    first = answer.split(b"\r\n", 1)[0].split(b" ")
    return (int(first[1]) if len(first) > 1 and first[1].isdigit() else 0), answer


def _is_whole(answer: bytes) -> bool:
    start, gap, body = answer.partition(b"\r\n\r\n")
    if not gap:
        return False
    for line in start.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return b"transfer-encoding: chunked" not in start.lower() or body.endswith(b"0\r\n\r\n")
