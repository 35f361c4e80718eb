"""Zipped documents: refused when they unpack to too much; the pictures inside them; and what of them was not read.

A zip bomb is found twice: from the sizes that the directory declares, and by unpacking every member while counting,
because a directory can lie and not every parser stops where it says.

The libraries that read office files follow the paragraphs of the body and pass over what stands elsewhere without a
word. So all words in the archive's XML are compared with the words that came out, and counted: a part of the markup
that no reader knows of is told.
"""

import contextlib
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from indexing.errors import DamagedFileError, EncryptedFileError, FileTooLargeError, words_of
from indexing.readers.symbols import symbol, symbols_in
from indexing.records import Block, Note
from indexing.settings import MEGABYTE, ReadLimits

_MOST_MEMBERS = 20_000
_RATIO_FROM_BYTES = 20 * MEGABYTE
_CHUNK = 1 << 16
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
READ_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|bmp|tiff?|webp)$", re.IGNORECASE)
READ_MEDIA = re.compile(r"(?:word|ppt|xl)/media/[^/]+\.(?:png|jpe?g|gif|bmp|tiff?|webp)$", re.IGNORECASE)
_RELATION = re.compile(rb'Target="\.\./media/([^"/]+)"')
_SLIDE_RELATIONS = re.compile(r"ppt/slides/_rels/slide(\d+)\.xml\.rels$")

_PARTS = {
    "docx": re.compile(r"word/(?:document\d*|footnotes|endnotes|comments|diagrams/data\d+)\.xml$"),
    "pptx": re.compile(r"ppt/(?:slides/slide\d+|diagrams/data\d+)\.xml$"),
    "xlsx": re.compile(r"xl/drawings/drawing\d+\.xml$"),
}
_PICTURE = re.compile(r"(?:word|ppt|xl)/media/[^/]+\.(\w+)$", re.IGNORECASE)
_EMBEDDED = re.compile(r"(?:word|ppt|xl)/embeddings/[^/]+$")
_OF_CHARTS = re.compile(r"(?:word|ppt|xl)/charts/_rels/[^/]+\.rels$")
_EMBEDDING = re.compile(rb'embeddings/([^"/]+)"')
_WORD = re.compile(r"\w+")
_PASSED_OVER = frozenset({"Fallback", "moveFrom", "del", "rt", "oMath"})
"""What says again what stands beside it (for older programs, in small letters above), what was taken out of the text,
and formulas, whose letters come out in another order."""
_APART = frozenset({"p", "tab", "br", "cr", "v", "tc"})
"""Elements at whose end a word ends, though no space may stand there."""


def check_archive(path: Path, limits: ReadLimits) -> None:
    """Raises FileTooLargeError for a bomb, EncryptedFileError, DamagedFileError for a broken archive."""
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            members = archive.infolist()
            _check_directory(members, limits)
            unpacked = 0
            for member in members:
                for size in _unpacked_sizes(file, member):
                    unpacked += size
                    _check_size(unpacked, path.stat().st_size, limits)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError) as error:
        raise DamagedFileError(f"a zipped document that is damaged or ends early ({words_of(error)})") from error


def has_member(path: Path, name: str) -> bool:
    """Whether the archive holds a member of this name."""
    with zipfile.ZipFile(path) as archive:
        return name in archive.namelist()


def media(path: Path) -> Iterator[tuple[int | None, bytes]]:
    """Each distinct embedded picture once, with the slide that shows it (PowerPoint only)."""
    with zipfile.ZipFile(path) as archive:
        slides = _slides_of_media(archive)
        seen: set[tuple[int, int]] = set()
        for member in archive.infolist():
            key = (member.CRC, member.file_size)
            if key not in seen and READ_MEDIA.match(member.filename):
                seen.add(key)
                yield slides.get(member.filename.rsplit("/", 1)[-1]), picture_in(archive, member)


def picture_in(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The picture's bytes; none for one whose bytes are damaged, which is told as the others that cannot be read."""
    try:
        return archive.read(member)
    except zipfile.BadZipFile:
        return b""


def _slides_of_media(archive: zipfile.ZipFile) -> dict[str, int]:
    slides: dict[str, int] = {}
    for name in archive.namelist():
        match = _SLIDE_RELATIONS.match(name)
        if match:
            for target in _RELATION.findall(archive.read(name)):
                slide = int(match.group(1))
                slides[target.decode(errors="replace")] = min(slide, slides.get(target.decode(), slide))
    return slides


def _check_directory(members: list[zipfile.ZipInfo], limits: ReadLimits) -> None:
    if len(members) > _MOST_MEMBERS:
        raise FileTooLargeError(f"the archive has {len(members):,} members, the limit is {_MOST_MEMBERS:,}")
    if any(member.flag_bits & 1 for member in members):
        raise EncryptedFileError("the document asks for a password")
    packed = sum(member.compress_size for member in members)
    _check_size(sum(member.file_size for member in members), packed, limits)


def _check_size(unpacked: int, packed: int, limits: ReadLimits) -> None:
    if unpacked > limits.max_unpacked_bytes:
        raise FileTooLargeError(
            f"the document unpacks to more than {limits.max_unpacked_bytes // MEGABYTE:,} MB (a zip bomb?)"
        )
    if unpacked > _RATIO_FROM_BYTES and unpacked > limits.max_unpacked_ratio * max(packed, 1):
        raise FileTooLargeError(
            f"the document unpacks to more than {limits.max_unpacked_ratio} times its size (a zip bomb?)"
        )


def _unpacked_sizes(file: BinaryIO, member: zipfile.ZipInfo) -> Iterator[int]:
    """What the member really unpacks to, piece by piece, whatever the directory says."""
    file.seek(member.header_offset)
    header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if header[0] != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"no member at byte {member.header_offset}")
    file.seek(header[9] + header[10], 1)
    left = member.compress_size
    if member.compress_type == zipfile.ZIP_STORED:
        yield left
        return
    if member.compress_type != zipfile.ZIP_DEFLATED:
        raise NotImplementedError(f"compression method {member.compress_type}")
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    while left > 0 and not unpacker.eof:
        data = file.read(min(left, _CHUNK))
        if not data:
            raise EOFError("a member ends early")
        left -= len(data)
        while data:
            yield len(unpacker.decompress(data, 1 << 20))
            data = unpacker.unconsumed_tail


def notes_on_unread(path: Path, kind: str, blocks: Iterable[Block], left_out: Iterable[str] = ()) -> tuple[Note, ...]:
    """One note for words, one for pictures, one for embedded files, where there are any that were not read. `left_out`
    are texts that nobody sees in the document, such as the footnotes of deleted words."""
    read: Counter[str] = Counter()
    for text in left_out:
        read.update(_WORD.findall(text))
    for block in blocks:
        read.update(_WORD.findall(block.text))
        read.update(_WORD.findall(block.caption))
    there: Counter[str] = Counter()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if _PARTS[kind].match(name):
                there.update(_WORD.findall(_text_of(archive.read(name))))
        names = archive.namelist()
        read_as_charts = set(_embedded_in_charts(archive))
    words = (there - read).total()
    sentence = f"{words:,} words in parts of the document that are not known here were not read"
    notes = [Note(sentence, number=words, unread=True)] if words else []
    return (*notes, *_notes_on_members(name for name in names if name not in read_as_charts))


def _embedded_in_charts(archive: zipfile.ZipFile) -> Iterator[str]:
    """Workbooks that only hold the numbers of a chart."""
    for name in archive.namelist():
        if _OF_CHARTS.match(name):
            folder = name.partition("/")[0]
            for found in _EMBEDDING.findall(archive.read(name)):
                yield f"{folder}/embeddings/{found.decode(errors='replace')}"


def _text_of(part: bytes) -> str:
    from lxml import etree

    target = _Texts()
    parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True, recover=True)
    parser.feed(part)
    with contextlib.suppress(etree.XMLSyntaxError):  # the reader itself has reported the damage
        parser.close()
    return "".join(target.found)


class _Texts:
    """Collects the words from the parser's events; no tree is built."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._passed_over = 0
        self._is_text = False
        self._font = ""  # of the run

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = _local(tag)
        self._passed_over += name in _PASSED_OVER
        if name == "r":
            self._font = ""
        elif name == "rFonts":
            self._font = next((each for key, each in attributes.items() if _local(key) in ("ascii", "hAnsi")), "")
        elif name == "sym":
            named = {_local(key): each for key, each in attributes.items()}
            self.found.append(symbol(named.get("font", ""), named.get("char", "")))
        self._is_text = name in ("t", "v") and not self._passed_over
        self.found.append(" " if name == "txbxContent" else "")

    def data(self, text: str) -> None:
        self.found.append(symbols_in(self._font, text) if self._is_text else "")

    def end(self, tag: str) -> None:
        name = _local(tag)
        self._passed_over -= name in _PASSED_OVER
        self._is_text = False
        self.found.append("-" if name == "noBreakHyphen" else " " if name in _APART else "")

    def close(self) -> None:
        pass


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _notes_on_members(names: Iterable[str]) -> Iterator[Note]:
    embedded = 0
    odd: Counter[str] = Counter()
    for name in names:
        picture = _PICTURE.match(name)
        if picture and not READ_MEDIA.match(name):
            odd[picture[1].lower()] += 1
        embedded += bool(_EMBEDDED.match(name))
    if odd:
        kinds = ", ".join(sorted(odd))
        sentence = f"{odd.total():,} embedded pictures or recordings of kinds that are not read were left out ({kinds})"
        yield Note(sentence, kind="picture", number=odd.total(), unread=True)
    if embedded:
        yield Note(f"{embedded:,} embedded files were not read", kind="embedded", number=embedded, unread=True)
