"""OpenDocument texts and slides (ODT, ODP, ODG): LibreOffice's own formats.

    content.xml → headings, paragraphs, tables in their order; what hangs on a paragraph (notes, comments, frames) after
    it · styles.xml → headers and footers, once · meta.xml → title and author · Pictures/ → figures

Tracked changes are read as accepted: deleted text lies in a part of its own, which is passed over and told.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexing.errors import DamagedFileError, EncryptedFileError
from indexing.readers.archive import READ_PICTURE, check_archive
from indexing.readers.document import clean, finished
from indexing.readers.office.document_walk import DRAW, OFFICE, PRESENTATION, STYLE, DocumentWalk, words_of
from indexing.readers.office.open_xml import Package, local
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Reading

_KINDS = ("text", "text-template", "text-master", "presentation", "presentation-template", "graphics")
_METADATA = {"title": "title", "initial-creator": "author", "creator": "author", "subject": "subject", "date": "date"}


def read_document(path: Path, output: ReaderOutput) -> Reading:
    """A text, or slides of which each is a page."""
    package, content = opened(path, output)
    body = content.find(f"{OFFICE}body")
    walk = DocumentWalk(package)
    blocks = list(_headers(package, walk))
    notes: list[Note] = []
    pages = list(body.iter(f"{DRAW}page")) if body is not None else []
    if pages:
        hidden = _hidden_pages(content)
        blocks += [block for number, page in enumerate(pages, start=1) for block in _slide(page, number, walk, hidden)]
        notes += _notes_on_hidden(pages, hidden)
    elif body is not None:
        blocks += [block for part in body for block in walk.blocks(part)]
    return document_reading(path, package, output, blocks, walk, [*notes, *walk.notes()])


def opened(path: Path, output: ReaderOutput) -> tuple[Package, Any]:
    """The package and the root of its content. Raises EncryptedFileError, DamagedFileError."""
    package = packed(path, output)
    return package, package.parsed("content.xml")


def packed(path: Path, output: ReaderOutput) -> Package:
    """The package, looked at for bombs and passwords. Raises EncryptedFileError, DamagedFileError."""
    check_archive(path, output.limits)
    package = Package(path)
    manifest = package.parsed("META-INF/manifest.xml")
    if manifest is not None and next(manifest.iter("{*}encryption-data"), None) is not None:
        raise EncryptedFileError("the document asks for a password")
    if "content.xml" not in package.names:
        raise DamagedFileError("an OpenDocument file without its content")
    return package


def document_reading(
    path: Path, package: Package, output: ReaderOutput, blocks: list[Block], walk: DocumentWalk, notes: list[Note]
) -> Reading:
    """With the file's own title, its pictures, and notes on those of other kinds."""
    own = _own(package)
    odd = Counter(name.rpartition(".")[2].lower() for name in walk.pictures if not READ_PICTURE.search(name))
    if odd:
        sentence = (
            f"{odd.total():,} embedded pictures of kinds that are not read were left out ({', '.join(sorted(odd))})"
        )
        notes.append(Note(sentence, kind="picture", number=odd.total(), unread=True))
    pictures = ((page, package.read(name)) for name, page in walk.pictures.items() if READ_PICTURE.search(name))
    title = own.pop("title", "")
    return finished(path, blocks, output, title=title, metadata=own, pictures=pictures, notes=tuple(notes))


def _own(package: Package) -> dict[str, str]:
    root = package.parsed("meta.xml")
    found: dict[str, str] = {}
    for each in root.iter() if root is not None else ():
        name = _METADATA.get(local(each))
        if name is not None and (each.text or "").strip():
            found.setdefault(name, clean(each.text.strip())[:500])
    return found


def _headers(package: Package, walk: DocumentWalk) -> Iterator[Block]:
    """The words of headers and footers, each once."""
    root = package.parsed("styles.xml")
    parts = root.iter(f"{STYLE}header", f"{STYLE}footer") if root is not None else ()
    texts = (words_of(part).strip() for part in list(parts))
    for text in dict.fromkeys(text for text in texts if text):
        yield Block(kind="text", text=text)


# -- slides --


def _slide(page: Any, number: int, walk: DocumentWalk, hidden: frozenset[str]) -> Iterator[Block]:
    walk.page = number
    if page.get(f"{DRAW}style-name") in hidden:
        yield Block(kind="text", text="(hidden slide)", page=number)
    for child in page:
        if child.tag == f"{PRESENTATION}notes":
            spoken = " ".join(words_of(part) for part in child if part.get(f"{PRESENTATION}class") == "notes")
            if spoken.strip():
                yield Block(kind="text", text=f"Speaker notes: {spoken.strip()}", page=number)
        elif child.get(f"{PRESENTATION}placeholder") == "true":
            continue  # "Click to add text", which no show has
        elif child.get(f"{PRESENTATION}class") == "title" and words_of(child).strip():
            yield Block(kind="heading", text=" ".join(words_of(child).split()), page=number, level=1)
        else:
            yield from walk.blocks_of(child)


def _hidden_pages(content: Any) -> frozenset[str]:
    return frozenset(
        style.get(f"{STYLE}name", "")
        for style in content.iter(f"{STYLE}style")
        if any(each.get(f"{PRESENTATION}visibility") == "hidden" for each in style)
    )


def _notes_on_hidden(pages: list[Any], hidden: frozenset[str]) -> Iterator[Note]:
    count = sum(page.get(f"{DRAW}style-name") in hidden for page in pages)
    if count:
        yield Note(f"{count:,} hidden slides were read (marked as hidden)", kind="hidden", number=count)


def _is_document(start: FileStart) -> bool:
    if start.members is None:
        return False
    kind = start.members.media_type.decode("ascii", "replace").partition("opendocument.")[2]
    return kind in _KINDS


READERS = (
    Reader(
        type="opendocument", extensions=(".odt", ".ott", ".odm", ".odp", ".otp", ".odg"), recognise=_is_document,
        order=34, read=read_document,
    ),
)  # fmt: skip
