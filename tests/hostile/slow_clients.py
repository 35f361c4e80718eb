"""Clients without the key, clients that are slow or silent, and clients that leave."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from asking import GOOD, conversation
from findings import Findings
from good_client import GoodClient, status_of
from wire import PATIENCE_SECONDS, answer_of, connection, exchange, get, head, post

KIND = "slow clients"
_SLOW, _SILENT, _LEAVING = 33, 20, 10


def try_all(client: GoodClient, key: str, findings: Findings) -> None:
    """On a server that asks for the key; the client has it."""
    port = client.server.port
    for wrong in ("", "wrong", key[:-1], f"{key}x", "\xe9"):
        status = status_of(port, post(GOOD, Authorization=f"Bearer {wrong}" if wrong else ""))
        findings.check(KIND, f"the key {wrong!a}", [] if status == 401 else [f"the answer was {status}"])
    _holding(client, findings)
    _leaving(client, findings)


def _holding(client: GoodClient, findings: Findings) -> None:
    port, half = client.server.port, b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127."
    with _open(port, _SILENT, half) as silent:
        findings.check(KIND, f"{_SILENT} half-sent headers beside a good client", client.faults())
        with _open(port, _SLOW, _slow_body(client)) as slow:
            findings.check(KIND, f"{_SLOW} slow bodies with a valid key beside a good client", client.faults())
            findings.check(KIND, "and a second good client", client.faults())
            held = _still_open([*silent, *slow])
    findings.check(KIND, "who sends nothing is sent away", [f"{held} connections are still open"] if held else [])


def _slow_body(client: GoodClient) -> bytes:
    """Headers with a valid key, and the first byte of a body that never comes."""
    length = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": "500"}
    return head("POST", "/v1/chat/completions", length | client.headers) + b"{"


@contextmanager
def _open(port: int, number: int, first: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = [stack.enter_context(connection(port)) for _ in range(number)]
        for each in opened:
            each.sendall(first)
        yield opened


def _still_open(opened: list[socket.socket]) -> int:
    """How many the server has neither answered (408) nor closed, all of them together given a minute."""
    deadline, held = time.monotonic() + PATIENCE_SECONDS, 0
    for each in opened:
        each.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            answer_of(each)
        except TimeoutError:
            held += 1
    return held


def _leaving(client: GoodClient, findings: Findings) -> None:
    port = client.server.port
    for name, body in {
        "after half a body": GOOD,
        "before its answer": {**GOOD, "max_tokens": 400, "stream": True},
        "while 4,001 messages are read": {**GOOD, "messages": conversation(4_001)},
    }.items():
        data = post(body, **client.headers)
        for _ in range(_LEAVING):
            with connection(port) as opened:
                opened.sendall(data[:-20] if "half" in name else data)
        findings.check(KIND, f"{_LEAVING} clients that leave {name}", client.faults())
    findings.check(KIND, "none of them is remembered", _remembered(port))


def _remembered(port: int) -> list[str]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while b'"requests":0' not in (answer := exchange(port, get("/health"))[1]):
        if time.monotonic() > deadline:
            return [answer[-60:].decode()]
        time.sleep(0.1)
    return []
