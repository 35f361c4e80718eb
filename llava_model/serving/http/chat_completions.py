"""One chat completion over HTTP: body → place at the desk → answer, whole or in events. Who leaves ends it."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from llava_model.errors import RequestRefusedError
from llava_model.serving.http.access_control import admit
from llava_model.serving.http.connections import Bodies
from llava_model.serving.http.protocol import Answer, event, fault
from llava_model.serving.http.request_queue import Cancellation, Desk
from llava_model.serving.reply import Reply

_log = logging.getLogger(__name__)
STOPPING = RequestRefusedError("the server is being stopped", status=503, code="stopping")
_BROKEN = RequestRefusedError("the model failed while it wrote this reply", status=500, code="internal_error")


class ChatCompletions:
    """The ASGI application behind /v1/chat/completions."""

    def __init__(self, desk: Desk, bodies: Bodies, *, api_key: str) -> None:
        self._desk, self._bodies, self._api_key = desk, bodies, api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises RequestRefusedError as long as nothing has been answered."""
        request = Request(scope, receive)
        admit(request.headers, api_key=self._api_key)
        self._desk.check_room()  # before a client sends 20 MB for nothing
        answering = _Answering(self._desk, send)
        try:
            await _unless_gone(receive, answering.answer(await self._bodies.receive(request)))
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:  # the server ends; a client that left is no exception here
            await answering.break_off(STOPPING)


class _Answering:
    """Writes one answer and knows whether it has begun."""

    def __init__(self, desk: Desk, send: Send) -> None:
        self._desk, self._send, self._begun = desk, send, False

    async def answer(self, body: bytearray) -> None:
        with self._desk.place(), Cancellation() as cancelled:
            asked = await self._desk.prepare(body, cancelled)
            del body  # up to 20 MB that nobody needs while the reply waits and is written
            answer = Answer(model=self._desk.engine.name, include_usage=asked.include_usage)
            async with aclosing(self._desk.pieces(asked.reply)) as pieces:
                if asked.stream:
                    await self._stream(answer, asked.reply, pieces)
                else:
                    text = "".join([text async for text in pieces])
                    await self._whole(JSONResponse(answer.whole(text, asked.reply)))

    async def break_off(self, why: RequestRefusedError) -> None:
        """The last word of an answer that cannot go on."""
        if self._begun:
            await self._send({"type": "http.response.body", "body": event(fault(why))})
        else:
            await self._whole(refusal(why))

    async def _stream(self, answer: Answer, reply: Reply, pieces: Any) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await self._out({"type": "http.response.start", "status": 200, "headers": headers})
        await self._more(answer.opening())
        try:
            async for text in pieces:
                await self._more(answer.piece(text))
        except Exception:  # noqa: BLE001  # logged; the connection stays good for the next request
            _log.exception("a reply broke off")
            await self.break_off(_BROKEN)
            return
        await self._out({"type": "http.response.body", "body": answer.closing(reply)})

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
    """Do the work; should the client leave meanwhile, break it off."""
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
    """An error's answer."""
    seconds = refused.retry_after_seconds
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(fault(refused), refused.status, headers)
