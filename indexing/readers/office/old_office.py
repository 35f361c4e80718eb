"""Word and PowerPoint as they saved until 2003 (DOC, DOT, PPT, PPS, POT), made DOCX and PPTX by LibreOffice.

    DOC → output.converted → DOCX → docx.py

A worker starts LibreOffice (`indexing/readers/conversion.py`); where there is none, the file fails with what to do, and
is tried again with the next run. What asks for a password is told here, before anything is started.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from indexing.errors import DamagedFileError, EncryptedFileError, words_of
from indexing.readers.conversion import NewFormat
from indexing.readers.office.docx import read_docx
from indexing.readers.office.pptx import read_pptx
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Note, Reading

_WORD, _SLIDES, _USER = "worddocument", "powerpoint document", "current user"
_LOCKED_WORD = 0x01
"""A bit of the twelfth byte of Word's stream."""
_LOCKED_SLIDES = b"\xdf\xc4\xd1\xf3"
"""At the twelfth byte of PowerPoint's stream about its user, where the file is encrypted."""


def read_doc(path: Path, output: ReaderOutput) -> Reading:
    """Raises EncryptedFileError, DamagedFileError, MissingProgramError and what conversion raises."""
    if any(flags & _LOCKED_WORD for flags in _bytes_of(path, _WORD, 12)[11:]):
        raise EncryptedFileError("the document asks for a password")
    return read_converted(path, "docx", read_docx, output)


def read_ppt(path: Path, output: ReaderOutput) -> Reading:
    """Raises EncryptedFileError, DamagedFileError, MissingProgramError and what conversion raises."""
    if _bytes_of(path, _USER, 16)[12:16] == _LOCKED_SLIDES:
        raise EncryptedFileError("the presentation asks for a password")
    return read_converted(path, "pptx", read_pptx, output)


def read_converted(
    path: Path, wanted: NewFormat, read: Callable[[Path, ReaderOutput], Reading], output: ReaderOutput
) -> Reading:
    """The file as `read` finds it in the newer format, with a note on who made that."""
    with output.converted(path, wanted) as converted:
        reading = read(converted.path, output)
        note = Note(f"read through {converted.program}, as {wanted.upper()}", kind="converted")
        title = path.stem if reading.title == converted.path.stem else reading.title
        return replace(reading, title=title, notes=(note, *reading.notes))


def _bytes_of(path: Path, stream: str, count: int) -> bytes:
    """The first bytes of a stream of the container; b"" where it has none of that name."""
    import olefile

    try:
        with olefile.OleFileIO(path) as container:
            return bytes(container.openstream(stream).read(count)) if container.exists(stream) else b""
    except (OSError, ValueError, IndexError, TypeError, RecursionError) as error:
        raise DamagedFileError(f"an old Office container that is damaged ({words_of(error)})") from error


def _has(stream: str) -> Callable[[FileStart], bool]:
    return lambda start: stream in start.streams and "encryptedpackage" not in start.streams


READERS = (
    Reader(type="doc", extensions=(".doc", ".dot"), recognise=_has(_WORD), order=38, read=read_doc),
    Reader(type="ppt", extensions=(".ppt", ".pps", ".pot"), recognise=_has(_SLIDES), order=39, read=read_ppt),
)
