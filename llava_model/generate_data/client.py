"""The text model behind an OpenAI-compatible address: the only place where making data reaches out.

Words go to the address the user named and nowhere else: no proxy from the environment, no redirect is followed, no
other address has a default. One request is one try; who waits how long before the next is `runner.py`'s affair.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from llava_model.errors import MissingPackageError, WriterError
from llava_model.generate_data.budget import Usage
from llava_model.generate_data.ledger import ChatReply

KEY_VARIABLE = "LLAVERO_GENERATE_KEY"
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_HOPELESS = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 405})
_MOST_BYTES = 4_000_000
_BYTES_A_TOKEN = 3
_FREE = Usage()


def no_writer(missing: str) -> WriterError:
    """What to set before anything can be asked."""
    error = WriterError(f"no text model is named: {missing} is missing")
    error.add_note(
        "Name an OpenAI-compatible server, such as --endpoint http://127.0.0.1:8000/v1 --model NAME; "
        f"a key, if it wants one, goes into {KEY_VARIABLE}. Nothing is sent anywhere else."
    )
    return error


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """A server and the model to ask there. Raises WriterError for an address that is none."""

    url: str
    """With its version: `http://127.0.0.1:8000/v1`."""
    model: str
    timeout_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not self.url or not self.model:
            raise no_writer("--endpoint" if not self.url else "--model")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise WriterError(f"the endpoint is '{self.url}', it must look like http://host:port/v1")
        if parts.password:
            raise WriterError(f"the endpoint's address carries a password; put the key into {KEY_VARIABLE}")


@dataclass(frozen=True, kw_only=True, slots=True)
class NoReply:
    """A try that brought nothing. `usage` is what it may have cost all the same."""

    reason: str
    again: bool
    hopeless: bool = False
    """No other request will fare better: a wrong key, model or address."""
    wait_seconds: float | None = None
    """What the server asks for (Retry-After)."""
    usage: Usage = _FREE


class Client:
    """Connections to one writer, kept open and shared by threads. Use with `with`."""

    def __init__(self, writer: Writer, connections: int) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingPackageError("httpx", purpose="asking a text model", install="httpx") from None
        key = os.environ.get(KEY_VARIABLE)
        self.writer, self._fault = writer, httpx.HTTPError
        self._address = f"{writer.url.rstrip('/')}/chat/completions"
        self._client = httpx.Client(
            trust_env=False,
            follow_redirects=False,
            timeout=writer.timeout_seconds,
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
        ends = time.monotonic() + self.writer.timeout_seconds
        content = bytearray()
        try:
            with self._client.stream("POST", self._address, json={"model": self.writer.model, **request}) as reply:
                for piece in reply.iter_bytes():
                    content += piece
                    if len(content) > _MOST_BYTES:
                        return NoReply(
                            reason=f"its reply is longer than {_MOST_BYTES:,} bytes", again=False, usage=worst
                        )
                    if time.monotonic() > ends:
                        reason = f"its reply was not complete after {self.writer.timeout_seconds:g} s"
                        return NoReply(reason=reason, again=True, usage=worst)
                status, after = reply.status_code, reply.headers.get("Retry-After")
        except self._fault as error:
            reached = type(error).__name__ not in ("ConnectError", "ConnectTimeout", "PoolTimeout")
            reason = f"{type(error).__name__} {error}".strip()
            return NoReply(reason=reason, again=True, usage=worst if reached else Usage())
        if status != 200:
            words = " ".join(content[:300].decode("utf-8", "replace").split())
            return NoReply(
                reason=f"HTTP {status} {words}".strip(), again=status in _AGAIN, hopeless=status in _HOPELESS,
                wait_seconds=_seconds(after),
            )  # fmt: skip
        return _read(bytes(content), request) or NoReply(
            reason="its reply is no chat completion", again=True, usage=worst
        )


def worst_case(request: Mapping[str, Any]) -> Usage:
    """What a request can cost: its prompt by a careful guess, and the longest reply it asks for."""
    return Usage(tokens_in=_guess_prompt(request), tokens_out=int(request["max_tokens"]), estimated=True)


def _read(content: bytes, request: Mapping[str, Any]) -> ChatReply | None:
    try:
        value = json.loads(content)
        choice = value["choices"][0]
        text, finish = choice["message"]["content"], choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(text, str):
        text = ""  # withheld by a filter, or a call of a tool that nobody offered
    return ChatReply(text=text, finish=str(finish or "stop"), usage=_usage(value, request, text))


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
