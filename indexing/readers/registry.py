"""Which reader takes a file: every module of this package says at its end what it reads, and is found here by that.

    READERS = (
        Reader(type="epub", extensions=(".epub",), recognise=_is_epub, order=30, read=read_epub),
    )

To add a format, add a module (docs/howto/add-a-file-format.md). Such a module imports its parser inside the function
that needs it: all of them are imported with a worker's first file, a parser with the first file of its kind.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import indexing.readers
from indexing.errors import DamagedFileError, UnreadableFileError, UnsupportedFileError, in_words, pass_on
from indexing.readers.content_type import FileStart

if TYPE_CHECKING:
    from indexing.readers.output import ReaderOutput
    from indexing.records import Reading

_DECLARES_READERS = re.compile(r"^READERS = ", re.MULTILINE)
_MOST_NOTES = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """One type of file and the function that reads it."""

    type: str
    """A word for people: `epub`."""
    extensions: tuple[str, ...]
    """How such files are usually named, in lower case with the dot."""
    recognise: Callable[[FileStart], bool]
    """Whether a file is of this type. It may raise an UnreadableFileError for one that is, and is damaged."""
    order: int
    """Readers are asked in this order, and the first that recognises a file reads it. Pictures have 10, PDF 20, zipped
    documents 30 to 33, mail 60, web pages 61, Markdown 70, plain text 90."""
    read: "Callable[[Path, ReaderOutput], Reading]"
    """Raises the children of UnreadableFileError for a file that cannot be read."""
    is_picture: bool = False
    """In a mail such a file becomes a figure, not pages of its own."""
    is_text: bool = False
    """Plain text of some kind: its name may be that of another kind without a note for the person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """Who reads the file, and a note for the person when its name claims something else."""

    reader: Reader
    note: str = ""


def read(path: Path, output: "ReaderOutput") -> "Reading":
    """Read one file as what its bytes say it is; raises UnreadableFileError's children."""
    found = recognise(path)
    reading = _read(found.reader, path, output)
    notes = [*([found.note] if found.note else []), *reading.notes]
    if not reading.blocks and not any(page.image for page in reading.pages):
        notes.append("no words and no pictures were found in it")
    return replace(reading, notes=_few(notes))


def _read(reader: Reader, path: Path, output: "ReaderOutput") -> "Reading":
    """Whatever a parser throws is this file's failure, so that a mail is read whose attachment cannot be."""
    try:
        return reader.read(path, output)
    except UnreadableFileError:
        raise
    except RecursionError as error:
        raise DamagedFileError("its content is nested too deeply") from error
    except Exception as error:
        pass_on(error)
        raise DamagedFileError(in_words(error)) from error


def recognise(path: Path) -> Recognised:
    """Look at the first bytes (and at a zip's directory); raises UnreadableFileError's children."""
    start = FileStart(path)
    reader = next((each for each in all_readers() if each.recognise(start)), None)
    if reader is None:
        raise start.refusal or UnsupportedFileError("binary data of an unknown kind (neither text nor a known format)")
    named = next((each for each in all_readers() if start.suffix in each.extensions), reader)
    if named is not reader and named.type != reader.type and not (named.is_text and reader.is_text):
        return Recognised(reader=reader, note=f"named {path.suffix} but read as {reader.type}, which it is")
    return Recognised(reader=reader)


@cache
def all_readers() -> tuple[Reader, ...]:
    """Every reader in the order in which they are asked."""
    found = [reader for module in _modules() for reader in import_module(module).READERS]
    return tuple(sorted(found, key=lambda reader: reader.order))


def _modules() -> Iterator[str]:
    """Modules with readers in all folders of the package, found by a line of their text."""
    for folder in map(Path, indexing.readers.__path__):
        for file in sorted(folder.rglob("*.py")):
            if _DECLARES_READERS.search(file.read_text(encoding="utf-8")):
                yield ".".join(("indexing.readers", *file.relative_to(folder).with_suffix("").parts))


def _few(notes: Sequence[str]) -> tuple[str, ...]:
    """A list that a person reads; what is over is counted."""
    if len(notes) <= _MOST_NOTES:
        return tuple(notes)
    return (*notes[: _MOST_NOTES - 1], f"and {len(notes) - _MOST_NOTES + 1:,} notes more")
