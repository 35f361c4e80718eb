"""One model, many clients: how many requests are written and may wait, whose turn it is, and which cannot be answered.

    place       only so many requests are taken at once; the others are told when to come again
    prepare     one at a time, beside the model's work: the JSON is read and counted, pictures are decoded, the text is
                tokenised; what cannot be answered is refused now, and a request whose client has left ends before its
                next step
    pieces      as many at once as the engine runs, the others first come, first served: the reply's text

Only one request's JSON and pictures are ever unpacked at the same time; after `prepare` only the pixels that a tower
takes are left.
"""

import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

from llava_model.errors import (
    ContextOverflowError,
    ConversationError,
    ImagesNotSupportedError,
    LlavaError,
    RequestRefusedError,
    TokenizerError,
    UnreadablePictureError,
)
from llava_model.images import open_picture
from llava_model.serving.engine import Engine, Reply, Turn
from llava_model.serving.http.protocol import ChatRequest, read_request, refuse_more


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationLimits:
    """What one request may hold, all its messages together: known before a picture is decoded or a word tokenised.

    The model's context sets limits of its own: a message is at least one token, a picture takes a fixed number of
    tokens, and no token stands for more characters than the longest one of the vocabulary. The lower limit counts; with
    a very long context that is the one set here.
    """

    messages: int = 4_096
    """Turns of the conversation, the system's included."""

    pictures: int = 64
    """Pictures of any size; `max_pixels` limits their pixels."""

    characters: int = 2_000_000
    """Tokenising as many takes about 4 s on one core."""

    def most_messages(self, engine: Engine) -> int:
        """How many messages are read at all."""
        return min(self.messages, engine.context_tokens)

    def check(self, asked: ChatRequest, engine: Engine) -> None:
        """Raises RequestRefusedError with both numbers, or ImagesNotSupportedError."""
        pictures = sum(len(said.pictures) for said in asked.messages)
        if pictures and not engine.sees_images:
            raise ImagesNotSupportedError(engine.name, pictures)
        characters = sum(len(said.text) for said in asked.messages)
        refuse_more("pictures", pictures, min(self.pictures, engine.most_images))
        refuse_more("characters", characters, min(self.characters, engine.most_characters))


_CLIENTS_FAULT: dict[type[LlavaError], str] = {
    ContextOverflowError: "context_length_exceeded",
    ImagesNotSupportedError: "images_not_supported",
    UnreadablePictureError: "invalid_image",
    ConversationError: "invalid_conversation",
    TokenizerError: "invalid_text",
}
_LONGEST_RETRY_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A request that the model can begin to answer."""

    reply: Reply
    stream: bool
    include_usage: bool


class RequestQueue:
    """The requests that wait for one engine. Used from one event loop; close it at the end, for it has threads."""

    def __init__(
        self,
        engine: Engine,
        *,
        most_waiting: int,
        max_pixels: int,
        default_tokens: int,
        limits: ConversationLimits,
    ) -> None:
        self.engine = engine
        self.places_taken = 0
        self._most_places = most_waiting + engine.max_running
        self._max_pixels, self._default_tokens = max_pixels, default_tokens
        self._limits = limits
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._writing = ThreadPoolExecutor(engine.max_running, thread_name_prefix="write")
        self._writers, self._seconds_a_reply = engine.max_running, 1.0
        self._closing = threading.Event()

    def check_room(self) -> None:
        """Check that a place is free at this moment. Raises RequestRefusedError (429)."""
        if self.places_taken >= self._most_places:
            raise RequestRefusedError(
                f"{self.places_taken} requests are being answered or waiting, there is room for no more",
                status=429,
                code="too_many_requests",
                retry_after_seconds=min(_LONGEST_RETRY_SECONDS, math.ceil(self._seconds_a_reply / self._writers)),
            )

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place, held from the whole body to the answer's last byte. Raises as `check_room` does."""
        self.check_room()
        self.places_taken += 1
        try:
            yield
        finally:
            self.places_taken -= 1

    async def prepare(self, body: bytes | bytearray, cancelled: Callable[[], bool]) -> Prepared:
        """The reply, not begun. Raises RequestRefusedError for what cannot be read.

        A task that is cancelled meanwhile leaves the queue, or ends the work before its next step.
        """
        return await asyncio.get_running_loop().run_in_executor(self._preparing, self._prepare, body, cancelled)

    async def pieces(self, reply: Reply) -> AsyncGenerator[str, None]:
        """The reply's text, as it is written; raises what the engine raises."""
        loop, texts = asyncio.get_running_loop(), asyncio.Queue[str | None]()
        written = loop.run_in_executor(
            self._writing, self._write, reply, lambda text: loop.call_soon_threadsafe(texts.put_nowait, text)
        )
        try:
            while (text := await texts.get()) is not None:
                yield text
            await written
        finally:
            written.cancel()  # takes the work back if its turn has not come yet

    def close(self) -> None:
        """Give up what is being written, and wait until the threads have ended."""
        self._closing.set()
        for pool in (self._preparing, self._writing):
            pool.shutdown(cancel_futures=True)

    # -- in the threads ---------------------------------------------------------------------------------------------

    def _prepare(self, body: bytes | bytearray, cancelled: Callable[[], bool]) -> Prepared:
        def given_up() -> bool:
            return cancelled() or self._closing.is_set()

        def before_step() -> None:
            if given_up():
                raise RequestRefusedError("the request was given up", status=503, code="stopping")

        before_step()
        asked = read_request(body, model=self.engine.name, most_messages=self._limits.most_messages(self.engine))
        before_step()
        try:
            self._limits.check(asked, self.engine)
            reply = self._reply(asked, given_up, before_step)
        except tuple(_CLIENTS_FAULT) as error:
            code = next(code for kind, code in _CLIENTS_FAULT.items() if isinstance(error, kind))
            raise RequestRefusedError(str(error), param="messages", code=code) from error
        return Prepared(reply=reply, stream=asked.stream, include_usage=bool(asked.include_usage))

    def _reply(self, asked: ChatRequest, given_up: Callable[[], bool], before_step: Callable[[], None]) -> Reply:
        return self.engine.stream(
            self._turns(asked, before_step),
            max_new_tokens=asked.max_tokens or self._default_tokens,
            shorten=asked.max_tokens is None,
            temperature=asked.temperature,
            top_p=asked.top_p,
            repetition_penalty=asked.repetition_penalty,
            seed=asked.seed,
            stop=asked.stop,
            cancelled=given_up,
            before_step=before_step,
        )

    def _turns(self, asked: ChatRequest, before_step: Callable[[], None]) -> list[Turn]:
        """All pictures of a request together stay within the limit of pixels."""
        pixels_left = self._max_pixels
        turns = []
        for said in asked.messages:
            images = []
            for picture in said.pictures:
                before_step()
                images.append(open_picture(picture, max_pixels=pixels_left))
                pixels_left -= images[-1].width * images[-1].height
            turns.append(Turn(role=said.role, text=said.text, images=tuple(images)))
        return turns

    def _write(self, reply: Reply, tell: Callable[[str | None], object]) -> None:
        began = time.monotonic()
        try:
            with closing(reply):
                for text in reply:
                    tell(text)
        finally:
            self._seconds_a_reply += 0.2 * (time.monotonic() - began - self._seconds_a_reply)
            tell(None)


class Cancellation:
    """Tells the engine's thread, from the event loop, that the client has left."""

    def __init__(self) -> None:
        self._said = threading.Event()

    def __enter__(self) -> Callable[[], bool]:
        return self._said.is_set

    def __exit__(self, *fault: object) -> None:
        self._said.set()
