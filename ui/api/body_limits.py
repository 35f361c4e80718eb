"""How much a request's body may have, and how long it may take to arrive; asked before a byte of it is kept.

Only what takes pictures, files or many questions needs much. What an upload in parts may have is checked where it is
written.
"""

import asyncio
import time

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

SMALL_BYTES = 2_000_000
QUESTIONS_BYTES = 20_000_000
LARGE_BYTES = 100_000_000
IDLE_SECONDS = 30.0
"""In which something more of a body must arrive."""
SMALL_SECONDS = 120.0
"""In which the whole of a small body must have arrived."""
_LARGE = ("/search", "/ask", "/chat/completions", "/embeddings", "/uploads/form")
_QUESTIONS = "/evaluations"


def limited(scope: Scope, receive: Receive) -> Receive:
    """`receive` of an HTTP request with the limits of its path. It raises HTTPException (408, 413)."""
    most = _most_bytes(scope)
    ends = time.monotonic() + SMALL_SECONDS if most == SMALL_BYTES else None
    seen, complete = 0, False

    async def within_limits() -> Message:
        nonlocal seen, complete
        if complete:  # what still comes is that the client leaves, which may take as long as the answer
            return await receive()
        seconds = IDLE_SECONDS if ends is None else max(0.0, min(IDLE_SECONDS, ends - time.monotonic()))
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the body came too slowly; send it again") from None
        seen += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if most is not None and seen > most:
            raise HTTPException(413, f"the body has more than {most:,} bytes")
        return message

    return within_limits


def _most_bytes(scope: Scope) -> int | None:
    """None where there is no limit here."""
    if scope["method"] == "PATCH":
        return None
    if scope["path"].endswith(_QUESTIONS):
        return QUESTIONS_BYTES
    return LARGE_BYTES if scope["path"].endswith(_LARGE) else SMALL_BYTES
