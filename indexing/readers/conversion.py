"""Files that only another program can read: a reader asks for them in a newer format and reads that.

    with output.converted(path, "docx") as converted:
        reading = read_docx(converted.path, output)

Readers start no programs. Who runs them gives `ReaderOutput` a `Converter`: the workers give the one of
`indexing/workers/libreoffice.py`; without one every such file is refused with what to do.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from indexing.errors import MissingProgramError

NewFormat = Literal["docx", "pptx", "xlsx"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """A file in a newer format, there for as long as the context lasts."""

    path: Path
    program: str
    """Who made it: `LibreOffice 7.4`."""


Converter = Callable[[Path, NewFormat], AbstractContextManager[Converted]]
"""Takes a file and what to make of it. Raises MissingProgramError where no program can, DamagedFileError where it could
not, FileTooLargeError for what is over a limit, ReaderStoppedError for a program that hung."""


def no_converter(path: Path, wanted: NewFormat) -> NoReturn:
    """Where readers run without a worker."""
    raise MissingProgramError(not_installed(wanted))


def not_installed(wanted: NewFormat) -> str:
    """What to do where there is no program."""
    return f"its format takes LibreOffice, which is not installed (install it, or save the file as {wanted.upper()})"
