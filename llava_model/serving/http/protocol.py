"""OpenAI's chat interface: a request's JSON → ChatRequest, a Reply → the JSON of a ChatResponse.

    {"model": "pocket", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "stream": true}

`ChatRequest` says what a body may hold, and pydantic checks it. A field that changes the answer and that this server
does not know (tools, several choices, log probabilities …) is refused by name: to ignore it would be to answer another
question than was asked. Fields that change nothing (`user`, `metadata` …) are ignored. Pictures come as bytes inside
the request, in data URLs. An address is never fetched.
"""

import base64
import binascii
import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BeforeValidator,
    FailFast,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails, PydanticCustomError

from llava_model.errors import RequestRefusedError
from llava_model.serving.engine import Reply
from llava_model.text.templates import Role

MOST_MARKS = 500_000
"""Commas, colons and opening brackets of a body. JSON of many tiny values takes seconds to read (20 MB of empty lists:
2.3 s), and no other thread of the process runs meanwhile; long texts and pictures are read in a moment."""

_SHOWN_CHARACTERS = 80
_CODES = ("invalid_image", "invalid_image_url")
_UNKNOWN_PART = "only parts of type 'text' and 'image_url' are read"
_WORDS = {
    "too_short": "at least one is needed",
    "dataclass_type": "an object is needed",
    "union_tag_invalid": _UNKNOWN_PART,
    "union_tag_not_found": _UNKNOWN_PART,
}
"""Our words for faults of which pydantic's own words repeat the client's, or speak of programming."""
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")

_NOT_DONE_HERE: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
}
"""Fields that are refused, with the values that ask for nothing and are therefore taken. null always is."""


def _whole_characters(text: str) -> str:
    """The text, checked: half a surrogate pair is no character, and no tokenizer takes it."""
    if _HALF_A_CHARACTER.search(text):
        raise PydanticCustomError("invalid_value", "the text holds half a character (a lone surrogate)")
    return text


def _picture(given: object) -> bytes:
    """A data URL, alone or as {"url": …} → the bytes in it."""
    address = given.get("url") if isinstance(given, dict) else given
    head, comma, payload = address.partition(",") if isinstance(address, str) else ("", "", "")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise PydanticCustomError(
            "invalid_image_url",
            "a picture must come inside the request, as data:image/png;base64,…; no address is ever fetched",
        )
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PydanticCustomError("invalid_image", "the picture is not in base64: {why}", {"why": str(error)}) from None


def _parts(given: object, message: ValidationInfo) -> object:
    """The content as a list of parts. An assistant's may be missing, as it is where that called a tool."""
    if "role" not in message.data:  # it is refused for that: no picture of it is decoded
        raise PydanticCustomError("invalid_value", "the role is wrong")
    if not given and message.data["role"] == "assistant":
        given = ""
    return [{"type": "text", "text": given}] if isinstance(given, str) else given


def _stops(given: object) -> object:
    """A text alone, or a list, in which an empty text stops nothing."""
    return [stop for stop in given if stop != ""] if isinstance(given, list) else [given] if given else []


Text = Annotated[StrictStr, AfterValidator(_whole_characters)]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPart:
    """Words of a message."""

    type: Literal["text"]
    text: Text


@dataclass(frozen=True, kw_only=True, slots=True)
class PicturePart:
    """A picture of a message: the bytes of a file (PNG, JPEG …) that nobody has looked at."""

    type: Literal["image_url"]
    image_url: Annotated[bytes, BeforeValidator(_picture)]


Part = Annotated[TextPart | PicturePart, Field(discriminator="type")]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatMessage:
    """One message."""

    role: Annotated[Role, BeforeValidator(lambda named: "system" if named == "developer" else named)]
    content: Annotated[list[Part], Field(min_length=1, validate_default=True), FailFast(), BeforeValidator(_parts)] = (
        field(default_factory=list)
    )

    def __post_init__(self) -> None:
        if self.role != "user" and self.pictures:
            raise PydanticCustomError("invalid_value", "only a user's message may hold pictures")

    @property
    def text(self) -> str:
        """The words of all parts, a line for each part."""
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def pictures(self) -> tuple[bytes, ...]:
        """The files of all pictures, in order."""
        return tuple(part.image_url for part in self.content if isinstance(part, PicturePart))


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """What a client asks for. A field that is null counts as left out."""

    messages: Annotated[list[ChatMessage], Field(min_length=1), FailFast()]
    stream: StrictBool = False
    include_usage: Annotated[
        StrictBool | None, Field(validation_alias=AliasPath("stream_options", "include_usage"))
    ] = None
    max_tokens: Annotated[
        StrictInt | None, Field(ge=1, le=2**31, validation_alias=AliasChoices("max_completion_tokens", "max_tokens"))
    ] = None
    """None: as many as the server gives."""
    temperature: Annotated[StrictFloat, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[StrictFloat, Field(ge=1e-6, le=1)] = 1.0
    repetition_penalty: Annotated[StrictFloat, Field(ge=0.01, le=10)] = 1.0
    """Not OpenAI's; vLLM and others know it by this name."""
    seed: Annotated[StrictInt | None, Field(ge=-(2**63), le=2**63 - 1)] = None
    stop: Annotated[list[Text], Field(max_length=4), BeforeValidator(_stops)] = field(default_factory=list)


_REQUEST = TypeAdapter(ChatRequest)


def read_request(body: bytes | bytearray, *, model: str, most_messages: int = MOST_MARKS) -> ChatRequest:
    """Check and read a request's body. Raises RequestRefusedError, naming the field."""
    asked = {name: value for name, value in _object(body).items() if value is not None}
    _check_model(asked.get("model"), model)
    if isinstance(messages := asked.get("messages"), list):
        refuse_more("messages", len(messages), most_messages)  # before each of them is looked at
    for name, harmless in _NOT_DONE_HERE.items():
        if name in asked and asked[name] not in harmless:
            raise RequestRefusedError(f"'{name}' is not supported here", param=name, code="unsupported_parameter")
    try:
        return _REQUEST.validate_python(asked)
    except ValidationError as error:
        raise _refused(error.errors(include_url=False, include_input=False)[0]) from None


def refuse_more(what: str, found: int, most: int) -> None:
    """Raise RequestRefusedError, with both numbers, for a conversation that holds more than there is room for."""
    if found > most:
        raise RequestRefusedError(
            f"the conversation has {found:,} {what}, there is room for {most:,}",
            param="messages",
            code="context_length_exceeded",
        )


def _refused(fault: ErrorDetails) -> RequestRefusedError:
    """The first fault that pydantic found, in words that hold nothing of the client's own."""
    kind = fault["type"]
    names = fault["loc"][:4]  # behind messages[0].content[0] stand the kind of the part and its field
    place = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in names).lstrip(".")
    code = kind if kind in _CODES else "invalid_value"
    return RequestRefusedError(f"'{place}': {_WORDS.get(kind, fault['msg'])}", param=place, code=code)


def _object(body: bytes | bytearray) -> dict[str, Any]:
    marks = sum(map(body.count, (b",", b":", b"[", b"{")))
    if marks > MOST_MARKS:
        raise RequestRefusedError(
            f"the body has {marks:,} commas, colons and opening brackets, at most {MOST_MARKS:,} are read",
            status=413,
            code="request_too_large",
        )
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(f"the body is no JSON: {error}") from error
    if not isinstance(asked, dict):
        raise RequestRefusedError("the body must be a JSON object")
    return asked


def _check_model(named: object, served: str) -> None:
    if not isinstance(named, str):
        raise RequestRefusedError("'model' must name the model", param="model")
    if named != served:
        raise RequestRefusedError(
            f"there is no model {shown(named)} here, only '{served}'",
            status=404,
            param="model",
            code="model_not_found",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatResponse:
    """The JSON around one reply: whole, or in the events of a stream."""

    model: str
    include_usage: bool = False
    """Adds the counts to a stream, as its last event."""
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, reply: Reply) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
        return self._object("chat.completion", [choice], usage=_usage(reply))

    def opening(self) -> bytes:
        """The event that says who speaks."""
        return self._event({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        """An event with some of the text."""
        return self._event({"content": text})

    def closing(self, reply: Reply) -> bytes:
        """The last events."""
        events = self._event({}, finish=_finish(reply))
        if self.include_usage:
            events += event(self._object("chat.completion.chunk", [], usage=_usage(reply)))
        return events + b"data: [DONE]\n\n"

    def _event(self, delta: Mapping[str, str], *, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        more = {"usage": None} if self.include_usage else {}
        return event(self._object("chat.completion.chunk", [choice], **more))

    def _object(self, kind: str, choices: list[Any], **more: Any) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices} | more


def event(value: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def shown(word: str) -> str:
    """A client's word inside a message: short, in quotes, and with nothing in it that a terminal obeys."""
    return repr(word if len(word) <= _SHOWN_CHARACTERS else f"{word[:_SHOWN_CHARACTERS]}…")


def fault(refused: RequestRefusedError) -> dict[str, Any]:
    """OpenAI's shape of an error. Half a character, which UTF-8 does not write, is spelled out."""
    kind = "invalid_request_error" if refused.status < 500 else "server_error"
    message = str(refused).encode("utf-8", "backslashreplace").decode()
    return {"error": {"message": message, "type": kind, "param": refused.param, "code": refused.code}}


def _usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }


def _finish(reply: Reply) -> str:
    return "length" if reply.finish == "length" else "stop"
