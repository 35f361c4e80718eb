import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_tags import Tags

from ui import wording
from ui.page import safe_html

OURS = {"div", "p", "ul", "ol", "li", "br", "strong", "code", "span"}
UGLY = st.text(alphabet=st.sampled_from("<>&\"'[]()!*`#-1.$:/ \n\tabx\u202e\x00\ud800"), max_size=200) | st.text()


@given(UGLY)
def test_an_answer_never_brings_a_tag_or_an_attribute_of_its_own(text: str) -> None:
    seen = Tags(safe_html.answer(text, {1, 11}))
    assert set(seen.tags) <= OURS
    assert seen.attributes <= {"class=answer", "class=marker"}
    assert seen.open == []


@given(UGLY)
def test_text_keeps_every_visible_character(text: str) -> None:
    seen = Tags(safe_html.paragraphs(text))
    assert seen.tags == ["div"]
    assert seen.words == wording.visible(text.strip()).replace("\r", " ")


@given(UGLY)
def test_a_passage_brings_no_tag_of_its_own_and_loses_nothing_but_bars(text: str) -> None:
    seen = Tags(safe_html.passage(text, "passage"))
    assert set(seen.tags) <= {"div", "table", "tr", "td"} and seen.open == []
    assert seen.attributes == {"class=passage"}
    kept = set(wording.visible(text)) - set("|-: \n\t")
    assert {c for c in kept if not c.isspace()} <= set(seen.words)


def test_rows_between_bars_are_shown_as_a_table() -> None:
    text = "Table 5: How often.\n| Part | Every |\n| --- | :-: |\n| <b>Pump</b> | 12 months |"
    assert safe_html.passage(text, "passage") == (
        '<div class="passage"><div>Table 5: How often.</div><table><tr><td>Part</td><td>Every</td></tr>'
        "<tr><td>&lt;b&gt;Pump&lt;/b&gt;</td><td>12 months</td></tr></table></div>"
    )


@given(UGLY, UGLY)
def test_a_title_cannot_leave_its_attribute(text: str, title: str) -> None:
    assert Tags(safe_html.tag("span", text, "name", title=title)).tags == ["span"]


@pytest.mark.parametrize(
    "attack",
    [
        "![x](http://evil.example/steal?q=1)",
        "[click](http://evil.example)",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "$\\latex$",
        ":material/delete: :red[x] :smile:",
        "www.evil.example and http://evil.example",
    ],
)
def test_markup_from_a_model_is_shown_as_it_was_written(attack: str) -> None:
    seen = Tags(safe_html.answer(attack))
    assert seen.words == attack
    assert seen.tags == ["div", "p"]


def test_only_numbers_that_stand_for_a_source_become_badges() -> None:
    shown = safe_html.answer("Oil [1], water [2], both [1, 2], nothing [1, 9].", {1, 2})
    assert shown.count('<span class="marker">1</span>') == 2
    assert shown.count('<span class="marker">2</span>') == 2
    assert "[1, 9]" in shown


def test_lists_and_bold_look_like_lists_and_bold() -> None:
    shown = safe_html.answer("Two things:\n- **oil**, `4.5`\n- water\n\nThat is all.")
    assert shown == (
        '<div class="answer"><p>Two things:</p><ul><li><strong>oil</strong>, <code>4.5</code></li>'
        "<li>water</li></ul><p>That is all.</p></div>"
    )


def test_marks_that_turn_the_reading_direction_are_dropped_from_names() -> None:
    assert wording.visible("invoice\u202efdp.exe") == "invoicefdp.exe"
