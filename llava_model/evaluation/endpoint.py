"""An OpenAI-compatible server that judges: the only place where this package's evaluation reaches out.

Words go to the address the user named and nowhere else: no proxy from the environment, no redirect is followed, no
other address has a default.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from llava_model.errors import JudgeError

KEY_VARIABLE = "LLAVERO_JUDGE_KEY"
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_MOST_BYTES = 4_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A server and the model to ask there. Raises JudgeError for an address that is none."""

    url: str
    """With its version: `http://127.0.0.1:8000/v1`."""
    model: str
    timeout_seconds: float = 120.0
    tries: int = 5
    """How often a request is sent that times out, is refused for load (429), or meets a fault of the server (5xx)."""
    first_wait_seconds: float = 1.0
    """Doubled after every try."""

    def __post_init__(self) -> None:
        if not self.url or not self.model:
            missing = JudgeError(f"no judge is named: {'--endpoint' if not self.url else '--model'} is missing")
            missing.add_note(
                "Name an OpenAI-compatible server, such as --endpoint http://127.0.0.1:8000/v1 --model NAME; "
                f"a key, if it wants one, goes into {KEY_VARIABLE}. Nothing is sent anywhere else."
            )
            raise missing
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise JudgeError(f"the endpoint is '{self.url}', it must look like http://host:port/v1")
        if parts.password:
            raise JudgeError(f"the endpoint's address carries a password; put the key into {KEY_VARIABLE}")

    def ask(self, messages: Sequence[Mapping[str, str]], *, temperature: float = 0.0, max_tokens: int = 1024) -> str:
        """One reply's text. Raises JudgeError after the last try, and at once for a refusal that will not change."""
        body = {"model": self.model, "messages": messages, "temperature": temperature, "max_tokens": max_tokens}
        wait = self.first_wait_seconds
        reason = ""
        for attempt in range(self.tries):
            if attempt:
                time.sleep(wait)
                wait *= 2
            text, reason, final = self._try(body)
            if text is not None:
                return text
            if final:
                break
        raise JudgeError(f"'{self.model}' at {self.url} does not answer: {reason}")

    def _try(self, body: Mapping[str, Any]) -> tuple[str | None, str, bool]:
        """Text, or why there is none and whether asking again is pointless."""
        try:
            import httpx
        except ImportError as error:
            raise JudgeError("asking a judge needs httpx: pip install httpx") from error

        key = os.environ.get(KEY_VARIABLE)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            with (
                httpx.Client(trust_env=False, follow_redirects=False, timeout=self.timeout_seconds) as client,
                client.stream("POST", f"{self.url.rstrip('/')}/chat/completions", json=body, headers=headers) as reply,
            ):
                content = b""
                for piece in reply.iter_bytes():
                    content += piece
                    if len(content) > _MOST_BYTES:
                        return None, f"its reply is longer than {_MOST_BYTES:,} bytes", True
                status = reply.status_code
        except httpx.HTTPError as error:
            return None, f"{type(error).__name__} {error}".strip(), False
        if status != 200:
            words = " ".join(content[:300].decode("utf-8", "replace").split())
            return None, f"HTTP {status} {words}", status not in _AGAIN
        text = _text_of(content)
        return text, "its reply is no chat completion with text", False


def _text_of(content: bytes) -> str | None:
    import json

    try:
        text = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return text if isinstance(text, str) else None
