"""What Python's mail parser says of a part, whatever the header's damage: it raises errors of many kinds for headers
that no program should have written, and the part has words all the same."""

import email.errors
import email.policy
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from typing import Any, TypeVar

from indexing.readers.document import clean
from indexing.readers.encoding import decoded

SHOWN = ("From", "To", "Cc", "Bcc", "Subject", "Date")
_CHOKES = (ValueError, IndexError, AttributeError, TypeError, LookupError, email.errors.MessageError)
_WIDER = {
    "ascii": "cp1252", "us-ascii": "cp1252", "iso-8859-1": "cp1252", "latin-1": "cp1252", "iso-8859-9": "cp1254",
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "ks_c_5601-1987": "cp949", "euc-kr": "cp949",
}  # fmt: skip
"""What programs call an encoding, and the larger one that they write (as web browsers take it, WHATWG Encoding)."""

Answer = TypeVar("Answer")


def parsed(data: bytes) -> EmailMessage:
    """A mail with its parts. Mails in UTF-16 are no mails by the standard, but they exist; Apple's Mail keeps a letter
    between a line with its length and a property list."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:200]:
        data = decoded(data).encode()
    first, _, rest = data.partition(b"\n")
    if first.strip().isdigit() and len(first) < 20:
        data = rest[: int(first)]
    message = message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def shown_headers(message: EmailMessage) -> dict[str, str]:
    """The header lines that people search for."""
    found: dict[str, str] = {}
    for name in SHOWN:
        values = [_value(each, raw) for each, raw in message.raw_items() if each.lower() == name.lower()]
        value = ", ".join(" ".join(clean(each).split()) for each in values if each.strip())
        if value:
            found[name] = printable(value)
    return found


def _value(name: str, raw: object) -> str:
    """Decoded; bytes beyond ASCII, which have no place in a header, are taken for the likeliest encoding."""
    text = str(raw)
    if not text.isascii():
        text = decoded(text.encode("utf-8", "surrogateescape"))
    text = " ".join(text.splitlines())
    if "=?" not in text:  # nothing is encoded: as the sender wrote it
        return text
    return _or(lambda: str(email.policy.default.header_factory(name, text)), text)


def type_of(part: MIMEPart) -> str:
    """The part's media type in lower case."""
    return _or(part.get_content_type, "text/plain").lower()


def parameter(part: MIMEPart, name: str) -> str:
    """A parameter of the content type, in lower case; "" without one."""
    return _or(lambda: part.get_param(name), "").lower()


def name_of(part: MIMEPart) -> str:
    """The file's name; "" without one."""
    return printable(_or(part.get_filename, ""))


def is_attachment(part: MIMEPart) -> bool:
    """Whether the sender wanted it beside the letter and not in it."""
    return _or(part.is_attachment, False)


def children(part: MIMEPart) -> list[MIMEPart]:
    """The parts of a part of several, in their order."""
    inner = part.get_payload()
    return [each for each in inner if isinstance(each, MIMEPart)] if isinstance(inner, list) else []


def payload(part: MIMEPart) -> bytes:
    """The part's bytes, without their transfer encoding."""
    return _or(lambda: part.get_payload(decode=True), b"")


def text_of(part: MIMEPart, *, is_html: bool = False) -> str:
    """The part's words in the encoding that it names, or in the likeliest one."""
    data = payload(part)
    text = _declared(part, data)
    return printable(clean(decoded(data, is_html=is_html) if text is None else text))


def text_file(part: MIMEPart) -> bytes:
    """The bytes of an attached text, marked with the encoding that the mail names for it, which the file cannot do."""
    data = payload(part)
    is_text = type_of(part).startswith("text/") and not data.isascii() and b"\0" not in data[:200]
    text = _declared(part, data) if is_text else None
    return data if text is None else text.encode("utf-8-sig", "replace")


def _declared(part: MIMEPart, data: bytes) -> str | None:
    charset = _or(part.get_content_charset, "")
    if not charset:
        return None
    try:
        return data.decode(_WIDER.get(charset.lower(), charset))
    except (ValueError, LookupError):
        return None


def printable(text: str) -> str:
    """Halves of surrogate pairs, which have no UTF-8, become question marks."""
    return text.encode("utf-8", "replace").decode()


def _or(ask: Callable[[], Any], otherwise: Answer) -> Answer:
    """What the parser says, where it is of the kind that is expected."""
    try:
        answer = ask()
    except _CHOKES:
        return otherwise
    return answer if isinstance(answer, type(otherwise)) else otherwise
