"""Runs of signs and deep nesting cost as much as their length, in every format of text."""

import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path
from types import FrameType

import docx
import pytest
from reading_doubles import read_here, words_of

from indexing.readers.plain import plain_blocks

RUNS = [
    *"([{<>*_`#|-.\"\\&!' ",
    "()",
    "[]",
    "![",
    "[](",
    "*_",
    "<b>",
    "</b>",
    "> ",
    "- ",
    "a\n",
    "&lt;",
    "([{<>*_`#|-.!",
]


def run(signs: str, length: int) -> str:
    return f"words {(signs * length)[:length]} end"


def written(path: Path, words: str) -> Path:
    path.write_text(words)
    return path


def as_mail(path: Path, words: str) -> Path:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@b.c", "s"
    message.set_content(words)
    message.add_alternative(f"<p>{words}</p>", subtype="html")
    path.write_bytes(message.as_bytes())
    return path


def as_word_file(path: Path, words: str) -> Path:
    document = docx.Document()
    document.add_paragraph(words)
    document.save(str(path))
    return path


FORMATS: dict[str, Callable[[Path, str], Path]] = {
    "txt": written,
    "md": written,
    "html": lambda path, words: written(path, f"<!doctype html><html><body><p>{words}</p></body></html>"),
    "eml": as_mail,
    "docx": as_word_file,
}


def work(path: Path, folder: Path) -> int:
    """How many functions are called, those of C among them, while the file is read."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        read_here(path, folder)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("signs", RUNS)
def test_twice_the_signs_are_at_most_about_twice_the_work(tmp_path: Path, kind: str, signs: str) -> None:
    make = FORMATS[kind]
    read_here(make(tmp_path / f"warm.{kind}", "words"), tmp_path / "out")
    counts = [work(make(tmp_path / f"a.{kind}", run(signs, length)), tmp_path / "out") for length in (400, 800, 1_600)]
    assert all(more < 2.4 * less + 2_000 for less, more in pairwise(counts)), counts


def test_no_reader_asks_for_a_grammar(tmp_path: Path) -> None:
    """spaCy's tokenizer takes the square of the time for a row of brackets, inside C, where no calls are counted."""
    paths = [str(make(tmp_path / f"a.{kind}", run("(", 99))) for kind, make in FORMATS.items()]
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); from reading_doubles import *\n"
        "for path in sys.argv[2:]: read_here(Path(path), Path('out').resolve())\n"
        "print([name for name in ('spacy', 'markdown') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(Path(__file__).parents[1]), *paths],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("signs", ["> ", ">", "- ", "1. ", "> - ", "* > 1. "])
@pytest.mark.parametrize("depth", [10, 80, 300, 20_000])
def test_quotes_and_lists_of_any_depth_are_read_whole(tmp_path: Path, signs: str, depth: int) -> None:
    path = written(tmp_path / "a.md", f"before\n\n{signs * depth}deep words\n\nafter")
    reading = read_here(path, tmp_path / "out")
    assert [part in words_of(reading.blocks) for part in ("before", "deep words", "after")] == [True] * 3
    assert bool(reading.notes) == (depth > 80 or len(signs.split()) * depth > 80)


def test_a_list_indented_for_ever_is_read_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "a.md", "\n".join(f"{'  ' * depth}- item {depth}" for depth in range(300)))
    reading = read_here(path, tmp_path / "out")
    words = words_of(reading.blocks).split("\n")
    assert [depth for depth in range(300) if f"item {depth}" not in words] == []
    assert "nested deeper than 80" in reading.notes[0]


def test_brackets_that_are_no_links_stay_as_they_are(tmp_path: Path) -> None:
    row = "[" * 300 + "]" * 300
    path = written(tmp_path / "a.md", f"{row}\n\na [link](http://example.org) and {'[x ' * 60} end")
    words = words_of(read_here(path, tmp_path / "out").blocks)
    assert row in words
    assert "a link and [x [x" in words


def test_values_above_the_text_are_no_heading(tmp_path: Path) -> None:
    reading = read_here(written(tmp_path / "a.md", "---\ntitle: Ducks\n---\n# One\n\nwords"), tmp_path / "out")
    assert [(block.kind, block.text) for block in reading.blocks] == [
        ("text", "title: Ducks"),
        ("heading", "One"),
        ("text", "words"),
    ]


def test_lines_lose_bullets_and_keep_signs_that_mean_something() -> None:
    lines = "• one\n- two\n-3 degrees\n*** \n\n· \nx"
    assert [block.text for block in plain_blocks(lines)] == ["one", "two", "-3 degrees", "***", "x"]


def test_the_deepest_quote_with_brackets_in_it_fits_into_the_stack(tmp_path: Path) -> None:
    path = written(tmp_path / "a.md", "- " * 80 + "[" * 50 + "deep words")
    assert "deep words" in words_of(read_here(path, tmp_path / "out").blocks)


def test_lines_of_programs_and_settings_stay_as_they_are_written(tmp_path: Path) -> None:
    reading = read_here(written(tmp_path / "a.diff", "- old\n+ new\n\n * star\n"), tmp_path / "out")
    assert [block.text for block in reading.blocks] == ["- old", "+ new", " * star"]
