import io
import re
import time

import pytest

from indexing.progress import RunCounts
from llava_model.kits import InstallProgress
from ui.cli import progress
from ui.cli.progress import ProgressLine
from ui.documents import progress_document


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """What a person sees: the control sequences that rich needs for one line, carried out."""
        shown, column = [""], 0
        for sign in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|[^\x1b]", self.getvalue()):
            if sign == "\n":
                shown.append("")
                column = 0
            elif sign == "\r":
                column = 0
            elif sign == "\x1b[2K":
                shown[-1] = ""
            elif len(sign) == 1:
                shown[-1] = f"{shown[-1][:column].ljust(column)}{sign}{shown[-1][column + 1 :]}"
                column += 1
            else:
                assert sign[-1] == "m" or sign in ("\x1b[?25l", "\x1b[?25h"), sign
        return [line.rstrip() for line in shown]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_progress_on_a_pipe_is_plain_lines_without_carriage_returns() -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    line.show("1 of 2")
    line.show("2 of 2", final=True)
    line.close()
    assert stream.getvalue() == "2 of 2\n"


def test_progress_on_a_pipe_comes_every_few_seconds(clock: list[float]) -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for second in range(12):
        clock[0] = 1000.0 + second
        line.show(f"after {second} s")
    assert stream.getvalue() == "after 5 s\nafter 10 s\n"


def test_progress_on_a_terminal_rewrites_its_line_and_leaves_no_rest() -> None:
    stream = Terminal()
    line = ProgressLine(stream)
    line.show("a long line", final=False)
    line.show("short", final=True)
    assert stream.lines() == ["short", ""]


def test_a_line_too_long_for_the_terminal_is_cut_and_what_was_read_moves_nothing() -> None:
    stream = Terminal()
    with ProgressLine(stream) as line:
        line.show("a\x1b[2Jb\n[bold]" + "x" * 100)
    assert stream.lines() == ["a [2Jb [bold]" + "x" * 66 + "…", ""]


def test_a_sentence_stays_above_the_line_on_a_terminal_and_in_its_place_on_a_pipe() -> None:
    for stream in (screen := Terminal(), pipe := io.StringIO()):
        line = ProgressLine(stream, every_seconds=0.0, at_once=True)
        line.show("1 of 2")
        line.tell("a [long] run")
        line.close()
    assert screen.lines() == ["a [long] run", "1 of 2", ""]
    assert pipe.getvalue() == "1 of 2\na [long] run\n"


def test_a_wide_terminal_shows_a_bar_before_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with ProgressLine(stream) as line:
        line.count(2, 4, "answers")
    bar, words = stream.lines()[0][:20], stream.lines()[0][20:]
    assert words == " 2 of 4 answers" and set(bar) <= set("━╸╺")


def test_a_run_that_fails_ends_its_line_and_the_cursor_is_there() -> None:
    stream = Terminal()
    with pytest.raises(OSError), ProgressLine(stream) as line:
        line.show("1 of 2")
        assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
        raise OSError
    assert stream.lines() == ["1 of 2", ""]


def test_what_earlier_runs_did_counts_as_done_and_not_for_the_rate(clock: list[float]) -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    line.count(100, 3000, "answers")
    clock[0] += 10
    line.count(120, 3000, "answers")
    assert stream.getvalue() == "120 of 3,000 answers · 2.0 answers/s · 24 min 00 s left\n"


def test_an_installation_has_a_line_for_each_step(clock: list[float]) -> None:
    stream = Terminal()
    with ProgressLine(stream) as line:
        for second, (step, done) in enumerate([("download", 1_000_000), ("download", 5_000_000), ("done", 0)]):
            clock[0] = 1000.0 + 2 * second
            total = 17_000_000 if step == "download" else 0
            state = InstallProgress(component="vision", step=step, done_bytes=done, total_bytes=total)
            progress.show_install(line, state)
    assert stream.lines() == ["vision: download 5.0 MB of 17.0 MB · 2.0 MB/s · 6 s left", "vision: done", ""]


def test_a_long_document_is_told_with_the_page_that_is_read() -> None:
    shown = io.StringIO()
    so_far = RunCounts(found=3).progress("", ("laws.pdf", 1_234, 10_000))
    with ProgressLine(shown, at_once=True) as line:
        progress.show_index(line, progress_document(so_far))
    assert shown.getvalue() == "0 of 3+ files · laws.pdf · page 1,234 of 10,000\n"
    assert RunCounts().progress("a.pdf", ("b.pdf", 3, 9)).current == "a.pdf"  # a short one is soon read
