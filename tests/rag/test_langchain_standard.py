"""LangChain's own suites for chat models and retrievers, unit and integration, sync and async, over the pocket kit."""

from functools import cache
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import ChatModelIntegrationTests, RetrieversIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from rag_doubles import MemoryStore, ScriptedEngine, WordEmbedder, chunk, rows

from llava_model.serving.engine import Engine
from llava_model.serving.opening import open_engine
from rag.langchain import LlaveroChatModel, LlaveroRetriever
from rag.retrieve import Retriever

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def benchmark() -> Any:
    """The suites' own plugin measures; here it is enough that the call works."""
    return lambda work, *given, **named: work(*given, **named)


@pytest.fixture
def vcr() -> None:
    """For models behind a network."""


@pytest.fixture
def snapshot() -> None:
    """For models that can be stored as text, which one in this process cannot."""


@cache
def engine() -> Engine:
    return open_engine(kit="pocket", device="cpu")


class TestChatModelAlone(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LlaveroChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"engine": ScriptedEngine("Yes.")}

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False


class TestChatModelOfThePocketKit(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LlaveroChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"engine": engine(), "max_new_tokens": 16}

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def supports_image_inputs(self) -> bool:
        return False  # its test fetches a picture from the internet; ours are in test_langchain_parts

    @property
    def returns_usage_metadata(self) -> bool:
        return True


class TestRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return LlaveroRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        texts = [f"The ferry of line {number} leaves the harbour." for number in range(5)]
        stored = rows(*(chunk(text, file=f"{number}.txt") for number, text in enumerate(texts)))
        return {"retriever": Retriever(MemoryStore(stored), WordEmbedder()), "relevant_only": False}

    @property
    def retriever_query_example(self) -> str:
        return "ferry harbour"


def test_the_suites_are_not_empty() -> None:
    assert sum(name.startswith("test_") for name in dir(ChatModelIntegrationTests)) > 20
