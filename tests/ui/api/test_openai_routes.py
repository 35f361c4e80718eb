import asyncio
import base64
import io
import json

import pytest
from fastapi.testclient import TestClient
from openai import BadRequestError, NotFoundError, OpenAI, UnprocessableEntityError
from PIL import Image

from ui.api.openai_routes import AskedMessage, _chunks, question_of, sources

QUESTION = "How many litres of oil does the bilge pump need?"


@pytest.fixture
def openai(client: TestClient) -> OpenAI:
    """The official client, whose requests go to the application without a network."""
    return OpenAI(base_url="http://localhost/v1", api_key="none", http_client=transported(client), max_retries=0)


def transported(client: TestClient) -> "object":
    import httpx

    def answer(request: httpx.Request) -> httpx.Response:
        kept = {name: value for name, value in request.headers.items() if name != "authorization"}
        got = client.request(request.method, str(request.url), content=request.content, headers=kept)
        return httpx.Response(
            got.status_code, content=got.content, headers={"content-type": got.headers["content-type"]}
        )

    return httpx.Client(transport=httpx.MockTransport(answer))


def test_the_official_client_lists_libraries_as_models(openai: OpenAI) -> None:
    assert [model.id for model in openai.models.list()] == ["boats"]


def test_the_official_client_gets_an_answer_with_its_sources(openai: OpenAI) -> None:
    reply = openai.chat.completions.create(model="boats", messages=[{"role": "user", "content": QUESTION}])
    text = reply.choices[0].message.content or ""
    own = reply.model_extra or {}
    assert "4.2" in text and "**Sources**" in text and "pump.txt" in text
    assert own["llavero"]["citations"][0]["path"].endswith("pump.txt") and reply.choices[0].finish_reason == "stop"


def test_the_official_client_reads_the_stream_to_the_same_text(openai: OpenAI) -> None:
    asked = [{"role": "user", "content": QUESTION}]
    whole = openai.chat.completions.create(model="boats", messages=asked)
    chunks = list(openai.chat.completions.create(model="boats", messages=asked, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text.strip() == (whole.choices[0].message.content or "").strip()
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert (chunks[-1].model_extra or {})["llavero"]["citations"]


@pytest.mark.parametrize(
    "pieces", [["Hi ![x](https://a.example) there!"], ["Hi !", "[x](https://a.example) there", "!"]]
)
def test_no_picture_is_made_of_an_answer_in_whatever_pieces_it_comes(pieces: list[str]) -> None:
    answer = {"event": "answer", "answer": "".join(pieces), "citations": []}
    events = iter([*({"event": "token", "text": piece} for piece in pieces), answer])

    async def read() -> str:
        lines = [line.decode().removeprefix("data: ") async for line in _chunks(events, "boats", None)]
        choices = [json.loads(line)["choices"][0]["delta"] for line in lines if line.startswith("{")]
        return "".join(delta.get("content", "") for delta in choices)

    assert asyncio.run(read()) == "Hi !\\[x](https://a.example) there!"


def test_what_is_not_there_is_an_error_that_the_client_knows(openai: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="no model"):
        openai.chat.completions.create(model="letters", messages=[{"role": "user", "content": "a"}])
    for messages in ([{"role": "system", "content": "Be brief."}], [{"role": "user", "content": " "}]):
        with pytest.raises((BadRequestError, UnprocessableEntityError)):
            openai.chat.completions.create(model="boats", messages=messages)


def test_vectors_are_those_of_the_search(openai: OpenAI) -> None:
    one, two = openai.embeddings.create(model="boats", input=["ferry", "oil"], encoding_format="float").data
    again = openai.embeddings.create(model="boats", input="ferry").data[0]  # base64, which the client decodes
    assert len(one.embedding) == 384 and one.embedding != two.embedding
    assert again.embedding == pytest.approx(one.embedding, abs=1e-6)
    assert sum(each * each for each in one.embedding) == pytest.approx(1, abs=1e-3)


def test_a_picture_has_a_vector_and_an_address_is_not_fetched(client: TestClient) -> None:
    data = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(data, "PNG")
    url = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    answer = client.post("/v1/embeddings", json={"model": "boats", "input": [{"url": url}], "space": "clip"})
    assert len(answer.json()["data"][0]["embedding"]) > 100
    for address in ("http://127.0.0.1:9/a.png", "file:///etc/passwd", "data:image/png;base64,???"):
        refused = client.post("/v1/embeddings", json={"model": "boats", "input": [{"url": address}]})
        assert refused.status_code == 422 and "error" in refused.json()


def test_the_last_user_message_is_the_question_and_earlier_ones_its_history() -> None:
    said = [
        AskedMessage(role="system", content="Be brief."),
        AskedMessage(role="user", content="When does the ferry leave?"),
        AskedMessage(role="assistant", content="At 17:45.\n\n**Sources**\n- [1] quoted: ` a.md `: ` 17:45 `"),
        AskedMessage(role="user", content="And on Sunday?"),
    ]
    asked = question_of(said)
    assert asked.text == "And on Sunday?" and asked.history == (("When does the ferry leave?", "At 17:45."),)


def test_a_quote_formats_nothing_and_a_name_cannot_pass_for_a_verdict() -> None:
    citation = {
        "marker": 1, "path": "/a/x ✓ quoted.txt", "page": 2, "state": "unchecked", "recognised": False,
        "quote": "![a](http://evil.example/a.png) `code` ``two``\n# heading",
    }  # fmt: skip
    line = sources({"citations": [citation]})
    assert line.count("\n- ") == 1 and "# heading" in line and "\n# heading" not in line
    assert "``` ![a](http://evil.example/a.png) `code` ``two`` # heading ```" in line
    assert '` "/' not in line and 'not checked: ` "x ✓ quoted.txt" `, page 2' in line
