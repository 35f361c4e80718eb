"""A tab of the page is one file: docs/howto/add-a-page-tab.md, followed to the letter in a folder of its own."""

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import ui.page
from ui.page import tabs

ROOT = Path(__file__).parents[3]
STEPS = (ROOT / "docs" / "howto" / "add-a-page-tab.md").read_text("utf-8")
APP = ROOT / "ui" / "page" / "app.py"


def code(beginning: str) -> str:
    """The one block of Python on the page that begins so."""
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", STEPS, re.DOTALL) if block.startswith(beginning)]
    return str(found)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "largest.py").write_text(code('"""Largest'))
    monkeypatch.setattr(ui.page, "__path__", [*ui.page.__path__, str(tmp_path)])
    yield
    sys.modules.pop("ui.page.largest", None)
    vars(ui.page).pop("largest", None)


def shown(page: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in page.get("html"))


def test_the_tabs_are_those_of_the_package_in_their_order() -> None:
    assert [tab.title for tab in tabs.find_tabs()] == ["Chat", "Search", "Library", "Add files"]


@pytest.mark.usefixtures("added")
def test_a_new_file_is_a_tab_of_the_page_in_its_place(bench: Any) -> None:
    assert [tab.url_path for tab in tabs.find_tabs()] == ["chat", "search", "library", "largest", "add"]
    page = AppTest.from_file(APP, default_timeout=120).run()
    assert not page.exception
    assert list(page.session_state.pages) == ["chat", "search", "library", "largest", "add"]


@pytest.mark.usefixtures("added")
def test_the_test_that_goes_with_it_passes(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "test_largest.py").write_text(code("from streamlit"))
    names = runpy.run_path(str(tmp_path / "test_largest.py"))
    names["test_the_largest_files_are_shown_with_their_sizes"](bench)


@pytest.mark.usefixtures("added")
def test_a_tab_that_raises_is_one_message_on_a_page_that_stays(bench: Any, tmp_path: Path) -> None:
    file = tmp_path / "largest.py"
    file.write_text(file.read_text().replace("order=35", "order=1").replace("bench.files()", "bench.fils()"))
    page = AppTest.from_file(APP, default_timeout=120).run()
    assert "Something unexpected went wrong." in shown(page) and "2 files in the library" in shown(page)
