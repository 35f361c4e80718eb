import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from fastapi.responses import StreamingResponse

from ui.api import streams
from ui.documents import Document


async def told(answer: StreamingResponse) -> list[Any]:
    pieces = [bytes(piece) if not isinstance(piece, str) else piece.encode() async for piece in answer.body_iterator]
    return [json.loads(piece.decode().partition("data: ")[2])["event"] for piece in pieces]


def test_slow_answers_take_no_thread_of_everything_else_and_do_not_stop_each_other() -> None:
    go = threading.Event()

    def slow() -> Iterator[Document]:
        go.wait(30)
        yield {"event": "answer"}

    def fast() -> Iterator[Document]:
        yield {"event": "answer"}

    async def many() -> list[list[Any]]:
        waiting = [asyncio.create_task(told(streams.events(slow()))) for _ in range(40)]
        await asyncio.sleep(0.2)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, int), 5)
            first = await asyncio.wait_for(told(streams.events(fast())), 5)
        finally:
            go.set()
        return [first, *await asyncio.gather(*waiting)]

    assert asyncio.run(many()) == [["answer"]] * 41


def test_an_error_in_a_state_that_is_looked_at_is_told_as_a_problem() -> None:
    async def looking() -> AsyncGenerator[Document, None]:
        yield {"event": "progress"}
        raise OSError(5, "the disk is gone")

    async def listen() -> list[Any]:
        return await told(streams.events(looking()))

    assert asyncio.run(listen()) == ["progress", "problem"]


def test_a_generator_is_closed_when_its_client_leaves() -> None:
    closed = threading.Event()

    def endless() -> Iterator[Document]:
        try:
            while True:
                yield {"event": "token"}
        finally:
            closed.set()

    async def leave() -> bool:
        body: Any = streams.events(endless()).body_iterator
        await anext(aiter(body))
        await body.aclose()
        return await asyncio.to_thread(closed.wait, 5)

    assert asyncio.run(leave())
