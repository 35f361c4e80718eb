import base64
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from PIL import Image
from service_process import ServiceProcess, environment, llavero

from ui.api.access import AccessRules, KeyFile, RateLimit
from ui.api.app import build_app
from ui.api.libraries import Libraries, OpenLibrary
from ui.api.tools import build_tools, over_http


def called(library: OpenLibrary, *calls: tuple[str, dict[str, Any]], write: bool = False) -> list[Any]:
    """What the protocol's own client gets."""

    async def run() -> list[Any]:
        server = build_tools(lambda: {"boats": library.service}, write=write)
        async with Client(server) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return anyio.run(run)


def text_of(result: Any) -> str:
    return "".join(part.text for part in result.content if part.type == "text")


def test_an_agent_searches_opens_and_asks(library: OpenLibrary) -> None:
    found, answer = called(
        library,
        ("search", {"query": "bilge pump"}),
        ("ask", {"question": "How many litres of oil does the pump need?"}),
    )
    best = json.loads(text_of(found))[0]
    assert best["path"].endswith("pump.txt") and "4.2" in json.loads(text_of(answer))["answer"]
    (page,) = called(library, ("open_page", {"id": best["id"]}))
    assert "4.2 litres" in text_of(page)


def test_filters_and_lists_say_what_is_there(library: OpenLibrary) -> None:
    listed, narrowed = called(
        library, ("list_files", {"name_contains": "PUMP"}), ("search", {"query": "ferry", "where": ["name=pump.txt"]})
    )
    assert [file["path"].rpartition("/")[2] for file in json.loads(text_of(listed))["files"]] == ["pump.txt"]
    assert {hit["path"].rpartition("/")[2] for hit in json.loads(text_of(narrowed))} == {"pump.txt"}


def test_an_agent_searches_by_facts(library: OpenLibrary) -> None:
    path = next(file["path"] for file in library.service.files() if file["path"].endswith("pump.txt"))
    library.service.index([path], facts={"year": ["2019"]})
    try:
        found, listed, unknown = called(
            library,
            ("search", {"query": "ferry oil", "where": ["year>=2019"]}),
            ("list_files", {"where": ["year=2019"]}),
            ("search", {"query": "oil", "where": ["yaer=2019"]}),
        )
    finally:
        library.service.index([path], facts={"year": []})
    assert {hit["path"] for hit in json.loads(text_of(found))} == {path}
    assert [file["facts"] for file in json.loads(text_of(listed))["files"]] == [{"year": ["2019"]}]
    assert unknown.is_error and "yaer" in text_of(unknown)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search", {"query": "a", "k": 0}),
        ("search", {"query": "a", "where": ["size"]}),
        ("search", {"query": "a", "library": "letters"}),
        ("open_page", {"id": "../../etc/passwd"}),
        ("ask", {"question": ""}),
        ("remove", {"path": "/"}),
        ("index", {"paths": ["/etc"]}),
    ],
)
def test_what_cannot_be_met_is_an_error_for_the_agent(
    library: OpenLibrary, tool: str, arguments: dict[str, Any]
) -> None:
    (result,) = called(library, (tool, arguments))
    assert result.is_error and text_of(result)


def test_tools_that_change_something_are_there_only_when_asked_for_and_say_so(library: OpenLibrary) -> None:
    async def listed(write: bool) -> dict[str, Any]:
        async with Client(build_tools(lambda: {"boats": library.service}, write=write)) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    reading, writing = anyio.run(listed, False), anyio.run(listed, True)
    assert set(reading) == {"search", "ask", "open_page", "list_files", "extract"}
    assert set(writing) - set(reading) == {"index", "remove"}
    assert all(tool.annotations.read_only_hint for tool in reading.values())
    assert not writing["remove"].annotations.read_only_hint
    for tool in writing.values():
        assert tool.description and tool.input_schema["type"] == "object"


def test_what_the_inspector_checks_holds_for_every_tool(library: OpenLibrary) -> None:
    """Names, schemas that are JSON Schema themselves, and results that fit their own output schema."""
    from jsonschema import Draft202012Validator

    async def listed() -> list[Any]:
        async with Client(build_tools(lambda: {"boats": library.service}, write=True)) as client:
            return list((await client.list_tools()).tools)

    for tool in anyio.run(listed):
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool.name) and tool.description
        Draft202012Validator.check_schema(tool.input_schema)
        assert tool.input_schema["type"] == "object" and "$ref" not in json.dumps(tool.input_schema)
        assert set(tool.input_schema.get("required", ())) <= set(tool.input_schema["properties"])
        for name, described in tool.input_schema["properties"].items():
            assert {"type", "anyOf"} & set(described), (tool.name, name)
        if tool.output_schema is not None:
            Draft202012Validator.check_schema(tool.output_schema)
    (found,) = called(library, ("search", {"query": "bilge pump"}))
    schema = {tool.name: tool.output_schema for tool in anyio.run(listed)}["search"]
    if schema is not None:
        Draft202012Validator(schema).validate(found.structured_content)


def test_a_picture_comes_as_a_picture(library: OpenLibrary, tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), "teal").save(tmp_path / "sea.png")
    library.service.index([str(tmp_path / "sea.png")])
    try:
        chunk = library.service.bench.chunks(str(tmp_path / "sea.png"))[0]
        (page,) = called(library, ("open_page", {"id": chunk.id}))
    finally:
        library.service.remove(str(tmp_path / "sea.png"))
    (picture,) = (part for part in page.content if part.type == "image")
    assert picture.mime_type == "image/jpeg"
    with Image.open(io.BytesIO(base64.b64decode(picture.data))) as opened:
        assert opened.format == "JPEG" and opened.width > opened.height


def test_over_stdio_the_process_of_a_person_answers_and_writes_nothing_else(files: Path, tmp_path: Path) -> None:
    """As agents start it: whatever else stood on stdout would break the protocol."""
    library = tmp_path / "library"
    assert llavero("index", files, "--library", library).returncode == 0
    started = StdioServerParameters(
        command=sys.executable, args=["-m", "ui.cli.main", "mcp", "--library", str(library)], env=environment()
    )

    async def run() -> tuple[set[str], Any]:
        async with Client(stdio_client(started)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            return names, await client.call_tool("search", {"query": "bilge pump"})

    names, found = anyio.run(run)
    assert names == {"search", "ask", "open_page", "list_files", "extract"}
    assert json.loads(text_of(found))[0]["path"].endswith("pump.txt")


def test_over_streamable_http_the_protocols_own_client_is_answered(files: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    assert llavero("index", files, "--library", library).returncode == 0
    service = ServiceProcess("--library", library, "--keys", tmp_path / "nokeys.json")

    async def run() -> Any:
        async with Client(f"{service.url}/mcp/") as client:
            return await client.call_tool("search", {"query": "bilge pump", "k": 1})

    try:
        assert json.loads(text_of(anyio.run(run)))[0]["path"].endswith("pump.txt")
    finally:
        assert service.end() == 0


def test_over_http_the_same_function_says_who_may_and_any_name_of_the_machine_is_answered(
    library: OpenLibrary, keys: KeyFile
) -> None:
    tools = over_http(build_tools(lambda: {"boats": library.service}, write=False))
    app = build_app(Libraries.with_open(library), AccessRules(keys=keys, rate=RateLimit(1000)), tools=tools)
    hello = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }  # fmt: skip
    accepts = {"Accept": "application/json, text/event-stream"}
    key = {"Authorization": f"Bearer {keys.add('agent', 'read')}"}
    other = {"Authorization": f"Bearer {keys.add('other', 'read', ('letters',))}"}
    admin = {"Authorization": f"Bearer {keys.add('admin', 'admin')}"}
    with TestClient(app, base_url="https://photos.example", client=("192.0.2.7", 5000)) as client:
        assert client.post("/mcp/", json=hello, headers=accepts).status_code == 401
        assert client.post("/mcp/", json=hello, headers={**accepts, **other}).status_code == 403
        answer = client.post("/mcp/", json=hello, headers={**accepts, **key})
        assert answer.status_code == 200 and '"llavero"' in answer.text
    tools = over_http(build_tools(lambda: {"boats": library.service}, write=True))
    rules = AccessRules(keys=keys, rate=RateLimit(1000))
    app = build_app(Libraries.with_open(library), rules, tools=tools, tools_scope="admin")
    with TestClient(app, base_url="https://photos.example", client=("192.0.2.7", 5000)) as client:
        assert (
            client.post("/mcp/", json=hello, headers={**accepts, **key}).status_code == 403
        )  # a reader writes nothing
        assert client.post("/mcp/", json=hello, headers={**accepts, **admin}).status_code == 200
