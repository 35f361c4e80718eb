"""Mails: the header as metadata and as words, the body, and what is attached to it.

Attachments are read by the same readers, under a heading with their name. While they are read they lie in the output's
folder under names of ours: an attachment's own name never becomes a path (CVE-2025-64712).
"""

import email.errors
import email.policy
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from pathlib import Path

from indexing.errors import DamagedFileError, UnreadableFileError, pass_on
from indexing.readers.document import clean, figure_block
from indexing.readers.encoding import decoded
from indexing.readers.output import ReaderOutput
from indexing.readers.plain import plain_blocks
from indexing.readers.registry import FileStart, Reader, read, recognise
from indexing.readers.web import read_markup
from indexing.records import Block, Note, Page, Reading
from indexing.settings import ReadLimits

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
    """What one mail and everything inside it share: the output, the pages so far, the number of attachments."""

    def __init__(self, output: ReaderOutput) -> None:
        self._output = output
        self._limits: ReadLimits = output.limits
        self._attachments = 0
        self._pages: list[Page] = []
        self._notes: list[Note] = []

    def read(self, message: EmailMessage, *, fallback_title: str) -> Reading:
        blocks = list(self._blocks(message, depth=1))
        headers = _headers(message)
        return Reading(
            is_picture=False,
            title=headers.get("Subject", "") or fallback_title,
            pages=tuple(self._pages),
            blocks=tuple(blocks),
            metadata={name.lower(): value[:_LONGEST_METADATA] for name, value in headers.items()},  # whole in the words
            notes=tuple(self._notes),
        )

    def _blocks(self, message: EmailMessage, *, depth: int) -> Iterator[Block]:
        headers = _headers(message)
        if headers:
            yield Block(kind="text", text="\n".join(f"{name}: {value}" for name, value in headers.items()))
        yield from self._part(message, depth)

    def _part(self, part: MIMEPart, depth: int) -> Iterator[Block]:
        """Words of the body, an attachment, or what is inside a part of several."""
        kind = part.get_content_type()
        if kind == "multipart/alternative":
            yield from self._alternative(list(part.iter_parts()), depth)
        elif part.is_multipart() and part.get_content_maintype() == "multipart":
            for each in part.iter_parts():
                yield from self._part(each, depth)
        elif _is_body(part):
            yield from self._body(part, kind)
        else:
            yield from self._attachment(part, depth)

    def _alternative(self, parts: Sequence[MIMEPart], depth: int) -> Iterator[Block]:
        """The same words several times: plain ones only where the others have none."""
        plain = [part for part in parts if part.get_content_type() == "text/plain"]
        rich = [block for part in parts if part not in plain for block in self._part(part, depth)]
        if not any(block.kind != "heading" and block.text for block in rich):
            for part in plain:
                yield from self._part(part, depth)
        yield from rich

    def _body(self, part: MIMEPart, kind: str) -> Iterator[Block]:
        if kind != "text/html":
            yield from plain_blocks(_text(part))
            return
        page = read_markup(_text(part))
        self._notes += page.notes
        yield from page.blocks

    def _attachment(self, part: MIMEPart, depth: int) -> Iterator[Block]:
        name = " ".join(clean(part.get_filename() or "").split())[:200] or "without a name"
        self._attachments += 1
        if self._attachments > self._limits.max_attachments or depth >= self._limits.max_depth:
            limits = f"the limits are {self._limits.max_attachments:,} and {self._limits.max_depth:,}"
            self._unread(name, f"too many, or nested too deeply ({limits})")
            return
        yield Block(kind="heading", text=f"Attachment: {name}", level=min(depth, 6))
        try:
            with self._output.part():
                yield from self._content(part, name, depth)
        except UnreadableFileError as error:
            pass_on(error)
            self._unread(name, error.reason)

    def _unread(self, name: str, reason: str) -> None:
        words = f"attachment '{name}' was not read: {reason}"
        self._notes.append(Note(words, kind="attachment", place=f"attachment '{name}'", unread=True))

    def _content(self, part: MIMEPart, name: str, depth: int) -> Iterator[Block]:
        inner = _inner_mail(part)
        if inner is not None:
            yield from self._blocks(inner, depth=depth + 1)
            return
        data = _payload(part)
        path = self._output.folder / f"attachment-{self._attachments:04d}.part"
        path.write_bytes(data)
        try:
            reader = recognise(path).reader
            if reader.type == "mail":
                yield from self._blocks(_parsed(data), depth=depth + 1)
            elif reader.is_picture:
                figure = figure_block(data, self._output, caption=name)
                yield from [figure] if figure else []
            else:
                yield from self._document(path, name)
        finally:
            path.unlink(missing_ok=True)

    def _document(self, path: Path, name: str) -> Iterator[Block]:
        """Pages of attached documents are counted on through the whole mail."""
        before = len(self._pages)
        self._output.page_offset = before
        try:
            reading = read(path, self._output)
        finally:
            self._output.page_offset = 0
        numbers = {page.number: before + index for index, page in enumerate(reading.pages, start=1)}
        self._pages += [replace(page, number=numbers[page.number]) for page in reading.pages]
        self._notes += [note.within(f"attachment '{name}'") for note in reading.notes]
        for block in reading.blocks:
            level = min(block.level + 1, 7) if block.kind == "heading" else block.level
            yield replace(block, page=numbers.get(block.page), level=level)


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
