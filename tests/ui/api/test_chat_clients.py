"""What Open WebUI and LibreChat send and expect of a server that speaks OpenAI's interface, as their sources state it.

Open WebUI (backend/open_webui/routers/openai.py, tasks.py, utils/middleware.py) and LibreChat
(packages/api/src/endpoints/models.ts, openai/llm.ts over @langchain/openai) were read; neither was run.
"""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from ui.api.access import AccessRules, KeyFile, RateLimit
from ui.api.app import build_app
from ui.api.libraries import Libraries, OpenLibrary

QUESTION = "How many litres of oil does the bilge pump need?"
TITLE_TASK = (
    "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Output:\n"
    'JSON format: { "title": "your concise title here" }\n### Chat History:\n<chat_history>\nUSER: '
    f"{QUESTION}\nASSISTANT: 4.2 litres.\n</chat_history>"
)


def asked(client: TestClient, **more: Any) -> Any:
    body = {"model": "boats", "messages": [{"role": "user", "content": QUESTION}], **more}
    return client.post("/v1/chat/completions", json=body)


def pieces(text: str) -> list[Any]:
    """The chunks of a stream, which must end with [DONE] and hold nothing but data lines."""
    lines = [line for line in text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines) and lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]


def picture() -> str:
    data = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def test_the_list_of_models_has_an_id_for_each_library(client: TestClient) -> None:
    listed = client.get("/v1/models", headers={"Content-Type": "application/json"}).json()
    assert listed["object"] == "list" and [each["id"] for each in listed["data"]] == ["boats"]
    assert all(each.get("name", "") is not None for each in listed["data"])  # Open WebUI fails on a name of null
    assert client.get("/v1/models/boats").json()["id"] == "boats"
    missing = client.get("/v1/models/letters")
    assert missing.status_code == 404 and missing.json()["error"]["code"] == "model_not_found"


def test_a_stream_has_the_role_first_then_text_then_one_reason_and_the_usage_last(client: TestClient) -> None:
    answer = asked(client, stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    chunks = pieces(answer.text)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["object"] for chunk in chunks] == ["chat.completion.chunk"] * len(chunks)
    assert len({chunk["id"] for chunk in chunks}) == 1
    *texts, last = chunks
    assert last["choices"] == [] and all(chunk["usage"] is None for chunk in texts)
    usage = last["usage"]
    assert usage["prompt_tokens"] > 20 and usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in texts]
    assert reasons[-1] == "stop" and set(reasons[:-1]) == {None}


def test_without_the_option_no_piece_is_without_a_choice(client: TestClient) -> None:
    chunks = pieces(asked(client, stream=True).text)
    assert all(len(chunk["choices"]) == 1 and "usage" not in chunk for chunk in chunks)
    assert asked(client).json()["usage"]["completion_tokens"] > 0


def test_settings_that_mean_nothing_here_are_passed_over(client: TestClient) -> None:
    openwebui = {
        "temperature": 0.7, "top_p": 0.9, "max_tokens": 100, "seed": 1, "stop": ["x"], "frequency_penalty": 0,
        "logit_bias": {"1": 2}, "response_format": {"type": "text"}, "reasoning": {"effort": "low"}, "tools": [],
        "user": {"name": "Ada", "id": "1", "email": "a@b", "role": "user"}, "keep_alive": "5m", "options": {},
    }  # fmt: skip
    librechat = {"user": "64f0", "modelLabel": None, "parallel_tool_calls": None, "n": 1, "presence_penalty": 0}
    for settings in (openwebui, librechat):
        answer = asked(client, **settings)
        assert answer.status_code == 200 and "4.2" in answer.json()["choices"][0]["message"]["content"]


def test_a_picture_comes_as_a_data_url_among_the_parts(client: TestClient) -> None:
    content = [
        {"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}},  # Open WebUI marks the last part
        {"type": "image_url", "image_url": {"url": picture(), "detail": "auto"}},
    ]
    assert asked(client, messages=[{"role": "user", "content": content}]).status_code == 200
    fetched = [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/a.png"}}]
    refused = asked(client, messages=[{"role": "user", "content": fetched}])
    assert refused.status_code == 422 and "not fetched" in refused.json()["error"]["message"]
    unread = [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}]
    refused = asked(client, messages=[{"role": "user", "content": unread}])
    assert refused.status_code == 422 and "'file'" in refused.json()["error"]["message"]


def test_a_conversation_with_a_system_prompt_and_a_tool_s_turn_is_understood(client: TestClient) -> None:
    said = [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": "When does the ferry leave?", "name": "ada"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
        {"role": "tool", "content": "17:45", "tool_call_id": "1"},
        {"role": "assistant", "content": "At 17:45."},
        {"role": "user", "content": QUESTION},
    ]
    assert "4.2" in asked(client, messages=said).json()["choices"][0]["message"]["content"]


def test_a_title_task_gets_an_ordinary_reply_whose_failure_the_client_survives(client: TestClient) -> None:
    """Both ask the chat's own model unless another is named; a reply that is no JSON leaves them their own title."""
    answer = asked(client, messages=[{"role": "user", "content": TITLE_TASK}], stream=False, max_completion_tokens=1000)
    assert answer.status_code == 200
    message = answer.json()["choices"][0]["message"]
    assert message["role"] == "assistant" and isinstance(message["content"], str) and message["content"]


def test_sources_come_as_data_and_as_markdown_notes(client: TestClient) -> None:
    chunks = pieces(asked(client, stream=True).text)
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    own = next(chunk["llavero"] for chunk in chunks if "llavero" in chunk)
    assert text.count("**Sources**") == 1 and text.index("**Sources**") > text.index("4.2")
    assert own["citations"][0]["path"].endswith("pump.txt") and own["citations"][0]["quote"] in text


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", {"model": "letters", "messages": [{"role": "user", "content": "a"}]}, 404),
        ("/v1/chat/completions", {"model": "boats", "messages": []}, 422),
        ("/v1/chat/completions", {"model": "boats", "messages": [{"role": "user", "content": "a"}], "n": 2}, 422),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}, 422),
        ("/v1/embeddings", {"model": "boats", "input": ""}, 422),
        ("/v1/responses", {"model": "boats", "input": "a"}, 404),
    ],
)
def test_an_error_has_the_shape_that_both_show_and_is_a_problem_too(
    client: TestClient, path: str, body: dict[str, Any], status: int
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    error = answer.json()["error"]
    assert error["message"] and error["type"] == "invalid_request_error" and set(error) >= {"param", "code"}
    assert answer.json()["detail"] in error["message"]


def test_a_wrong_key_is_told_as_openai_tells_it(client: TestClient, keys: KeyFile) -> None:
    keys.add("ada", "read")
    answer = client.get("/v1/models", headers={"Authorization": "Bearer sk-wrong"})
    assert answer.status_code == 401 and answer.json()["error"]["code"] == "invalid_api_key"


@pytest.fixture
def crossing(library: OpenLibrary, keys: KeyFile) -> Iterator[TestClient]:
    """A service that lets one web page ask from its browser."""
    rules = AccessRules(keys=keys, rate=RateLimit(1000))
    app = build_app(Libraries.with_open(library), rules, origins=["https://chat.example"])
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 5000)) as it:
        yield it


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


def test_a_browser_may_read_answers_for_the_named_page_alone(crossing: TestClient, keys: KeyFile) -> None:
    given = {"Authorization": f"Bearer {keys.add('page', 'read')}"}
    named, other = {"Origin": "https://chat.example"}, {"Origin": "https://evil.example"}
    before = crossing.options("/v1/chat/completions", headers=named | PREFLIGHT)
    assert before.status_code == 200 and before.headers["access-control-allow-origin"] == "https://chat.example"
    assert "access-control-allow-credentials" not in before.headers
    assert crossing.options("/v1/chat/completions", headers=other | PREFLIGHT).status_code == 400
    assert crossing.get("/v1/models", headers=given | named).headers["access-control-allow-origin"]
    assert "access-control-allow-origin" not in crossing.get("/v1/models", headers=given | other).headers


def test_a_named_page_needs_a_key_all_the_same(crossing: TestClient) -> None:
    assert crossing.get("/v1/models", headers={"Origin": "https://chat.example"}).status_code == 403


def test_without_a_named_page_no_browser_is_told_that_it_may(client: TestClient) -> None:
    headers = {"Origin": "https://chat.example"} | PREFLIGHT
    answer = client.options("/v1/chat/completions", headers=headers)
    assert answer.status_code == 405 and "access-control-allow-origin" not in answer.headers
