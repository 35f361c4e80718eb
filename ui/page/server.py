"""The process that serves the page: Streamlit behind the guard, with the settings of `ui.launch` and no others."""

import argparse
import atexit
import logging
import os
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from ui import launch, logs, telemetry
from ui.launch import HOSTS_VARIABLE
from ui.page.watched import Watched
from ui.settings import Settings
from ui.sign_in import SignIn
from ui.wording import attempt

if TYPE_CHECKING:
    from ui.api.libraries import OpenLibrary

# Who may talk to the page's server: the page itself, loaded under one of the server's own names.
#
# It stands before Streamlit and looks at every request:
#
# * **Host** is one of the names the server goes by, so no other site can point its own name at this machine.
# * **Origin**, which browsers send and pages cannot forge, is the very host and port that the request went to. A
#   WebSocket, an upload and everything else that changes something must bring it; requests without one are refused.
#   Streamlit never sees it: for one it does not know, it would ask another machine for this machine's address.
# * **Sec-Fetch-Site**: another site may link to the page, and cannot embed or fetch anything of it.
# * **/media**, the original files of the library, needs the cookie that came with the page in this run of the server.
#
# Every answer forbids the browser to ask any other machine, whatever text or setting may have got into the page.

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob:",
        "style-src 'self' 'unsafe-inline'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
ANSWER_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
WRONG_HOST = f"Llavero's page does not go by this name. If it should, name it in {HOSTS_VARIABLE} and start it again.\n"
WRONG_ORIGIN = "Only Llavero's own page may ask this.\n"
NO_COOKIE = "Open Llavero's page first.\n"
_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?", re.IGNORECASE)
_ORIGIN = re.compile(r"(https?)://(.+)", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_READING = ("GET", "HEAD")
_MEDIA = "/media"
Address = tuple[str, int | None]


class Guard:
    """The middleware; `hosts` are the names and addresses, without ports, under which the server is reached."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._token = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        refusal = self._refusal(request)
        if scope["type"] == "websocket":
            await (self._app(_without_origin(scope), receive, send) if not refusal else _close(send))
        elif refusal:
            await PlainTextResponse(refusal, 403)(scope, receive, self._marking(send, request, new=False))
        else:
            new = not self._has_cookie(request) and not _is_media(request)
            await self._app(scope, receive, self._marking(send, request, new=new))

    def _refusal(self, request: HTTPConnection) -> str:
        """Why not, in a sentence for a person; empty when the request is welcome."""
        own = _address(_only(request, "host"))
        if own is None or own[0] not in self._hosts:
            return WRONG_HOST
        opens = request.scope["type"] == "websocket"
        origin = _only(request, "origin")
        if (origin is not None or opens or request.scope["method"] not in _READING) and not _is_from(origin, own):
            return WRONG_ORIGIN
        if not opens and _is_foreign(request):
            return WRONG_ORIGIN
        return NO_COOKIE if _is_media(request) and not self._has_cookie(request) else ""

    def _has_cookie(self, request: HTTPConnection) -> bool:
        brought = request.cookies.get(_cookie_name(request), "")
        return secrets.compare_digest(brought.encode(), self._token.encode())

    def _marking(self, send: Send, request: HTTPConnection, *, new: bool) -> Send:
        """`send` with the headers of every answer, and the cookie for a browser that has none yet."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(ANSWER_HEADERS)
                if new:
                    cookie = f"{_cookie_name(request)}={self._token}; Path=/; HttpOnly; SameSite=Lax"
                    headers.append("Set-Cookie", cookie)
            await send(message)

        return marked


def _only(request: HTTPConnection, name: str) -> str | None:
    """The value of the header; "" if it is there twice, which no honest client does."""
    values = request.headers.getlist(name)
    return None if not values else values[0] if len(values) == 1 else ""


def _address(host: str | None) -> Address | None:
    """`LOCALHOST:8501` → `("localhost", 8501)`; the port is None where none is named."""
    found = _HOST.fullmatch(host or "")
    if found is None:
        return None
    return found[1].lower().strip("[]").rstrip("."), int(found[2]) if found[2] else None


def _is_from(origin: str | None, own: Address) -> bool:
    """Whether the page that asks was loaded from the address that it asks."""
    found = _ORIGIN.fullmatch(origin or "")
    asking = _address(found[2]) if found else None
    if found is None or asking is None:
        return False
    default = _DEFAULT_PORTS[found[1].lower()]
    return (asking[0], asking[1] or default) == (own[0], own[1] or default)


def _is_foreign(request: HTTPConnection) -> bool:
    """Whether another site asks. A person who follows a link from another site to the page does not count."""
    headers = request.headers
    if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return False
    follows_link = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
    return not follows_link or _is_media(request)


def _is_media(request: HTTPConnection) -> bool:
    return str(request.scope["path"]).lstrip("/").startswith(_MEDIA.lstrip("/"))


def _cookie_name(request: HTTPConnection) -> str:
    """A cookie's name that has the port in it, because all servers of one machine share their cookies."""
    own = _address(request.headers.get("host"))
    return f"llavero-{own[1] if own else ''}"


def _without_origin(scope: Scope) -> Scope:
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name.lower() != b"origin"]}


async def _close(send: Send) -> None:
    """Refuse a WebSocket before its handshake is answered; the client gets a 403."""
    await send({"type": "websocket.close", "code": 1008})


HERE = Path(__file__).parent
_OPENS_WITHIN_SECONDS = 120.0
_TRIES_AGAIN_SECONDS = 0.1


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--api-port", type=int, default=0)
    parser.add_argument("--keys", type=Path)
    asked = parser.parse_args()
    # A theme or a font in the user's own file can name an address, which Streamlit or the browser would fetch.
    config.get_config_files = lambda file_name: [str(HERE / ".streamlit" / file_name)]
    _begin_logs()
    telemetry.begin()
    sign_in = Settings.load(Path(os.environ.get("LLAVERO_LIBRARY", "library"))).sign_in
    allowed = launch.hosts(asked.address, page_host=sign_in.host if sign_in else "")
    layers = [Middleware(Watched), Middleware(Guard, hosts=allowed)]
    gate, kept = _gate(sign_in) if sign_in else ([], None)
    app = st.App(HERE / "app.py", middleware=[*layers, *gate], secrets=kept)
    shown = "127.0.0.1" if asked.address in launch.ANY_ADDRESS else asked.address
    url = f"http://{shown}:{asked.port}"
    interface = _interface(asked.address, asked.api_port, asked.keys) if asked.api_port else None
    threading.Thread(target=_open, args=(url, interface), name="llavero-opening", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):  # the HTTP server ends first and hands the signal on
        signal.signal(number, _end)
    app.run(config=launch.settings(asked.port, asked.address, allowed))


def _gate(sign_in: SignIn) -> tuple[list[Middleware], dict[str, Any]]:
    """The gate of a page to which people sign in, and what Streamlit has to know for that."""
    from ui.page import gate
    from ui.page.sessions import Sessions, entrance

    sessions = Sessions(minutes=sign_in.session_minutes)
    entrance.sessions, entrance.cookie = sessions, gate.cookie_name(sign_in)
    return [Middleware(gate.Gate, sign_in=sign_in, sessions=sessions)], gate.streamlits_secrets(sign_in)


def _begin_logs() -> None:
    """As `llavero ui` was told; Streamlit's own loggers write the same lines then."""
    log_format, audit = os.environ.get(logs.FORMAT_VARIABLE, ""), os.environ.get(logs.AUDIT_VARIABLE, "")
    logs.set_up(log_format, Path(audit) if audit else None)
    if log_format == "json":
        from streamlit import logger

        def same_lines(log: logging.Logger) -> None:
            log.handlers.clear()
            log.propagate = True

        logger.__dict__["setup_formatter"] = same_lines  # of those that are made later, too
        logger.update_formatter()


def _interface(address: str, port: int, keys: Path | None) -> "Callable[[OpenLibrary], None]":
    """Take the port now, and answer there once the library is open. Raises SettingsError."""
    from ui.api.access import KeyFile, default_key_file
    from ui.api.server import listen, serve_beside

    listening = listen(address, port, KeyFile(keys or default_key_file()))

    def serve(library: "OpenLibrary") -> None:
        serve_beside(library, listening, keys=keys)

    return serve


def _open(url: str, interface: "Callable[[OpenLibrary], None] | None") -> None:
    """Open the library while the browser is on its way; terminals find it from then on. While another process has it,
    such as a terminal's question, wait for that."""
    from indexing.errors import LibraryInUseError
    from ui.api.libraries import load_behind
    from ui.api.server import OwnersSocket
    from ui.page import shared

    def on_open(library: "OpenLibrary") -> None:
        socket = OwnersSocket(library, url=url)
        atexit.register(socket.close)
        if interface is not None:
            interface(library)
        load_behind(library)

    shared.opened.on_open = on_open
    deadline = time.monotonic() + _OPENS_WITHIN_SECONDS
    while isinstance(attempt(shared.opened.get), LibraryInUseError) and time.monotonic() < deadline:
        time.sleep(_TRIES_AGAIN_SECONDS)


def _end(signal_number: int, frame: FrameType | None) -> None:
    """End the process normally, so that the functions registered with `atexit` close the library."""
    sys.exit(0)


if __name__ == "__main__":
    main()
