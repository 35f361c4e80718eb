"""The processes that listen: one library's socket in a thread, and the interface over TCP in the main one."""

import signal
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from llava_model.serving.http.access_control import take_port
from llava_model.serving.http.connections import ConnectionLimits, connection_class
from ui import owner
from ui.api.access import AccessRules, KeyFile, RateLimit, Scope, default_key_file
from ui.api.app import build_app, build_owners_app
from ui.api.libraries import Libraries, OpenLibrary, load_behind
from ui.api.tools import build_tools, over_http

_ENDS_WITHIN_SECONDS = 5.0
_PER_MINUTE = 600
_OWNERS_PER_MINUTE = 1_000_000


class OwnersSocket:
    """Answers at one library's socket, from a thread of its own, as long as the library is open."""

    def __init__(self, library: OpenLibrary, *, url: str = "") -> None:
        """`url` is told to clients: where the same process serves the page or the interface."""
        self._folder = library.service.bench.library_folder
        rules = AccessRules(keys=KeyFile(self._folder / "nokeys"), rate=RateLimit(_OWNERS_PER_MINUTE))
        app = build_owners_app(Libraries.with_open(library), rules, url=url)
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", access_log=False))
        self._listening = owner.listen(self._folder)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listening]}, name="llavero-socket", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Nobody finds this process any more; requests under way get a few seconds."""
        owner.let_go(self._folder)
        self._server.should_exit = True
        self._thread.join(_ENDS_WITHIN_SECONDS)


def listen(host: str, port: int, keys: KeyFile) -> socket.socket:
    """Take the port. Raises ServerError, also for an address that others reach while there are no keys."""
    advice = "Make a key first: llavero key add NAME --scope read"
    return take_port(host, port, is_protected=bool(keys.all()), advice=advice)


def serve_beside(library: OpenLibrary, listening: socket.socket, *, keys: Path | None) -> uvicorn.Server:
    """The interface over TCP from a thread, beside the page that has the library open; set `should_exit` to end it."""
    libraries = Libraries.with_open(library)
    rules = AccessRules(keys=KeyFile(keys or default_key_file()), rate=RateLimit(_PER_MINUTE))
    app = build_app(libraries, rules, tools=_tools(libraries, write=False))
    server = uvicorn.Server(_config(app))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="llavero-interface", daemon=True).start()
    return server


def _tools(libraries: Libraries, *, write: bool) -> Any:
    return over_http(build_tools(lambda: {each.name: each.service for each in libraries}, write=write))


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app, log_config=None, access_log=False, http=connection_class(ConnectionLimits()), timeout_graceful_shutdown=5
    )


def serve(
    libraries: Libraries,
    listening: socket.socket,
    *,
    keys: Path | None,
    write_tools: bool,
    on_ready: Callable[[str], None],
    origins: Sequence[str] = (),
) -> None:
    """Answer over TCP and at every library's socket until a signal ends it; then everything is closed."""
    rules = AccessRules(keys=KeyFile(keys or default_key_file()), rate=RateLimit(_PER_MINUTE))
    scope: Scope = "admin" if write_tools else "read"  # tools that write name paths of this machine
    app = build_app(libraries, rules, tools=_tools(libraries, write=write_tools), tools_scope=scope, origins=origins)
    host, port = listening.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    sockets: list[OwnersSocket] = []

    def opened(library: OpenLibrary) -> None:
        sockets.append(OwnersSocket(library, url=url))
        load_behind(library)

    for library in libraries:
        opened(library)
    libraries.on_open = opened
    server = _Server(_config(app), lambda: on_ready(url))
    signal.signal(signal.SIGTERM, _interrupt)  # uvicorn raises it again at its end, which would skip what follows here
    try:
        server.run(sockets=[listening])
    finally:
        for each in sockets:
            each.close()
        libraries.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._on_ready()
