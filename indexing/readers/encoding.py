"""Bytes of text in an unknown encoding → text.

In this order of evidence: a byte order mark, zeros in every second byte (UTF-16 without a mark), the encoding that
markup declares, valid UTF-8, UTF-8 with some damage. What is left is an encoding from before Unicode, told by how well
the text reads in each (legacy_encoding). What was damaged, and a guess that could be another one, is said in a note.
"""

import codecs
import re
from collections import Counter
from dataclasses import dataclass

from indexing.readers.legacy_encoding import WESTERN, Guess, legacy_encoding
from indexing.records import Note

__all__ = ["WESTERN", "Decoded", "decoded", "decoded_with_notes", "guess_encoding"]

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})[\"']")

_SAMPLE_BYTES = 4_096
_BEFORE = 200  # bytes of a long line that are taken with what follows them
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_REPLACED = "\ufffd"
_WELL_FORMED = re.compile("[^\x00-\x7f\ufffd]")
_WIDE = re.compile("[\u0800-\ufffc\uffff-\U0010ffff]")
_JAPANESE_MAIL = b"\x1b$"
"""ISO-2022-JP writes Japanese in seven bits, between such marks."""
_NAMES = {
    "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1252": "Windows-1252", "cp1253": "Windows-1253",
    "cp1254": "Windows-1254", "cp1255": "Windows-1255", "cp1256": "Windows-1256", "cp1257": "Windows-1257",
    "koi8_r": "KOI8-R", "koi8_u": "KOI8-U", "cp866": "DOS 866", "cp850": "DOS 850", "cp852": "DOS 852",
    "cp932": "Shift-JIS", "euc_jp": "EUC-JP", "gb18030": "GB18030", "cp950": "Big5", "cp949": "EUC-KR",
    "cp874": "Windows-874", "mac_roman": "Mac Roman", "mac_cyrillic": "Mac Cyrillic",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """A text, and what a person shall know of how it came out of its bytes."""

    text: str
    notes: tuple[Note, ...] = ()


def decoded(data: bytes, *, is_html: bool = False) -> str:
    """The bytes as text; what makes no sense in their encoding becomes U+FFFD. Never fails."""
    return decoded_with_notes(data, is_html=is_html).text


def decoded_with_notes(data: bytes, *, is_html: bool = False) -> Decoded:
    """The same, with notes on damaged bytes and on an encoding that could be another one."""
    if is_html and _marked(data) is None:
        text = _as_declared(data)
        if text is not None:
            return Decoded(text=text)
    guess = _guess(data, whole=True)
    text = data.decode(guess.encoding, errors="replace")
    damaged = text.count(_REPLACED)
    if damaged and guess.encoding.startswith("utf-8"):
        damaged -= data.count(_REPLACED.encode())
    return Decoded(text=text, notes=_notes(guess, damaged))


def _notes(guess: Guess, damaged: int) -> tuple[Note, ...]:
    notes: list[Note] = []
    name = _NAMES.get(guess.encoding, guess.encoding.upper().replace("_", "-"))
    if guess.is_doubtful:
        sentence = f"nothing says in which encoding its text is: it was read as {name}, by how the words look in it"
        notes.append(Note(sentence, kind="encoding"))
    if damaged:
        sentence = f"{damaged:,} damaged places in the text were read as \ufffd (it is {name})"
        notes.append(Note(sentence, kind="encoding", number=damaged))
    return tuple(notes)


def guess_encoding(data: bytes, *, whole: bool = True) -> str:
    """The name of the likeliest encoding. `whole` is False for data that may end inside a character."""
    return _guess(data, whole=whole).encoding


def _guess(data: bytes, *, whole: bool) -> Guess:
    marked = _marked(data)
    if marked is not None:
        return Guess(encoding=marked, is_doubtful=False)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        if _is_damaged_utf8(data):
            return Guess(encoding="utf-8", is_doubtful=False)
        return legacy_encoding(_sample(data, whole=whole))
    return Guess(encoding="iso2022_jp" if _is_japanese_mail(data) else "utf-8", is_doubtful=False)


def _is_damaged_utf8(data: bytes) -> bool:
    """Far more characters of several bytes are well formed than not: older encodings make such ones only by chance,
    those of more than two bytes hardly ever."""
    text = data.decode("utf-8", errors="replace")
    broken = text.count(_REPLACED)
    well_formed = len(_WELL_FORMED.findall(text)) + 2 * len(_WIDE.findall(text))
    return well_formed >= 2 * broken


def _is_japanese_mail(data: bytes) -> bool:
    if _JAPANESE_MAIL not in data:
        return False
    try:
        data.decode("iso2022_jp")
    except UnicodeDecodeError:
        return False
    return True


def _marked(data: bytes) -> str | None:
    """By a byte order mark, or by the zeros that UTF-16 has in Western text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    sample = data[:4096]
    if sample.count(0) > len(sample) // 5:
        return "utf-16-le" if sample[1::2].count(0) >= sample[0::2].count(0) else "utf-16-be"
    for encoding, high in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[0::2])):
        if high.count(0) and _is_one_script(high):
            return encoding
    return None


def _is_one_script(high: bytes) -> bool:
    """Greek, Cyrillic, Hebrew or Arabic in UTF-16: every second byte is the number of the script, or zero."""
    numbers = Counter(high)
    return len(high) > 3 and max(numbers[script] + numbers[0] for script in (3, 4, 5, 6)) > 0.9 * len(high)


def _as_declared(data: bytes) -> str | None:
    """None where markup declares no encoding, an unknown one, or one that it does not keep to."""
    declared = _XML_ENCODING.search(data[:1024]) or _META_CHARSET.search(data[:4096])
    if declared is None:
        return None
    try:
        return data.decode(declared.group(1).decode("ascii"))
    except (UnicodeDecodeError, LookupError):
        return None


def _sample(data: bytes, *, whole: bool) -> bytes:
    """The first lines with anything beyond ASCII, not much longer than `_SAMPLE_BYTES`.

    It ends between two characters: no byte below "0" is ever the second half of one in these encodings.
    """
    lines: list[bytes] = []
    size = at = 0
    while size < _SAMPLE_BYTES and (found := _BEYOND_ASCII.search(data, at)):
        start = max(at, data.rfind(b"\n", at, found.start()) + 1, found.start() - _BEFORE)
        end = data.find(b"\n", found.end(), start + _SAMPLE_BYTES)
        at = min(len(data), start + _SAMPLE_BYTES) if end < 0 else end + 1
        lines.append(data[start:at])
        size += at - start
    sample = b"".join(lines)
    if (whole and at == len(data)) or sample.endswith(b"\n"):
        return sample
    end = max(sample.rfind(sign) for sign in (b"\n", b" ", b",", b"."))
    return sample[: end + 1] or sample
