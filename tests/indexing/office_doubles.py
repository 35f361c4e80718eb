"""Office files made on the spot: what the libraries that write them cannot make is put into their XML."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import docx

from indexing.records import Reading

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def rewritten(path: Path, changes: Mapping[str, Callable[[str], str]], **added: str) -> Path:
    """The archive with some members changed and others put beside them, as text."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, change in changes.items():
        members[name] = change(members[name].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, **{name: text.encode() for name, text in added.items()}}.items():
            archive.writestr(name, data)
    return path


def word_body(path: Path, body: str, parts: Mapping[str, tuple[str, str]] | None = None) -> Path:
    """A Word file with this body; `parts` are parts that it points to: name → (type of relation, XML).

    The id of a relation is the part's name without its ending ("footnotes" for "footnotes.xml").
    """
    docx.Document().save(str(path))
    related = "".join(
        f'<Relationship Id="{name.rpartition("/")[2].partition(".")[0]}" Type="{OFFICE}/{kind}" Target="{name}"/>'
        for name, (kind, _) in (parts or {}).items()
    )
    return rewritten(
        path,
        {
            "word/document.xml": lambda xml: _with_body(xml, body),
            "word/_rels/document.xml.rels": lambda xml: xml.replace("</Relationships>", f"{related}</Relationships>"),
        },
        **{f"word/{name}": xml for name, (_, xml) in (parts or {}).items()},
    )


def _with_body(xml: str, body: str) -> str:
    names = {
        "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
        "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
        "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
        "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
        "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
        "v": "urn:schemas-microsoft-com:vml",
        "r": OFFICE,
    }
    start, end = xml.index("<w:body>"), xml.index("<w:sectPr")
    opening = xml.index(">", xml.index("<w:document")) if "<w:document" in xml else 0
    declared = "".join(f' xmlns:{p}="{u}"' for p, u in names.items() if f"xmlns:{p}=" not in xml[:start])
    return f"{xml[:opening]}{declared}{xml[opening : start + 8]}{body}{xml[end:]}"


def paragraph(*runs: str) -> str:
    """Text or markup, each in its place in the paragraph."""
    return f"<w:p>{''.join(each if each.startswith('<') else run(each) for each in runs)}</w:p>"


def run(text: str) -> str:
    """A run of plain text."""
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def pairs(reading: Reading) -> list[tuple[str, str]]:
    """Kind and text of each block."""
    return [(block.kind, block.text) for block in reading.blocks]


def texts(reading: Reading) -> list[str]:
    """The text of each block."""
    return [block.text for block in reading.blocks]


_STRICT = {
    "http://schemas.openxmlformats.org/officeDocument/2006/": "http://purl.oclc.org/ooxml/officeDocument/",
    "http://schemas.openxmlformats.org/drawingml/2006/": "http://purl.oclc.org/ooxml/drawingml/",
    **{
        f"http://schemas.openxmlformats.org/{kind}/2006/": f"http://purl.oclc.org/ooxml/{kind}/"
        for kind in ("wordprocessingml", "spreadsheetml", "presentationml")
    },
    "relationships/extended-properties": "relationships/extendedProperties",
}


def as_strict(path: Path) -> Path:
    """The same document with the namespaces of ISO 29500 Strict."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith((".xml", ".rels"))]
    return rewritten(path, dict.fromkeys(names, _strict))


def _strict(xml: str) -> str:
    for ordinary, strict in _STRICT.items():
        xml = xml.replace(ordinary, strict)
    return xml
