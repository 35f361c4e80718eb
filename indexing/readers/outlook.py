"""What Outlook keeps and sends in forms of its own, made into a mail of the usual form (`mail` reads it).

msg   an OLE container  ─┐
                         ├→ OutlookItem → as_mail → an EmailMessage with its attachments
tnef  winmail.dat       ─┘
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

from indexing.readers.attachments import shown_name
from indexing.readers.mail_header import SHOWN, parsed, printable, shown_headers

_FILETIME_BEGINS = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(kw_only=True, slots=True)
class OutlookFile:
    """One attachment: bytes, or another item; neither where it lies elsewhere or is another program's object."""

    name: str
    data: bytes | None = None
    item: "OutlookItem | None" = None
    content_id: str = ""


@dataclass(kw_only=True, slots=True)
class OutlookItem:
    """A message, or another thing that Outlook keeps."""

    headers: str = ""
    """As they came over the network, where they did."""
    subject: str = ""
    sender: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    date: datetime | None = None
    text: str = ""
    html: str = ""
    rtf: bytes = b""
    """Compressed, as Outlook keeps it."""
    files: list[OutlookFile] = field(default_factory=list)


def as_mail(item: OutlookItem) -> EmailMessage:
    """The item in the form that every other program sends."""
    message = EmailMessage()
    for name, value in _headers(item).items():
        message.set_raw(name, value)
    if item.text.strip() or not item.html:
        message.set_content(printable(item.text))
        if item.html:
            message.add_alternative(printable(item.html), subtype="html")
    else:
        message.set_content(printable(item.html), subtype="html")
    for each in _files(item):
        _attach(message, each, item.html)
    return message


def _headers(item: OutlookItem) -> dict[str, str]:
    kept = {
        "From": item.sender, "To": item.to, "Cc": item.cc, "Bcc": item.bcc, "Subject": item.subject,
        "Date": format_datetime(item.date) if item.date else "",
    }  # fmt: skip
    came = shown_headers(parsed(item.headers.encode("utf-8", "replace"))) if item.headers else {}
    shown = {name: came.get(name) or " ".join(printable(kept[name]).split()) for name in SHOWN}
    return {name: value for name, value in shown.items() if value}


def _files(item: OutlookItem) -> Sequence[OutlookFile]:
    """The letter itself is one of them where Outlook kept it as RTF alone."""
    if item.text.strip() or item.html or not item.rtf:
        return item.files
    return [OutlookFile(name="letter.rtf", data=_unpacked(item.rtf)), *item.files]


def _unpacked(data: bytes) -> bytes:
    """RTF without Outlook's compression ([MS-OXRTFCP]); as it is where it is damaged."""
    from compressed_rtf import decompress

    try:
        unpacked = decompress(data)
    except Exception:  # noqa: BLE001  # it raises Exception itself
        return data
    return unpacked if isinstance(unpacked, bytes) else data


def _attach(message: EmailMessage, file: OutlookFile, html: str) -> None:
    name = shown_name(printable(file.name))
    if file.item is not None:
        message.add_attachment(as_mail(file.item), filename=name)
    elif file.data is not None:
        is_shown = bool(file.content_id) and f"cid:{file.content_id}" in html
        maintype, disposition = ("image", "inline") if is_shown else ("application", "attachment")
        message.add_attachment(
            file.data, maintype=maintype, subtype="octet-stream", disposition=disposition, filename=name
        )
    else:
        elsewhere = EmailMessage()
        elsewhere["Content-Type"] = "message/external-body"
        elsewhere.add_header("Content-Disposition", "attachment", filename=name)
        elsewhere.set_payload([])
        if message.get_content_type() != "multipart/mixed":
            message.make_mixed()
        message.attach(elsewhere)


def filetime(value: int) -> datetime | None:
    """Tenths of microseconds since 1601; None where they are no time."""
    try:
        return _FILETIME_BEGINS + timedelta(microseconds=value // 10) if value else None
    except OverflowError:
        return None
