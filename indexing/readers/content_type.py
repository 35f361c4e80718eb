"""What a file is, from its bytes. The name is a hint, and only between kinds of plain text.

A picture named `.pdf` is read as the picture it is (with a note); bytes that are no text are
refused even when the name says `.txt`.
"""

import codecs
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from indexing.errors import (
    DamagedFileError,
    EmptyFileError,
    EncryptedFileError,
    UnsupportedFileError,
    pass_on,
    words_of,
)

ContentType = Literal[
    "png", "jpeg", "webp", "gif", "tiff", "bmp", "pdf", "docx", "pptx", "xlsx", "epub",
    "html", "markdown", "mail", "text",
]  # fmt: skip
PICTURES: frozenset[ContentType] = frozenset({"png", "jpeg", "webp", "gif", "tiff", "bmp"})
ZIPPED: frozenset[ContentType] = frozenset({"docx", "pptx", "xlsx", "epub"})

_HEAD_BYTES = 65_536
_EXTENSIONS: dict[str, ContentType] = {
    ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".gif": "gif", ".tif": "tiff",
    ".tiff": "tiff", ".bmp": "bmp", ".pdf": "pdf", ".docx": "docx", ".docm": "docx", ".pptx": "pptx",
    ".pptm": "pptx", ".xlsx": "xlsx", ".xlsm": "xlsx", ".epub": "epub", ".htm": "html", ".html": "html",
    ".xhtml": "html", ".md": "markdown", ".markdown": "markdown", ".eml": "mail",
}  # fmt: skip
_MAGIC: tuple[tuple[bytes, ContentType], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)
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
    (b"{\\rtf", "an RTF document (save it as DOCX or PDF)"),
    (b"%!PS", "a PostScript file (save it as PDF)"),
    (b"ID3", "an audio file"),
    (b"OggS", "an audio or video file"),
    (b"fLaC", "an audio file"),
    (b"\x1aE\xdf\xa3", "a video file"),
    (b"\xff\x0a", "a JPEG XL picture (save it as JPEG or PNG)"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture (save it as JPEG or PNG)"),
    (b"\0\0\0\x0cjP", "a JPEG 2000 picture (save it as JPEG or PNG)"),
    (b"8BPS", "a Photoshop file (save it as JPEG or PNG)"),
)
_MAIL_HEADER = re.compile(
    rb"^(from|to|cc|subject|date|received|return-path|mime-version|message-id|delivered-to|reply-to"
    rb"|content-type|content-transfer-encoding|x-[a-z0-9-]+|dkim-signature|thread-index)[ \t]*:",
    re.IGNORECASE,
)
_HTML = re.compile(r"(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sniffed:
    """What the bytes are, and a note for the person when the name claims something else."""

    content_type: ContentType
    note: str = ""


def sniff(path: Path) -> Sniffed:
    """Look at the first bytes (and at a zip's directory); raises UnreadableFileError's children."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise EmptyFileError("the file is empty (0 bytes)")
    named = _EXTENSIONS.get(path.suffix.lower())
    found = _from_magic(head, path) or _from_text(head, named)
    if named is not None and named != found and not _both_plain(named, found):
        return Sniffed(content_type=found, note=f"named {path.suffix} but read as {found}, which it is")
    return Sniffed(content_type=found)


def _both_plain(named: ContentType, found: ContentType) -> bool:
    plain = {"html", "markdown", "mail", "text"}
    return named in plain and found in plain


def _from_magic(head: bytes, path: Path) -> ContentType | None:
    for magic, content_type in _MAGIC:
        if head.startswith(magic):
            return content_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and head[14:18] in _BMP_HEADERS:
        return "bmp"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _inside_zip(path)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise _inside_ole(path)
    if head[4:8] == b"ftyp":
        raise UnsupportedFileError(f"{_iso_media(head[8:12])} is not read here")
    for magic, words in _UNREAD:
        if head.startswith(magic):
            raise UnsupportedFileError(f"{words} is not read here")
    return None


_BMP_HEADERS = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))


def _iso_media(brand: bytes) -> str:
    if brand in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "a HEIC picture (save it as JPEG)"
    return "an AVIF picture (save it as JPEG)" if brand in (b"avif", b"avis") else "a video file"


def _inside_zip(path: Path) -> ContentType:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "mimetype" in names:
                with archive.open("mimetype") as member:
                    mimetype = member.read(100).strip()
            else:
                mimetype = b""
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        pass_on(error)
        raise DamagedFileError(f"a zipped document that is damaged or ends early ({words_of(error)})") from error
    if mimetype == b"application/epub+zip" or "META-INF/container.xml" in names:
        return "epub"
    families: tuple[tuple[str, ContentType], ...] = (("word/", "docx"), ("ppt/", "pptx"), ("xl/", "xlsx"))
    for folder, content_type in families:
        if any(name.startswith(folder) for name in names):
            return content_type
    if mimetype.startswith(b"application/vnd.oasis.opendocument"):
        raise UnsupportedFileError("an OpenDocument file is not read here (save it as DOCX, XLSX or PDF)")
    raise UnsupportedFileError("a zip archive is not read here (unpack it first)")


def _inside_ole(path: Path) -> Exception:
    """Office documents with a password are OLE containers, and so are Word's and Excel's old formats."""
    import olefile  # type: ignore[import-untyped]  # it has no stubs

    try:
        with olefile.OleFileIO(path) as container:
            streams = {"/".join(parts).lower() for parts in container.listdir()}
    except (OSError, ValueError, IndexError, TypeError) as error:
        pass_on(error)
        return DamagedFileError(f"an old Office container that is damaged ({words_of(error)})")
    if "encryptedpackage" in streams:
        return EncryptedFileError("the document asks for a password")
    for stream, words in (
        ("worddocument", "an old Word document (.doc) is not read here (save it as DOCX)"),
        ("workbook", "an old Excel workbook (.xls) is not read here (save it as XLSX)"),
        ("book", "an old Excel workbook (.xls) is not read here (save it as XLSX)"),
        ("powerpoint document", "an old PowerPoint file (.ppt) is not read here (save it as PPTX)"),
        ("__properties_version1.0", "an Outlook message (.msg) is not read here (save it as EML)"),
    ):
        if stream in streams:
            return UnsupportedFileError(words)
    return UnsupportedFileError("an OLE container of an unknown kind is not read here")


def _from_text(head: bytes, named: ContentType | None) -> ContentType:
    text = _as_text(head)
    if text is None:
        raise UnsupportedFileError("binary data of an unknown kind (neither text nor a known format)")
    if named == "mail" or _looks_like_mail(head):
        return "mail"
    if _HTML.match(_after_prolog(text)):
        return "html"
    return named if named in ("html", "markdown") else "text"


def _as_text(head: bytes) -> str | None:
    """The head as text, or None when it is binary: control characters are what text does not have."""
    encoding = guess_encoding(head, whole=len(head) < _HEAD_BYTES)
    text = head.decode(encoding, errors="replace")
    odd = sum(1 for char in text if (char < " " and char not in "\t\n\r\f\x1b\b") or char in "\x7f\ufffd")
    return text if odd <= max(1, len(text) // 50) else None


def _after_prolog(text: str) -> str:
    """The text after an XML declaration and comments; a loop, because a pattern for it can take forever."""
    text = text.lstrip("\ufeff \t\r\n")
    while text.startswith(("<?xml", "<!--")):
        _, end, text = text.partition("?>" if text.startswith("<?") else "-->")
        text = text.lstrip() if end else ""
    return text


def guess_encoding(data: bytes, *, whole: bool = True) -> str:
    """UTF-8, UTF-16 (also without a byte order mark) or cp1252, in this order of evidence.

    `whole` is False for the beginning of a longer file, which may end inside a character.
    """
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if data.startswith(mark):
            return encoding
    sample = data[:4096]
    if sample.count(0) > len(sample) // 5:
        return "utf-16-le" if sample[1::2].count(0) >= sample[0::2].count(0) else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _looks_like_mail(head: bytes) -> bool:
    """Two known header lines, and nothing but headers and their continuations, before the first gap."""
    lines = head.lstrip(b"\xef\xbb\xbf").splitlines()[:12]
    known = 0
    for line in lines:
        if not line.strip():
            break
        if _MAIL_HEADER.match(line):
            known += 1
        elif not (known and line[:1] in b" \t") and not re.match(rb"^[A-Za-z0-9-]+:", line):
            return False
    return known >= 3 or (known >= 2 and head[:5].lower() in (b"from:", b"retur", b"recei", b"mime-"))
