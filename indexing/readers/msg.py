"""Outlook's messages (`.msg`, [MS-OXMSG]), by way of python-oxmsg; a message attached to one lies in a folder of the
container, in the same form."""

import struct
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from indexing.errors import DamagedFileError, pass_on, words_of
from indexing.readers.encoding import decoded
from indexing.readers.mail import read_message
from indexing.readers.outlook import OutlookFile, OutlookItem, as_mail
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Reading

if TYPE_CHECKING:
    from oxmsg.storage import Storage

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEADER_BYTES, _INNER_HEADER_BYTES, _ATTACHMENT_HEADER_BYTES = 32, 24, 8
"""Before the first property ([MS-OXMSG] 2.4): of the file's message, of one inside of it, of an attachment."""
_INNER_MESSAGE = "__substg1.0_3701000D"
_PROPERTIES = "__properties_version1.0"
_DEEPEST = 8

# [MS-OXPROPS]
_SUBJECT, _BODY, _HTML, _RTF, _HEADERS = 0x0037, 0x1000, 0x1013, 0x1009, 0x007D
_SENDER_NAME, _SENDER_ADDRESS, _SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
_TO, _CC, _BCC, _SENT, _RECEIVED = 0x0E04, 0x0E03, 0x0E02, 0x0039, 0x0E06
_DATA, _LONG_NAME, _NAME, _SHOWN_NAME, _CONTENT_ID = 0x3701, 0x3707, 0x3704, 0x3001, 0x3712
_BROKEN = (ValueError, AttributeError, TypeError, LookupError, struct.error, AssertionError, RecursionError)

Answer = TypeVar("Answer")


def read_msg(path: Path, output: ReaderOutput) -> Reading:
    """One message with its attachments. Raises DamagedFileError."""
    from olefile import OleFileIO
    from oxmsg.storage import Storage

    try:
        with OleFileIO(path) as container:
            _check_sizes(container, path)
            root = Storage.from_ole(container)
    except (OSError, *_BROKEN) as error:
        pass_on(error)
        raise DamagedFileError(f"an Outlook message that is damaged ({words_of(error)})") from error
    return read_message(as_mail(_item(root, _HEADER_BYTES, depth=1)), output, fallback_title=path.stem)


def _check_sizes(container: Any, path: Path) -> None:
    """A damaged list of sectors can go in a circle: olefile follows it for as long as the directory says."""
    said, there = sum(map(container.get_size, container.listdir())), path.stat().st_size
    if said > there:
        raise DamagedFileError(f"an Outlook message that is damaged (it names {said:,} bytes and has {there:,})")


class _Properties:
    """A message's or an attachment's; what is damaged is as if it were not there."""

    def __init__(self, storage: "Storage", header_bytes: int) -> None:
        from oxmsg.properties import Properties

        self._found = Properties(storage, properties_header_offset=header_bytes)

    def text(self, *names: int) -> str:
        """The first of the properties that says something."""
        values = (_or(partial(self._found.str_prop_value, name), "") for name in names)
        return next((value.strip("\0") for value in values if value.strip("\0 ")), "")

    def data(self, name: int) -> bytes | None:
        """None without it."""
        return _or(lambda: self._found.binary_prop_value(name), None, bytes)

    def time(self, *names: int) -> datetime | None:
        """The first of the properties that is a time."""
        values = (_or(partial(self._found.date_prop_value, name), None, datetime) for name in names)
        return next(filter(None, values), None)

    def html(self) -> str:
        """Its bytes say themselves in which encoding they are, or the message does."""
        data = self.data(_HTML)
        if data is None:
            return self.text(_HTML)
        try:
            return data.decode(self._found.body_encoding)
        except _BROKEN:
            return decoded(data, is_html=True)


def _or(ask: Callable[[], Any], otherwise: Answer, kind: type | None = None) -> Any | Answer:
    try:
        answer = ask()
    except (OverflowError, *_BROKEN):
        return otherwise
    return answer if isinstance(answer, kind or type(otherwise)) else otherwise


def _item(storage: "Storage", header_bytes: int, *, depth: int) -> OutlookItem:
    found = _Properties(storage, header_bytes)
    return OutlookItem(
        headers=found.text(_HEADERS),
        subject=found.text(_SUBJECT),
        sender=_sender(found),
        to=found.text(_TO),
        cc=found.text(_CC),
        bcc=found.text(_BCC),
        date=found.time(_SENT, _RECEIVED),
        text=found.text(_BODY),
        html=found.html(),
        rtf=found.data(_RTF) or b"",
        files=[_file(each, depth) for each in storage.iter_attachment_storages()],
    )


def _sender(found: _Properties) -> str:
    name, address = found.text(_SENDER_NAME), found.text(_SENDER_SMTP, _SENDER_ADDRESS)
    return f"{name} <{address}>" if name and "@" in address and address != name else name or address


def _file(storage: "Storage", depth: int) -> OutlookFile:
    found = _Properties(storage, _ATTACHMENT_HEADER_BYTES)
    inner = next((each for each in storage.storages if each.name == _INNER_MESSAGE), None)
    is_message = inner is not None and any(each.name == _PROPERTIES for each in inner.streams)
    item = _item(inner, _INNER_HEADER_BYTES, depth=depth + 1) if inner and is_message and depth < _DEEPEST else None
    return OutlookFile(
        name=found.text(_LONG_NAME, _NAME, _SHOWN_NAME) or (item.subject if item else ""),
        data=None if item else found.data(_DATA),
        item=item,
        content_id=found.text(_CONTENT_ID),
    )


def _is_msg(start: FileStart) -> bool:
    if not start.head.startswith(_OLE):
        return False
    from olefile import OleFileIO

    try:
        with OleFileIO(start.path) as container:
            return bool(container.exists(_PROPERTIES))
    except (OSError, *_BROKEN) as error:  # who asks next says that it is damaged
        pass_on(error)
        return False


READERS = (Reader(type="msg", extensions=(".msg",), recognise=_is_msg, order=14, read=read_msg),)
