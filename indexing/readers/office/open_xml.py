"""The zipped package of an Office Open XML file: its parts, who points to whom, and a copy with some parts changed.

    package = Package(path)
    package.read("word/document.xml")          the part, with the namespaces of ordinary files
    package.relations("word/document.xml")     {"rId7": Relation(type="footnotes", target="word/footnotes.xml"), …}

Office can save with the namespaces of ISO 29500 Strict, which hardly any library reads. They differ from the ordinary
ones in a fixed way, so every part is given out with the ordinary ones.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from indexing.errors import DamagedFileError, words_of
from indexing.readers.output import ReaderOutput

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(\w+)")
_STRICT_RELATION = re.compile(rb"(2006/relationships/)(extended|custom)Properties")
_RENAMED = {b"extendedProperties": b"extended-properties", b"customProperties": b"custom-properties"}
_DATA = re.compile(r"\w+/(?:media|embeddings|fonts)/")
"""Parts that are no XML and that no reader of words looks into."""
_KINDS = re.compile(rb"application/vnd\.(?:ms-word\.(?:document|template)\.macroEnabled\w*|openxmlformats-"
                    rb"officedocument\.wordprocessingml\.template)\.main\+xml")  # fmt: skip
"""Word's documents with macros and its templates: the same inside, but python-docx refuses them by their type."""
_WORD = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """What one part says of another."""

    type: str
    """The last word of the address that names the type: `footnotes`, `chart`, `image`."""
    target: str
    """The part's name; "" for what lies outside the package."""


class Package:
    """Reads parts one by one; nothing is kept of the large ones."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with zipfile.ZipFile(path) as archive:
            self.names = frozenset(archive.namelist())

    @cached_property
    def is_strict(self) -> bool:
        """Whether it was saved with the namespaces of ISO 29500 Strict."""
        return "_rels/.rels" in self.names and b"purl.oclc.org/ooxml" in self._raw("_rels/.rels")

    def read(self, name: str) -> bytes:
        """The part's bytes. Raises KeyError for one that is not there, DamagedFileError."""
        data = self._raw(name)
        return _ordinary(data) if self.is_strict and name.endswith((".xml", ".rels")) else data

    def parsed(self, name: str) -> Any:
        """The part's root element, or None where it is missing. Raises DamagedFileError."""
        return parse(self.read(name), name) if name in self.names else None

    def relations(self, part: str) -> dict[str, Relation]:
        """By their ids, in the order of the file; {} for a part that points to nothing."""
        folder, name = posixpath.split(part)
        root = self.parsed(f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels")
        return {} if root is None else {each.get("Id", ""): self._relation(each, folder) for each in root}

    def related(self, part: str, *types: str) -> list[str]:
        """The names of parts that are there and that `part` points to, each once."""
        found = (each.target for each in self.relations(part).values() if each.type in types)
        return [target for target in dict.fromkeys(found) if target in self.names]

    def main_part(self, default: str) -> str:
        """The part that the package begins with, such as `word/document.xml`."""
        return next(iter(self.related("", "officeDocument")), default)

    def _relation(self, element: Any, folder: str) -> Relation:
        inside = element.get("TargetMode") != "External"
        name = target_of(element.get("Target", ""), folder) if inside else ""
        return Relation(type=element.get("Type", "").rpartition("/")[2], target=name)

    def _raw(self, name: str) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name)
        except zipfile.BadZipFile as error:
            raise DamagedFileError(f"a zipped document that is damaged or ends early ({words_of(error)})") from error


def _ordinary(part: bytes) -> bytes:
    def renamed(found: re.Match[bytes]) -> bytes:
        last = _RENAMED.get(found[2], found[2])
        return b"http://schemas.openxmlformats.org/%s/2006/%s" % (found[1], last)

    return _STRICT_RELATION.sub(rb"\1\2-properties", _STRICT.sub(renamed, part))


@contextmanager
def copy_with(package: Package, changes: Mapping[str, bytes], output: ReaderOutput) -> Iterator[Path]:
    """The package with some parts changed, and pictures and embedded files empty, for as long as the context lasts."""
    path = output.folder / "working-copy.zip"
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copy:
            for name in sorted(package.names):
                if not name.endswith("/"):
                    copy.writestr(name, _changed(package, name, changes))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _changed(package: Package, name: str, changes: Mapping[str, bytes]) -> bytes:
    if _DATA.match(name):
        return b""
    data = changes[name] if name in changes else package.read(name)
    if name == "[Content_Types].xml":
        return _with_all_types(_KINDS.sub(_WORD, data), package)
    return _without_missing(data, name, package) if name.endswith(".rels") else data


def _with_all_types(data: bytes, package: Package) -> bytes:
    """A part whose type nobody said would cost the whole document."""
    from lxml import etree

    root = parse(data, "[Content_Types].xml")
    known = {each.get("Extension", "").lower() for each in root}
    endings = {posixpath.splitext(name)[1][1:].lower() for name in package.names}
    for ending in sorted(endings - known - {""}):
        kind = {"Extension": ending, "ContentType": "application/octet-stream"}
        root.append(etree.Element(f"{root.tag.rpartition('}')[0]}}}Default", kind))
    return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))


def _without_missing(data: bytes, name: str, package: Package) -> bytes:
    """Without what points to parts that are not there."""
    from lxml import etree

    folder = posixpath.dirname(posixpath.dirname(name))
    root = parse(data, name)
    for each in list(root):
        names = {target_of(each.get("Target", ""), folder), target_of(quote(each.get("Target", "")), folder)}
        if each.get("TargetMode") != "External" and not names & package.names:
            root.remove(each)
    return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))


def target_of(target: str, folder: str) -> str:
    """The name of the part that a relation in the folder points to."""
    return posixpath.normpath(posixpath.join("/" + folder, unquote(target))).lstrip("/")


def parse(data: bytes, name: str) -> Any:
    """XML without entities and without anything from elsewhere. Raises DamagedFileError."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
        etree.strip_elements(root, etree.Entity, with_tail=False)  # names that only the part's own DTD explains
        return root
    except etree.XMLSyntaxError as error:
        raise DamagedFileError(f"the part '{name}' of the document is damaged ({words_of(error)})") from error


def local(element: Any) -> str:
    """The element's name without its namespace; "" for what is no element."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def is_on(value: str | None) -> bool:
    """What an XML attribute of yes or no says; a missing one (None) is a yes, as Word takes it."""
    return value is None or value.lower() in ("1", "true", "on")
