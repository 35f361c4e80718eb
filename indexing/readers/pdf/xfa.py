"""XFA forms, which Adobe's reader alone shows: the pages that others see say "Please wait".

Where nothing else of the form is in the file, its labels and values are read from its data, in the order of the form's
template and without its layout.
"""

import ctypes
import re
from collections.abc import Iterator
from typing import Any

from indexing.errors import pass_on
from indexing.records import Block, Note

_MOST_BYTES = 20_000_000
_MOST_PACKETS = 50
_MOST_LINES = 20_000
_NOTE = Note(
    "an XFA form, which only Adobe's reader shows: its pages as they are shown were not read, only its labels and "
    "values where its data have them",
    kind="form",
    unread=True,
)


class XfaForm:
    """What a document has of an XFA form."""

    def __init__(self, document: Any) -> None:
        import pypdfium2.raw as pdfium

        self._document = document
        self._is_one = document.get_formtype() in (pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND)
        self._needs_adobe = document.get_formtype() == pdfium.FORMTYPE_XFA_FULL
        self._has_fields = False

    def look_at(self, page: Any) -> None:
        """Fields on the pages themselves hold the values, and everybody sees them."""
        import pypdfium2.raw as pdfium

        if self._is_one and not self._has_fields and pdfium.FPDFPage_GetAnnotCount(page) > 0:
            self._has_fields = True

    @property
    def is_unseen(self) -> bool:
        """The pages do not show the form."""
        return self._is_one and (self._needs_adobe or not self._has_fields)

    def notes(self) -> Iterator[Note]:
        """That the form was not read as people see it."""
        if self.is_unseen:
            yield _NOTE

    def blocks(self) -> Iterator[Block]:
        """Its labels and values as one block of lines; none where the pages have them."""
        if self.is_unseen and (lines := list(_lines(_packets(self._document)))):
            yield Block(kind="text", text="\n".join(lines))


def _packets(document: Any) -> dict[str, bytes]:
    import pypdfium2.raw as pdfium

    found: dict[str, bytes] = {}
    for index in range(min(_MOST_PACKETS, pdfium.FPDF_GetXFAPacketCount(document))):
        name = ctypes.create_string_buffer(200)
        pdfium.FPDF_GetXFAPacketName(document, index, name, len(name))
        size = ctypes.c_ulong()
        if not pdfium.FPDF_GetXFAPacketContent(document, index, None, 0, size) or not 0 < size.value < _MOST_BYTES:
            continue
        data = ctypes.create_string_buffer(size.value)
        pdfium.FPDF_GetXFAPacketContent(document, index, data, size.value, size)
        found[name.value.decode("utf-8", "replace")] = data.raw
    return found


def _lines(packets: dict[str, bytes]) -> Iterator[str]:
    """`label: value` for each field, and the texts between them."""
    roots = {name: root for name, data in packets.items() if (root := _parsed(data)) is not None}
    values = _values(roots.get("datasets"))
    count = 0
    for element in roots["template"].iter() if "template" in roots else ():
        line = _line(element, values)
        if line and count < _MOST_LINES:
            count += 1
            yield line
    for name, left in values.items():
        for value in left:
            if count < _MOST_LINES:
                count += 1
                yield f"{name}: {value}"


def _parsed(data: bytes) -> Any:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except (etree.LxmlError, ValueError) as error:
        pass_on(error)
        return None


def _values(root: Any) -> dict[str, list[str]]:
    """Names of the data's leaves and what they hold, in their order."""
    values: dict[str, list[str]] = {}
    for element in root.iter() if root is not None else ():
        if isinstance(element.tag, str) and len(element) == 0 and (element.text or "").strip():
            values.setdefault(_name(element), []).append(" ".join(element.text.split()))
    return values


def _line(element: Any, values: dict[str, list[str]]) -> str:
    name = _name(element)
    if name == "draw":
        return _text(element, "value")
    if name != "field":
        return ""
    label, key = _text(element, "caption"), element.get("name", "")
    value = values[key].pop(0) if values.get(key) else _text(element, "value")
    label = label or key
    return f"{label}{'' if re.search(r'[:?]$', label) else ':'} {value}".strip() if value else label


def _text(element: Any, part: str) -> str:
    """The words in a child of that name."""
    return " ".join(word for child in element if _name(child) == part for word in " ".join(child.itertext()).split())


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]
