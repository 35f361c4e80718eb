"""Probes of the real `llavero ui`: other sites, other ports, other names, media without a session. No browser.

The page's own requests must be answered, everybody else's refused, and no outside address may be asked on the way.
"""

import base64
import socket
from argparse import Namespace
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from findings import Findings, say
from makers import World
from servers import Server, serving
from traps import Traps
from wire import exchange, get, post

_KIND = "the page's server"
_FORBIDDEN, _CLOSED = frozenset({403}), frozenset({0, *range(400, 500)})
_ANYTHING = frozenset({0, 200, *range(400, 500)})
_OF_PASSWD = b"root:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """`right` are the statuses that may come back."""

    name: str
    data: bytes
    right: Collection[int]


def attack(world: World, traps: Traps, findings: Findings, folder: Path, asked: Namespace) -> None:
    """A page over a library that does not exist yet: the server is the same."""
    if asked.only not in _KIND:
        return
    say("probing the page")
    words = ("ui", "--library", folder / "page library", "--port", str(_free_port()), "--no-browser")
    with serving(*words, traps=traps, log=folder / "page.log", said="Llavero is ready") as server:
        for probe in _probes(server.port):
            findings.check(_KIND, probe.name, _tried(probe, server))
        findings.check(_KIND, "no trap sprung: it asks no other machine for anything", traps.sprung())
        findings.check(_KIND, "it lives, and ends when it is told to", [*server.faults(), *server.end()])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _tried(probe: Probe, server: Server) -> list[str]:
    try:
        status, answer = exchange(server.port, probe.data)
    except OSError as error:
        return [f"no answer: {error}"]
    wrong = [] if status in probe.right else [f"the answer was {status or 'a closed connection'}"]
    return [*wrong, *(["it showed a file of the system"] if _OF_PASSWD in answer else [])]


def _probes(port: int) -> Iterator[Probe]:
    own, address = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
    yield Probe(name="the page itself is answered", data=get("/", Host=own), right={200})
    yield Probe(name="its own WebSocket is admitted", data=_socket(own, address), right={101})
    yield from _origins(port, own, address)
    yield from _media(own)
    yield from _paths(own)


def _origins(port: int, own: str, address: str) -> Iterator[Probe]:
    foreign = ("http://evil.example", f"http://127.0.0.1.evil.example:{port}", f"{address}@evil.example", "null", "")
    for origin in (*foreign, f"http://127.0.0.1:{port + 1}", f"http://localhost:{port}", f"http://evil.example:{port}"):
        name = f"a WebSocket of {origin or 'nobody'}".replace(str(port), "PORT")
        yield Probe(name=name, data=_socket(own, origin), right=_FORBIDDEN)
    evil = f"evil.example:{port}"
    for name, data in {
        "a WebSocket under a foreign name of this machine": _socket(evil, f"http://{evil}"),
        "the page under a foreign name": get("/", Host=evil),
        "the page for a script of another site": get("/", Host=own, Origin="http://evil.example"),
        "an upload of another site": post(b"x", "/_stcore/upload_file/a/b", Host=own, Origin="http://evil.example"),
        "an upload of nobody": post(b"x", "/_stcore/upload_file/a/b", Host=own),
        "settings for another site": get("/_stcore/host-config", Host=own, Origin="http://evil.example"),
        "the page embedded elsewhere": get("/", Host=own, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors"),
    }.items():
        yield Probe(name=name, data=data, right=_FORBIDDEN)


def _media(own: str) -> Iterator[Probe]:
    path = "/media/3b1f0a9c5d.png"
    yield Probe(name="media without a session", data=get(path, Host=own), right=_FORBIDDEN)
    forged = f"llavero-{own.rpartition(':')[2]}=AAAA"
    yield Probe(name="media with an invented cookie", data=get(path, Host=own, Cookie=forged), right=_FORBIDDEN)
    doubled = get("//media/3b1f0a9c5d.png", Host=own)
    yield Probe(name="media by another way of writing it", data=doubled, right=_CLOSED)


def _paths(own: str) -> Iterator[Probe]:
    for path in ("/../../../../etc/passwd", "/static/..%2f..%2f..%2f..%2fetc/passwd", "/app/static/../../etc/passwd",
                 "/component/x/..%2f..%2f..%2fetc%2fpasswd", "/media/..%2f..%2f..%2fetc%2fpasswd"):  # fmt: skip
        yield Probe(name=f"the path {path}", data=get(path, Host=own), right=_ANYTHING)
    yield Probe(name="a header of 1 MB", data=get("/", Host=own, X="a" * 1_000_000), right=_CLOSED)
    yield Probe(name="two origins", data=get("/", Host=own, Origin="a\r\nOrigin: b"), right=_FORBIDDEN)


def _socket(host: str, origin: str) -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    return get("/_stcore/stream", Host=host, Origin=origin, Connection="Upgrade", Upgrade="websocket",
               Sec_WebSocket_Version="13", Sec_WebSocket_Key=key)  # fmt: skip
