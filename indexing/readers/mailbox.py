"""Mailboxes (mbox, RFC 4155): every letter of the file under a heading of its own.

From ann@example.org Mon Feb  2 10:01:00 2026      a letter begins: this line, and the header below it
From: Ann …

>From here on …                                    a line of the letter, whose first sign was put there to hide it
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

from indexing.readers.attachments import Attachments
from indexing.readers.mail import begins_with_headers, read_message
from indexing.readers.mail_header import parsed, shown_headers
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Reading

_BEGINS = b"From "
_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:")
_TIME = re.compile(rb"\d:\d\d")
_USUAL = re.compile(rb"^(?:from|subject|date):", re.IGNORECASE | re.MULTILINE)
_FIRST_BYTES = 4_000
_EXTENSIONS = (".mbox", ".mbx")
_HIDDEN = re.compile(rb"^>(>*From )", re.MULTILINE)
_LONGEST_LINE = 1 << 16


def read_mailbox(path: Path, output: ReaderOutput) -> Reading:
    """The letters in the order of the file; a file with a single one is a mail."""
    limit = output.limits.max_letters
    letters = _letters(path)
    first = list(islice(letters, 2))
    if len(first) == 1:
        return read_message(parsed(first[0]), output, fallback_title=path.stem)
    inside = Attachments(output, word="letter")
    blocks: list[Block] = []
    for data in islice(chain(first, letters), limit):
        blocks += _letter(data, inside, output)
    notes = inside.notes
    over = sum(1 for _ in letters)
    if over:
        sentence = f"{over:,} letters over the limit of {limit:,} were not read"
        notes = (Note(sentence, kind="attachment", number=over, unread=True), *notes)
    return Reading(is_picture=False, title=path.stem, pages=tuple(inside.pages), blocks=tuple(blocks), notes=notes)


def _letter(data: bytes, inside: Attachments, output: ReaderOutput) -> list[Block]:
    """Each letter of a file may have as many attachments as a mail by itself."""
    message = parsed(data)
    headers = shown_headers(message)
    subject = headers.get("Subject", "") or "a letter without a subject"
    name = ", ".join(part for part in (subject, headers.get("From", ""), headers.get("Date", "")) if part)
    if output.inside.depth == 0:
        output.inside.attachments = 0
    return inside.section(name, partial(read_message, message, fallback_title=subject))


@dataclass(kw_only=True, slots=True)
class _Lines:
    """What the lines so far say about the next one."""

    after_gap: bool = True
    line_goes_on: bool = False  # a piece of a line that is longer than is read at once


def _letters(path: Path) -> Iterator[bytes]:
    """The letters' bytes without the lines that part them, one at a time."""
    letter: list[bytes] = []
    started = False
    state = _Lines()
    with path.open("rb") as file:
        pending = file.readline(_LONGEST_LINE)
        while pending:
            line, pending = pending, file.readline(_LONGEST_LINE)
            if _parts(line, pending, state):
                if started:
                    yield _shown(letter)
                letter, started = [], True
            else:
                letter.append(line)
            state.after_gap = not line.strip() and not state.line_goes_on
            state.line_goes_on = not line.endswith(b"\n")
    if started:
        yield _shown(letter)


def _parts(line: bytes, following: bytes, state: _Lines) -> bool:
    """A letter's own words may begin with "From", also after a gap: below the line that parts letters stands a header,
    at times after a line that a program has hidden."""
    if state.line_goes_on or not state.after_gap or not line.startswith(_BEGINS):
        return False
    return bool(_HEADER.match(following) or (following.startswith(b">From ") and _TIME.search(line)))


def _shown(letter: list[bytes]) -> bytes:
    lines = letter[1:] if letter and letter[0].startswith(b">From ") else letter
    return _HIDDEN.sub(rb"\1", b"".join(lines))


def _is_mailbox(start: FileStart) -> bool:
    if start.text is None or not start.head.startswith(_BEGINS):
        return False
    first, _, rest = start.head.partition(b"\n")
    if rest.startswith(b">From "):
        _, _, rest = rest.partition(b"\n")
    if begins_with_headers(rest):
        return True
    is_likely = start.suffix in _EXTENSIONS or (_TIME.search(first) and _USUAL.search(rest[:_FIRST_BYTES]))
    return bool(is_likely and _HEADER.match(rest))


READERS = (
    Reader(type="mailbox", extensions=_EXTENSIONS, recognise=_is_mailbox, order=58, read=read_mailbox, is_text=True),
)
