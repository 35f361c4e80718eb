"""Rich text (RTF): paragraphs and tables through striprtf, with what that leaves out put in its place.

striprtf drops the groups that hold footnotes, comments, headers, text boxes and pictures. They are taken out before it,
each leaving a mark in the text, and put behind the paragraph in which the mark comes out. Cells and rows get marks too,
since a bar in the text cannot be told from the bar that striprtf writes for the end of a cell.
"""

import binascii
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from indexing.readers.document import clean, finished, markdown_table, without_empty
from indexing.readers.office.word_beside import comment_line
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Reading

_BEGINS = b"{\\rtf"
_CODE_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")
_BRACE = re.compile(r"\\[\\{}]|[{}]|\\bin\d{1,9}")
_TAKEN = re.compile(
    r"\{(?:\\\*)?\s*\\(footnote|annotation|atnauthor|fldinst|shptxt|dptxbxtext|"
    r"headerl|headerr|headerf|header|footerl|footerr|footerf|footer|pict|objdata|deleted|nonshppict|title|author)(?![a-z])"
)
"""Groups that are taken out."""
_SHAPES = re.compile(r"\{(?:\\\*)?\s*\\(?:shpinst|shpgrp|shp|do)(?![a-z])")
"""Beginnings of groups that striprtf drops, text boxes and all; without their names it goes through them."""
_CELL, _ROW, _MARK, _END = "\ue010", "\ue011", "\ue012", "\ue013"
_PLACE = re.compile(f"{_MARK}(\\d+){_END}")
_CELLS = re.compile(r"\\(?:nest)?cell(?![a-z])[ ]?")
_ROWS = re.compile(r"\\(?:nest)?row(?![a-z])[ ]?")
_BLIP = re.compile(r"\\(?:png|jpeg)blip")
_NOT_HEX = re.compile(r"\{[^{}]*\}|\\[a-z]+-?\d* ?|[^0-9a-fA-F]")
_MOST_TAKEN = 20_000


@dataclass(slots=True)
class _Taken:
    """What was taken out of the text."""

    beside: list[str] = field(default_factory=list)  # by the number in their marks
    headers: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    author: str = ""
    own: dict[str, str] = field(default_factory=dict)


def read_rtf(path: Path, output: ReaderOutput) -> Reading:
    """Pictures of kinds that are not read, and embedded files, are told."""
    data = path.read_bytes()[: output.limits.max_text_characters]
    page = _CODE_PAGE.search(data[:4096])
    taken = _Taken()
    text = _without_groups(_decoded(data, page[1].decode() if page else "1252"), taken)
    encoding = f"cp{page[1].decode()}" if page else "cp1252"
    lines = _plain(text, encoding)
    blocks = [
        Block(kind="text", text=each)
        for each in dict.fromkeys(_words(each, encoding) for each in taken.headers)
        if each
    ]
    blocks += _blocks(lines, taken, encoding)
    own = {name: _words(value, encoding) for name, value in taken.own.items()}
    title = own.pop("title", "")
    notes = tuple(_notes(taken, is_cut=path.stat().st_size > len(data), limit=len(data)))
    return finished(path, blocks, output, title=title, metadata=own, pictures=_pictures(taken), notes=notes)


def _decoded(data: bytes, code_page: str) -> str:
    """The file is ASCII by its rules; some programs write other characters as they are."""
    try:
        return data.decode(f"cp{code_page}", errors="replace")
    except LookupError:
        return data.decode("latin-1")


def _without_groups(text: str, taken: _Taken) -> str:
    """The text without the groups that striprtf would drop; one pass, since a group's end is looked for once."""
    text = _SHAPES.sub("{", text)
    parts: list[str] = []
    at = 0
    while (found := _TAKEN.search(text, at)) is not None:
        end = _end_of_group(text, found.start())
        parts.append(text[at : found.start()])
        parts.append(_take(found[1], text[found.end() : end - 1], taken))
        at = end
    parts.append(text[at:])
    return "".join(parts)


def _end_of_group(text: str, start: int) -> int:
    depth = 0
    skip_to = start
    for found in _BRACE.finditer(text, start):
        if found.start() < skip_to:
            continue
        if found[0].startswith("\\bin"):
            skip_to = found.end() + int(found[0][4:])
        elif found[0] == "{":
            depth += 1
        elif found[0] == "}":
            depth -= 1
            if depth == 0:
                return found.end()
    return len(text)


def _take(kind: str, inner: str, taken: _Taken) -> str:
    """What stands in the place of the group."""
    if kind in ("deleted", "objdata"):
        taken.counts[kind] += 1
    elif kind in ("title", "author"):
        taken.own[kind] = inner
    elif kind.startswith(("header", "footer")):
        taken.headers.append(inner)
    elif kind == "atnauthor":
        taken.author = inner
    elif kind == "pict":
        if _BLIP.search(inner[:2_000]):
            taken.pictures.append(inner)
        else:
            taken.counts["pict"] += 1
    elif kind in ("nonshppict", "fldinst"):
        return ""  # the same picture for old programs; how a program found the words that follow
    elif len(taken.beside) < _MOST_TAKEN:
        if kind == "footnote":
            name = "Endnote" if "\\ftnalt" in inner[:100] else "Footnote"
            number = taken.counts[name] = taken.counts[name] + 1
            inner = f"{name} {number}: {inner}"
        elif kind == "annotation":
            inner = f"{taken.author}{_MARK}{inner}"
        taken.beside.append(inner)
        return f"{_MARK}{len(taken.beside) - 1}{_END}"
    else:
        taken.counts["over"] += 1
    return ""


def _plain(text: str, encoding: str) -> str:
    from striprtf.striprtf import rtf_to_text

    marked = _ROWS.sub(f"{_ROW}\\\\par ", _CELLS.sub(_CELL, text))
    plain: str = rtf_to_text(marked, encoding=encoding, errors="replace")  # type: ignore[no-untyped-call]  # no types
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs that stand for one character


def _words(group: str, encoding: str) -> str:
    inner = _plain("{\\rtf1 " + group + "}", encoding)
    return clean(" ".join(_PLACE.sub("", inner).replace(_CELL, " ").replace(_ROW, " ").split()))


def _blocks(text: str, taken: _Taken, encoding: str) -> Iterator[Block]:
    rows: list[list[str]] = []
    cells: list[str] = []
    behind: list[Block] = []
    for line in text.split("\n"):
        behind += [block for place in _PLACE.findall(line) for block in _beside(taken, int(place), encoding)]
        line = clean(_PLACE.sub("", line))
        if _CELL in line or cells:
            parts = line.replace(_ROW, "").split(_CELL)
            cells = [*cells[:-1], f"{cells[-1]} {parts[0]}", *parts[1:]] if cells else parts
            if _ROW in line:
                rows.append([cell.strip() for cell in cells])
                cells = []
        else:
            yield from _table(rows)
            rows = []
            if line.strip():
                yield Block(kind="text", text=line.strip())
        if not cells and not rows:
            yield from behind
            behind = []
    yield from _table([*rows, *([[cell.strip() for cell in cells]] if cells else [])])
    yield from behind


def _table(rows: list[list[str]]) -> Iterator[Block]:
    full = without_empty(rows)
    if len(full) > 1 and len(full[0]) > 1:
        yield Block(kind="table", text=markdown_table(full))
    elif full:
        yield Block(kind="text", text="\n".join(cell for row in full for cell in row if cell))


def _beside(taken: _Taken, place: int, encoding: str) -> Iterator[Block]:
    if place < len(taken.beside):
        author, mark, comment = taken.beside[place].partition(_MARK)
        text = comment_line(_words(author, encoding), _words(comment, encoding)) if mark else _words(author, encoding)
        if text:
            yield Block(kind="text", text=text)


def _pictures(taken: _Taken) -> Iterator[tuple[int | None, bytes]]:
    for picture in taken.pictures:
        digits = _NOT_HEX.sub("", picture)
        try:
            yield None, binascii.unhexlify(digits[: len(digits) // 2 * 2])
        except binascii.Error:
            yield None, b"damaged"


def _notes(taken: _Taken, *, is_cut: bool, limit: int) -> Iterator[Note]:
    if taken.counts["deleted"]:
        sentence = f"tracked changes were read as accepted: {taken.counts['deleted']:,} deletions are not in the text"
        yield Note(sentence, kind="revision", number=taken.counts["deleted"])
    if taken.counts["pict"]:
        sentence = f"{taken.counts['pict']:,} embedded pictures of kinds that are not read were left out"
        yield Note(sentence, kind="picture", number=taken.counts["pict"], unread=True)
    if taken.counts["objdata"]:
        sentence = f"{taken.counts['objdata']:,} embedded files were not read"
        yield Note(sentence, kind="embedded", number=taken.counts["objdata"], unread=True)
    if taken.counts["over"]:
        over = taken.counts["over"]
        sentence = f"{over:,} footnotes, comments or text boxes over the limit of {_MOST_TAKEN:,} were left out"
        yield Note(sentence, number=taken.counts["over"], unread=True)
    if is_cut:
        yield Note(f"longer than {limit:,} bytes, of which the first were read", unread=True)


def _is_rtf(start: FileStart) -> bool:
    return start.head.startswith(_BEGINS)


READERS = (Reader(type="rtf", extensions=(".rtf",), recognise=_is_rtf, order=36, read=read_rtf),)
