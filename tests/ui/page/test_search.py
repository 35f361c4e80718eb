import io
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from indexing.errors import StoreError


def search_page() -> None:
    from ui.page import search

    search.draw_page()


@pytest.fixture
def page(bench: Any) -> AppTest:
    return AppTest.from_function(search_page, default_timeout=120).run()


def shown(page: AppTest) -> str:
    assert not page.exception
    return "\n".join(element.value for element in page.html)


def look_for(page: AppTest, words: str) -> AppTest:
    return page.text_input(key="search-words").set_value(words).run()


def a_png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


def test_words_find_a_gallery_and_what_does_not_fit_is_folded_away(page: AppTest) -> None:
    look_for(page, "oil pump")
    assert "1 find for “oil pump”" in shown(page) and "pump.pdf" in shown(page)
    assert [folded.label for folded in page.expander] == ["Less likely (1)"]


def test_when_nothing_fits_the_page_says_so_before_it_shows_the_nearest(page: AppTest) -> None:
    look_for(page, "purple")
    assert "Nothing here really fits “purple”." in shown(page) and "The nearest to “purple”" in shown(page)


def test_a_picture_alone_can_be_searched_by(page: AppTest) -> None:
    page.file_uploader[0].set_value(("mine.png", a_png(), "image/png")).run()
    assert "your picture" in shown(page)


def test_a_picture_that_cannot_be_read_is_one_line_and_the_page_goes_on(page: AppTest) -> None:
    page.file_uploader[0].set_value(("mine.png", b"no", "image/png")).run()
    assert "cannot be used as a picture" in shown(page)
    page.file_uploader[0].set_value(None).run()
    look_for(page, "oil")
    assert "pump.pdf" in shown(page)


def test_the_finds_follow_the_choice_of_kinds(page: AppTest) -> None:
    look_for(page, "harbour")
    page.pills(key="search-kinds").set_value(["text"]).run()
    assert "letter.png" not in shown(page)


def test_a_store_that_fails_is_one_message(bench: Any, page: AppTest) -> None:
    bench.fault = StoreError("Milvus went away")
    look_for(page, "oil")
    assert "Milvus went away" in shown(page)


def test_words_that_look_like_markup_stay_words(page: AppTest) -> None:
    look_for(page, "<b>oil</b>")
    assert "&lt;b&gt;oil&lt;/b&gt;" in shown(page)


def test_facts_are_offered_where_there_are_any_and_narrow_the_search(bench: Any, page: AppTest) -> None:
    assert [each.label for each in page.multiselect] == []
    bench.facts = {"pump.pdf": {"client": ("ACME",), "year": ("2019",), "latitude": ("1.0",)}}
    page.run()
    (choice,) = page.multiselect
    assert choice.options == ["client=ACME", "year=2019"]
    choice.set_value(["client=ACME"]).run()
    look_for(page, "oil")
    assert [each.value for each in bench.searched[-1].filter.facts] == ["ACME"]


def test_facts_can_be_typed_and_what_makes_no_sense_is_told_and_left_out(bench: Any) -> None:
    bench.facts = {"pump.pdf": {"year": ("2019",)}}
    page = AppTest.from_function(search_page, default_timeout=120)
    page.session_state["search-words"] = "oil"
    page.session_state["search-facts"] = ["year>=2018", "year>=soon", "clint=x"]
    page.run()
    assert [(each.operator, each.value) for each in bench.searched[-1].filter.facts] == [(">=", "2018")]
    assert "neither a number nor a date" in shown(page) and "No file here has &#x27;clint&#x27;" in shown(page)
