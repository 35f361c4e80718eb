"""Mails: the header as metadata and as words, the letter, and what is attached to it.

    message → a walk over all parts → the letter's own words and pictures in their order → attachments, each under its
    heading (`attachments`) → notes on what nobody can read: encrypted parts, pieces that lie elsewhere

Every part is looked at, however oddly a program has nested them. Attachments come after the letter's last word, so that
no word of the letter stands under an attachment's heading.
"""

import re
from collections.abc import Iterator, Sequence
from email.message import EmailMessage, MIMEPart
from functools import partial
from pathlib import Path

from indexing.errors import DamagedFileError, UnreadableFileError
from indexing.readers.attachments import Attachments
from indexing.readers.mail_header import (
    children,
    is_attachment,
    name_of,
    parameter,
    parsed,
    payload,
    shown_headers,
    text_file,
    text_of,
    type_of,
)
from indexing.readers.mail_text import blocks_besides, plain_words, said_besides, words_in
from indexing.readers.output import ReaderOutput
from indexing.readers.plain import plain_blocks
from indexing.readers.registry import FileStart, Reader
from indexing.readers.signed import opened
from indexing.readers.web import read_markup
from indexing.records import Block, Note, Reading

_EXTENSIONS = (".eml", ".emlx")
_LONGEST_METADATA = 1_000
_MAIL_HEADER = re.compile(
    rb"^(from|to|cc|subject|date|received|return-path|mime-version|message-id|delivered-to|reply-to"
    rb"|content-type|content-transfer-encoding|x-[a-z0-9-]+|dkim-signature|thread-index)[ \t]*:",
    re.IGNORECASE,
)
_HTML = ("text/html", "text/x-amp-html", "text/watch-html")
_OWN_READERS = ("text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/rtf")
"""Texts that are no words of a letter."""
_SIGNATURES = ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_MOST_VERSIONS = 20
"""Programs write two to four; each further one is compared with the richest, word by word."""
_MAILS = ("message/rfc822", "message/global")


def read_mail(path: Path, output: ReaderOutput) -> Reading:
    """One mail with its attachments, and theirs."""
    message = parsed(path.read_bytes())
    if not message.keys() and not message.get_payload():
        raise DamagedFileError("the mail has neither a header nor a body")
    return read_message(message, output, fallback_title=path.stem)


def read_message(message: EmailMessage, output: ReaderOutput, *, fallback_title: str) -> Reading:
    """A mail that is taken apart already; without a subject its title is `fallback_title`."""
    return _Mail(output).read(message, fallback_title)


class _Mail:
    """One mail: its words as they come, and what is attached to it, which comes after them."""

    def __init__(self, output: ReaderOutput) -> None:
        self._attachments = Attachments(output)
        self._beside: list[MIMEPart] = []
        self._written_in: list[tuple[str, bytes]] = []
        self._notes: list[Note] = []

    def read(self, message: EmailMessage, fallback_title: str) -> Reading:
        headers = shown_headers(message)
        blocks = [Block(kind="text", text="\n".join(f"{name}: {each}" for name, each in headers.items()))]
        blocks = [*(blocks if headers else ()), *self._part(message)]
        for part in self._beside:
            blocks += self._attachment(part)
        for name, data in self._written_in:
            blocks += self._attachments.read(name, data)
        return Reading(
            is_picture=False,
            title=headers.get("Subject", "") or fallback_title,
            pages=tuple(self._attachments.pages),
            blocks=tuple(blocks),
            metadata={name.lower(): value[:_LONGEST_METADATA] for name, value in headers.items()},  # whole in the words
            notes=(*self._notes, *self._attachments.notes),
        )

    def _part(self, part: MIMEPart) -> Iterator[Block]:
        """What a part has for the letter itself; what lies beside the letter is put aside."""
        kind, several = type_of(part), children(part)
        if kind == "multipart/alternative" and several:
            yield from self._alternative(several)
        elif kind == "multipart/encrypted":
            self._sealed("PGP" if "pgp" in parameter(part, "protocol") else "an unknown method")
        elif kind.startswith("multipart/") and several:
            for each in several:
                yield from self._part(each)
        elif kind.startswith("message/"):
            yield from self._message(part, kind, several)
        elif kind in _SEALED and name_of(part).lower() in ("", "smime.p7m"):
            yield from self._enveloped(part)
        elif kind.startswith("image/") and not is_attachment(part):
            yield from self._attachments.read(name_of(part) or "a picture", payload(part), heading="")
        elif _is_body(part, kind):
            yield from self._body(part, kind)
        else:
            self._beside.append(part)

    def _alternative(self, parts: Sequence[MIMEPart]) -> Iterator[Block]:
        """The same several times, by intention: the richest version, and what the others say besides."""
        if len(parts) > _MOST_VERSIONS:
            for part in parts:
                yield from self._part(part)
            return
        versions = [list(self._part(part)) for part in parts if type_of(part) != "text/plain"]
        versions.sort(key=lambda blocks: words_in(blocks).total())
        richest = versions.pop() if versions else []
        yield from richest
        for blocks in versions:
            yield from blocks_besides(blocks, richest)
        for part in parts:
            if type_of(part) == "text/plain" and _is_body(part, "text/plain"):
                yield from said_besides(self._plain(part), richest)
            elif type_of(part) == "text/plain":
                self._beside.append(part)

    def _body(self, part: MIMEPart, kind: str) -> Iterator[Block]:
        if kind not in _HTML:
            yield from plain_blocks(self._plain(part))
            return
        page = read_markup(text_of(part, is_html=True))
        self._notes += page.notes
        yield from page.blocks

    def _plain(self, part: MIMEPart) -> str:
        """The words of a plain part; what else is written into it is put aside."""
        words = plain_words(text_of(part))
        for _ in range(words.encrypted):
            self._sealed("PGP")
        self._written_in += words.files
        return words.text

    def _message(self, part: MIMEPart, kind: str, inner: Sequence[MIMEPart]) -> Iterator[Block]:
        """A mail inside the mail is attached; reports on a delivery are headers, and words of the letter."""
        if kind in _MAILS:
            self._beside.append(part)
        elif kind == "message/external-body":
            named = f"'{name_of(part)}'" if name_of(part) else "a part"
            self._unread(f"{named} was not read: it lies elsewhere, or is an object of another program")
        elif kind == "message/partial":
            self._unread("it is one of several mails that carry a larger one in pieces")
        else:
            for each in inner:
                lines = [f"{name}: {value}" for name, value in each.raw_items()]
                yield from plain_blocks("\n".join([*lines, *([] if each.is_multipart() else [text_of(each)])]))

    def _enveloped(self, part: MIMEPart) -> Iterator[Block]:
        """S/MIME: a signed letter lies readable inside its signature, an encrypted one does not."""
        try:
            inner = parsed(opened(payload(part)))
        except UnreadableFileError as error:
            self._unread(f"the letter was not read: {error.reason}")
        else:
            yield from self._part(inner)

    def _sealed(self, method: str) -> None:
        self._unread(f"a part that is encrypted ({method}) was not read")

    def _unread(self, sentence: str) -> None:
        self._notes.append(Note(sentence, kind="attachment", unread=True))

    def _attachment(self, part: MIMEPart) -> list[Block]:
        kind, name = type_of(part), name_of(part)
        if kind in _SIGNATURES:
            sentence = f"the signature '{name or kind}' was not checked"
            self._notes.append(Note(sentence, kind="attachment", place=name))
            return []
        if kind not in _MAILS:
            return self._attachments.read(name or f"without a name ({kind})", text_file(part))
        inner = _inner_mail(part)
        name = name or shown_headers(inner).get("Subject", "") or "a mail"
        return self._attachments.read_by(name, partial(read_message, inner, fallback_title=name))


def _is_body(part: MIMEPart, kind: str) -> bool:
    """Words that belong to the mail itself; a part of several that has none inside is damaged, and its words count."""
    if kind.startswith("multipart/"):
        return True
    is_text = kind.startswith("text/") and kind not in _OWN_READERS
    return is_text and not is_attachment(part) and not name_of(part)


def _inner_mail(part: MIMEPart) -> EmailMessage:
    """Some programs encode a mail inside a mail, which the standard forbids: the parser then finds no header in it."""
    first = next(iter(children(part)), None)
    if not isinstance(first, EmailMessage):
        return parsed(payload(part))
    if first.keys() or first.is_multipart():
        return first
    if "content-transfer-encoding" in part:
        first["Content-Transfer-Encoding"] = str(part["content-transfer-encoding"])
        return parsed(payload(first))
    return first


def _is_mail(start: FileStart) -> bool:
    return start.text is not None and (start.suffix in _EXTENSIONS or begins_with_headers(start.head))


def begins_with_headers(head: bytes) -> bool:
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
