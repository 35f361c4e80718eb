"""Mails: the header as metadata and as words, the body, and what is attached to it.

Attachments are read by the same readers, under a heading with their name (`attachments`).
"""

import email.errors
import email.policy
import re
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from pathlib import Path

from indexing.errors import DamagedFileError
from indexing.readers.attachments import Attachments, shown_name
from indexing.readers.document import clean
from indexing.readers.encoding import decoded
from indexing.readers.output import ReaderOutput
from indexing.readers.plain import plain_blocks
from indexing.readers.registry import FileStart, Reader
from indexing.readers.web import read_markup
from indexing.records import Block, Note, Reading

_EXTENSIONS = (".eml",)
_HEADERS = ("From", "To", "Cc", "Subject", "Date")
_LONGEST_METADATA = 1_000
_MAIL_HEADER = re.compile(
    rb"^(from|to|cc|subject|date|received|return-path|mime-version|message-id|delivered-to|reply-to"
    rb"|content-type|content-transfer-encoding|x-[a-z0-9-]+|dkim-signature|thread-index)[ \t]*:",
    re.IGNORECASE,
)


def read_mail(path: Path, output: ReaderOutput) -> Reading:
    """One mail with its attachments, and theirs."""
    data = path.read_bytes()
    message = _parsed(data)
    if not message.keys() and not message.get_payload():
        raise DamagedFileError("the mail has neither a header nor a body")
    return _Mail(output).read(message, fallback_title=path.stem)


class _Mail:
    """One mail: its words, and what is attached to it."""

    def __init__(self, output: ReaderOutput) -> None:
        self._attachments = Attachments(output)
        self._notes: list[Note] = []

    def read(self, message: EmailMessage, *, fallback_title: str) -> Reading:
        blocks = list(self._blocks(message))
        headers = _headers(message)
        return Reading(
            is_picture=False,
            title=headers.get("Subject", "") or fallback_title,
            pages=tuple(self._attachments.pages),
            blocks=tuple(blocks),
            metadata={name.lower(): value[:_LONGEST_METADATA] for name, value in headers.items()},  # whole in the words
            notes=(*self._notes, *self._attachments.notes),
        )

    def _blocks(self, message: EmailMessage) -> Iterator[Block]:
        headers = _headers(message)
        if headers:
            yield Block(kind="text", text="\n".join(f"{name}: {value}" for name, value in headers.items()))
        yield from self._part(message)

    def _part(self, part: MIMEPart) -> Iterator[Block]:
        """Words of the body, an attachment, or what is inside a part of several."""
        kind = part.get_content_type()
        if kind == "multipart/alternative":
            yield from self._alternative(list(part.iter_parts()))
        elif part.is_multipart() and part.get_content_maintype() == "multipart":
            for each in part.iter_parts():
                yield from self._part(each)
        elif _is_body(part):
            yield from self._body(part, kind)
        else:
            yield from self._attachment(part)

    def _alternative(self, parts: Sequence[MIMEPart]) -> Iterator[Block]:
        """The same words several times: plain ones only where the others have none."""
        plain = [part for part in parts if part.get_content_type() == "text/plain"]
        rich = [block for part in parts if part not in plain for block in self._part(part)]
        if not any(block.kind != "heading" and block.text for block in rich):
            for part in plain:
                yield from self._part(part)
        yield from rich

    def _body(self, part: MIMEPart, kind: str) -> Iterator[Block]:
        if kind != "text/html":
            yield from plain_blocks(_text(part))
            return
        page = read_markup(_text(part))
        self._notes += page.notes
        yield from page.blocks

    def _attachment(self, part: MIMEPart) -> Iterator[Block]:
        inner, name = _inner_mail(part), part.get_filename() or ""
        if inner is None:
            yield from self._attachments.read(name, _payload(part))
        else:
            yield from self._attachments.read_by(
                name, lambda output: _Mail(output).read(inner, fallback_title=shown_name(name))
            )


def _parsed(data: bytes) -> EmailMessage:
    """Mails in UTF-16 are no mails by the standard, but they exist."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:200]:
        data = decoded(data).encode()
    message = message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def _headers(message: EmailMessage) -> dict[str, str]:
    """The header lines that people search for; what the parser chokes on is left out."""
    found: dict[str, str] = {}
    for name in _HEADERS:
        try:
            values = message.get_all(name) or []
            value = ", ".join(" ".join(clean(str(each)).split()) for each in values)
        except (ValueError, IndexError, AttributeError, TypeError, LookupError, email.errors.MessageError):
            continue
        if value:
            found[name] = _printable(value)
    return found


def _is_body(part: MIMEPart) -> bool:
    """Words that belong to the mail itself; a part of several that has none inside is damaged, and its words count."""
    if part.get_content_maintype() == "multipart":
        return True
    is_text = part.get_content_type() in ("text/plain", "text/html")
    return is_text and not part.is_attachment() and not part.get_filename()


def _inner_mail(part: MIMEPart) -> EmailMessage | None:
    if part.get_content_type() != "message/rfc822":
        return None
    inner = part.get_payload()
    first = inner[0] if isinstance(inner, list) and inner else None
    return first if isinstance(first, EmailMessage) else None


def _payload(part: MIMEPart) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _text(part: MIMEPart) -> str:
    """The part's words in the encoding that it names, or in the likeliest one."""
    data = _payload(part)
    charset = part.get_content_charset()
    try:
        text = data.decode(charset) if charset else decoded(data)
    except (UnicodeDecodeError, LookupError):
        text = decoded(data)
    return _printable(clean(text))


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_mail(start: FileStart) -> bool:
    return start.text is not None and (start.suffix in _EXTENSIONS or _begins_with_headers(start.head))


def _begins_with_headers(head: bytes) -> bool:
    """Two known header lines, and nothing but headers and their continuations, before the first gap."""
    lines = head.lstrip(b"\xef\xbb\xbf").splitlines()[:12]
    known = 0
    for line in lines:
        if not line.strip():
            break
        if _MAIL_HEADER.match(line):
            known += 1
        elif not (known and line[:1] in b" \t") and not re.match(rb"^[A-Za-z0-9-]+:", line):
            return False
    return known >= 3 or (known >= 2 and head[:5].lower() in (b"from:", b"retur", b"recei", b"mime-"))


READERS = (Reader(type="mail", extensions=_EXTENSIONS, recognise=_is_mail, order=60, read=read_mail, is_text=True),)
