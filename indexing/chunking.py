"""A reading → chunks, the rows that can be found and cited; pure functions.

A text chunk has about 200 words, stays under one heading and on one page, and ends at the end of a
sentence where one is near. A table is one chunk (in pieces with its header repeated when it is very
long), a figure is one chunk with its caption, and every page that has an image is a chunk of its own,
so that the picture of a page can be found. Every word of the reading is in exactly one text, table or
figure chunk (a piece's repeated table header aside).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from indexing.embedding.protocol import Label
from indexing.records import Block, Box, Chunk, Kind, Line, Page, Reading, SourceFile

_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_HYPHENATED = re.compile(r"[^\W\d_]{2}[-\u2010\u00ad]$")
_WITHOUT_SPACES = re.compile("[\u3001-\u30ff\u3400-\u9fff\uff01-\uff60]")  # Chinese and Japanese
_PAGE_WORDS = 40
_TAKEN = "Taken "
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkSettings:
    """How long chunks are."""

    words: int = 200
    """A text chunk is closed at the first sentence end after this many words …"""
    most_words: int = 260
    """… and wherever it is after this many."""
    table_characters: int = 8_000
    """A longer table is split by rows, its header repeated."""
    text_bytes: int = 60_000
    """No chunk's text is longer as a row stores it (JSON in UTF-8); a longer one is split."""

    def __post_init__(self) -> None:
        if not 1 <= self.words <= self.most_words:
            raise ValueError(f"words must be in 1..most_words ({self.most_words}), is {self.words}")
        if self.table_characters < 100 or self.text_bytes < 400:
            raise ValueError("table_characters must be at least 100 and text_bytes at least 400")


def chunks(reading: Reading, *, source: SourceFile, image_folder: str, settings: ChunkSettings) -> tuple[Chunk, ...]:
    """All rows of one file. `image_folder` is where its pictures lie, relative to the library."""
    return _Chunker(reading, source, image_folder, settings).all()


def with_labels(chunk: Chunk, labels: Sequence[Label], *, least: float = 0.1, most: int = 5) -> Chunk:
    """The chunk with what its picture shows appended as words; doubtful labels are left out."""
    return with_words(chunk, ", ".join(label.text for label in labels[:most] if label.probability >= least))


def with_words(chunk: Chunk, words: str) -> Chunk:
    """The chunk with a line more, if there are words."""
    return replace(chunk, text=f"{chunk.text}\n{words}".strip()) if words else chunk


def without_labels(chunk: Chunk) -> Chunk:
    """A picture's chunk as it was before `with_labels`: what its camera wrote stays, what a kit recognised goes."""
    if chunk.kind != "image":
        return chunk
    taken = [line for line in chunk.text.split("\n") if line.startswith(_TAKEN)]
    return replace(chunk, text="\n".join(taken), regions=())


def taken_words(metadata: Mapping[str, str]) -> str:
    """What a camera wrote beside a picture, as a sentence that can be searched; "" where it wrote nothing.

    >>> taken_words({"taken": "2019-07-14T10:32:05", "camera": "Canon EOS 80D", "latitude": "48.8", "longitude": "2.3"})
    'Taken on 14 July 2019 at 10:32 with Canon EOS 80D at latitude 48.8, longitude 2.3'
    """
    parts: list[str] = []
    if taken := metadata.get("taken"):
        moment = datetime.fromisoformat(taken)
        parts.append(f"on {moment.day} {_MONTHS[moment.month - 1]} {moment.year} at {moment:%H:%M}")
    if camera := metadata.get("camera"):
        parts.append(f"with {camera}")
    if "latitude" in metadata and "longitude" in metadata:
        parts.append(f"at latitude {metadata['latitude']}, longitude {metadata['longitude']}")
    return f"{_TAKEN}{' '.join(parts)}" if parts else ""


class _Chunker:
    def __init__(self, reading: Reading, source: SourceFile, folder: str, settings: ChunkSettings) -> None:
        self._reading = reading
        self._source = source
        self._folder = folder
        self._settings = settings
        self._counts: dict[Kind, int] = {}
        self._page_images = {page.number: self._image(page) for page in reading.pages}

    def all(self) -> tuple[Chunk, ...]:
        return (*self._pictures_and_pages(), *self._contents())

    def _pictures_and_pages(self) -> Iterator[Chunk]:
        taken = taken_words(self._reading.metadata)
        for page in self._reading.pages:
            if page.image is None:
                continue
            yield self._chunk(
                "image" if self._reading.is_picture else "page",
                text=taken if self._reading.is_picture else self._first_words(page),
                page=page.number,
                box=(0.0, 0.0, 1.0, 1.0),
            )

    def _first_words(self, page: Page) -> str:
        words: list[str] = []
        for block in self._reading.blocks:
            if block.page == page.number and len(words) < _PAGE_WORDS:
                words.extend(block.text.split()[: _PAGE_WORDS - len(words)])
        return _cut(" ".join(words), self._settings.text_bytes)

    def _contents(self) -> Iterator[Chunk]:
        heading, run = _Headings(), list[Block]()
        for block in self._reading.blocks:
            flows = block.kind == "text" and (not run or run[-1].page == block.page)
            if not flows and run:
                yield from self._texts(run, heading.path)
                run = []
            if block.kind == "heading":
                # the heading's own words open the text under it, so that they are found and cited
                heading.enter(block)
                run = [block]
            elif block.kind == "text":
                run.append(block)
            elif block.kind == "table":
                yield from self._table(block, heading.path)
            else:
                yield from self._figure(block, heading.path)
        if run:
            yield from self._texts(run, heading.path)

    def _texts(self, blocks: Sequence[Block], heading: str) -> Iterator[Chunk]:
        for rows in _packed(_rows(blocks), self._settings):
            lines = tuple(row.line for row in rows)
            boxes = [line.box for line in lines if line.box is not None]
            yield self._chunk(
                "text",
                text=_text_of(rows),
                page=blocks[0].page,
                box=_around(boxes),
                lines=lines if boxes else (),
                heading=heading,
            )

    def _table(self, block: Block, heading: str) -> Iterator[Chunk]:
        for piece in _table_pieces(block.text, block.caption, self._settings):
            yield self._chunk("table", text=piece, page=block.page, box=block.box, lines=block.lines, heading=heading)

    def _figure(self, block: Block, heading: str) -> Iterator[Chunk]:
        text = "\n".join(part for part in (block.caption, block.text) if part)
        image = f"{self._folder}/{block.image.name}" if block.image else None
        for piece in _pieces(text, self._settings.text_bytes) or [""]:
            yield self._chunk("figure", text=piece, page=block.page, box=block.box, heading=heading, image=image)

    def _chunk(
        self,
        kind: Kind,
        *,
        text: str,
        page: int | None,
        box: Box | None = None,
        lines: tuple[Line, ...] = (),
        heading: str = "",
        image: str | None = None,
    ) -> Chunk:
        ordinal = self._counts.get(kind, 0)
        self._counts[kind] = ordinal + 1
        return Chunk(
            content_hash=self._source.content_hash,
            path=self._source.place,
            kind=kind,
            ordinal=ordinal,
            page=page,
            box=box,
            lines=lines,
            text=text,
            title=_cut(self._reading.title, 1_000),
            heading=_cut(heading, 1_000),
            image=self._page_images.get(page, "") if image is None else image,
        )

    def _image(self, page: Page) -> str:
        return f"{self._folder}/{page.image.name}" if page.image else ""


class _Headings:
    """The headings above the current block. A new one replaces those of its level and below."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    def enter(self, block: Block) -> None:
        level = max(1, block.level)
        self._open = [each for each in self._open if each[0] < level]
        self._open.append((level, " ".join(block.text.split())))

    @property
    def path(self) -> str:
        return " › ".join(text for _, text in self._open if text)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A line on its way into a chunk."""

    line: Line
    ends_paragraph: bool
    wrapped: bool  # prose that goes on in the next line; else the line break means something

    @property
    def words(self) -> int:
        return len(self.line.text.split())

    @property
    def size_bytes(self) -> int:
        return _stored_bytes(self.line.text) + 2  # the line break, as JSON writes it


def join_lines(lines: Sequence[str]) -> str:
    """Wrapped prose as one text: a word that is hyphenated at the end of a line is put together again.

    >>> join_lines(["The retrie-", "val of well-", "Known facts"])
    'The retrieval of well- Known facts'
    """
    parts: list[str] = []
    end = ""  # the last three characters so far
    for line in filter(None, (line.strip() for line in lines)):
        goes_on = bool(_HYPHENATED.search(end)) and line[0].islower()
        if goes_on:
            parts[-1] = parts[-1][:-1]
        elif parts and not (_WITHOUT_SPACES.match(end[-1:]) and _WITHOUT_SPACES.match(line)):
            parts.append(" ")
        parts.append(line)
        end = (end[:-1] + line if goes_on else f"{end} {line}")[-3:]
    return "".join(parts)


def _rows(blocks: Sequence[Block]) -> list[_Row]:
    rows: list[_Row] = []
    for block in blocks:
        lines = [line for line in block.lines if line.text.strip()]
        wrapped = bool(lines) and "\n" not in block.text
        if not lines:
            texts = [text for text in block.text.split("\n") if text.strip()]
            lines = [Line(text=text, box=block.box) for text in texts]
        last = len(lines) - 1
        rows.extend(
            _Row(line=line, ends_paragraph=index == last, wrapped=wrapped and index < last)
            for index, line in enumerate(lines)
        )
    return rows


def _text_of(rows: Sequence[_Row]) -> str:
    paragraphs: list[list[str]] = [[]]
    for row in rows:
        paragraphs[-1].append(row.line.text)
        if not row.wrapped:
            paragraphs.append([])
    return "\n".join(join_lines(lines) for lines in paragraphs if lines)


def _packed(rows: Sequence[_Row], settings: ChunkSettings) -> Iterator[list[_Row]]:
    """Groups of about `words` words and less than `text_bytes` bytes; nothing changes its order."""
    group: list[_Row] = []
    words = size = 0
    for row in _short_rows(rows, settings):
        over = words + row.words > settings.most_words or size + row.size_bytes > settings.text_bytes
        if group and over:
            yield group
            group, words, size = [], 0, 0
        group.append(row)
        words, size = words + row.words, size + row.size_bytes
        if words >= settings.words and (row.ends_paragraph or _SENTENCE_END.search(row.line.text.strip())):
            yield group
            group, words, size = [], 0, 0
    if group:
        yield group


def _short_rows(rows: Sequence[_Row], settings: ChunkSettings) -> Iterator[_Row]:
    """A whole paragraph can be one line: cut what is too long at sentence ends, else between words."""
    for row in rows:
        if row.words <= settings.words and row.size_bytes <= settings.text_bytes:
            yield row
            continue
        parts = _sentences(row.line.text, settings)
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            yield _Row(
                line=replace(row.line, text=part),
                ends_paragraph=last and row.ends_paragraph,
                wrapped=row.wrapped if last else True,
            )


def _sentences(text: str, settings: ChunkSettings) -> list[str]:
    parts: list[str] = []
    current: list[str] = []
    size = 0
    for word in (part for whole in text.split() for part in _pieces(whole, settings.text_bytes - 2)):
        longer = _stored_bytes(word) + 1
        if current and size + longer + 1 >= settings.text_bytes:
            parts.append(" ".join(current))
            current, size = [], 0
        current.append(word)
        size += longer
        if len(current) >= settings.words or _SENTENCE_END.search(word):
            parts.append(" ".join(current))
            current, size = [], 0
    return [*parts, " ".join(current)] if current else parts


def _table_pieces(markdown: str, caption: str, settings: ChunkSettings) -> list[str]:
    whole = f"{caption}\n{markdown}".strip()
    limit = min(settings.table_characters, settings.text_bytes // 4)
    if len(whole) <= settings.table_characters and _stored_bytes(whole) <= settings.text_bytes:
        return [whole]
    rows = markdown.split("\n")
    has_header = len(rows) > 2 and set(rows[1]) <= set("|-: ")
    header = rows[:2] if has_header else []
    opening = _cut("\n".join([*([caption] if caption else []), *header]), limit)
    if len(opening) < len("\n".join([*([caption] if caption else []), *header])):
        return _pieces(whole, settings.text_bytes)  # a header longer than a piece cannot be repeated
    pieces: list[str] = []
    current = opening
    filled = False
    for row in rows[len(header) :]:
        for part in _pieces(row, limit):
            if filled and len(current) + len(part) + 1 > limit:
                pieces.append(current)
                current, filled = opening, False
            current = f"{current}\n{part}" if current else part
            filled = True
    return [*pieces, current] if filled else pieces


def _pieces(text: str, most_bytes: int) -> list[str]:
    """The text in pieces that take at most so many bytes in a row, cut at white space where there is any."""
    pieces: list[str] = []
    start = 0
    while start < len(text):
        head = _head(text[start : start + most_bytes], most_bytes)
        rest = start + len(head)
        space = max(head.rfind(" "), head.rfind("\n")) if rest < len(text) else 0
        pieces.append(head[:space] if space > 0 else head)
        start = start + space + 1 if space > 0 else rest
    return pieces


def _head(text: str, most_bytes: int) -> str:
    """As many characters from the beginning as fit, at least one."""
    while len(text) > 1 and (size := _stored_bytes(text)) > most_bytes:
        text = text[: max(1, min(len(text) - 1, len(text) * most_bytes // size))]
    return text


def _stored_bytes(text: str) -> int:
    """What the text takes in a row: a quote, a backslash or a line break is two bytes there."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _cut(text: str, most_bytes: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= most_bytes else encoded[:most_bytes].decode("utf-8", "ignore")


def _around(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
