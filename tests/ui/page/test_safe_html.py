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
    assert set(seen.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td"} and seen.open == []
    assert {each for each in seen.attributes if not each.startswith("colspan=")} <= {"class=passage", "scope=col"}
    kept = set(wording.visible(text)) - set("|-: \n\t")
    assert {c for c in kept if not c.isspace()} <= set(seen.words)


def test_rows_between_bars_are_shown_as_a_table() -> None:
    text = "Table 5: How often.\n| Part | Every |\n| --- | :-: |\n| <b>Pump</b> | 12 months |"
    assert safe_html.passage(text, "passage") == (
        '<div class="passage"><div>Table 5: How often.</div><table><thead><tr><th scope="col">Part</th>'
        '<th scope="col">Every</th></tr></thead>'
        "<tbody><tr><td>&lt;b&gt;Pump&lt;/b&gt;</td><td>12 months</td></tr></tbody></table></div>"
    )


def test_a_cell_that_reaches_over_others_does_so_on_the_page() -> None:
    text = "| Well | Sunk ||  |\n| --- | --- | --- | --- |\n| Exe || 1998 | \\| |"
    assert safe_html.passage(text, "x") == (
        '<div class="x"><table><thead><tr><th scope="col">Well</th><th scope="col" colspan="2">Sunk</th>'
        '<th scope="col"></th></tr></thead>'
        '<tbody><tr><td colspan="2">Exe</td><td>1998</td><td>|</td></tr></tbody></table></div>'
    )


@pytest.mark.parametrize(
    "quote", ["| Pump | 12 months |", "| Fan | 3 years | … | Pump | 12 months |", "Pump 12 months"]
)
def test_the_row_that_an_answer_quotes_is_marked(quote: str) -> None:
    text = "| Part | Every |\n| --- | --- |\n| Valve | 12 months |\n| Pump | 12 months |"
    shown = safe_html.passage(text, "x", cited=quote)
    assert shown.count('class="cited"') == 1
    assert '<tr class="cited"><td>Pump</td><td>12 months</td></tr>' in shown


def test_a_short_table_shows_the_quoted_row_wherever_it_stands_and_counts_the_rest() -> None:
    rows = "\n".join(f"| well {n} | {n} |" for n in range(1, 21))
    shown = safe_html.passage(f"| Well | Depth |\n| --- | --- |\n{rows}", "x", cited="| well 17 | 17 |", most_rows=3)
    assert [row for row in ("well 1<", "well 2<", "well 3<", "well 17<") if row in shown] == [
        "well 1<",
        "well 2<",
        "well 17<",
    ]
    assert "17 rows more" in shown


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
