"""Work in threads as server-sent events, ended when the client leaves."""

import asyncio
import contextvars
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from fastapi.responses import StreamingResponse

from ui.api.problems import problem_of
from ui.documents import Document

_END: Any = object()
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def events(source: Iterator[Document]) -> StreamingResponse:
    """One event for each document, named by its `event`; an error on the way becomes the event `problem`."""
    return StreamingResponse(_encoded(source), media_type="text/event-stream", headers=HEADERS)


async def _encoded(source: Iterator[Document]) -> AsyncIterator[bytes]:
    async for document in in_thread(source):
        data = json.dumps(document, ensure_ascii=True)
        yield f"event: {document['event']}\ndata: {data}\n\n".encode()


async def in_thread(source: Iterator[Document]) -> AsyncIterator[Document]:
    """The documents of a generator that computes; it is closed when this one is, after the step that is under way."""
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()  # every step belongs to the same request, in whichever thread it runs
    step: Future[Document] | None = None
    try:
        while True:
            waiting = loop.run_in_executor(None, context.run, _next, source)
            step = waiting  # type: ignore[assignment]  # an asyncio future; its callbacks are alike
            document = await asyncio.shield(waiting)
            step = None
            if document is _END:
                return
            yield document
            if document.get("event") == "problem":
                return
    finally:
        if step is not None:
            step.add_done_callback(lambda _: loop.run_in_executor(None, _close, source))
        else:
            loop.run_in_executor(None, _close, source)


def _next(source: Iterator[Document]) -> Document:
    try:
        document: Document = next(source, _END)
    except Exception as error:  # noqa: BLE001  # the client is told, the log has the rest
        return {"event": "problem", **problem_of(error)}
    return document


def _close(source: Iterator[Document]) -> None:
    close = getattr(source, "close", None)
    with suppress(Exception):
        if close is not None:
            close()
