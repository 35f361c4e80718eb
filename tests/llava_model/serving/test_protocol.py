"""Any JSON in any field is a request or a refusal, and every refusal can be written."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llava_model.errors import RequestRefusedError
from llava_model.serving.http import protocol
from llava_model.serving.http.protocol import ChatRequest, fault, read_request

PLAIN = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
WORDS = st.one_of(
    st.text(st.characters(), max_size=5),  # lone surrogates too
    st.sampled_from(
        ["tiny", "user", "text", "image_url", "auto", "none", "\ud800", "data:;base64,AAA", "data:;base64,é"]
    ),
)
KEYS = ["role", "content", "type", "url", "text"]
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), WORDS, st.floats(), st.integers(), st.sampled_from([10**400, -(2**70), 1e308, 5e-324])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(WORDS, st.sampled_from(["role", "content", "type", "url", "text"])), inner, max_size=4
        ),
    ),
    max_leaves=12,
)
FIELDS = (
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
    "repetition_penalty", "seed", "stop", *protocol._NOT_DONE_HERE,
)  # fmt: skip


def outcome(body: bytes) -> ChatRequest | bytes:
    """The request, or the refusal as it is written to the client."""
    try:
        return read_request(body, model="tiny")
    except RequestRefusedError as refused:
        assert 400 <= refused.status < 500
        return json.dumps(fault(refused), ensure_ascii=False).encode()


@settings(max_examples=500, deadline=None)
@given(field=st.sampled_from(FIELDS), value=VALUES)
def test_any_value_in_any_field_is_a_request_or_a_refusal(field: str, value: Any) -> None:
    assert outcome(json.dumps(PLAIN | {field: value}).encode())


@settings(max_examples=500, deadline=None)
@given(
    path=st.sampled_from(["role", "content", "part", "type", "text", "image_url", "url", "include_usage"]), value=VALUES
)
def test_any_value_further_inside_is_a_request_or_a_refusal(path: str, value: Any) -> None:
    message: dict[str, Any] = {"role": "user", "content": "Hi"}
    part: dict[str, Any] = {
        "type": "image_url" if "url" in path else "text",
        "text": "Hi",
        "image_url": {"url": "data:;base64,"},
    }
    if path in message:
        message[path] = value
    elif path == "url":
        message["content"] = [part | {"image_url": {"url": value}}]
    else:
        message["content"] = [value if path == "part" else part | {path: value}]
    assert outcome(json.dumps(PLAIN | {"messages": [message], "stream_options": {path: value}}).encode())


@settings(max_examples=300, deadline=None)
@given(body=st.one_of(st.binary(max_size=40), VALUES.map(lambda value: json.dumps(value).encode())))
def test_any_bytes_are_a_request_or_a_refusal(body: bytes) -> None:
    assert outcome(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"temperature": 1e999}', b'{"temperature": -Infinity}', b'{"seed": ' + b"9" * 5000 + b"}",
        b'{"temperature": 0.' + b"1" * 100_000 + b"}", b'{"model": "tiny", "model": {}}', b'{"model": "\\ud800"}',
        b'{"a":' * 100_000, b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"{\"model\": \"\xed\xa0\x80\"}", b"",
    ],
)  # fmt: skip
def test_json_that_python_reads_in_its_own_way_is_refused(body: bytes) -> None:
    assert isinstance(outcome(body), bytes)


def test_a_message_shows_a_clients_word_short_and_without_control_characters() -> None:
    for name in ("x" * 1_000_000, "\x1b[2J\u202e\x9b", "\ud800"):
        said = outcome(json.dumps(PLAIN | {"model": name}).encode())
        assert isinstance(said, bytes)
        message = json.loads(said)["error"]["message"]
        assert len(message) < 200 and message.isprintable() and message.endswith("only 'tiny'")


def test_a_body_of_very_many_values_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def must_not_be_called(_: object) -> None:
        raise AssertionError("the body was read")

    monkeypatch.setattr(protocol.json, "loads", must_not_be_called)
    for piece in (b"[],", b"{},", b"1,", b'"a":1,'):
        with pytest.raises(RequestRefusedError, match="at most 500,000") as refused:
            read_request(b"[" + piece * 500_001, model="tiny")
        assert refused.value.status == 413


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def request(**fields: Any) -> ChatRequest:
    return read_request(json.dumps(PLAIN | fields).encode(), model="tiny")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"temperature": "hot"}, "temperature", "invalid_value"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_value"),
        ({"max_tokens": 4, "max_completion_tokens": 0}, "max_completion_tokens", "invalid_value"),
        ({"stop": ["a", 7]}, "stop[1]", "invalid_value"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage", "invalid_value"),
        ({"messages": "Hi"}, "messages", "invalid_value"),
        ({"messages": ["Hi"]}, "messages[0]", "invalid_value"),
        ({"messages": [*PLAIN["messages"], {"role": "tool"}]}, "messages[1].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_value"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0]", "invalid_value"),
        ({"messages": [{"role": "system", "content": [PICTURE]}]}, "messages[0]", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [PICTURE, {**PICTURE, "image_url": "x"}]}]},
            "messages[0].content[1]",
            "invalid_image_url",
        ),
    ],
)
def test_a_refusal_names_the_place_that_is_wrong(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        request(**fields)
    assert (refused.value.param, refused.value.code) == (param, code) and param in str(refused.value)


def test_what_is_null_counts_as_left_out() -> None:
    names = set(FIELDS) - {"model", "messages"}
    assert request(**dict.fromkeys(names)) == request()
    assert request(max_completion_tokens=None, max_tokens=5).max_tokens == 5


def test_a_message_is_its_words_and_its_pictures() -> None:
    said = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [PICTURE, {"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]},
        {"role": "assistant", "content": None},
    ]
    messages = request(messages=said).messages
    assert [(each.role, each.text, each.pictures) for each in messages] == [
        ("system", "Be brief.", ()), ("user", "One.\nTwo.", (b"hi",)), ("assistant", "", ())
    ]  # fmt: skip


def test_an_empty_stop_stops_nothing() -> None:
    assert request(stop="").stop == [] and request(stop=["", "x"]).stop == ["x"] and request(stop="x").stop == ["x"]


def test_more_messages_than_there_is_room_for_are_counted_and_not_looked_at() -> None:
    with pytest.raises(RequestRefusedError, match="3 messages, there is room for 2") as refused:
        read_request(json.dumps(PLAIN | {"messages": ["x", "x", "x"]}).encode(), model="tiny", most_messages=2)
    assert refused.value.code == "context_length_exceeded"
