"""Archives (zip) as folders: every file in one is read like an attachment, under its path in the archive.

The directory of an archive can lie: members are unpacked piece by piece, and counted against the limits on what all
archives inside one file may unpack to. Members that ask for a password are told, and the others are read. Hidden files
are left out, as they are in folders.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from indexing.errors import DamagedFileError, EncryptedFileError, FileTooLargeError, UnsupportedFileError, words_of
from indexing.readers.attachments import Attachments, shown_name
from indexing.readers.encoding import decoded
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Reading
from indexing.settings import MEGABYTE

_PIECE = 1 << 16
_RATIO_FROM_BYTES = 20 * MEGABYTE
_MOST_MEMBERS = 20_000
_MOST_NAMES = 10
_NAME_IS_UTF_8 = 0x800
_IS_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The other methods unpack what they like at once, or reserve the memory that the file asks for."""
_OTHER_ZIPS = (
    (("META-INF/MANIFEST.MF", "AndroidManifest.xml", "classes.dex"), "a program in an archive"),
    (("Index/Document.iwa", "index.apxl", "Index.zip"), "an Apple Pages, Numbers or Keynote document (save it as PDF)"),
)
"""Members by which a zip is told that is no folder of files to a person, and what it is."""
_DOCUMENTS = ("[Content_Types].xml", "META-INF/container.xml")
"""A zip with one of them is a document by itself, as is one with a media type."""


def read_zip(path: Path, output: ReaderOutput) -> Reading:
    """The files of the archive in the order of its directory. Raises DamagedFileError, EncryptedFileError where all of
    them ask for a password, FileTooLargeError where there are too many."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive, path, output).read()
    except zipfile.BadZipFile as error:
        raise DamagedFileError(f"an archive that is damaged or ends early ({words_of(error)})") from error


class _Archive:
    """One archive, and what its members have unpacked to so far."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, output: ReaderOutput) -> None:
        self._archive, self._path, self._output = archive, path, output
        self._inside = Attachments(output, word="file")
        self._packed_bytes = path.stat().st_size
        self._unpacked_bytes = 0
        output.inside.archives += 1

    def read(self) -> Reading:
        files = [each for each in self._archive.infolist() if _is_wanted(each)]
        if len(files) > _MOST_MEMBERS:
            raise FileTooLargeError(f"the archive has {len(files):,} files, the limit is {_MOST_MEMBERS:,}")
        locked = [each for each in files if each.flag_bits & _IS_ENCRYPTED]
        if files and len(locked) == len(files):
            raise EncryptedFileError("the archive asks for a password")
        blocks: list[Block] = []
        over = 0
        for each in files:
            if each.flag_bits & _IS_ENCRYPTED:
                continue
            if self._is_too_much():
                over += 1
            else:
                blocks += self._inside.read(_name(each), self._pieces(each), heading="{name}")
        return Reading(
            is_picture=False,
            title=self._path.name,
            pages=tuple(self._inside.pages),
            blocks=tuple(blocks),
            notes=(*_on_locked(locked), *self._inside.notes, *_on_the_rest(over)),
        )

    def _pieces(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        if member.compress_type not in _METHODS:
            raise UnsupportedFileError("it is compressed in a way that is not read here")
        try:
            with self._archive.open(member) as file:
                while piece := file.read(_PIECE):
                    self._unpacked_bytes += len(piece)
                    self._output.inside.unpacked_bytes += len(piece)
                    if self._is_too_much():
                        raise FileTooLargeError("the archive unpacks to more than the limits allow (a zip bomb?)")
                    yield piece
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise DamagedFileError(f"it is damaged or ends early ({words_of(error)})") from error

    def _is_too_much(self) -> bool:
        limits = self._output.limits
        ratio_counts = self._unpacked_bytes > _RATIO_FROM_BYTES
        is_bomb = ratio_counts and self._unpacked_bytes > limits.max_unpacked_ratio * self._packed_bytes
        return is_bomb or self._output.inside.unpacked_bytes > limits.max_unpacked_bytes


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    return (
        not member.is_dir()
        and parts[0] != "__MACOSX"
        and not any(each.startswith(".") and each.strip(".") for each in parts)
    )


def _name(member: zipfile.ZipInfo) -> str:
    """The path in the archive; older programs wrote it in the encoding of their system without saying which."""
    name = member.filename
    if name.isascii() or member.flag_bits & _NAME_IS_UTF_8:
        return name
    try:
        return decoded(name.encode("cp437"))  # as which zipfile has taken it
    except UnicodeEncodeError:
        return name


def _on_locked(members: list[zipfile.ZipInfo]) -> Iterator[Note]:
    if members:
        names = ", ".join(f"'{shown_name(_name(each))}'" for each in members[:_MOST_NAMES])
        more = " and more" if len(members) > _MOST_NAMES else ""
        sentence = f"{len(members):,} files ask for a password and were not read: {names}{more}"
        yield Note(sentence, kind="attachment", number=len(members), unread=True)


def _on_the_rest(count: int) -> Iterator[Note]:
    if count:
        sentence = f"{count:,} files more were not read: the archive unpacks to more than the limits allow"
        yield Note(sentence, kind="attachment", number=count, unread=True)


def _is_zip(start: FileStart) -> bool:
    """Asked before PDF, since a PDF that is not compressed may begin close to the archive's beginning. Raises
    UnsupportedFileError for kinds of zip that nobody reads."""
    try:
        members = start.members
    except DamagedFileError:  # who asks next says it
        return False
    if members is None or members.media_type or members.names.intersection(_DOCUMENTS):
        return False
    for names, words in _OTHER_ZIPS:
        if members.names.intersection(names):
            raise UnsupportedFileError(f"{words} is not read here")
    return True


READERS = (Reader(type="zip", extensions=(".zip",), recognise=_is_zip, order=19, read=read_zip),)
