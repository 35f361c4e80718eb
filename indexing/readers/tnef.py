"""Outlook's envelope around attachments (TNEF, [MS-OXTNEF]), which other programs show as `winmail.dat`.

    signature · key · attributes, each: level · id · length · data · checksum
    attributes of level 1 are the message's, of level 2 an attachment's; most are lists of properties (MAPI)

The libraries that read it are under the LGPL or not kept any more; it is a list of lengths and values.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from indexing.errors import DamagedFileError
from indexing.readers.encoding import decoded
from indexing.readers.mail import read_message
from indexing.readers.outlook import OutlookFile, OutlookItem, as_mail, filetime
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Reading

_SIGNATURE = b"\x78\x9f\x3e\x22"
_ATTRIBUTE = struct.Struct("<BII")
_DEEPEST = 8
_SUBJECT_LINE, _TEXT, _MESSAGE = 0x8004, 0x800C, 0x9003
_BEGINS_FILE, _FILE_DATA, _FILE_NAME, _FILE = 0x9002, 0x800F, 0x8010, 0x9005

_FIXED = {
    0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16,
}  # fmt: skip
"""Bytes of a value by its type ([MS-OXCDATA] 2.11.1); values of the other types are preceded by their length."""
_STRING8, _STRING, _SEVERAL = 0x1E, 0x1F, 0x1000
_SUBJECT, _BODY, _HTML, _RTF, _HEADERS = 0x0037, 0x1000, 0x1013, 0x1009, 0x007D
_SENDER_NAME, _SENDER_ADDRESS, _TO, _CC, _SENT = 0x0C1A, 0x0C1F, 0x0E04, 0x0E03, 0x0039
_DATA, _LONG_NAME, _SHORT_NAME, _CONTENT_ID = 0x3701, 0x3707, 0x3704, 0x3712
_INTERFACE_BYTES = 16
"""Before an attached message: which interface of Outlook reads it."""

Values = dict[int, bytes | str | int]


def read_tnef(path: Path, output: ReaderOutput) -> Reading:
    """The message and what is attached to it. Raises DamagedFileError."""
    item = _item(path.read_bytes(), depth=1)
    return read_message(as_mail(item), output, fallback_title=path.stem)


@dataclass(kw_only=True, slots=True)
class _Attached:
    """What is said of one attachment."""

    name: str = ""
    data: bytes | None = None
    values: Values = field(default_factory=dict)


def _item(data: bytes, *, depth: int) -> OutlookItem:
    texts: dict[int, str] = {}
    values: Values = {}
    attached: list[_Attached] = []
    for name, content in _attributes(data):
        if name in (_SUBJECT_LINE, _TEXT):
            texts[name] = decoded(content.rstrip(b"\0"))
        elif name == _MESSAGE:
            values |= _values(content)
        elif name == _BEGINS_FILE:
            attached.append(_Attached())
        elif attached and name == _FILE_NAME:
            attached[-1].name = decoded(content.rstrip(b"\0"))
        elif attached and name == _FILE_DATA:
            attached[-1].data = content
        elif attached and name == _FILE:
            attached[-1].values |= _values(content)
    sender, address = _text(values, _SENDER_NAME), _text(values, _SENDER_ADDRESS)
    html = values.get(_HTML, b"")
    return OutlookItem(
        headers=_text(values, _HEADERS),
        subject=_text(values, _SUBJECT) or texts.get(_SUBJECT_LINE, ""),
        sender=f"{sender} <{address}>" if sender and "@" in address else sender,
        to=_text(values, _TO),
        cc=_text(values, _CC),
        date=filetime(_number(values, _SENT)),
        text=_text(values, _BODY) or texts.get(_TEXT, ""),
        html=decoded(html, is_html=True) if isinstance(html, bytes) else str(html),
        rtf=_bytes(values, _RTF) or b"",
        files=[_file(each, depth) for each in attached],
    )


def _file(attached: _Attached, depth: int) -> OutlookFile:
    inner = _bytes(attached.values, _DATA)
    data = attached.data if attached.data is not None or inner is None else inner
    item = None
    if inner and inner[_INTERFACE_BYTES:].startswith(_SIGNATURE) and depth < _DEEPEST:
        item = _item(inner[_INTERFACE_BYTES:], depth=depth + 1)
    name = _text(attached.values, _LONG_NAME) or attached.name or _text(attached.values, _SHORT_NAME)
    return OutlookFile(
        name=name or (item.subject if item else ""),
        data=None if item else data,
        item=item,
        content_id=_text(attached.values, _CONTENT_ID),
    )


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Id and content, in order; a file that ends early gives what is whole. Raises DamagedFileError where none is."""
    position, found = 6, False
    while position + _ATTRIBUTE.size <= len(data):
        level, name, size = _ATTRIBUTE.unpack_from(data, position)
        start = position + _ATTRIBUTE.size
        if level not in (1, 2) or start + size > len(data):
            break
        found = True
        yield name & 0xFFFF, data[start : start + size]
        position = start + size + 2  # a checksum, which says nothing of the words
    if not found:
        raise DamagedFileError("Outlook's envelope (winmail.dat) that is damaged or ends early")


def _values(data: bytes) -> Values:
    """The first value of each property; what comes after damage is left out."""
    found: Values = {}
    try:
        reader = _Bytes(data)
        for _ in range(reader.number()):
            kind, name = reader.number(2), reader.number(2)
            if name >= 0x8000:
                reader.skip_name()
            value = reader.value(kind)
            if value is not None:
                found.setdefault(name, value)
    except (struct.error, IndexError):
        pass
    return found


class _Bytes:
    """Reads numbers and values one after the other; raises IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def take(self, size: int) -> bytes:
        end = self._position + size
        if size < 0 or end > len(self._data):
            raise IndexError
        piece, self._position = self._data[self._position : end], end
        return piece

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self.take(size), "little")

    def padded(self) -> bytes:
        """A value with its length before it and, after it, zeros up to a multiple of four bytes."""
        size = self.number()
        piece = self.take(size)
        self.take(min(-size % 4, len(self._data) - self._position))
        return piece

    def skip_name(self) -> None:
        """Properties of other programs bear a number or a name of their own."""
        self.take(16)
        if self.number() == 0:
            self.number()
        else:
            self.padded()

    def value(self, kind: int) -> bytes | str | int | None:
        """The first one, where there are several; None where there is none."""
        single = kind & ~_SEVERAL
        if single in _FIXED:
            count = self.number() if kind & _SEVERAL else 1
            numbers = [int.from_bytes(self.take(_FIXED[single]), "little") for _ in range(count)]
            return numbers[0] if numbers else None
        pieces = [self.padded() for _ in range(self.number())]
        return _value(single, pieces[0]) if pieces else None


def _value(kind: int, data: bytes) -> bytes | str:
    if kind == _STRING:
        return data.decode("utf-16-le", "replace").rstrip("\0")
    return decoded(data.rstrip(b"\0")) if kind == _STRING8 else data


def _text(values: Values, name: int) -> str:
    value = values.get(name, "")
    return value if isinstance(value, str) else ""


def _bytes(values: Values, name: int) -> bytes | None:
    value = values.get(name)
    return value if isinstance(value, bytes) else None


def _number(values: Values, name: int) -> int:
    value = values.get(name, 0)
    return value if isinstance(value, int) else 0


def _is_tnef(start: FileStart) -> bool:
    return start.head.startswith(_SIGNATURE)


READERS = (Reader(type="tnef", extensions=(".tnef",), recognise=_is_tnef, order=13, read=read_tnef),)
