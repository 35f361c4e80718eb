import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.events import Answer, Token
from ui.cli import terminal
from ui.documents import Document, event_document


@given(st.text())
def test_nothing_that_was_read_moves_the_cursor(text: str) -> None:
    shown = terminal.printable(text)
    assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)
    assert "\x1b" not in shown and "\x7f" not in shown and "\x9b" not in shown and "\u202e" not in shown


@pytest.mark.parametrize("text", ["Größe: 12 µm", "日本語", "عربى", "a\tb\nc", "naïve 👩‍🔬"])
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert terminal.printable(text) == text


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (7500, "2 h 05 min")])
def test_durations_read_well(seconds: float, shown: str) -> None:
    assert terminal.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1400, "1.4 kB"), (2.5e9, "2.5 GB"), (5e12, "5000.0 GB")]
)
def test_sizes_read_well(count: float, shown: str) -> None:
    assert terminal.size(count) == shown


def test_a_name_with_a_newline_cannot_pass_for_two_lines() -> None:
    assert terminal.location("/a/b\nfailed: c", 2) == '"/a/b\\nfailed: c", page 2'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def answered(text: str) -> list[Document]:
    answer = Answer(text=text, refused=False, citations=(), hits=(), model="m", milliseconds={"total": 1.0})
    return list(map(event_document, (Token(text="It is "), Token(text="a guess [2]."), answer)))


def test_a_pipe_gets_the_checked_answer_once(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_answer(answered("It is a guess."), stream=True)
    assert capsys.readouterr().out == "It is a guess.\n"


def test_a_terminal_gets_the_answer_as_it_comes_and_is_told_what_the_check_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for checked, end in (
        ("It is a guess [2]. \n\nMore", "\n\nMore\n"),
        ("It is.", "\n\nChecked against the sources:\nIt is.\n"),
    ):
        screen = Terminal()
        monkeypatch.setattr("sys.stdout", screen)
        terminal.show_answer(answered(checked), stream=True)
        assert screen.getvalue().replace(" \n", "\n") == "It is a guess [2]." + end


def test_what_a_passage_stands_under_is_shown_part_by_part() -> None:
    assert terminal.location("/a/m.pdf", 4, "Duo › 11 Care") == "/a/m.pdf › Duo › 11 Care, page 4"
    assert terminal.location("/a/m.pdf", None, "Duo › ✓ quoted") == '/a/m.pdf › Duo › "✓ quoted"'
