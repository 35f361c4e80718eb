"""E-books: a zip of web pages, read in the order in which the book's own list puts them.

    META-INF/container.xml → the package file → its metadata, its manifest (id → page), its spine (ids in reading order)

Each page goes through the reader of web pages. pandoc, which unstructured asks for e-books, is a program of its own,
and a reader starts none.
"""

import posixpath
import re
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from indexing.errors import DamagedFileError, EncryptedFileError, words_of
from indexing.readers.archive import check_archive
from indexing.readers.document import finished
from indexing.readers.markup import clean, decoded
from indexing.readers.spool import Spool
from indexing.readers.web import read_markup
from indexing.records import Block, Reading

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Fonts are often scrambled in books whose words anybody may read."""
_PAGE_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|bmp|tiff?|webp|svg)$", re.IGNORECASE)
_METADATA = {"creator": "author", "subject": "subject", "date": "date"}


def read_epub(path: Path, spool: Spool) -> Reading:
    """Raises EncryptedFileError for a book under copy protection, DamagedFileError for one without a list of pages."""
    check_archive(path, spool.limits)
    with zipfile.ZipFile(path) as archive:
        members = frozenset(archive.namelist())
        if _ENCRYPTION in members and _is_protected(archive.read(_ENCRYPTION)):
            raise EncryptedFileError("the book is under copy protection")
        package_name = _package_name(archive, members)
        package = _parsed(archive.read(package_name))
        blocks: list[Block] = []
        notes: list[str] = []
        missing = 0
        names = _pages(package, package_name)
        for name in dict.fromkeys(names):
            if name in members:
                page = read_markup(clean(decoded(archive.read(name), is_html=True)))
                blocks.extend(page.blocks)
                notes.extend(f"page '{posixpath.basename(name)}': {note}" for note in page.notes)
            else:
                missing += 1
    metadata = {ours: words for theirs, ours in _METADATA.items() if (words := _words(package, theirs))}
    if len(set(names)) < len(names):
        notes.append(f"the book's list names {len(names):,} pages, of which {len(set(names)):,} are different ones")
    if missing:
        notes.append(f"{missing} of the book's pages are named in its list and missing in its file")
    pictures = sum(bool(_PICTURE.search(name)) for name in members)
    if pictures:
        notes.append(f"{pictures:,} pictures in the book were not looked at")
    return finished(path, blocks, spool, title=_words(package, "title"), metadata=metadata, notes=tuple(notes))


def _package_name(archive: zipfile.ZipFile, members: frozenset[str]) -> str:
    if _CONTAINER in members:
        for each in _parsed(archive.read(_CONTAINER)).iter("{*}rootfile"):
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


def _words(package: Any, name: str) -> str:
    """A line of the book's own metadata (Dublin Core)."""
    found = package.find(f".//{{http://purl.org/dc/elements/1.1/}}{name}")
    return " ".join(clean(found.text or "").split())[:500] if found is not None else ""


def _is_protected(encryption: bytes) -> bool:
    methods = [each.get("Algorithm", "") for each in _parsed(encryption).iter("{*}EncryptionMethod")]
    return any(method not in _FONT_SCRAMBLING for method in methods)


def _parsed(data: bytes) -> Any:
    """XML without entities and without anything from elsewhere."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise DamagedFileError(f"the book's list of pages is damaged ({words_of(error)})") from error
