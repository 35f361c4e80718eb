"""Which commands read the library into memory: those that go on answering."""

from pathlib import Path

import pytest
from command_line import Run

from indexing.errors import StoreError
from ui.page import shared
from ui.workbench import Workbench


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each library was opened to serve; none is."""
    asked: list[bool] = []

    def refuse(*settings: object, create: bool = False, serves: bool = False) -> Workbench:
        asked.append(serves)
        raise StoreError("closed today")

    monkeypatch.setattr(Workbench, "open", refuse)
    return asked


@pytest.mark.parametrize(
    ("words", "serves"), [(("api", "--port", "0"), True), (("mcp",), True), (("search", "ferry"), False)]
)
def test_the_interface_and_agents_serve_and_a_search_in_the_terminal_does_not(
    run: Run, opened: list[bool], tmp_path: Path, words: tuple[str, ...], serves: bool
) -> None:
    outcome = run(*words, "--library", tmp_path / "library")
    assert outcome.code != 0
    assert opened == [serves]


def test_the_page_serves(opened: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAVERO_LIBRARY", str(tmp_path / "library"))
    with pytest.raises(StoreError, match="closed today"):
        shared.open_workbench()
    assert opened == [True]
