"""OpenAI's interface, answered from the libraries: each library is a model, its answers carry their citations.

`/v1/chat/completions`   the last user message is the question, the ones before are its history; `llavero` in the reply
                         has the citations, and the text ends with them as a list for clients that know no more
`/v1/models`             the libraries that the key may see
`/v1/embeddings`         texts and pictures in the space in which the library is searched
"""

import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from ui import wording
from ui.api import streams
from ui.api.access import OWNERS_KEY, Key, allow, authorise
from ui.api.bodies import Words
from ui.api.libraries import Libraries, OpenLibrary
from ui.api.problems import ProblemError, openais_error
from ui.documents import Document
from ui.service import Question, picture_of_data_url

router = APIRouter()
_DONE = b"data: [DONE]\n\n"
_STATES = {"quoted": "quoted", "supported": "supported", "unchecked": "not checked"}


class _Lenient(BaseModel):
    """Clients send many settings; those that change nothing here are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ImageUrl(_Lenient):
    """A data URL; addresses are not fetched."""

    url: Annotated[str, Field(max_length=70_000_000)]


class ContentPart(_Lenient):
    """Words or a picture."""

    type: Annotated[str, Field(max_length=50)]
    text: Words = ""
    image_url: ImageUrl | None = None


class AskedMessage(_Lenient):
    """What a side of the conversation said."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Words | Annotated[list[ContentPart], Field(max_length=64)] | None = None


class StreamOptions(_Lenient):
    """`include_usage`: a last piece without choices, which counts the tokens."""

    include_usage: bool = False


class ChatBody(_Lenient):
    """A chat completion; `model` is a library."""

    model: Annotated[str, Field(max_length=200)]
    messages: Annotated[list[AskedMessage], Field(min_length=1, max_length=400)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None


class EmbeddingsBody(_Lenient):
    """Texts, or pictures as data URLs. `space`: "text" for passages and questions, "clip" to meet pictures."""

    model: Annotated[str, Field(max_length=200)]
    input: Words | Annotated[list[Words | ImageUrl], Field(min_length=1, max_length=256)]
    space: Literal["text", "clip"] = "text"
    encoding_format: Literal["float", "base64"] = "float"


@router.get("/models", dependencies=[allow("read")])
def models(request: Request) -> Document:
    """The libraries that this key may see."""
    key: Key = getattr(request.state, "key", OWNERS_KEY)
    libraries: Libraries = request.app.state.libraries
    return {"object": "list", "data": [_model(each.name) for each in libraries if key.opens(each.name)]}


@router.get("/models/{model}", dependencies=[allow("read")])
def model(request: Request, model: str) -> Document:
    """One of them."""
    return _model(_library(request, model).name)


def _model(name: str) -> Document:
    return {"id": name, "object": "model", "created": 0, "owned_by": "llavero"}


@router.post("/chat/completions", dependencies=[allow("read")], response_model=None)
async def chat_completions(request: Request, body: ChatBody) -> StreamingResponse | JSONResponse:
    """An answer from the library, whole or as it is written."""
    library = _library(request, body.model)
    events = library.service.ask(question_of(body.messages))
    if body.stream:
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        chunks = _chunks(events, body.model, library if with_usage else None)
        return StreamingResponse(chunks, media_type="text/event-stream", headers=streams.HEADERS)
    answer: Document = {}
    async for event in streams.in_thread(events):
        if event["event"] == "problem":
            raise ProblemError(event["status"], event["detail"], *event.get("notes", ()))
        answer = event
    message = {"role": "assistant", "content": harmless(answer["answer"]) + sources(answer)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    usage = await run_in_threadpool(_usage, library, answer)
    return JSONResponse({**_head("chat.completion", body.model), "choices": [choice], "usage": usage, **_own(answer)})


@router.post("/embeddings", dependencies=[allow("read")])
def embeddings(request: Request, body: EmbeddingsBody) -> JSONResponse:
    """Vectors of unit length."""
    library = _library(request, body.model)
    inputs = [body.input] if isinstance(body.input, str) else body.input
    vectors = [_embedded(library, each, body.space) for each in inputs]
    data = [
        {"object": "embedding", "index": place, "embedding": _written(vector, body.encoding_format)}
        for place, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return JSONResponse({"object": "list", "data": data, "model": body.model, "usage": usage})


def question_of(messages: Sequence[AskedMessage]) -> Question:
    """The last user message as the question, with the turns before it. Raises ProblemError (422)."""
    last = max((place for place, each in enumerate(messages) if each.role == "user"), default=-1)
    if last < 0:
        raise ProblemError(422, "there is no message of a user")
    text, images = _content(messages[last])
    if not text.strip() and not images:
        raise ProblemError(422, "the question is empty: it has neither words nor a picture")
    history: list[tuple[str, str]] = []
    waiting = ""
    for each in messages[:last]:
        words = _content(each)[0]
        if each.role == "user":
            waiting = words
        elif each.role == "assistant" and waiting:
            history.append((waiting, words.split(_SOURCES)[0]))
            waiting = ""
    return Question(text=text, images=images, history=tuple(history))


def _content(message: AskedMessage) -> tuple[str, tuple[tuple[str, bytes], ...]]:
    if message.content is None or isinstance(message.content, str):
        return message.content or "", ()
    if unread := [part.type for part in message.content if part.type not in ("text", "image_url")]:
        raise ProblemError(422, f"a part of the type '{unread[0]}' is not read here; send 'text' or 'image_url'")
    texts = [part.text for part in message.content if part.type == "text"]
    addresses = [part.image_url.url for part in message.content if part.image_url is not None]
    try:
        return "\n".join(texts), tuple(map(picture_of_data_url, addresses))
    except ValueError as error:
        raise ProblemError(422, str(error)) from error


_SOURCES = "\n\n**Sources**\n"


def sources(answer: Document) -> str:
    """The citations as a Markdown list; "" without any. Names and quotes stand in code spans, which format nothing."""
    lines = []
    for citation in answer["citations"]:
        place = wording.shown(citation["path"].rpartition("/")[2])
        page = f", page {citation['page']}" if citation["page"] else ""
        state = "recognised" if citation["recognised"] else _STATES[citation["state"]]
        lines.append(f"- [{citation['marker']}] {state}: {_code(place)}{page}: {_code(citation['quote'])}")
    return _SOURCES + "\n".join(lines) if lines else ""


def _code(text: str) -> str:
    """A code span that its text cannot close."""
    text = " ".join(wording.visible(text).split())
    longest = max((len(run) for run in "".join(c if c == "`" else " " for c in text).split()), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}"


async def _chunks(events: Iterator[Document], model: str, counting: OpenLibrary | None) -> AsyncIterator[bytes]:
    """`counting` is the library where the client asks for the tokens."""
    head = _head("chat.completion.chunk", model) | ({"usage": None} if counting else {})

    def chunk(delta: Document, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return f"data: {json.dumps({**head, 'choices': [choice], **more})}\n\n".encode()

    yield chunk({"role": "assistant", "content": ""})
    streamed = held = ""
    async for event in streams.in_thread(events):
        if event["event"] == "token":
            streamed += event["text"]
            text, held = held + event["text"], "!" * (held + event["text"]).endswith("!")  # a bracket may follow
            if shown := harmless(text.removesuffix(held)):
                yield chunk({"content": shown})
        elif event["event"] == "problem":
            yield f"data: {json.dumps({'error': openais_error(event)})}\n\n".encode()
        elif event["event"] == "answer":
            rest = harmless(held + _correction(streamed, event["answer"])) + sources(event)
            if rest:
                yield chunk({"content": rest})
            yield chunk({}, "stop", **_own(event))
            if counting:
                usage = await run_in_threadpool(_usage, counting, event)
                yield f"data: {json.dumps({**head, 'choices': [], 'usage': usage})}\n\n".encode()
    yield _DONE


def harmless(text: str) -> str:
    """The same where Markdown is shown, without pictures: who shows one fetches its address, and a document may have
    talked the model into writing an address that carries the conversation away."""
    return text.replace("![", "!\\[")


def _correction(streamed: str, text: str) -> str:
    """What the check of the answer added, or the whole of it where it changed what was streamed already."""
    written = streamed.strip()
    if text.startswith(written):
        return text[len(written) :]
    return f"\n\n**Checked against the sources:** {text}"


def _own(answer: Document) -> Document:
    kept = ("refused", "confidence", "citations", "table", "hits", "milliseconds")
    return {"llavero": {name: answer[name] for name in kept if name in answer}}


def _head(kind: str, model: str) -> Document:
    return {"id": f"chatcmpl-{uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _usage(library: OpenLibrary, answer: Document) -> Document:
    """With the evidence in the prompt, which the client never sees."""
    asked, written = library.service.tokens(answer)
    return {"prompt_tokens": asked, "completion_tokens": written, "total_tokens": asked + written}


def _library(request: Request, name: str) -> OpenLibrary:
    """The library that the body names, which this key may see. Raises ProblemError (404), AccessError."""
    libraries: Libraries = request.app.state.libraries
    key: Key = getattr(request.state, "key", None) or authorise(request, "read")
    found = next((each for each in libraries if each.name == name and key.opens(name)), None)
    if found is None:
        raise ProblemError(404, f"there is no model '{name}'; the models are the libraries: GET /v1/models")
    return found


def _embedded(library: OpenLibrary, given: str | ImageUrl, space: str) -> list[float]:
    bench = library.service.bench
    if isinstance(given, ImageUrl):
        return library.service.picture_vector(*_picture(given.url))
    if not given.strip():
        raise ProblemError(422, "an empty text has no vector")
    encode = bench.embedder.embed_image_queries if space == "clip" else bench.embedder.embed_questions
    return [float(each) for each in encode([given])[0]]


def _picture(address: str) -> tuple[str, bytes]:
    try:
        return picture_of_data_url(address)
    except ValueError as error:
        raise ProblemError(422, str(error)) from error


def _written(vector: list[float], encoding: str) -> list[float] | str:
    if encoding == "float":
        return vector
    import base64
    import struct

    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
