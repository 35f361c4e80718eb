"""A parser that has to be stopped in an attachment costs that attachment, not the letter around it."""

import io
import sys
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import docx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from reading_doubles import SMALL, source_of, words_of

from indexing.errors import ReaderStoppedError, UnreadableFileError
from indexing.readers.output import LeftOut
from indexing.settings import ReadLimits
from indexing.workers.pool import ReaderPool, ReadResult

FAILURES = {
    "dies": "import os; os.kill(os.getpid(), 9)",
    "hangs": "import time; time.sleep(600)",
    "grows": "import time; hoard = b'x' * 700_000_000; time.sleep(600)",
    "has no memory left": "raise MemoryError",
}
REASONS = {
    "dies": "its parser died (SIGKILL)",
    "hangs": "its parser did not finish in the 5 s it has and was stopped",
    "grows": "MB of memory, the limit is 500 MB",
    "has no memory left": "reading it takes more than 500 MB of memory",
}
LIMITS = ReadLimits(seconds=5.0, seconds_per_megabyte=0.1, max_memory_bytes=500_000_000)
PROGRAM = """
from indexing.readers import {module}
real = {module}.{function}
def {function}(first, *more, **named):
    data = first if isinstance(first, bytes) else first.read_bytes()
    if {sign!r} in data:
        {failure}
    return real(first, *more, **named)
{module}.{function} = {function}
from indexing.workers.worker import main
main()
"""


def outcome(path: Path, failure: str, *, module: str, function: str, sign: bytes) -> ReadResult | UnreadableFileError:
    """Read by a real worker whose parser fails in this way wherever it meets these bytes."""
    program = PROGRAM.format(module=module, function=function, sign=sign, failure=FAILURES[failure])
    pool = ReaderPool(
        limits=LIMITS,
        preprocess=SMALL,
        spool=path.parent / "spool",
        workers=1,
        program=[sys.executable, "-P", "-c", program],
    )
    with pool:
        ((_, found),) = pool.read([source_of(path)])
    return found


def letter(attachments: Sequence[str]) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "The harbour"
    message.set_content("The lighthouse keeper counts pelicans.")
    for number, words in enumerate(attachments, start=1):
        message.add_attachment(words.encode(), maintype="text", subtype="plain", filename=f"note {number}.txt")
    return message.as_bytes()


def read_letter(folder: Path, failure: str, attachments: Sequence[str]) -> ReadResult:
    path = folder / "letter.eml"
    path.write_bytes(letter(attachments))
    found = outcome(path, failure, module="attachments", function="read", sign=b"poison")
    assert isinstance(found, ReadResult)
    return found


@pytest.mark.parametrize("failure", FAILURES)
def test_a_letter_is_read_without_the_attachment_in_which_its_parser_was_stopped(failure: str, tmp_path: Path) -> None:
    found = read_letter(tmp_path, failure, ["first cormorant", "poison", "third albatross"])
    words = words_of(found.reading.blocks)
    assert all(word in words for word in ("pelicans", "cormorant", "albatross", "Attachment: note 2.txt"))
    (note,) = found.reading.notes
    assert note.startswith("attachment 'note 2.txt' was not read: ")
    assert REASONS[failure] in note


def test_a_letter_with_two_such_attachments_keeps_what_comes_before_the_second(tmp_path: Path) -> None:
    found = read_letter(tmp_path, "dies", ["poison", "second cormorant", "poison", "poison", "fifth"])
    words = words_of(found.reading.blocks)
    assert "pelicans" in words
    assert "cormorant" in words
    assert [note.split("'")[1] for note in found.reading.notes] == [f"note {n}.txt" for n in (1, 3, 4, 5)]
    assert all("SIGKILL" in note for note in found.reading.notes)


def test_a_document_in_a_letter_loses_only_the_picture_in_which_its_parser_was_stopped(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.org", "The harbour"
    message.set_content("The letter.")
    message.add_attachment(
        document_with_pictures("red", "blue"), maintype="application", subtype="x", filename="report.docx"
    )
    path = tmp_path / "letter.eml"
    path.write_bytes(message.as_bytes())
    found = outcome(path, "dies", module="document", function="figure_block", sign=bytes_of("blue"))
    assert isinstance(found, ReadResult)
    assert "The letter." in words_of(found.reading.blocks)
    assert "Words beside pictures." in words_of(found.reading.blocks)
    assert len([block for block in found.reading.blocks if block.kind == "figure"]) == 1
    (note,) = found.reading.notes
    assert "1 embedded pictures could not be read: its parser died (SIGKILL)" in note


def bytes_of(colour: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(data, "PNG")
    return data.getvalue()


def document_with_pictures(*colours: str) -> bytes:
    document, data = docx.Document(), io.BytesIO()
    document.add_paragraph("Words beside pictures.")
    for colour in colours:
        document.add_picture(io.BytesIO(bytes_of(colour)))
    document.save(data)
    return data.getvalue()


def test_what_stops_a_parser_in_the_letter_itself_still_fails_the_file(tmp_path: Path) -> None:
    path = tmp_path / "letter.eml"
    path.write_bytes(letter(["poison"]))
    found = outcome(path, "dies", module="mail", function="parsed", sign=b"pelicans")
    assert isinstance(found, ReaderStoppedError)
    assert found.reason == "its parser died (SIGKILL)"


@given(st.lists(st.integers(min_value=1, max_value=9), min_size=4, max_size=4))
def test_after_three_stops_no_part_is_read_any_more(stops: list[int]) -> None:
    left_out: LeftOut | None = LeftOut()
    for part in stops[:3]:
        assert left_out is not None
        left_out = LeftOut.from_json(left_out.to_json()).without(part, "it hung")
        assert left_out is None or left_out.reason(part)
    assert left_out is None or (left_out.reason(1) and left_out.without(stops[3], "it hung") is None)


def test_a_parser_stopped_outside_of_all_parts_leaves_nothing_to_leave_out() -> None:
    assert LeftOut().without(0, "it hung") is None
