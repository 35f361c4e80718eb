"""Our model and our retrieval as LangChain components.

    LlaveroChatModel(engine=engine)          a BaseChatModel: invoke, stream, batch, async, `prompt | model`
    LlaveroRetriever(retriever=retriever)    a BaseRetriever: a question → Documents
    write_with(chat)                         any BaseChatModel as a function: turns → the reply

Pictures travel as content parts with their bytes in them (data URLs or base64). An address is never fetched.
"""

import base64
import binascii
import contextvars
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import run_in_executor
from PIL import Image
from pydantic import Field

from indexing.store.protocol import Filter
from llava_model.errors import PictureTooLargeError, UnreadablePictureError
from llava_model.images import open_picture
from llava_model.serving.engine import Turn
from rag.errors import PictureAddressError, PictureDataError
from rag.prompt import Write
from rag.retrieve import Retriever, SearchRequest

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_MOST_PIXELS = 50_000_000
_LONGEST_SIDE = 1536


class LlaveroChatModel(BaseChatModel):
    """A LLaVA in this process behind LangChain's interface. Tools and sampling other than temperature are not there."""

    engine: Any
    """An `llava_model.serving.engine.Engine`, or anything with its `stream`, `count_tokens` and `name`."""

    max_new_tokens: int = Field(default=256, ge=1)
    """Most tokens of a reply."""

    temperature: float = Field(default=0.0, ge=0.0)
    """0 always takes the likeliest token."""

    @property
    def _llm_type(self) -> str:
        return "llavero"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "model": self.engine.name,
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
        }

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        turns, written = turns_of(messages), ""
        pieces = self.engine.stream(
            turns,
            max_new_tokens=kwargs.get("max_tokens") or self.max_new_tokens,
            temperature=kwargs.get("temperature", self.temperature),
            stop=tuple(stop or ()),
            not_first=tuple(kwargs.get("not_first") or ()),
        )
        with closing(pieces):
            for piece in pieces:
                written += piece
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
                if run_manager is not None:
                    run_manager.on_llm_new_token(piece, chunk=chunk)
                yield chunk
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                response_metadata={"model_name": self.engine.name},
                usage_metadata=self._usage(turns, written),
                chunk_position="last",
            )
        )

    def _usage(self, turns: Sequence[Turn], written: str) -> UsageMetadata:
        """What was read and written, in the engine's tokens."""
        read, wrote = int(self.engine.count_tokens(turns)), self.get_num_tokens(written)
        return UsageMetadata(input_tokens=read, output_tokens=wrote, total_tokens=read + wrote)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        """What LangChain's tracers call this model, where somebody has switched one on."""
        return LangSmithParams(
            ls_provider="llavero",
            ls_model_name=kwargs.get("model", self.engine.name),
            ls_model_type="chat",
            ls_temperature=kwargs.get("temperature", self.temperature),
            ls_max_tokens=kwargs.get("max_tokens") or self.max_new_tokens,
            **({"ls_stop": stop} if stop else {}),
        )

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        pieces = self._stream(messages, stop, **kwargs)
        done = object()
        try:
            while True:
                chunk = await run_in_executor(None, next, pieces, done)
                if not isinstance(chunk, ChatGenerationChunk):
                    return
                if run_manager is not None and chunk.text:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Exactly what the engine would read, pictures and the template's marks included."""
        return int(self.engine.count_tokens(turns_of(messages)))

    def get_num_tokens(self, text: str) -> int:
        """The tokens of `text` as one question, without the template around it."""
        framed = [Turn(role="user", text=text)]
        return int(self.engine.count_tokens(framed) - self.engine.count_tokens([Turn(role="user", text="")]))


class LlaveroRetriever(BaseRetriever):
    """Llavero's search behind LangChain's interface: relevant chunks as Documents, best first."""

    retriever: Retriever
    k: int = Field(default=SearchRequest.k, ge=1)
    filter: Filter = Field(default_factory=Filter)
    relevant_only: bool = True
    """Leave out what was found but does not answer; an empty list then means: nothing relevant here."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        found = self.retriever.search(SearchRequest(text=query, k=k or self.k, filter=self.filter))
        hits = found.answers if self.relevant_only else found.hits
        return [
            Document(
                id=hit.chunk.id,
                page_content=hit.chunk.searchable_text,
                metadata={
                    "path": hit.chunk.path,
                    "page": hit.chunk.page,
                    "kind": hit.chunk.kind,
                    "box": hit.chunk.box,
                    "score": hit.score,
                },
            )
            for hit in hits
        ]


def write_with(chat: BaseChatModel) -> Write:
    """The whole reply of this model, from turns. Nothing is traced."""

    def write(turns: Sequence[Turn], max_new_tokens: int, stop: Sequence[str]) -> str:
        context = contextvars.copy_context()
        context.run(trace_nothing)
        messages = messages_of(turns, lossless=isinstance(chat, LlaveroChatModel))
        reply = context.run(chat.invoke, messages, stop=list(stop) or None, max_tokens=max_new_tokens)
        return str(reply.text)

    return write


def trace_nothing() -> None:
    """LangSmith's switch for this context: whatever the environment says, prompts are not sent to it."""
    from langsmith.run_helpers import _set_tracing_context, get_tracing_context

    _set_tracing_context({**get_tracing_context(), "enabled": False})


def messages_of(turns: Sequence[Turn], *, lossless: bool = False) -> list[BaseMessage]:
    """Our turns as LangChain messages; pictures become data URLs in front of the words, JPEG unless `lossless`."""
    return [_message(turn, lossless) for turn in turns]


def turns_of(messages: Sequence[BaseMessage]) -> tuple[Turn, ...]:
    """LangChain messages as our turns. Raises PictureAddressError for a picture that would have to be fetched."""
    return tuple(_turn(message) for message in messages)


def _message(turn: Turn, lossless: bool) -> BaseMessage:
    if turn.role == "system":
        return SystemMessage(content=turn.text)
    if turn.role == "assistant":
        return AIMessage(content=turn.text)
    if not turn.images:
        return HumanMessage(content=turn.text)
    pictures = [
        {"type": "image_url", "image_url": {"url": data_url(image, lossless=lossless)}} for image in turn.images
    ]
    return HumanMessage(content=[*pictures, {"type": "text", "text": turn.text}])


def _turn(message: BaseMessage) -> Turn:
    role = _ROLES.get(message.type)
    if role is None:
        raise ValueError(f"a message of type '{message.type}' cannot be shown to the model: only system, human, ai")
    if isinstance(message.content, str):
        return Turn(role=role, text=message.content)  # type: ignore[arg-type]  # one of the three above
    words: list[str] = []
    pictures: list[Image.Image] = []
    for part in message.content:
        if isinstance(part, str):
            words.append(part)
        elif part.get("type") == "text":
            words.append(str(part["text"]))
        elif part.get("type") in ("image_url", "image"):
            pictures.append(_picture(part))
        else:
            raise ValueError(f"a message has a part of type '{part.get('type')}': only text and pictures are read")
    return Turn(role=role, text="\n".join(words), images=tuple(pictures))  # type: ignore[arg-type]  # as above


def data_url(image: Image.Image, *, lossless: bool = False) -> str:
    """The picture in a data URL, its longer side at most 1,536 pixels; no vision tower sees more of it at once."""
    picture = image.convert("RGB")
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    buffer = io.BytesIO()
    if lossless:
        picture.save(buffer, "PNG", compress_level=1)
    else:
        picture.save(buffer, "JPEG", quality=90)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _picture(part: dict[str, Any]) -> Image.Image:
    """The pixels of a content part, in OpenAI's or LangChain's own writing."""
    if "base64" in part:
        return _decoded(str(part["base64"]))
    given = part.get("image_url", part.get("url", ""))
    address = str(given.get("url", "") if isinstance(given, dict) else given)
    head, comma, payload = address.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise PictureAddressError(address)
    return _decoded(payload)


def _decoded(payload: str) -> Image.Image:
    try:
        return open_picture(base64.b64decode(payload, validate=True), max_pixels=_MOST_PIXELS)
    except (binascii.Error, PictureTooLargeError, UnreadablePictureError) as error:
        raise PictureDataError(str(error)) from error
