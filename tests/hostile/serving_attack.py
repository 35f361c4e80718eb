"""A hundred hostile requests to the real `llavero serve`, and clients that are slow, silent or gone.

While each attack is under way a good client asks, and must be answered within `_GOOD_WITHIN_SECONDS`.
"""

import socket
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tiny_model
from asking import GOOD, Attack, attacks
from findings import Findings, say
from makers import World
from servers import Server, serving
from traps import Traps
from wire import PATIENCE_SECONDS, answer_of, connection, exchange, get, head, post

_REQUESTS = 130
_GOOD_WITHIN_SECONDS = 20.0
_KEY = "a key for this run"
_SLOW_CLIENTS, _SILENT_CLIENTS = 33, 20


@dataclass
class _Good:
    """The client that behaves, and how long it had to wait at worst."""

    server: Server
    headers: dict[str, str] = field(default_factory=dict)
    worst_seconds: float = 0.0

    def faults(self) -> list[str]:
        """It asks once."""
        began = time.monotonic()
        try:
            status, _ = exchange(self.server.port, post(GOOD, **self.headers))
        except OSError as error:
            return [f"a good client was not answered: {error}"]
        seconds = time.monotonic() - began
        self.worst_seconds = max(self.worst_seconds, seconds)
        if status != 200:
            return [f"a good client got {status}"]
        return [f"a good client waited {seconds:.0f} s"] if seconds > _GOOD_WITHIN_SECONDS else []


def attack(world: World, traps: Traps, findings: Findings, folder: Path, asked: Namespace) -> None:
    """Two servers: one for everybody on this machine, one with a key."""
    hostile = [one for one in attacks(world.random, world.address, _REQUESTS) if asked.only in one.kind]
    slow = asked.only in "slow clients"
    if not hostile and not slow:
        return
    model = folder / "tiny"
    tiny_model.make(model)
    say(f"serving a tiny model: {len(hostile)} hostile requests")
    words = ("serve", "--checkpoint", model, "--port", "0", "--device", "cpu")
    with serving(*words, traps=traps, log=folder / "serve.log", said="Llavero serves") as server:
        client = _Good(server)
        for one in hostile:
            findings.check(one.kind, one.name, _tried(one, client))
        _judge(server, client, traps, findings)
    if slow:
        keyed = (*words, "--api-key-env", "HOSTILE_KEY")
        with serving(*keyed, traps=traps, log=folder / "keyed.log", said="Llavero serves", HOSTILE_KEY=_KEY) as server:
            client = _Good(server, {"Authorization": f"Bearer {_KEY}"})
            _slow(client, findings)
            _judge(server, client, traps, findings)


def _judge(server: Server, client: _Good, traps: Traps, findings: Findings) -> None:
    kind = "the server"
    faults = [*server.faults(), *traps.sprung(), *server.end()]
    findings.check(kind, "no trap sprung, no traceback, and it ends when it is told to", faults)
    memory = f"peak memory of the server {server.memory}"
    say(f"a good client waited {client.worst_seconds:.2f} s at worst (bound {_GOOD_WITHIN_SECONDS:.0f} s); {memory}")


def _tried(one: Attack, client: _Good) -> list[str]:
    """The attack's faults, and those of a good client beside it."""
    statuses: list[int] = []
    attacker = threading.Thread(target=lambda: statuses.append(_status(client.server.port, one.data)), daemon=True)
    attacker.start()
    faults = client.faults()
    attacker.join(PATIENCE_SECONDS)
    if not statuses:
        return [*faults, f"no answer within {PATIENCE_SECONDS:.0f} s"]
    wrong = [] if statuses[0] in one.right else [f"the answer was {statuses[0] or 'a closed connection'}"]
    return [*faults, *wrong]


def _status(port: int, data: bytes) -> int:
    try:
        return exchange(port, data)[0]
    except OSError:
        return 0


def _slow(client: _Good, findings: Findings) -> None:
    kind, port = "slow clients", client.server.port
    for key in ("", "wrong", _KEY[:-1], f"{_KEY}x", "\xe9"):
        status = _status(port, post(GOOD, Authorization=f"Bearer {key}" if key else ""))
        findings.check(kind, f"the key {key!a}", [] if status == 401 else [f"the answer was {status}"])
    with _open(port, _SILENT_CLIENTS, lambda: b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.") as silent:
        findings.check(kind, f"{_SILENT_CLIENTS} half-sent headers beside a good client", client.faults())
        with _open(port, _SLOW_CLIENTS, _slow_body) as slow:
            findings.check(kind, f"{_SLOW_CLIENTS} slow bodies beside a good client", client.faults())
            findings.check(kind, "and a second one", client.faults())
            open_still = sum(not _is_closed(each) for each in (*silent, *slow))
        findings.check(kind, "who sends nothing is sent away", [f"{open_still} are still open"] if open_still else [])
    _leaving(client, findings)


def _slow_body() -> bytes:
    """Headers with a valid key, and the first byte of a body that never comes."""
    length = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": "500"}
    return head("POST", "/v1/chat/completions", {**length, "Authorization": f"Bearer {_KEY}"}) + b"{"


@contextmanager
def _open(port: int, number: int, first: Callable[[], bytes]) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = [stack.enter_context(connection(port)) for _ in range(number)]
        for each in opened:
            each.sendall(first())
        yield opened


def _is_closed(opened: socket.socket) -> bool:
    """Waits for the server to answer (408) or to close."""
    try:
        answer_of(opened)
    except TimeoutError:
        return False
    return True


def _leaving(client: _Good, findings: Findings) -> None:
    kind, port = "slow clients", client.server.port
    key = client.headers["Authorization"]
    long = {**GOOD, "max_tokens": 400, "stream": True}
    for name, data in {
        "leaves after half a body": post(GOOD, Authorization=key)[:-20],
        "leaves before its answer": post(long, Authorization=key),
        "leaves while 10,001 messages are read": post(
            {**GOOD, "messages": GOOD["messages"] * 10_001}, Authorization=key
        ),
    }.items():
        for _ in range(10):
            with connection(port) as opened:
                opened.sendall(data)
        findings.check(kind, f"ten times a client {name}", client.faults())
    _, answer = exchange(port, get("/health"))
    findings.check(kind, "none of them is remembered", [] if b'"requests":0' in answer else [answer[-80:].decode()])
