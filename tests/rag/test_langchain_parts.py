import asyncio
import base64
import io

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from PIL import Image
from rag_doubles import MemoryStore, ScriptedEngine, WordEmbedder, chunk, rows

from llava_model.serving.engine import Turn
from rag.errors import PictureAddressError, PictureDataError
from rag.langchain import LlaveroChatModel, LlaveroRetriever, data_url, messages_of, turns_of
from rag.retrieve import Retriever

SCRIPT = "The tank holds 1.8 litres [1]."


def model(script: str = SCRIPT, **more) -> LlaveroChatModel:
    return LlaveroChatModel(engine=ScriptedEngine(script), **more)


def test_invoke_gives_the_whole_reply() -> None:
    reply = model().invoke("How big is the tank?")
    assert isinstance(reply, AIMessage) and reply.content == SCRIPT
    assert reply.response_metadata["model_name"] == "scripted"


def test_stream_gives_the_same_in_pieces() -> None:
    pieces = [piece.content for piece in model().stream("How big?")]
    assert len(pieces) > 3 and "".join(pieces) == SCRIPT


def test_async_invoke_and_stream_agree_with_the_plain_ones() -> None:
    async def both() -> tuple[str, str]:
        one = await model().ainvoke("How big?")
        return one.content, "".join([piece.content async for piece in model().astream("How big?")])

    assert asyncio.run(both()) == (SCRIPT, SCRIPT)


def test_batch_answers_each_in_order() -> None:
    assert [reply.content for reply in model().batch(["a", "b", "c"])] == [SCRIPT] * 3


def test_it_stands_in_a_chain() -> None:
    chain = (
        ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
        | model()
        | StrOutputParser()
    )
    assert chain.invoke({"question": "How big?"}) == SCRIPT
    assert "".join(chain.stream({"question": "How big?"})) == SCRIPT


def test_stop_words_end_the_reply() -> None:
    assert model().invoke("How big?", stop=[" litres"]).content == "The tank holds 1.8"


def test_the_prompt_template_reaches_the_engine_as_turns() -> None:
    chat = model()
    chat.invoke([SystemMessage("Be brief."), HumanMessage("One?"), AIMessage("Two."), HumanMessage("Three?")])
    assert [(turn.role, turn.text) for turn in chat.engine.asked[0]] == [
        ("system", "Be brief."), ("user", "One?"), ("assistant", "Two."), ("user", "Three?"),
    ]  # fmt: skip


def test_options_reach_the_engine() -> None:
    chat = model(max_new_tokens=7, temperature=0.5)
    chat.invoke("x")
    assert (chat.engine.options["max_new_tokens"], chat.engine.options["temperature"]) == (7, 0.5)
    chat.invoke("x", max_tokens=9)
    assert chat.engine.options["max_new_tokens"] == 9


def test_a_stream_that_is_given_up_stops_the_engine() -> None:
    chat = model("word " * 1000)
    stream = chat.stream("x")
    next(stream)
    stream.close()
    assert chat.engine.closed and not chat.engine.finished


def test_tokens_are_the_engines_own_count() -> None:
    chat = model()
    assert chat.get_num_tokens("three small words") == 3
    turns = [Turn(role="user", text="two words", images=(Image.new("RGB", (4, 4)),))]
    assert chat.get_num_tokens_from_messages(messages_of(turns)) == chat.engine.count_tokens(turns) == 56


def test_turns_survive_the_way_through_messages() -> None:
    turns = (
        Turn(role="system", text="s"),
        Turn(role="user", text="look", images=(Image.new("RGB", (6, 4), "red"),)),
        Turn(role="assistant", text="a"),
    )
    back = turns_of(messages_of(turns))
    assert [(turn.role, turn.text, len(turn.images)) for turn in back] == [
        ("system", "s", 0),
        ("user", "look", 1),
        ("assistant", "a", 0),
    ]
    red, green, _ = back[1].images[0].getpixel((3, 2))
    assert back[1].images[0].size == (6, 4) and red > 200 > 50 > green


def test_pictures_for_the_model_in_process_lose_nothing_and_big_ones_shrink() -> None:
    noisy = Image.effect_noise((64, 48), 90).convert("RGB")
    (turn,) = turns_of(messages_of([Turn(role="user", text="x", images=(noisy,))], lossless=True))
    assert turn.images[0].tobytes() == noisy.tobytes()
    (turn,) = turns_of(messages_of([Turn(role="user", text="x", images=(Image.new("RGB", (4000, 1000)),))]))
    assert turn.images[0].size == (1536, 384)


def test_pictures_are_read_in_langchains_own_writing_too() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 3)).save(buffer, "PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    message = HumanMessage(content=[
        {"type": "text", "text": "what?"},
        {"type": "image", "base64": encoded, "mime_type": "image/png"},
        {"type": "image_url", "image_url": data_url(Image.new("RGB", (2, 2)))},
    ])  # fmt: skip
    (turn,) = turns_of([message])
    assert [image.size for image in turn.images] == [(5, 3), (2, 2)] and turn.text == "what?"


@pytest.mark.parametrize("address", ["http://example.com/a.png", "file:///etc/passwd", "data:image/png,notbase64", ""])
def test_an_address_of_a_picture_is_never_fetched(address: str) -> None:
    message = HumanMessage(content=[{"type": "image_url", "image_url": {"url": address}}])
    with pytest.raises(PictureAddressError, match="not fetched"):
        turns_of([message])


@pytest.mark.parametrize("payload", ["AAAA", "%%%"])
def test_bytes_that_are_no_picture_are_refused(payload: str) -> None:
    message = HumanMessage(content=[{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{payload}"}}])
    with pytest.raises(PictureDataError, match="cannot be read"):
        turns_of([message])


def test_postscript_in_a_message_is_refused_before_anything_is_started() -> None:
    payload = base64.b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n").decode()
    message = HumanMessage(content=[{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{payload}"}}])
    with pytest.raises(PictureDataError, match="none of the formats"):
        turns_of([message])


def test_other_messages_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'tool'"):
        turns_of([ToolMessage("x", tool_call_id="1")])


def test_the_retriever_gives_documents_with_their_place() -> None:
    store = MemoryStore(rows(chunk("The family ticket costs 22 euros.", file="visit.pdf", page=2)))
    retriever = LlaveroRetriever(retriever=Retriever(store, WordEmbedder()), k=3)
    (document,) = retriever.invoke("What does a family ticket cost?")
    assert document.page_content == "The family ticket costs 22 euros."
    assert (document.metadata["path"], document.metadata["page"]) == ("/library/visit.pdf", 2)
    assert asyncio.run(retriever.ainvoke("What does a family ticket cost?")) == [document]


def test_the_retriever_gives_nothing_where_nothing_answers() -> None:
    store = MemoryStore(rows(chunk("The family ticket costs 22 euros.")))
    retriever = Retriever(store, WordEmbedder())
    assert LlaveroRetriever(retriever=retriever).invoke("Who conducts the trombone orchestra?") == []
    assert LlaveroRetriever(retriever=retriever, relevant_only=False).invoke("trombone orchestra") != []


def test_who_says_nothing_of_length_gets_a_paragraph() -> None:
    chat = LlaveroChatModel(engine=ScriptedEngine("x"))
    chat.invoke("x")
    assert chat.engine.options["max_new_tokens"] == 256


def test_a_picture_in_a_message_has_at_most_50_million_pixels() -> None:
    buffer = io.BytesIO()
    Image.new("1", (8000, 6300)).save(buffer, "PNG")  # a few kilobytes that would become 150 MB
    part = {"type": "image", "base64": base64.b64encode(buffer.getvalue()).decode(), "mime_type": "image/png"}
    with pytest.raises(PictureDataError):
        turns_of([HumanMessage(content=[part])])


def test_pictures_for_servers_are_jpegs_in_which_nothing_can_be_seen_to_be_lost() -> None:
    noisy, buffer = Image.effect_noise((64, 48), 90).convert("RGB"), io.BytesIO()
    noisy.save(buffer, "JPEG", quality=90)
    assert base64.b64decode(data_url(noisy).partition(",")[2]) == buffer.getvalue()
