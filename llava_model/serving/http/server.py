"""The model behind OpenAI's chat interface over HTTP: models, chat completions, health. Nothing else, and no pages.

    gate.listen (the port, before minutes go into loading) → ModelServer(engine, …).run() until a signal ends it
    a request: connections → gate → bodies → desk (a place; protocol: JSON → ChatRequest; limits) → engine → protocol
    (Reply → JSON), in chat's hands

Needs starlette and uvicorn (the extra `serve`); no other part of this package does.
"""

import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from llava_model.errors import MissingPackageError, RequestRefusedError
from llava_model.serving.engine import Engine
from llava_model.serving.http.access_control import admit
from llava_model.serving.http.protocol import shown
from llava_model.serving.http.request_queue import ConversationLimits, Desk

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from llava_model.serving.http.chat_completions import ChatCompletions, refusal
    from llava_model.serving.http.connections import Bodies, BodyLimits, ConnectionLimits, connection_class
except ImportError as missing:
    raise MissingPackageError(
        missing.name or "uvicorn", purpose="serving over HTTP", install="'llavero[serve]'"
    ) from None


_BACKLOG = 128
"""Connections that are taken in one go. asyncio opens as many before the first of them can be closed again, and often a
process may open 1,024 files only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSettings:
    """For whom the model is served, and how much of it at once."""

    api_key: str = field(default="", repr=False)
    """What clients send as `Authorization: Bearer …`; "" lets anybody on this machine ask."""

    most_waiting: int = 32
    """Requests beside the one that is answered; more are told to come again (429)."""

    default_tokens: int = 1024
    """The longest reply where a client does not say."""

    max_pixels: int = 50_000_000
    """Of all pictures in one request together, known before they are decoded."""

    conversation: ConversationLimits = field(default_factory=ConversationLimits)
    """Of one request's messages; the model's context bounds them too."""

    body: BodyLimits = field(default_factory=BodyLimits)
    """Of what is being received."""

    connection: ConnectionLimits = field(default_factory=ConnectionLimits)
    """Of connections that ask nothing, or do not take their answer."""

    grace_seconds: int = 5
    """What replies that are being written get when the server is asked to end."""


class ModelServer:
    """An engine behind a port from `gate.listen`. `run` blocks until a signal or `stop`."""

    def __init__(self, engine: Engine, listening: socket.socket, settings: ServerSettings) -> None:
        self._listening = listening
        self._server = _Server(
            uvicorn.Config(
                application(engine, settings),
                http=connection_class(settings.connection),
                backlog=_BACKLOG,
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=settings.grace_seconds,
            )
        )

    @property
    def url(self) -> str:
        """What clients are given as their base address."""
        host, port = self._listening.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"

    def run(self, on_ready: Callable[[], object] = lambda: None) -> None:
        """Answer; SIGTERM and Ctrl-C end it, with some seconds for what is being written."""
        self._server.on_ready = on_ready
        with self._listening, _signals_do_nothing_more():
            self._server.run(sockets=[self._listening])

    def stop(self) -> None:
        """What a signal does, from another thread."""
        self._server.should_exit = True


def application(engine: Engine, settings: ServerSettings) -> Starlette:
    """The routes over one engine."""
    desk = Desk(
        engine,
        most_waiting=settings.most_waiting,
        max_pixels=settings.max_pixels,
        default_tokens=settings.default_tokens,
        limits=settings.conversation,
    )
    chat = ChatCompletions(desk, Bodies(settings.body), api_key=settings.api_key)
    described = {
        "id": engine.name,
        "object": "model",
        "created": 0,
        "owned_by": "llavero",
        "context_tokens": engine.context_tokens,
        "sees_images": engine.sees_images,
    }

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "model": engine.name, "requests": desk.places_taken})

    async def models(request: Request) -> Response:
        admit(request.headers, api_key=settings.api_key)
        return JSONResponse({"object": "list", "data": [described]})

    async def model(request: Request) -> Response:
        admit(request.headers, api_key=settings.api_key)
        name = request.path_params["name"]
        if name != engine.name:
            raise RequestRefusedError(f"there is no model {shown(name)} here", status=404, code="model_not_found")
        return JSONResponse(described)

    @asynccontextmanager
    async def until_the_end(app: Starlette) -> AsyncIterator[None]:
        yield
        desk.close()

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", model),
            Route("/v1/chat/completions", chat, methods=["POST"]),
        ],
        exception_handlers={RequestRefusedError: _refused, HTTPException: _no_such_page, Exception: _broken},
        lifespan=until_the_end,
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefusedError), "registered for these"
    return refusal(error)


async def _no_such_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for these"
    said = f"{request.method} {shown(request.url.path)}: {error.detail}"
    return refusal(RequestRefusedError(said, status=error.status_code, code="not_found"))


async def _broken(request: Request, error: Exception) -> Response:
    """What went wrong stands in the server's own output, not in the answer. The connection ends and says so:
    a client that used it again would find it closed."""
    answer = refusal(RequestRefusedError("something broke in the server", status=500, code="internal_error"))
    answer.headers["Connection"] = "close"
    return answer


class _Server(uvicorn.Server):
    """uvicorn's, and it says when it listens."""

    on_ready: Callable[[], object]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()


@contextmanager
def _signals_do_nothing_more() -> Iterator[None]:
    """uvicorn ends on SIGTERM and Ctrl-C and then raises the signal again: to end the process as if nothing had been
    tidied up. Here it meets a handler that does nothing, and the caller goes on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
