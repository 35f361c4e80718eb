"""Documents as server-sent events, ended when the client leaves: of work in threads, and of states that are looked at.

Work has threads of its own, so that however many answers are slow, everything else goes on.
"""

import asyncio
import contextvars
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Any

from fastapi.responses import StreamingResponse

from ui import wording
from ui.api.problems import problem_of
from ui.documents import Document

_END: Any = object()
MOST_THREADS = 128
"""Steps of streams that are computed, or wait for the model, at the same time; more wait for one of them."""
_threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="llavero-stream")
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def events(source: Iterator[Document] | AsyncGenerator[Document, None]) -> StreamingResponse:
    """One event for each document, named by its `event`; an error on the way becomes the event `problem`. A generator
    that computes runs in threads, one that only looks runs where it is asked."""
    documents = source if isinstance(source, AsyncGenerator) else in_thread(source)
    return StreamingResponse(_encoded(documents), media_type="text/event-stream", headers=HEADERS)


async def _encoded(documents: AsyncGenerator[Document, None]) -> AsyncIterator[bytes]:
    async with aclosing(documents):
        try:
            async for document in documents:
                yield _event(document)
        except wording.expected_faults() as error:
            yield _event({"event": "problem", **problem_of(error)})


def _event(document: Document) -> bytes:
    return f"event: {document['event']}\ndata: {json.dumps(document, ensure_ascii=True)}\n\n".encode()


async def in_thread(source: Iterator[Document]) -> AsyncGenerator[Document, None]:
    """The documents of a generator that computes; it is closed when this one is, after the step that is under way."""
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()  # every step belongs to the same request, in whichever thread it runs
    step: Future[Document] | None = None
    try:
        while True:
            waiting = loop.run_in_executor(_threads, context.run, _next, source)
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
            step.add_done_callback(lambda _: loop.run_in_executor(_threads, _close, source))
        else:
            loop.run_in_executor(_threads, _close, source)


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
