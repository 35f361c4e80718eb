"""Address cards (vCard, RFC 6350 and its older versions): every person stands under the name, with numbers, addresses,
notes, and the photograph as a figure."""

import binascii
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

from indexing.readers.attachments import Attachments
from indexing.readers.content_lines import LineGroup, Property, entries
from indexing.readers.document import finished, read_text
from indexing.readers.output import ReaderOutput
from indexing.readers.plain import plain_blocks
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Reading

_SHOWN = {
    "NICKNAME": "Nickname", "ORG": "Organisation", "TITLE": "Title", "ROLE": "Role", "TEL": "Telephone",
    "EMAIL": "E-mail", "ADR": "Address", "LABEL": "Address", "IMPP": "Messenger", "X-SOCIALPROFILE": "Profile",
    "URL": "Web", "BDAY": "Birthday", "ANNIVERSARY": "Anniversary", "RELATED": "Related", "X-ABRELATEDNAMES": "Related",
    "MEMBER": "Member", "LANG": "Language", "CATEGORIES": "Categories", "NOTE": "Note",
}  # fmt: skip
_PICTURES = ("PHOTO", "LOGO")


def read_contacts(path: Path, output: ReaderOutput) -> Reading:
    """The cards in the order of the file."""
    text, notes = read_text(path, output.limits)
    pictures = Attachments(output, word="picture")
    blocks = [block for card in entries(text, frozenset({"VCARD"})) for block in _card(card, pictures)]
    return finished(path, blocks, output, title=path.stem, notes=(*notes, *pictures.notes))


def _card(card: LineGroup, pictures: Attachments) -> Iterator[Block]:
    name = " ".join(card.first("FN").split()) or _name(card) or card.first("ORG", "EMAIL", "TEL")
    yield Block(kind="heading", text=name or "Card", level=1)
    for shown, label in _SHOWN.items():
        for each in card.properties:
            value = ", ".join(each.parts) if each.name in ("ORG", "ADR") else each.text
            if each.name == shown and value:
                kind = f" ({each.type})" if each.type else ""
                yield from plain_blocks(f"{label}{kind}: {value}")
    for each in card.properties:
        data = _picture(each) if each.name in _PICTURES else b""
        if data:
            yield from pictures.read(f"{each.name.lower()} of {name}", data, heading="")


def _name(card: LineGroup) -> str:
    """Family name, given name, further ones, what stands before and after it → as it is spoken."""
    for each in card.properties:
        if each.name == "N":
            family, *given = each.parts or [""]
            return " ".join([*given, family])
    return ""


def _picture(each: Property) -> bytes:
    """The bytes of a picture that lies in the card; none where it lies elsewhere."""
    inside = each.value.startswith("data:") or each.parameters.get("ENCODING", "").upper() in ("B", "BASE64")
    if not inside:
        return b""
    try:
        return b64decode(each.value.rpartition(",")[2])
    except (binascii.Error, ValueError):
        return b""


def _is_contacts(start: FileStart) -> bool:
    return start.text is not None and start.text.lstrip()[:11].upper() == "BEGIN:VCARD"


READERS = (
    Reader(
        type="contacts",
        extensions=(".vcf", ".vcard"),
        recognise=_is_contacts,
        order=63,
        read=read_contacts,
        is_text=True,
    ),
)
