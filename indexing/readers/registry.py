"""Which reader takes a file: every module of this package says at its end what it reads, and is found here by that.

    READERS = (
        Reader(type="epub", extensions=(".epub",), recognise=_is_epub, order=30, read=read_epub),
    )

To add a format, add a module (docs/howto/add-a-file-format.md). Such a module imports its parser inside the function
that needs it: all of them are imported with a worker's first file, a parser with the first file of its kind.
"""

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import indexing.readers
from indexing.errors import (
    DamagedFileError,
    EmptyFileError,
    EncryptedFileError,
    UnreadableFileError,
    UnsupportedFileError,
    in_words,
    pass_on,
    words_of,
)
from indexing.readers.encoding import WESTERN, guess_encoding
from indexing.records import Note

if TYPE_CHECKING:
    from indexing.readers.output import ReaderOutput
    from indexing.records import Reading


# -- what the beginning of a file says about it: its text, the members of a zip, or why nobody here reads it --
#
# Readers recognise their files by it. The name is a hint, and only between kinds of plain text: bytes
# that are no text are refused even when the name says `.txt`.

_HEAD_BYTES = 65_536
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UNREAD: tuple[tuple[bytes, str], ...] = (
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"(\xb5/\xfd", "a zstd archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"%!PS", "a PostScript file (save it as PDF)"),
    (b"ID3", "an audio file"),
    (b"OggS", "an audio or video file"),
    (b"fLaC", "an audio file"),
    (b"\x1aE\xdf\xa3", "a video file"),
    (b"\xff\x0a", "a JPEG XL picture (save it as JPEG or PNG)"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture (save it as JPEG or PNG)"),
    (b"FUJIFILMCCD-RAW", "a camera's raw picture (save it as JPEG)"),
    (b"FOVb", "a camera's raw picture (save it as JPEG)"),
    (b"IIRO", "a camera's raw picture (save it as JPEG)"),
    (b"IIRS", "a camera's raw picture (save it as JPEG)"),
    (b"IIU\0", "a camera's raw picture (save it as JPEG)"),
    (b"MMOR", "a camera's raw picture (save it as JPEG)"),
    (b"\xffWPC", "a WordPerfect document (save it as DOCX)"),
    (b"8BPS", "a Photoshop file (save it as JPEG or PNG)"),
)


class FileStart:
    """The first bytes of a file, and what follows from them; each answer is worked out when it is first asked for."""

    def __init__(self, path: Path) -> None:
        """Raises EmptyFileError, OSError."""
        with path.open("rb") as file:
            self.head = file.read(_HEAD_BYTES)
        if not self.head:
            raise EmptyFileError("the file is empty (0 bytes)")
        self.path = path
        self.suffix = path.suffix.lower()

    @cached_property
    def text(self) -> str | None:
        """The first bytes as text; None for binary files and for those that are known and not read."""
        return None if self.refusal else _as_text(self.head)

    @cached_property
    def members(self) -> "ZipMembers | None":
        """What lies in a zip; None for other files. Raises DamagedFileError."""
        return _zip_members(self.path) if self.head.startswith(_ZIP) else None

    @cached_property
    def streams(self) -> frozenset[str]:
        """Names in an OLE container, such as the old Office files, in lower case; none for other files and for a
        container that is damaged."""
        return _ole_streams(self.path) if self.head.startswith(_OLE) else frozenset()

    @cached_property
    def refusal(self) -> UnreadableFileError | None:
        """Why no reader takes a file of a known kind; to be asked after the readers."""
        if self.members is not None:
            return _refused_zip(self.members)
        if self.head.startswith(_OLE):
            return _refused_ole(self.streams)
        if self.head[4:8] == b"ftyp":
            return UnsupportedFileError(f"{_iso_media(self.head[8:12])} is not read here")
        for magic, words in _UNREAD:
            if self.head.startswith(magic):
                return UnsupportedFileError(f"{words} is not read here")
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class ZipMembers:
    """The names in a zip, and the media type that e-books and OpenDocument files begin with."""

    names: frozenset[str]
    media_type: bytes

    def has_folder(self, folder: str) -> bool:
        """Whether anything lies in the folder, which ends in "/"."""
        return any(name.startswith(folder) for name in self.names)


def _zip_members(path: Path) -> ZipMembers:
    try:
        with zipfile.ZipFile(path) as archive:
            names = frozenset(archive.namelist())
            media_type = b""
            if "mimetype" in names:
                with archive.open("mimetype") as member:
                    media_type = member.read(100).strip()
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        pass_on(error)
        raise DamagedFileError(f"a zipped document that is damaged or ends early ({words_of(error)})") from error
    return ZipMembers(names=names, media_type=media_type)


def _refused_zip(members: ZipMembers) -> UnreadableFileError:
    if members.media_type.startswith(b"application/vnd.oasis.opendocument"):
        return UnsupportedFileError("an OpenDocument file is not read here (save it as DOCX, XLSX or PDF)")
    return UnsupportedFileError("a zipped document of an unknown kind is not read here (save it as PDF)")


def _ole_streams(path: Path) -> frozenset[str]:
    import olefile

    try:
        with olefile.OleFileIO(path) as container:
            return frozenset("/".join(parts).lower() for parts in container.listdir())
    except (OSError, ValueError, IndexError, TypeError, RecursionError) as error:
        pass_on(error)
        return frozenset()


def _refused_ole(streams: frozenset[str]) -> UnreadableFileError:
    """Office documents with a password are OLE containers, and so are the old formats that no reader took."""
    if not streams:
        return DamagedFileError("an old Office container that is damaged")
    if "encryptedpackage" in streams:
        return EncryptedFileError("the document asks for a password")
    return UnsupportedFileError("an OLE container of an unknown kind is not read here")


def _iso_media(brand: bytes) -> str:
    return "a camera's raw picture (save it as JPEG)" if brand == b"crx " else "a video file"


def _as_text(head: bytes) -> str | None:
    """The head as text, or None when it is binary: control characters are what text does not have."""
    encoding = guess_encoding(head, whole=len(head) < _HEAD_BYTES)
    encodings = (encoding,) if encoding.startswith(("utf-16", "utf-32")) else (encoding, WESTERN)
    texts = (head.decode(each, errors="replace") for each in encodings)
    return next(filter(_is_readable, texts), None)


def _is_readable(text: str) -> bool:
    odd = sum(1 for char in text if (char < " " and char not in "\t\n\r\f\x1b\b") or char in "\x7f\ufffd")
    return odd <= max(1, len(text) // 50)


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
    """Readers are asked in this order, and the first that recognises a file reads it. Pictures have 10, what may hold
    a PDF near its beginning 12 to 19, PDF 20, office files and e-books 30 to 39, mail 58 to 60, web pages 61,
    Markdown 70, plain text 90."""
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
    notes = [*([Note(found.note, kind="name")] if found.note else []), *reading.notes]
    if not reading.blocks and not any(page.image for page in reading.pages):
        notes.append(Note("no words and no pictures were found in it", unread=not reading.notes))
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


def _few(notes: Sequence[Note]) -> tuple[Note, ...]:
    """A list that a person reads; what is over is counted."""
    if len(notes) <= _MOST_NOTES:
        return tuple(notes)
    kept, more = notes[: _MOST_NOTES - 1], notes[_MOST_NOTES - 1 :]
    unread = any(note.unread for note in more)
    return (*kept, Note(f"and {len(more):,} notes more", number=len(more), unread=unread))
