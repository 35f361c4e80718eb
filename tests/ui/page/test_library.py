from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from indexing.errors import StoreError


def library_page() -> None:
    from ui.page import library

    library.draw_page()


@pytest.fixture
def page(bench: Any) -> AppTest:
    bench.failed["/scans/<b>broken.pdf"] = "the file ends early"
    return AppTest.from_function(library_page, default_timeout=120).run()


def shown(page: AppTest) -> str:
    assert not page.exception
    return "\n".join(element.value for element in page.html)


def names(page: AppTest) -> list[str]:
    return list(page.dataframe[0].value["File"]) if page.dataframe else []


def test_every_file_stands_in_the_table_with_its_state(page: AppTest) -> None:
    assert names(page) == ['"<b>broken.pdf"', "letter.png", "pump.pdf"]
    assert list(page.dataframe[0].value["State"]) == ["Could not be read", "Indexed", "Indexed"]


def test_counts_come_from_the_store_and_the_disk_is_told(page: AppTest) -> None:
    assert "<b>2</b><span>files</span>" in shown(page)
    assert "1 text passage · 1 page" in shown(page)
    assert "2.5 MB" in shown(page)


def test_failed_files_are_listed_with_their_reasons_as_text(page: AppTest) -> None:
    assert "Could not be read (1)" in shown(page)
    assert "&quot;&lt;b&gt;broken.pdf&quot;</bdi></b><span>the file ends early</span>" in shown(page)


def test_the_table_can_be_narrowed_by_name_and_by_state(page: AppTest) -> None:
    page.text_input(key="library-words").set_value("PUMP").run()
    assert names(page) == ["pump.pdf"]
    page.text_input(key="library-words").set_value("").run()
    page.segmented_control(key="library-state").set_value("failed").run()
    assert names(page) == ['"<b>broken.pdf"']
    page.text_input(key="library-words").set_value("nothing like it").run()
    assert "No file fits." in shown(page)


def one_file() -> None:
    import streamlit as st

    from ui.page import library, shared

    bench = shared.workbench()
    library._draw_file(bench, bench.files()[st.session_state.get("row", 0)])


def test_a_marked_file_shows_its_passages(bench: Any) -> None:
    page = AppTest.from_function(one_file, default_timeout=120).run()
    assert "letter.png" in shown(page)
    next(button for button in page.button if button.label.startswith("Open")).click().run()
    assert "the harbour is closed until May" in shown(page)


def test_removal_asks_once_more_and_leaves_the_file_where_it_is(bench: Any) -> None:
    path = Path(bench.files()[0].path)
    page = AppTest.from_function(one_file, default_timeout=120).run()
    page.button(key="library-remove").click().run()
    assert "The file itself stays where it is." in shown(page)
    assert len(bench.files()) == 2
    page.button(key="remove-now").click().run()
    assert [Path(entry.path).name for entry in bench.files()] == ["pump.pdf"]
    assert path.exists()


def test_a_removal_that_fails_is_one_message(bench: Any, page: AppTest) -> None:
    page.session_state["library-fault"] = StoreError("Milvus went away")
    assert "Milvus went away" in shown(page.run())
    assert "Milvus went away" not in shown(page.run())


def test_removing_an_upload_deletes_the_copy_that_the_upload_made(bench: Any) -> None:
    copy = bench.library_folder / "uploads" / "a.txt"
    copy.parent.mkdir(parents=True)
    copy.write_text("oil")
    bench.chunk_list.clear()
    bench.index([copy], on_progress=lambda _: None)
    page = AppTest.from_function(one_file, default_timeout=120).run()
    page.button(key="library-remove").click().run()
    assert "The uploaded copy is deleted too." in shown(page)
    page.button(key="remove-now").click().run()
    assert bench.files() == () and not copy.exists()


def test_a_library_without_files_says_how_to_add_some(bench: Any) -> None:
    bench.chunk_list.clear()
    page = AppTest.from_function(library_page, default_timeout=120).run()
    assert "This library has no files yet." in shown(page)


def test_a_marked_file_shows_its_facts_as_text(bench: Any) -> None:
    bench.facts = {"letter.png": {"year": ("2019",), "client": ("<b>ACME", "Beta")}}
    page = AppTest.from_function(one_file, default_timeout=120).run()
    assert "client: &lt;b&gt;ACME, Beta · year: 2019" in shown(page)
