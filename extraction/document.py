"""A document as the lines that a model reads, and where words stand in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from claims.passages import Passage, fold, passages
from claims.tokens import TextToken, find_run, read
from extraction.fields import FieldType
from extraction.meanings import Style
from indexing.records import Box, Chunk
from rag.prompt import as_data

_MOST_LINES = 3  # that one value runs over
_ALIKE = 0.85  # two writings of the same words, 0..1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    chunk: Chunk
    passage: Passage


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where words stand: in the lines `first` to `last`, as `words`."""

    first: int
    last: int
    words: str
    around: str  # the line's text before and after the words, parted by a line break


class Document:
    """The lines that a model reads, in reading order, without page pictures, whose words are those of the texts."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        readable = [each for each in chunks if each.kind in ("text", "table", "figure") and each.text.strip()]
        self.lines = [
            _Line(chunk=chunk, passage=passage)
            for chunk in sorted(readable, key=_reading_order)
            for passage in passages(chunk)
        ]

    @cached_property
    def text(self) -> str:
        """What the model reads."""
        return "\n".join(as_data(line.passage.text) for line in self.lines)

    @cached_property
    def style(self) -> Style:
        """How this document writes dates and numbers."""
        return Style.of([line.passage.quote for line in self.lines])

    def places(self, words: str) -> list[Place]:
        """Every place where the words stand as a whole run, in one line or over neighbouring ones."""
        wanted, found = read(words), list[Place]()
        for length in range(1, _MOST_LINES + 1):
            for first in range(len(self.lines) - length + 1):
                found += self._places_in(wanted, first, length)
            if found or not wanted:
                break
        return found

    def _places_in(self, wanted: Sequence[TextToken], first: int, length: int) -> list[Place]:
        text = "\n".join(line.passage.quote for line in self.lines[first : first + length])
        held = read(text)
        found, start = list[Place](), 0
        while (run := find_run(wanted, held[start:])) is not None:
            begin, end = held[start + run.start].start, held[start + run.stop - 1].end
            around = f"{text[:begin]}\n{text[end:]}"
            words = _with_signs(text, begin, end)
            found.append(Place(first=first, last=first + length - 1, words=words, around=around))
            start += run.stop
        return found

    def nearest(self, words: str, kind: FieldType) -> str:
        """The document's words that a reply means which is not word for word: a letter put right, words around it.

        The line, or run of lines, that is nearly the same; else the most of the reply that stands in one line, where
        that is nearly all of it or the value that was asked for.
        """
        for length in range(1, _MOST_LINES + 1):
            for first in range(len(self.lines) - length + 1):
                text = "\n".join(line.passage.quote for line in self.lines[first : first + length])
                if _likeness(words, text) >= _ALIKE:
                    return text
        own = read(words)
        for length in range(len(own), 0, -1):
            for start in range(len(own) - length + 1):
                part = own[start : start + length]
                found = words[part[0].start : part[-1].end]
                is_value = kind != "text" and any(each.readings for each in part)
                if not is_value and len(found) < _ALIKE * len(words):
                    continue
                if any(find_run(part, read(line.passage.quote)) is not None for line in self.lines):
                    return found
        return ""

    def text_of(self, place: Place, beside: int = 0) -> str:
        """The lines of the place, with so many on either side."""
        return "\n".join(line.passage.text for line in self._lines_of(place, beside))

    def boxes(self, place: Place) -> tuple[Box, ...]:
        """Of the place's lines; of its chunk where the format has no lines."""
        boxes = dict.fromkeys(box for line in self._lines_of(place) for box in line.passage.boxes)
        chunk = self.chunk(place)
        return tuple(boxes) or ((chunk.box,) if chunk.box else ())

    def chunk(self, place: Place) -> Chunk:
        """The one in which the place begins."""
        return self.lines[place.first].chunk

    def _lines_of(self, place: Place, beside: int = 0) -> Sequence[_Line]:
        return self.lines[max(0, place.first - beside) : place.last + 1 + beside]


def _reading_order(chunk: Chunk) -> tuple[int, float, int]:
    """By page, then down the page where that is known."""
    box = next((line.box for line in chunk.lines if line.box), chunk.box)
    return chunk.page or 0, box[1] if box else 0.0, chunk.ordinal


def _likeness(one: str, other: str) -> float:
    """0..1, by their letters and digits in order."""
    bare, of = ("".join(sign for sign in fold(text) if sign.isalnum()) for text in (one, other))
    if min(len(bare), len(of)) < _ALIKE * max(len(bare), len(of)):
        return 0.0
    return SequenceMatcher(None, bare, of, autojunk=False).ratio()


def _with_signs(text: str, begin: int, end: int) -> str:
    """The words with the sign that belongs to them: a minus in front, a bracket that they opened."""
    if begin and text[begin - 1] in "-−" and (begin == 1 or not text[begin - 2].isalnum()):
        begin -= 1
    if text.count("(", begin, end) > text.count(")", begin, end) and text[end : end + 1] == ")":
        end += 1
    return " ".join(text[begin:end].split())
