"""Bytes of text in an unknown encoding → text.

In this order of evidence: a byte order mark, zeros in every second byte (UTF-16 without a mark), the encoding that
markup declares, valid UTF-8. What is left is an older encoding. charset-normalizer tells which one where there are
enough characters beyond ASCII to judge by; short texts are taken for Windows-1252, the usual one in the West.
"""

import codecs
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch

WESTERN = "cp1252"
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})[\"']")

# What charset-normalizer chooses from: without a list it weighs close to a hundred, most of which no file has today.
_CENTRAL_EUROPEAN = ("iso8859_2", "cp1250")
_CANDIDATES = (
    WESTERN, *_CENTRAL_EUROPEAN, "cp1251", "koi8_r", "iso8859_5", "cp866", "cp1253", "cp1255", "cp1256",
    "cp932", "euc_jp", "gb18030", "big5", "cp949",
)  # fmt: skip
_CENTRAL_EUROPEAN_LANGUAGES = frozenset({"Croatian", "Czech", "Hungarian", "Polish", "Romanian", "Slovak", "Slovene"})
_LEAST_BEYOND_ASCII = 16
"""Bytes beyond ASCII from which on an encoding is told: a name with an umlaut fits nearly all of them."""
_SAMPLE_BYTES = 16_384
_BEFORE = 200  # bytes of a long line that are taken with what follows them
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_AS_GOOD = 0.01
"""charset-normalizer's figures that lie closer than this tell nothing."""


def decoded(data: bytes, *, is_html: bool = False) -> str:
    """The bytes as text; what makes no sense in their encoding becomes U+FFFD. Never fails."""
    marked = _marked(data)
    if marked is None and is_html:
        text = _as_declared(data)
        if text is not None:
            return text
    return data.decode(marked or guess_encoding(data), errors="replace")


def guess_encoding(data: bytes, *, whole: bool = True) -> str:
    """The name of the likeliest encoding. `whole` is False for data that may end inside a character."""
    marked = _marked(data)
    if marked is not None:
        return marked
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        return _older_encoding(data, whole=whole)
    return "utf-8"


def _marked(data: bytes) -> str | None:
    """By a byte order mark, or by the zeros that UTF-16 has in Western text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    sample = data[:4096]
    if sample.count(0) > len(sample) // 5:
        return "utf-16-le" if sample[1::2].count(0) >= sample[0::2].count(0) else "utf-16-be"
    return None


def _as_declared(data: bytes) -> str | None:
    """None where markup declares no encoding, an unknown one, or one that it does not keep to."""
    declared = _XML_ENCODING.search(data[:1024]) or _META_CHARSET.search(data[:4096])
    if declared is None:
        return None
    try:
        return data.decode(declared.group(1).decode("ascii"))
    except (UnicodeDecodeError, LookupError):
        return None


def _older_encoding(data: bytes, *, whole: bool) -> str:
    sample = _sample(data, whole=whole)
    if len(_BEYOND_ASCII.findall(sample)) < _LEAST_BEYOND_ASCII:
        return WESTERN
    return _told_apart(sample)


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


def _told_apart(sample: bytes) -> str:
    """By charset-normalizer: how much of the text would be nonsense, then how much it looks like a language."""
    from charset_normalizer import from_bytes

    matches = list(
        from_bytes(sample, cp_isolation=list(_CANDIDATES), preemptive_behaviour=False, enable_fallback=False)
    )
    if not matches:
        return WESTERN
    best = matches[0]
    western = next((match for match in matches if WESTERN in match.could_be_from_charset), None)
    if western is not None and _is_as_good(western, best) and best.language not in _CENTRAL_EUROPEAN_LANGUAGES:
        return WESTERN
    return _of_central_europe(matches, best) or best.encoding


def _is_as_good(match: "CharsetMatch", best: "CharsetMatch") -> bool:
    return match.chaos <= best.chaos + _AS_GOOD and match.coherence >= best.coherence - _AS_GOOD


def _of_central_europe(matches: "Sequence[CharsetMatch]", best: "CharsetMatch") -> str | None:
    """Windows and ISO 8859 differ in few letters; ISO 8859 comes first, since it cannot hold what only Windows has."""
    for encoding in _CENTRAL_EUROPEAN:
        for match in matches:
            if encoding in match.could_be_from_charset and _is_as_good(match, best):
                return encoding
    return None
