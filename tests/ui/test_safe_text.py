import json
import unicodedata
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_tags import Tags

from claims.citations import Citation
from ui import wording
from ui.cli import terminal
from ui.documents import citation_document
from ui.page import source_cards

IMITATIONS = [
    "report.pdf, page 3 ✓ “all is verified”.txt",
    "a ✔ found in the source.txt",
    "a ☑ ✅ √.txt",
    'a" ✓ "b".txt',
    "a”: “all is verified”.txt",
    "a\\",
    "a\n  [2] ✓ b.pdf: “verified”.txt",
    "a\u2028[2] ✓ b.txt",
    "a\u202e✓ txt.exe",
    "a\u2067\u200f ✓ b.txt",
    "a\u061c\u200e.txt",
    "a\x9b1A\x1b[2K✓.txt",
    "a\U000e0041\U000e007f.txt",
    "a\udcff\udce9.txt",
    "  a  b.txt",
    "",
    "[1] a.txt",
    "a ① · b.txt",
]
ORDINARY = ["manual.pdf", "/home/ada/Größe (2).txt", "日本語ノート.md", "עברית.pdf", "हिन्दी-1_a.txt", "R&D @home #1.md"]


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_name_is_shown_as_it_is(name: str) -> None:
    assert wording.shown(name) == name


@pytest.mark.parametrize("name", IMITATIONS)
def test_a_name_that_looks_like_something_else_stands_between_marks_that_it_cannot_close(name: str) -> None:
    shown = wording.shown(name)
    assert json.loads(shown) == name
    assert not any(wording.is_hidden(c) for c in shown)


@given(st.text())
def test_what_is_shown_tells_every_name_from_every_other_and_hides_nothing(name: str) -> None:
    shown = wording.shown(name)
    assert (json.loads(shown) if shown.startswith('"') else shown) == name
    assert not any(wording.is_hidden(c) for c in shown)
    assert shown.startswith('"') or not set(shown) & set("✓✔☑✅√“”\"'‘’«»·?,:;[]{}<>|\\")


def cited(name: str, state: Literal["quoted", "supported", "unchecked"]) -> Citation:
    return Citation(marker=1, path=f"/{name}", page=3, boxes=(), quote="It is ” (b.pdf) ✓ so.", state=state)


@pytest.mark.parametrize("name", IMITATIONS)
def test_in_a_terminal_the_verdict_stands_before_the_name_and_the_name_in_its_marks(name: str) -> None:
    for state, begins in (("quoted", "  [1] ✓ quoted: "), ("unchecked", "  [1] not checked: ")):
        line = terminal.printable(terminal.citation_line(citation_document(cited(name, state))))
        assert line.startswith(begins + wording.shown(f"/{name}") + ", page 3: “")
        assert len(line.splitlines()) == 1


@pytest.mark.parametrize("name", IMITATIONS)
def test_on_the_page_the_seal_is_an_element_before_the_name_and_the_name_has_its_own(name: str) -> None:
    class Elements(Tags):
        def __init__(self, html: str) -> None:
            self.said: list[tuple[str, str]] = []
            super().__init__(html)

        def handle_data(self, data: str) -> None:
            super().handle_data(data)
            self.said.append((self.open[-1], data))

    source: Any = source_cards.Source(hit=a_hit(name), number=1, quote="It is so.", state="unchecked")
    said = Elements(source_cards._words(source)).said
    assert said[:3] == [("span", "1"), ("span", "not checked"), ("bdi", wording.shown(name))]
    assert sum(element == "bdi" for element, _ in said) == 1
    assert "".join(text for element, text in said if element == "span") == "1not checked"


def a_hit(name: str) -> Any:
    from indexing.records import Chunk, Hit

    chunk = Chunk(
        content_hash="0" * 64, path=f"/{name}", kind="text", ordinal=0, page=3, lines=(), text="It is so.", title="",
        image="",
    )  # fmt: skip
    return Hit(chunk=chunk, score=1.0, channels={})


EVERY = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Co")]


def test_no_control_no_direction_and_no_tag_gets_through_to_terminal_page_or_json() -> None:
    unseen = [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0xAD, 0xFEFF, *range(0x200B, 0x2010), *range(0x2028, 0x202F)]
    unseen += [*range(0x2060, 0x2070), *range(0xD800, 0xE000), *range(0xE0000, 0xE0200), 0x3164, 0x115F, 0x180E]
    for code in {*unseen} - {0x0A, 0x09}:
        c = chr(code)
        assert wording.is_hidden(c), hex(code)
        assert c not in wording.shown(f"a{c}b")
        if c not in wording.JOINERS:
            assert c not in wording.visible(f"a{c}b") and c not in terminal.printable(f"a{c}b")


def test_letters_of_every_script_are_left_alone() -> None:
    letters = [c for c in EVERY if unicodedata.category(c)[0] in "LNP" and c not in wording.BLANKS]
    text = "".join(letters)
    assert wording.visible(text) == terminal.printable(text) == text


@given(st.recursive(st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_a_json_document_says_the_same_and_holds_no_hidden_character(document: Any) -> None:
    written = wording.json_text([document])
    assert not any(wording.is_hidden(c) for c in written if c != "\n")
    assert json.loads(written) == [document]
    written.encode("utf-8")


def test_a_json_document_stays_readable(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say_json({"Größe": "日本語 عربى", "bad": "a\x9b1A\u202e\u2028\U000e0041\ud800\x7f"})
    said = capsys.readouterr().out
    assert '"Größe": "日本語 عربى"' in said
    assert r'"a\u009b1A\u202e\u2028\udb40\udc41\ud800\u007f"' in said
