"""An OpenAI-compatible server as the answering model.

`chat_model(settings)` is any of vLLM, SGLang, Ollama, llama.cpp's server or our own. The prompt goes to that address
and nowhere else: redirects are not followed, tracing is off while we ask (see `rag.answer`), and tokens are estimated
here, because the usual counter would fetch its tables from the network.
"""

import math
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from rag.errors import (
    GeneratorError,
    GeneratorKeyError,
    GeneratorModelError,
    GeneratorReplyError,
    GeneratorTimeoutError,
    GeneratorUnreachableError,
)
from rag.settings import GeneratorSettings

if TYPE_CHECKING:
    from llava_model.serving.engine import Turn

_NO_KEY = "none"


class AddressedChatModel(ChatOpenAI):
    """`ChatOpenAI` whose failures are ours, that asks in the words every server knows, and counts offline."""

    generator: Any = None
    """The GeneratorSettings it was built from."""

    def _get_request_payload(self, input_: Any, *, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        payload = super()._get_request_payload(input_, stop=stop, **kwargs)
        if "max_completion_tokens" in payload:  # the new name; Ollama and llama.cpp know the old one
            payload["max_tokens"] = payload.pop("max_completion_tokens")
        payload["messages"] = [_defused_message(message) for message in payload["messages"]]
        return payload

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        try:
            yield from super()._stream(*args, **kwargs)
        except Exception as error:
            raise _translated(error, self.generator) from error

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        try:
            async for chunk in super()._astream(*args, **kwargs):
                yield chunk
        except Exception as error:
            raise _translated(error, self.generator) from error

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        try:
            return super()._generate(*args, **kwargs)
        except Exception as error:
            raise _translated(error, self.generator) from error

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        try:
            return await super()._agenerate(*args, **kwargs)
        except Exception as error:
            raise _translated(error, self.generator) from error

    def get_num_tokens(self, text: str) -> int:
        """Estimated, rather too many than too few."""
        return estimated_tokens(text)

    def get_token_ids(self, text: str) -> list[int]:
        """Not known here: only the server has the tokenizer."""
        raise NotImplementedError(f"the tokenizer of '{self.model_name}' is on the server at {self.generator.url}")

    def get_num_tokens_from_messages(self, messages: Sequence[BaseMessage], tools: Any = None, **kwargs: Any) -> int:
        """Estimated like `token_counter`."""
        from rag.langchain import turns_of

        return token_counter(self.generator)(turns_of(messages))


def chat_model(settings: GeneratorSettings, *, max_new_tokens: int = 512) -> AddressedChatModel:
    """The model at this address. Nothing is sent before the first question.

    Raises GeneratorKeyError when the variable that should hold the key is not set.
    """
    import httpx

    key = os.environ.get(settings.api_key_env, "") if settings.api_key_env else _NO_KEY
    if not key:
        raise GeneratorKeyError(settings.url, settings.api_key_env)
    timeout = httpx.Timeout(settings.timeout_seconds)
    return AddressedChatModel(
        generator=settings,
        model=settings.model,
        base_url=settings.url.rstrip("/"),
        api_key=SecretStr(key),
        temperature=settings.temperature,
        max_completion_tokens=max_new_tokens,
        timeout=settings.timeout_seconds,
        max_retries=0,
        use_responses_api=False,
        stream_usage=False,
        http_client=httpx.Client(timeout=timeout, follow_redirects=False),
        http_async_client=httpx.AsyncClient(timeout=timeout, follow_redirects=False),
    )


def token_counter(settings: GeneratorSettings) -> "Callable[[Sequence[Turn]], int]":
    """Counts turns without the server's tokenizer, rather too many than too few."""

    def count(turns: "Sequence[Turn]") -> int:
        pictures = sum(len(turn.images) for turn in turns) * settings.image_tokens
        return pictures + sum(estimated_tokens(turn.text) + 8 for turn in turns)

    return count


def estimated_tokens(text: str) -> int:
    """Tokenizers take 3–5 letters of English, 1–2 digits, and down to one sign of other scripts for a token."""
    plain = sum(sign.isascii() and not sign.isdigit() for sign in text)
    return math.ceil(plain / 3 + (len(text) - plain))


# What chat templates are made of: a server's tokenizer takes them for its own marks wherever they stand.
_SPECIAL = re.compile(
    r"<(?=[|｜][^|｜>\n]{1,60}[|｜]>)|<(?=/?s>|<?/?SYS>|(?:start|end)_of_\w+>|(?:pad|eos|bos|unk|image|video|mask)>)|"
    r"\[(?=/?INST\]|/?[A-Z]{3,}(?:_[A-Z]+)*\])",
    re.IGNORECASE,
)
_JOINER = "\u2060"  # invisible, and no part of any special token


def defused(text: str) -> str:
    """Text in which no special token of the usual chat templates is left whole."""
    return _SPECIAL.sub(lambda match: match.group() + _JOINER, text)


def _defused_message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": defused(content)}
    if isinstance(content, list):
        parts = [{**part, "text": defused(part["text"])} if part.get("type") == "text" else part for part in content]
        return {**message, "content": parts}
    return message


def _translated(error: Exception, settings: GeneratorSettings) -> Exception:
    """The openai package's failure as one of ours; anything unknown keeps its own words."""
    import httpx
    import openai

    url = settings.url
    match error:
        case GeneratorError():
            return error
        case openai.APITimeoutError() | httpx.TimeoutException():
            return GeneratorTimeoutError(url, settings.timeout_seconds)
        case openai.APIConnectionError() | httpx.TransportError():
            return GeneratorUnreachableError(url, str(error.__cause__ or error))
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return GeneratorKeyError(url, settings.api_key_env)
        case openai.NotFoundError():
            return GeneratorModelError(url, settings.model)
        case openai.APIStatusError():
            return GeneratorReplyError(url, _status(error))
        case openai.OpenAIError() | ValueError() | TypeError() | KeyError() | AttributeError():
            return GeneratorReplyError(url, f"sent a reply that is no chat completion: {str(error)[:200]}")
        case _:
            return error


def _status(error: Any) -> str:
    if 300 <= error.status_code < 400:
        where = error.response.headers.get("location", "nowhere")
        return f"redirects to {where}, which is not followed; put the final address into llavero.toml"
    return f"answered with status {error.status_code}: {str(error.message)[:300]}"
