"""The model behind OpenAI's chat interface over HTTP: models, chat completions, health. Nothing else, and no pages.

    listen (takes the port before minutes go into loading) → ModelServer(engine, …).run() until a signal ends it
    a request: connection → access control → body → place in the queue → JSON → ChatRequest → engine → reply → JSON

A client that leaves ends its request. Needs the packages of the extra `serve`: starlette and uvicorn, of which only
`connections` knows too, and pydantic, which `protocol` uses.
"""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from llava_model.errors import MissingPackageError, RequestRefusedError
from llava_model.serving.engine import Engine, Reply
from llava_model.serving.http.access_control import admit

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from starlette.types import Message, Receive, Scope, Send

    from llava_model.serving.http.connections import Bodies, BodyLimits, ConnectionLimits, connection_class
    from llava_model.serving.http.protocol import ChatResponse, event, fault, shown
    from llava_model.serving.http.request_queue import Cancellation, ConversationLimits, RequestQueue
except ImportError as missing:
    raise MissingPackageError(
        missing.name or "uvicorn", purpose="serving over HTTP", install="'llavero[serve]'"
    ) from None

logger = logging.getLogger(__name__)
STOPPING = RequestRefusedError("the server is being stopped", status=503, code="stopping")
_BROKEN = RequestRefusedError("the model failed while it wrote this reply", status=500, code="internal_error")


class ChatCompletions:
    """The ASGI application of /v1/chat/completions."""

    def __init__(self, queue: RequestQueue, bodies: Bodies, *, api_key: str) -> None:
        self._queue, self._bodies, self._api_key = queue, bodies, api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises RequestRefusedError as long as nothing has been answered."""
        request = Request(scope, receive)
        admit(request.headers, api_key=self._api_key)
        self._queue.check_room()  # now, so that no client sends 20 MB in vain
        answering = _Answering(self._queue, send)
        try:
            await _unless_gone(receive, answering.answer(await self._bodies.receive(request)))
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:  # the server ends; a client that left is no exception here
            await answering.break_off(STOPPING)


class _Answering:
    """Writes one answer and knows whether it has begun."""

    def __init__(self, queue: RequestQueue, send: Send) -> None:
        self._queue, self._send, self._begun = queue, send, False

    async def answer(self, body: bytearray) -> None:
        with self._queue.place(), Cancellation() as cancelled:
            asked = await self._queue.prepare(body, cancelled)
            del body  # up to 20 MB that nobody needs while the reply waits and is written
            response = ChatResponse(model=self._queue.engine.name, include_usage=asked.include_usage)
            async with aclosing(self._queue.pieces(asked.reply)) as pieces:
                if asked.stream:
                    await self._stream(response, asked.reply, pieces)
                else:
                    text = "".join([text async for text in pieces])
                    await self._whole(JSONResponse(response.whole(text, asked.reply)))

    async def break_off(self, why: RequestRefusedError) -> None:
        """End an answer that cannot go on with an error."""
        if self._begun:
            await self._send({"type": "http.response.body", "body": event(fault(why))})
        else:
            await self._whole(refusal(why))

    async def _stream(self, response: ChatResponse, reply: Reply, pieces: Any) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await self._out({"type": "http.response.start", "status": 200, "headers": headers})
        await self._more(response.opening())
        try:
            async for text in pieces:
                await self._more(response.piece(text))
        except Exception:  # whatever the model raises: the status is sent already, so an event must say that it failed
            logger.exception("a reply broke off")
            await self.break_off(_BROKEN)
            return
        await self._out({"type": "http.response.body", "body": response.closing(reply)})

    async def _more(self, body: bytes) -> None:
        await self._out({"type": "http.response.body", "body": body, "more_body": True})

    async def _out(self, message: Message) -> None:
        self._begun = True
        await self._send(message)

    async def _whole(self, response: Response) -> None:
        self._begun = True
        await response({"type": "http"}, _nothing_more, self._send)


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work; stop it if the client leaves meanwhile."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait((working, leaving))


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def refusal(refused: RequestRefusedError) -> JSONResponse:
    """The response for a refused request."""
    seconds = refused.retry_after_seconds
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(fault(refused), refused.status, headers)


_BACKLOG = 128
"""How many connections asyncio accepts before it can close the first of them again. Often a process may open only 1,024
files, so this must stay well below."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSettings:
    """Who is answered, and how much is done at once."""

    api_key: str = field(default="", repr=False)
    """What clients send as `Authorization: Bearer …`; "" lets anybody on this machine ask."""

    most_waiting: int = 32
    """Requests beside those that are being written, which the engine limits; more are told to come again (429)."""

    default_tokens: int = 1024
    """The longest reply if a client names no limit."""

    max_pixels: int = 50_000_000
    """Of all pictures in one request together, known before they are decoded."""

    conversation: ConversationLimits = field(default_factory=ConversationLimits)
    """Of one request's messages; the model's context bounds them too."""

    body: BodyLimits = field(default_factory=BodyLimits)
    """Of what is being received."""

    connection: ConnectionLimits = field(default_factory=ConnectionLimits)
    """Of connections that ask nothing, or do not take their answer."""

    grace_seconds: int = 5
    """How long replies may go on being written after the server has been asked to end."""


class ModelServer:
    """Serves an engine on a port from `access_control.listen`. `run` blocks until a signal or `stop`."""

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
        """The base address for clients."""
        host, port = self._listening.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"

    def run(self, on_ready: Callable[[], object] = lambda: None) -> None:
        """Answer requests until SIGTERM or Ctrl-C, with some seconds left for what is being written."""
        self._server.on_ready = on_ready
        with self._listening, _signals_do_nothing_more():
            self._server.run(sockets=[self._listening])

    def stop(self) -> None:
        """What a signal does, from another thread."""
        self._server.should_exit = True


def application(engine: Engine, settings: ServerSettings) -> Starlette:
    """The routes over one engine."""
    queue = RequestQueue(
        engine,
        most_waiting=settings.most_waiting,
        max_pixels=settings.max_pixels,
        default_tokens=settings.default_tokens,
        limits=settings.conversation,
    )
    chat = ChatCompletions(queue, Bodies(settings.body), api_key=settings.api_key)
    described = {
        "id": engine.name,
        "object": "model",
        "created": 0,
        "owned_by": "llavero",
        "context_tokens": engine.context_tokens,
        "sees_images": engine.sees_images,
    }

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "model": engine.name, "requests": queue.places_taken})

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
        queue.close()

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
    """The error goes to the server's own output, not to the client. The answer announces that the connection ends,
    because a client that used it again would find it closed."""
    answer = refusal(RequestRefusedError("something broke in the server", status=500, code="internal_error"))
    answer.headers["Connection"] = "close"
    return answer


class _Server(uvicorn.Server):
    """uvicorn's server, with a callback when it listens."""

    on_ready: Callable[[], object]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()


@contextmanager
def _signals_do_nothing_more() -> Iterator[None]:
    """uvicorn ends on SIGTERM and Ctrl-C and then raises the signal again, which would end the process at once. Here a
    handler that does nothing takes it, and the caller goes on."""
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
