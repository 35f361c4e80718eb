"""One client for every OpenAI-compatible server that a user names: the judge of answers, the writer of training data.

Words go to the address that was named and nowhere else: no proxy from the environment, no redirect is followed, and
no address has a default. `ChatClient.send` is one try; `ChatServer.ask` tries again.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from llava_model.errors import JudgeError, MissingPackageError, WriterError

if TYPE_CHECKING:
    import httpx

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_HOPELESS = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 405})
_MOST_BYTES = 4_000_000
_BYTES_A_TOKEN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRole:
    """What a server is asked for: how messages call it, which variable holds its key, and which error it raises."""

    called: str
    key_variable: str
    error: type[JudgeError] | type[WriterError]

    def unnamed(self, missing: str) -> JudgeError | WriterError:
        """The error for an option that was not given; it says what to set."""
        error = self.error(f"no {self.called} is named: {missing} is missing")
        error.add_note(
            "Name an OpenAI-compatible server, such as --endpoint http://127.0.0.1:8000/v1 --model NAME; "
            f"a key, if it wants one, goes into {self.key_variable}. Nothing is sent anywhere else."
        )
        return error


JUDGE = ChatRole(called="judge", key_variable="LLAVERO_JUDGE_KEY", error=JudgeError)
WRITER = ChatRole(called="text model", key_variable="LLAVERO_GENERATE_KEY", error=WriterError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens of a prompt and of its reply; `estimated` where the server did not say."""

    tokens_in: int = 0
    tokens_out: int = 0
    estimated: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            estimated=self.estimated or other.estimated,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(
            tokens_in=self.tokens_in - other.tokens_in,
            tokens_out=self.tokens_out - other.tokens_out,
            estimated=self.estimated,
        )

    @property
    def tokens(self) -> int:
        """Prompt and reply together."""
        return self.tokens_in + self.tokens_out


_FREE = Usage()


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatReply:
    """What the model wrote. `finish` is the server's word for why it ended: stop, length, content_filter …"""

    text: str
    finish: str
    usage: Usage
    is_text: bool = True
    """False where the server sent none: a filter held it back, or the model called a tool that nobody offered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatServer:
    """A server and the model to ask there. Raises its role's error for an address that is none."""

    url: str
    """With its version: `http://127.0.0.1:8000/v1`."""
    model: str
    role: ChatRole
    timeout_seconds: float = 120.0
    tries: int = 5
    """How many times `ask` sends a request that times out, is refused for load (429), or fails in the server."""
    first_wait_seconds: float = 1.0
    """How long `ask` waits before the second try; doubled after every further one."""

    def __post_init__(self) -> None:
        if not self.url or not self.model:
            raise self.role.unnamed("--endpoint" if not self.url else "--model")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise self.role.error(f"the endpoint is '{self.url}', it must look like http://host:port/v1")
        if parts.password:
            variable = self.role.key_variable
            raise self.role.error(f"the endpoint's address carries a password; put the key into {variable}")

    def ask(self, messages: Sequence[Mapping[str, str]], *, temperature: float = 0.0, max_tokens: int = 1024) -> str:
        """One reply's text. Raises after the last try, and at once for a refusal that will not change."""
        request = {"messages": messages, "temperature": temperature, "max_tokens": max_tokens}
        wait_seconds, reason = self.first_wait_seconds, ""
        with ChatClient(self, connections=1) as client:
            for attempt in range(self.tries):
                if attempt:
                    time.sleep(wait_seconds)
                    wait_seconds *= 2
                reply = client.send(request)
                if isinstance(reply, ChatReply) and reply.is_text:
                    return reply.text
                reason = "its reply is no chat completion with text" if isinstance(reply, ChatReply) else reply.reason
                if isinstance(reply, NoReply) and not reply.again:
                    break
        raise self.silent(reason)

    def silent(self, reason: str) -> JudgeError | WriterError:
        """The error for a server that does not answer, with the reason."""
        return self.role.error(f"'{self.model}' at {self.url} does not answer: {reason}")


@dataclass(frozen=True, kw_only=True, slots=True)
class NoReply:
    """A try without a reply. `usage` is what it may have cost nevertheless."""

    reason: str
    again: bool
    hopeless: bool = False
    """Every other request would fail too: the key, the model or the address is wrong."""
    wait_seconds: float | None = None
    """How long the server asks to wait (Retry-After)."""
    usage: Usage = _FREE


class ChatClient:
    """Connections to one server, kept open and shared by threads. Use with `with`. Raises MissingPackageError."""

    def __init__(self, server: ChatServer, connections: int) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingPackageError("httpx", purpose=f"asking a {server.role.called}", install="httpx") from None
        key = os.environ.get(server.role.key_variable)
        self.server, self._fault = server, httpx.HTTPError
        self._address = f"{server.url.rstrip('/')}/chat/completions"
        self._client = httpx.Client(
            trust_env=False,
            follow_redirects=False,
            timeout=server.timeout_seconds,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send(self, request: Mapping[str, Any]) -> ChatReply | NoReply:
        """One try. `request` is the body, without the model's name."""
        worst = worst_case(request)
        try:
            with self._client.stream("POST", self._address, json={"model": self.server.model, **request}) as reply:
                content = self._content(reply, worst)
        except self._fault as error:
            reached = type(error).__name__ not in ("ConnectError", "ConnectTimeout", "PoolTimeout")
            reason = f"{type(error).__name__} {error}".strip()
            return NoReply(reason=reason, again=True, usage=worst if reached else Usage())
        if isinstance(content, NoReply):
            return content
        if reply.status_code != 200:
            return _refusal(reply.status_code, content, reply.headers.get("Retry-After"))
        unusable = NoReply(reason="its reply is no chat completion", again=True, usage=worst)
        return _read(content, request) or unusable

    def _content(self, reply: "httpx.Response", worst: Usage) -> bytes | NoReply:
        """The reply's body, unless it is too long or takes too long."""
        seconds = self.server.timeout_seconds
        ends, content = time.monotonic() + seconds, bytearray()
        for piece in reply.iter_bytes():
            content += piece
            if len(content) > _MOST_BYTES:
                return NoReply(reason=f"its reply is longer than {_MOST_BYTES:,} bytes", again=False, usage=worst)
            if time.monotonic() > ends:
                return NoReply(reason=f"its reply was not complete after {seconds:g} s", again=True, usage=worst)
        return bytes(content)


def worst_case(request: Mapping[str, Any]) -> Usage:
    """What a request can cost: its prompt by a careful guess, and the longest reply it asks for."""
    return Usage(tokens_in=_guess_prompt(request), tokens_out=int(request["max_tokens"]), estimated=True)


def _refusal(status: int, content: bytes, retry_after: str | None) -> NoReply:
    words = " ".join(content[:300].decode("utf-8", "replace").split())
    return NoReply(
        reason=f"HTTP {status} {words}".strip(),
        again=status in _AGAIN,
        hopeless=status in _HOPELESS,
        wait_seconds=_seconds(retry_after),
    )


def _read(content: bytes, request: Mapping[str, Any]) -> ChatReply | None:
    try:
        value = json.loads(content)
        choice = value["choices"][0]
        text, finish = choice["message"]["content"], choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    words = text if isinstance(text, str) else ""
    return ChatReply(
        text=words,
        finish=str(finish or "stop"),
        usage=_usage(value, request, words),
        is_text=isinstance(text, str),
    )


def _usage(value: Mapping[str, Any], request: Mapping[str, Any], text: str) -> Usage:
    said = value.get("usage")
    if isinstance(said, dict):
        counts = said.get("prompt_tokens"), said.get("completion_tokens")
        if all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts):
            return Usage(tokens_in=counts[0] or 0, tokens_out=counts[1] or 0)
    return Usage(tokens_in=_guess_prompt(request), tokens_out=_guess(text), estimated=True)


def _guess_prompt(request: Mapping[str, Any]) -> int:
    return sum(_guess(message["content"]) + 8 for message in request["messages"])


def _guess(text: str) -> int:
    return -(-len(text.encode("utf-8", "backslashreplace")) // _BYTES_A_TOKEN)


def _seconds(after: str | None) -> float | None:
    """Retry-After is a number of seconds or a date."""
    if after is None:
        return None
    try:
        return max(0.0, float(after))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(after)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
