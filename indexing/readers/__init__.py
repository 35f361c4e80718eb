"""One file in, one `Reading` out; these modules run inside the worker processes of `sandbox.py`.

content_type.sniff → picture (pixels, and OCR where there is text) · pdf (text layer, tables, figures,
scans) · office (unstructured), mail, web, plain, epub → blocks in reading order, pages, notes on what was left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexing.readers.content_type import ContentType
    from indexing.readers.output import Spool
    from indexing.records import Reading

_MOST_NOTES = 30
Reader = Callable[[Path, "Spool"], "Reading"]


def read(path: Path, spool: "Spool") -> "Reading":
    """Read one file as what its bytes say it is; raises UnreadableFileError's children."""
    from indexing.readers.content_type import sniff

    found = sniff(path)
    reading = reader_for(found.content_type)(path, spool)
    notes = [*([found.note] if found.note else []), *reading.notes]
    if not reading.blocks and not any(page.image for page in reading.pages):
        notes.append("no words and no pictures were found in it")
    return replace(reading, notes=_few(notes))


def _few(notes: Sequence[str]) -> tuple[str, ...]:
    """A list that a person reads; what is over is counted."""
    if len(notes) <= _MOST_NOTES:
        return tuple(notes)
    return (*notes[: _MOST_NOTES - 1], f"and {len(notes) - _MOST_NOTES + 1:,} notes more")


def reader_for(content_type: "ContentType") -> Reader:
    """The registry; a reader is imported when the first file of its kind comes."""
    from indexing.readers.content_type import PICTURES

    if content_type in PICTURES:
        from indexing.readers.image import read_picture

        return read_picture
    if content_type == "pdf":
        from indexing.readers.pdf.reader import read_pdf

        return read_pdf
    if content_type == "mail":
        from indexing.readers.mail import read_mail

        return read_mail
    from indexing.readers.office import reader_of

    return reader_of(content_type)
