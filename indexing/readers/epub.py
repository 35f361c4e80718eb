"""E-books (EPUB): a zip of web pages, read in the order of the book's own list.

    META-INF/container.xml → the package file → its metadata, its manifest (id → page), its spine (ids in their order)

The pictures of a page follow its words; those that no page shows come last. (pandoc, which unstructured asks for
e-books, is a program of its own, and a reader starts none.)
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from indexing.errors import DamagedFileError, EncryptedFileError, words_of
from indexing.readers.archive import check_archive, picture_in
from indexing.readers.document import clean, figures_of, finished, read_text_of
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.readers.web import parse_html, read_markup
from indexing.records import Block, Note, Reading

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Fonts are often scrambled in books whose words anybody may read."""
_PAGE_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|bmp|tiff?|webp)$", re.IGNORECASE)
_DRAWING = re.compile(r"\.(?:svgz?|emf|wmf|avif|jxl|heic)$", re.IGNORECASE)
"""Pictures of kinds that are not read."""
_LINK = "{http://www.w3.org/1999/xlink}href"
_METADATA = {"creator": "author", "subject": "subject", "date": "date"}


def read_epub(path: Path, output: ReaderOutput) -> Reading:
    """Raises EncryptedFileError for a book under copy protection, DamagedFileError for one without a list of pages."""
    check_archive(path, output.limits)
    with zipfile.ZipFile(path) as archive:
        members = frozenset(archive.namelist())
        if _ENCRYPTION in members and _is_protected(archive.read(_ENCRYPTION)):
            raise EncryptedFileError("the book is under copy protection")
        package_name = _package_name(archive, members)
        package = _xml(archive.read(package_name))
        chapters: list[list[Block]] = []
        pictures: dict[str, int] = {}  # its name → the chapter that shows it first
        notes: list[Note] = []
        missing = 0
        names = _pages(package, package_name)
        for name in dict.fromkeys(names):
            if name not in members:
                missing += 1
                continue
            text, told = _page_text(archive, name, output)
            page = read_markup(text)
            for picture in _shown(text, posixpath.dirname(name)):
                pictures.setdefault(picture, len(chapters))
            chapters.append(list(page.blocks))
            notes.extend(note.within(f"page '{posixpath.basename(name)}'") for note in (*told, *page.notes))
        for name in sorted(filter(_PICTURE.search, members)):
            pictures.setdefault(name, len(chapters))
        figures, left_out = figures_of(_read(archive, pictures, members), output)
        notes.extend(left_out)
    chapters.append([])
    for figure in figures:
        chapters[figure.page or 0].append(replace(figure, page=None))
    blocks = [block for chapter in chapters for block in chapter]
    metadata = {ours: words for theirs, ours in _METADATA.items() if (words := _line_of(package, theirs))}
    if len(set(names)) < len(names):
        sentence = f"the book's list names {len(names):,} pages, of which {len(set(names)):,} are different ones"
        notes.append(Note(sentence, kind="page"))
    if missing:
        sentence = f"{missing} of the book's pages are named in its list and missing in its file"
        notes.append(Note(sentence, kind="page", number=missing, unread=True))
    drawings = sum(bool(_DRAWING.search(name)) for name in members)
    if drawings:
        sentence = f"{drawings:,} pictures in the book are of kinds that are not read (drawings)"
        notes.append(Note(sentence, kind="picture", number=drawings, unread=True))
    return finished(path, blocks, output, title=_line_of(package, "title"), metadata=metadata, notes=tuple(notes))


def _page_text(archive: zipfile.ZipFile, name: str, output: ReaderOutput) -> tuple[str, tuple[Note, ...]]:
    """The page's markup; a damaged page does not cost the others."""
    try:
        with archive.open(name) as file:
            return read_text_of(file, output.limits, is_html=True)
    except (zipfile.BadZipFile, zlib.error) as error:
        return "", (Note(f"the page is damaged and was not read ({words_of(error)})", kind="page", unread=True),)


def _shown(page: str, folder: str) -> Iterator[str]:
    """The names of the pictures that a page shows, in their order."""
    root, _ = parse_html(page)
    for each in root.iter("img", "image") if root is not None else ():
        address = each.get("src") or each.get(_LINK) or each.get("xlink:href") or each.get("href") or ""
        link = urlsplit(address.strip())
        if link.path and not link.scheme:
            yield posixpath.normpath(posixpath.join(folder, unquote(link.path)))


def _read(
    archive: zipfile.ZipFile, pictures: Mapping[str, int], members: frozenset[str]
) -> Iterator[tuple[int | None, bytes]]:
    """Each picture once, with its chapter; a book shows its ornaments on every page."""
    seen: set[tuple[int, int]] = set()
    for name, chapter in pictures.items():
        if name in members and _PICTURE.search(name):
            member = archive.getinfo(name)
            if (member.CRC, member.file_size) not in seen:
                seen.add((member.CRC, member.file_size))
                yield chapter, picture_in(archive, member)


def _package_name(archive: zipfile.ZipFile, members: frozenset[str]) -> str:
    if _CONTAINER in members:
        for each in _xml(archive.read(_CONTAINER)).iter("{*}rootfile"):
            if each.get("full-path") in members:
                return str(each.get("full-path"))
    for name in sorted(members):
        if name.endswith(".opf"):
            return name
    raise DamagedFileError("the book has no list of its pages")


def _pages(package: Any, package_name: str) -> list[str]:
    """The names of the book's pages in reading order; those that the list leaves out (`linear="no"`) come last."""
    folder = posixpath.dirname(package_name)
    manifest = {each.get("id"): each for each in package.iter("{*}item")}
    spine = sorted(package.iter("{*}itemref"), key=lambda each: each.get("linear") == "no")
    items = [manifest[each.get("idref")] for each in spine if each.get("idref") in manifest]
    pages = [each.get("href", "") for each in items if each.get("media-type") in _PAGE_TYPES]
    return [posixpath.normpath(posixpath.join(folder, unquote(urlsplit(page).path))) for page in pages]


def _line_of(package: Any, name: str) -> str:
    """A line of the book's own metadata (Dublin Core)."""
    found = package.find(f".//{{http://purl.org/dc/elements/1.1/}}{name}")
    return " ".join(clean(found.text or "").split())[:500] if found is not None else ""


def _is_protected(encryption: bytes) -> bool:
    methods = [each.get("Algorithm", "") for each in _xml(encryption).iter("{*}EncryptionMethod")]
    return any(method not in _FONT_SCRAMBLING for method in methods)


def _xml(data: bytes) -> Any:
    """XML without entities and without anything from elsewhere."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise DamagedFileError(f"the book's list of pages is damaged ({words_of(error)})") from error


def _is_epub(start: FileStart) -> bool:
    zipped = start.members
    return zipped is not None and (zipped.media_type == b"application/epub+zip" or _CONTAINER in zipped.names)


READERS = (Reader(type="epub", extensions=(".epub",), recognise=_is_epub, order=30, read=read_epub),)
