"""A chat model as a function from turns to its reply: how a capable model by address fills in fields."""

import json

from chat_server import ChatServer, serving
from rag_doubles import chunk

from extraction.extractor import Extractor, FieldReader
from extraction.fields import parse_fields
from llava_model.serving.engine import Turn
from rag.generate import chat_model, token_counter
from rag.langchain import write_with
from rag.settings import GeneratorSettings


def test_a_server_fills_in_all_fields_in_one_request() -> None:
    with serving(ChatServer(reply=json.dumps({"company": "ACME TOOLS LTD", "total": None}))) as server:
        settings = GeneratorSettings(url=server.url, model="llava")
        reader = FieldReader(
            write=write_with(chat_model(settings)),
            count_tokens=token_counter(settings),
            context_tokens=settings.context_tokens,
            capable=True,
        )
        fields = parse_fields("company:text, total:money")
        (row,) = Extractor(reader, lambda words, path: []).rows("/a", [chunk("ACME TOOLS LTD\nTotal 9.00")], fields)
    assert [cell.state for cell in row.cells.values()] == ["quoted", "absent"]
    (request,) = server.requests
    assert request["max_tokens"] == 96 and "ACME TOOLS LTD" in request["messages"][-1]["content"]


def test_length_and_stop_reach_the_server() -> None:
    with serving(ChatServer(reply="one")) as server:
        write = write_with(chat_model(GeneratorSettings(url=server.url, model="llava")))
        assert write([Turn(role="user", text="Say it.")], 7, ["\n"]) == "one"
    assert (server.requests[0]["stop"], server.requests[0]["max_tokens"]) == (["\n"], 7)
