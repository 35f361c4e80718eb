"""Signed documents (CMS, RFC 5652: `.p7m`): the document lies inside its signature, and is read; nothing is checked."""

from pathlib import Path

from indexing.errors import DamagedFileError, EncryptedFileError, UnsupportedFileError, pass_on
from indexing.readers.attachments import Attachments
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Reading

_SIGNED = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
_ENVELOPED = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
_MOST_HEAD = 32  # bytes before the object identifier that says what it is


def opened(data: bytes) -> bytes:
    """What was signed. Raises EncryptedFileError, UnsupportedFileError for a signature that lies beside its document,
    DamagedFileError."""
    if _ENVELOPED in data[:_MOST_HEAD]:
        raise EncryptedFileError("it is encrypted (S/MIME)")
    if _SIGNED not in data[:_MOST_HEAD]:
        raise UnsupportedFileError("a cryptographic envelope of an unknown kind is not read here")
    from asn1crypto import cms

    try:
        content = cms.ContentInfo.load(data)["content"]["encap_content_info"]["content"].native
    except (ValueError, TypeError, KeyError) as error:
        pass_on(error)
        raise DamagedFileError(f"a signed document that is damaged ({error})") from error
    if not isinstance(content, bytes):
        raise UnsupportedFileError("it is a signature alone; the document lies beside it")
    return content


def read_signed(path: Path, output: ReaderOutput) -> Reading:
    """The document inside, as its own reader reads it."""
    inside = Attachments(output, word="document")
    name = path.stem if path.suffix.lower() in (".p7m", ".p7s") else path.name
    blocks = inside.read(name, opened(path.read_bytes()), heading="")
    return Reading(is_picture=False, title=name, pages=tuple(inside.pages), blocks=tuple(blocks), notes=inside.notes)


def _is_signed(start: FileStart) -> bool:
    head = start.head[:_MOST_HEAD]
    return head[:1] == b"\x30" and (_SIGNED in head or _ENVELOPED in head)


READERS = (Reader(type="signed", extensions=(".p7m",), recognise=_is_signed, order=12, read=read_signed),)
