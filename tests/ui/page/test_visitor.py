"""The script's own look at who visits: a session that has ended draws nothing; what people do is told by name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ui.page.sessions import Sessions, entrance
from ui.sign_in import Person

APP = Path(__file__).parents[3] / "ui" / "page" / "app.py"


@pytest.fixture
def signed_in(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Ada's session of 8 hours → the clock."""
    import streamlit as st

    now = [0.0]
    kept = Sessions(minutes=480, clock=lambda: now[0])
    value = kept.begin(Person(who="ada@example.org", name="Ada *L*"), {})
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: {"llavero-session": value}))
    entrance.sessions, entrance.cookie = kept, "llavero-session"
    yield now
    entrance.sessions, entrance.cookie = None, ""


def opened() -> AppTest:
    page = AppTest.from_file(APP, default_timeout=120).run()
    assert not page.exception
    return page


def words(page: AppTest) -> str:
    return "\n".join(element.value for element in page.html)


def test_a_session_that_has_ended_draws_nothing_of_the_library(signed_in: list[float]) -> None:
    page = opened()
    assert "files in the library" in words(page) and "Signed in as Ada *L*" in words(page)
    signed_in[0] = 480 * 60 - 29
    page.run()
    assert "Your session has ended." in words(page) and "in the library" not in words(page)
    assert [button.label for button in page.button] == ["Sign in again"] and not page.chat_input


def test_what_somebody_asks_is_told_with_their_name_and_without_the_question(
    signed_in: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="llavero.audit"):
        page = opened()
        page.chat_input[0].set_value("how much oil").run()
        assert page.session_state.turns[-1].running.wait(60)
    (line,) = [json.loads(message) for message in caplog.messages if '"ask"' in message]
    assert (line["who"], line["what"], line["library"]) == ("ada@example.org", "ask", "library")
    assert line["request"] and "oil" not in caplog.text


def test_where_nobody_signs_in_there_is_nobody_to_sign_out(bench: Any) -> None:
    page = opened()
    assert "Signed in" not in words(page) and "Sign out" not in [button.label for button in page.button]
