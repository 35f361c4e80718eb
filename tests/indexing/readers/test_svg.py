"""Drawings in SVG; without resvg-py their words are read all the same."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from reading_doubles import read_here

from indexing.errors import DamagedFileError
from indexing.records import Reading

PLAN = """<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://localhost/svg11.dtd" [<!ENTITY who "the owner">]>
<!-- made by hand -->
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 400 200">
  <title>Plan of the cellar</title><style>text {fill: #f00}</style>
  <rect width="100" height="50" fill="red"/>
  <image xlink:href="file:///etc/passwd" width="10" height="10"/>
  <g><text x="10" y="50">Boiler <tspan font-weight="bold">room</tspan>
    <tspan x="10" dy="20">floor minus two</tspan></text></g>
  <text x="10" y="120">Key: &who;</text>
  <text style="display: none">never shown</text>
</svg>"""
drawn = pytest.mark.skipif(find_spec("resvg_py") is None, reason="resvg-py is not installed")


def read(tmp_path: Path, text: str) -> Reading:
    (tmp_path / "plan.svg").write_text(text)
    return read_here(tmp_path / "plan.svg", tmp_path / "out")


def test_the_words_of_a_drawing_are_read_line_by_line(tmp_path: Path) -> None:
    reading = read(tmp_path, PLAN)
    assert reading.title == "Plan of the cellar"
    assert [block.text for block in reading.blocks] == ["Boiler room\nfloor minus two\nKey: the owner"]


def test_a_drawing_that_cannot_be_drawn_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "resvg_py", None)
    (note,) = read(tmp_path, PLAN).notes
    assert note.unread and note.kind == "picture" and "resvg-py" in note


@drawn
def test_a_drawing_is_a_picture(tmp_path: Path) -> None:
    reading = read(tmp_path, PLAN)
    assert reading.is_picture and reading.notes == ()
    assert (reading.pages[0].width, reading.pages[0].height) == (1400, 700)


@drawn
@pytest.mark.parametrize("size", ['width="1e9" height="1"', 'viewBox="nonsense"', ""])
def test_a_drawing_of_any_size_is_drawn(tmp_path: Path, size: str) -> None:
    reading = read(tmp_path, f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect width="5" height="5"/></svg>')
    assert reading.is_picture and max(reading.pages[0].width, reading.pages[0].height) <= 1400


@pytest.mark.parametrize("text", ["<svg xmlns='http://www.w3.org/2000/svg'><text>hello", "<svg><text></svg>"])
def test_a_drawing_that_ends_early_is_damaged(tmp_path: Path, text: str) -> None:
    with pytest.raises(DamagedFileError, match="damaged or ends early"):
        read(tmp_path, text)


def test_a_web_page_that_holds_a_drawing_stays_a_web_page(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<!doctype html><html><body><p>Hello there</p><svg></svg></body></html>")
    assert read_here(tmp_path / "page.html", tmp_path / "out").blocks[0].text == "Hello there"
