"""OpenAI's chat interface: a request's JSON → ChatRequest, a Reply → the JSON of a ChatResponse.

    {"model": "pocket", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "stream": true}

Strict where being lenient would answer another question than was asked: what changes the answer and is not done here
(tools, several choices, log probabilities …) is refused by name, what changes nothing (`user`, `metadata` …) ignored.
Pictures come as bytes inside the request, in data URLs. An address is never fetched.
"""

import base64
import binascii
import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llava_model.errors import RequestRefusedError
from llava_model.serving.engine import Reply
from llava_model.text.templates import Role

_ROLES: Mapping[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

MOST_MARKS = 500_000
"""Commas, colons and opening brackets of a body. JSON of many tiny values takes seconds to read (20 MB of empty lists:
2.3 s), and no other thread of the process runs meanwhile; long texts and pictures are read in a moment."""

_SHOWN_CHARACTERS = 80
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One message; its pictures are not decoded yet (PNG, JPEG …)."""

    role: Role
    text: str
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """What a client asks for."""

    messages: tuple[Said, ...]
    stream: bool
    include_usage: bool
    max_tokens: int | None
    """None: as many as the server gives."""
    temperature: float
    top_p: float
    repetition_penalty: float
    """Not OpenAI's; vLLM and others know it by this name."""
    seed: int | None
    stop: tuple[str, ...]


def read_request(body: bytes | bytearray, *, model: str) -> ChatRequest:
    """Check and read a request's body. Raises RequestRefusedError, naming the field."""
    asked = _object(body)
    _check_model(asked.get("model"), model)
    for name, harmless in _NOT_DONE_HERE.items():
        if asked.get(name) is not None and asked[name] not in harmless:
            raise RequestRefusedError(f"'{name}' is not supported here", param=name, code="unsupported_parameter")
    most = "max_completion_tokens" if asked.get("max_completion_tokens") is not None else "max_tokens"
    options = asked.get("stream_options") or {}
    return ChatRequest(
        messages=_messages(asked.get("messages")),
        stream=_flag(asked, "stream"),
        include_usage=isinstance(options, dict) and _flag(options, "include_usage"),
        max_tokens=_whole(asked, most, at_least=1, at_most=2**31),
        temperature=_number(asked, "temperature", 1.0, least=0.0, most=2.0),
        top_p=_number(asked, "top_p", 1.0, least=1e-6, most=1.0),
        repetition_penalty=_number(asked, "repetition_penalty", 1.0, least=0.01, most=10.0),
        seed=_whole(asked, "seed", at_least=-(2**63), at_most=2**63 - 1),
        stop=_stops(asked.get("stop")),
    )


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


def _messages(given: object) -> tuple[Said, ...]:
    if not isinstance(given, list) or not given:
        raise RequestRefusedError("'messages' must be a list of at least one message", param="messages")
    return tuple(_said(message, f"messages[{place}]") for place, message in enumerate(given))


def _said(given: object, where: str) -> Said:
    message = given if isinstance(given, dict) else {}
    named = message.get("role")
    role = _ROLES.get(named) if isinstance(named, str) else None
    if role is None:
        raise RequestRefusedError(f"the role must be one of {', '.join(_ROLES)}", param=f"{where}.role")
    content = message.get("content")
    if content is None and role == "assistant":
        content = ""
    if isinstance(content, str):
        return Said(role=role, text=_text(content, where))
    if not isinstance(content, list) or not content:
        raise RequestRefusedError("the content must be text, or a list of text and pictures", param=f"{where}.content")
    words: list[str] = []
    pictures: list[bytes] = []
    for place, part in enumerate(content):
        here = f"{where}.content[{place}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            words.append(_text(part["text"], here))
        elif kind == "image_url":
            pictures.append(_picture(part.get("image_url"), here))
        else:
            raise RequestRefusedError("only parts of type 'text' and 'image_url' are read", param=here)
    if pictures and role != "user":
        raise RequestRefusedError("only a user's message may hold pictures", param=where)
    return Said(role=role, text="\n".join(words), pictures=tuple(pictures))


def _text(text: str, where: str) -> str:
    """The text, checked: half a surrogate pair is no character, and no tokenizer takes it."""
    if _HALF_A_CHARACTER.search(text):
        raise RequestRefusedError("the text holds half a character (a lone surrogate)", param=where)
    return text


def _picture(given: object, where: str) -> bytes:
    address = given.get("url") if isinstance(given, dict) else given
    head, comma, payload = address.partition(",") if isinstance(address, str) else ("", "", "")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise RequestRefusedError(
            "a picture must come inside the request, as data:image/png;base64,…; no address is ever fetched",
            param=where,
            code="invalid_image_url",
        )
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestRefusedError(f"the picture is not in base64: {error}", param=where, code="invalid_image") from None


def _stops(given: object) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given or []
    if not isinstance(stops, list) or len(stops) > 4 or not all(isinstance(stop, str) for stop in stops):
        raise RequestRefusedError("'stop' must be a text, or a list of at most four", param="stop")
    return tuple(_text(stop, "stop") for stop in stops if stop)


def _flag(asked: Mapping[str, Any], name: str) -> bool:
    value = asked.get(name)
    if value is not None and not isinstance(value, bool):
        raise RequestRefusedError(f"'{name}' must be true or false", param=name)
    return bool(value)


def _whole(asked: Mapping[str, Any], name: str, *, at_least: int, at_most: int) -> int | None:
    value = asked.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= at_most:
        raise RequestRefusedError(f"'{name}' must be a whole number from {at_least} to {at_most}", param=name)
    return value


def _number(asked: Mapping[str, Any], name: str, default: float, *, least: float, most: float) -> float:
    value = default if asked.get(name) is None else asked[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise RequestRefusedError(f"'{name}' must be a number from {least:g} to {most:g}", param=name)
    return float(value)


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
