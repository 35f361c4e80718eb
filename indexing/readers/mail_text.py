"""The words of a letter: what is armour around them, and whether two versions of it say the same.

A mail often says everything twice, as plain words and as HTML. The plain version is left out as far as the other one
has its words; a paragraph with more is kept, since nobody can tell what the sender put into one of them alone.
"""

import binascii
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from indexing.readers.plain import plain_blocks
from indexing.records import Block

_ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts without spaces between words, whose lines may break anywhere: each character counts by itself."""
_WORD = re.compile(f"[{_ALONE}]|[^\\W{_ALONE}]+")
_NOT_SHOWN = re.compile(
    r"<?(?:https?|ftp|mailto|tel|file|cid):[^\s>\]]*[>\]]?|\[(?:cid|image)[^\]\n]{0,200}\]|\[\d{1,3}\]"
)
"""What programs write into the plain version for what the other one shows in another way: addresses and pictures."""
_MARK = re.compile(r"^[\s>]*(?:\d{1,3}[.)]|[-*+•])\s", re.MULTILINE)
_PARAGRAPHS = re.compile(r"\n[ \t\r]*\n")
_ARMOUR = re.compile(r"^-----BEGIN PGP (MESSAGE|SIGNATURE|PUBLIC KEY BLOCK)-----", re.MULTILINE)
_SIGNED = re.compile(r"-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\r?\n(?:[A-Za-z-]+:[^\n]*\n){0,9}")
_UUENCODED = re.compile(r"^begin [0-7]{3,4} (\S[^\r\n]{0,200})\r?$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainWords:
    """A plain text without what is not for people."""

    text: str
    encrypted: int
    """Messages in it that only a key opens."""
    files: tuple[tuple[str, bytes], ...]
    """Names and contents of files that were written into it as letters (uuencode)."""


def plain_words(text: str) -> PlainWords:
    """What people read, and what was inside of it."""
    text, encrypted = _without_armour(text)
    text, signed = _SIGNED.subn("", text)
    if signed:
        text = re.sub(r"^- (?=-)", "", text, flags=re.MULTILINE)  # RFC 9580, 7.2: dashes are escaped
    text, files = _without_files(text)
    return PlainWords(text=text, encrypted=encrypted, files=tuple(files))


def _without_armour(text: str) -> tuple[str, int]:
    """The text without keys, signatures and encrypted messages, and how many of the last there were. One without an
    end is words about it."""
    kept: list[str] = []
    position = encrypted = 0
    endless: set[str] = set()
    for found in _ARMOUR.finditer(text):
        kind = found[1]
        if found.start() < position or kind in endless:
            continue
        end = text.find(f"-----END PGP {kind}-----", found.end())
        if end < 0:
            endless.add(kind)
            continue
        kept.append(text[position : found.start()])
        position = end + len(f"-----END PGP {kind}-----")
        encrypted += kind == "MESSAGE"
    return "".join([*kept, text[position:]]), encrypted


def _without_files(text: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Old programs wrote a file between "begin 644 NAME" and "end", three bytes as four letters."""
    kept: list[str] = []
    files: list[tuple[str, bytes]] = []
    position = 0
    for found in _UUENCODED.finditer(text):
        if found.start() < position:
            continue
        data, end = _uudecoded(text, found.end())
        if data:
            kept.append(text[position : found.start()])
            files.append((found[1].strip(), data))
            position = end
    return "".join([*kept, text[position:]]), files


def _uudecoded(text: str, position: int) -> tuple[bytes, int]:
    """The bytes from here to "end", and where that is; none where a line is something else."""
    pieces: list[bytes] = []
    start = text.find("\n", position) + 1
    while start:
        stop = text.find("\n", start)
        line = text[start : stop if stop >= 0 else len(text)].rstrip("\r")
        if line.rstrip() == "end":
            return b"".join(pieces), stop if stop >= 0 else len(text)
        try:
            pieces.append(binascii.a2b_uu(line.encode("ascii")) if line.strip("` ") else b"")
        except (binascii.Error, UnicodeEncodeError):
            break
        start = stop + 1
    return b"", position


def said_besides(text: str, others: Iterable[Block]) -> list[Block]:
    """Paragraphs of a plain version that say something which the blocks of the other version do not."""
    there = words_in(others)
    return [block for paragraph in _PARAGRAPHS.split(text) if not _taken(paragraph, there)
            for block in plain_blocks(paragraph)]  # fmt: skip


def blocks_besides(blocks: Sequence[Block], others: Iterable[Block]) -> Iterator[Block]:
    """The same for a version that is blocks already; its pictures are kept."""
    there = words_in(others)
    return (block for block in blocks if block.kind == "figure" or not _taken(block.text, there))


def words_in(blocks: Iterable[Block]) -> Counter[str]:
    """How often each word stands in the blocks."""
    return Counter(word for block in blocks for text in (block.caption, block.text) for word in _words(text))


def _taken(paragraph: str, there: Counter[str]) -> bool:
    """Whether the other version has all words of it; they are taken out there, so that a second one finds them gone."""
    words = Counter(_words(_MARK.sub(" ", _NOT_SHOWN.sub(" ", paragraph))))
    if words - there:
        return False
    there.subtract(words)
    return True


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
