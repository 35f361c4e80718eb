"""Web pages: nothing is dropped in silence, however deep it stands; what belongs to no text is counted."""

from pathlib import Path

import pytest
from reading_doubles import read_here, words_of

from indexing.readers.web import read_markup
from indexing.records import Reading


def read_html(tmp_path: Path, page: str) -> Reading:
    (tmp_path / "a.html").write_text(f"<!doctype html><html><body>{page}</body></html>")
    return read_here(tmp_path / "a.html", tmp_path / "out")


def inside(tag: str, depth: int, words: str) -> str:
    return f"<{tag}>" * depth + words + f"</{tag}>" * depth


@pytest.mark.parametrize("depth", [100, 255, 300, 2_100, 20_000])
@pytest.mark.parametrize("tag", ["div", "b", "blockquote", "section", "x-panel"])
def test_words_are_read_however_deep_they_stand(tmp_path: Path, tag: str, depth: int) -> None:
    reading = read_html(tmp_path, f"<p>before</p>{inside(tag, depth, 'deep words')}<p>after</p>")
    assert [block.text for block in reading.blocks] == ["before", "deep words", "after"]
    assert bool(reading.notes) == (depth > 2_000)


def test_nesting_that_was_lost_is_told_with_numbers(tmp_path: Path) -> None:
    (note,) = read_html(tmp_path, inside("div", 5_000, "deep words")).notes
    assert note == "8,000 tags nested deeper than 1,000 were read as line breaks"


@pytest.mark.parametrize("depth", [80, 400])
def test_lists_and_tables_inside_each_other_are_read_whole(tmp_path: Path, depth: int) -> None:
    lists = "".join(f"<ul><li>item {number}" for number in range(depth)) + "</li></ul>" * depth
    tables = "".join(f"<table><tr><td>cell {number}" for number in range(depth)) + "</td></tr></table>" * depth
    words = words_of(read_html(tmp_path, lists + tables).blocks)
    assert [number for number in range(depth) if f"item {number}" not in words or f"cell {number}" not in words] == []


def test_a_script_far_down_is_no_text(tmp_path: Path) -> None:
    reading = read_html(tmp_path, inside("div", 3_000, "<script>var secret = '<p>no</p>'</script>words"))
    assert "secret" not in words_of(reading.blocks)


def test_menus_and_controls_are_left_out_and_counted(tmp_path: Path) -> None:
    page = "<nav>home shop help</nav><p>The text.</p><button>buy now</button><select><option>one</select>"
    reading = read_html(tmp_path, page)
    assert words_of(reading.blocks) == "The text."
    assert reading.notes == ("6 words in menus, form controls or beside the page's main part were left out",)


def test_of_a_page_with_a_main_part_the_rest_is_counted(tmp_path: Path) -> None:
    reading = read_html(tmp_path, "<p>advertisement of seven</p><main><p>The text.</p></main>")
    assert words_of(reading.blocks) == "The text."
    assert reading.notes[0].startswith("3 words ")


def test_a_main_part_without_words_does_not_hide_the_others(tmp_path: Path) -> None:
    assert words_of(read_html(tmp_path, "<main id=app></main><p>The text.</p>").blocks) == "The text."


@pytest.mark.parametrize("tag", ["form", "figure", "details", "label", "summary", "figcaption"])
def test_words_in_elements_around_text_are_text(tmp_path: Path, tag: str) -> None:
    assert "words in it" in words_of(read_html(tmp_path, f"<{tag}><p>words in it</p></{tag}>").blocks)


@pytest.mark.parametrize("page", ["<nav>only a menu</nav>", "<script>x</script>", "<p> </p>"])
def test_a_page_in_which_nothing_is_found_says_so(tmp_path: Path, page: str) -> None:
    reading = read_html(tmp_path, page)
    assert reading.blocks == ()
    assert reading.notes[-1] == "no words and no pictures were found in it"


def test_a_table_keeps_its_caption_and_what_its_cells_span() -> None:
    rows = "<tr><th colspan=2>Year</th><th>n</th></tr><tr><td rowspan=2>a</td><td>b</td><td>1</td></tr>"
    page = read_markup(f"<table><caption>Ducks</caption>{rows}<tr><td>c</td><td>2</td></tr></table>")
    (table,) = page.blocks
    assert (table.caption, table.kind) == ("Ducks", "table")
    assert table.text.split("\n")[2:] == ["| a | b | 1 |", "|  | c | 2 |"]


def test_a_bold_letter_parts_no_word_and_a_line_break_does() -> None:
    page = "<p>H<sub>2</sub>O<br>water</p><table><tr><td>a<b>b</b>c<br>d</td><td>2</td></tr><tr><td>3<td>4</table>"
    blocks = read_markup(page).blocks
    assert blocks[0].text == "H2O water"
    assert "| abc d | 2 |" in blocks[1].text


def test_a_page_that_declares_an_encoding_in_xml_is_read() -> None:
    page = '<?xml version="1.0" encoding="iso-8859-1"?><html><body><p>Käse</p></body></html>'
    assert [block.text for block in read_markup(page).blocks] == ["Käse"]


def test_a_formula_is_read_once_and_as_its_author_wrote_it() -> None:
    math = "<math><semantics><mi>x</mi><annotation encoding='application/x-tex'>x^2</annotation></semantics></math>"
    page = (
        f"<p>Let <span class=katex><span class=katex-mathml>{math}</span><span class=katex-html>x2</span></span>.</p>"
    )
    assert [block.text for block in read_markup(page).blocks] == ["Let x^2."]


@pytest.mark.parametrize("start", ["<!-- ", "<script>", "<textarea>", "<STYLE>"])
def test_what_hides_the_rest_of_a_page_is_told(tmp_path: Path, start: str) -> None:
    reading = read_html(tmp_path, f"<p>shown</p>{start}<p>hidden words</p>")
    assert words_of(reading.blocks) == "shown"
    assert "without an end hides the last " in reading.notes[0]


def test_what_has_its_end_hides_nothing(tmp_path: Path) -> None:
    page = "<!-- a --><script>x</script><style>y</style><p>shown</p>"
    assert read_html(tmp_path, page).notes == ()
