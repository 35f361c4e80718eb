"""Documents → a table: for each field its words in the document, what they mean, and where they stand.

fields → the document's lines → the model names each field's words → these are looked up in the lines → judged → read

A model is only believed about where to look. Words that stand nowhere in the document as they are stay "unchecked",
and so do words of which the model itself, asked for a yes or no, does not say that they are the field. What the words
mean (`rag.fields`) is computed from them, and what can be read two ways stays as it is written.

A small model is asked field by field, with the same beginning of the prompt, which the engine reads once. A capable
one, by address, replies to all fields at once in JSON.
"""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, cast

from indexing.records import Box, Chunk
from llava_model.serving.engine import Turn
from rag.answer import NextWords
from rag.fields import Field, FieldType, Meaning, Style, day_of, meaning_of
from rag.passages import Passage, fold, passages
from rag.prompt import CountTokens, as_data
from rag.support import Token, coverage, find_run, read

State = Literal["quoted", "unchecked", "absent"]

Find = Callable[[str, str], Sequence[Chunk]]
"""(words, path) → the chunks of that file that may hold them, best first."""

_ABSENT = "absent"
_WORDING = Path(__file__).with_name("instructions") / "extract.toml"
_MOST_LINES = 3  # that one value runs over
_ALIKE = 0.85  # two writings of the same words, 0..1


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """What one document says of one field. An absent one has neither words nor a place."""

    state: State = "absent"
    written: str = ""
    """The document's own words; the model's, where they stand nowhere in it."""
    value: str = ""
    """An ISO date, a number without separators, yes or no; else as written."""
    currency: str = ""
    readings: tuple[str, ...] = ()
    """What the words can mean, where it is several things; `value` is as written then."""
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    chunk_id: str = ""
    support: float = 0.0
    """How likely the model holds the words for the field, 0..1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One document, or one entry of it. With a `reason` it could not be read, and there are no cells."""

    path: str
    cells: Mapping[str, Cell] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractSettings:
    """How much of a document is read, and when a cell counts as quoted."""

    document_tokens: int = 1500
    """A document up to this length is read whole, of a longer one what search finds for each field."""

    max_new_tokens: int = 48
    """Most tokens of one value; a list of entries and a JSON reply may have ten times as many."""

    most_rows: int = 50
    """Most entries of one document."""

    most_places: int = 3
    """Where words stand in several lines, how many of these the model judges."""

    least_answer: float = 0.5
    """The model's own yes from which words count as the field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """The model that reads. `capable` models reply in JSON; `next_words` is there where the model is in process."""

    write: Callable[[Sequence[Turn], int, Sequence[str]], str]
    """(turns, most new tokens, where to stop) → the reply."""
    count_tokens: CountTokens
    context_tokens: int
    next_words: NextWords | None = None
    capable: bool = False


# -- a document --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    chunk: Chunk
    passage: Passage


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where words stand: in the lines `first` to `last`, as `words`."""

    first: int
    last: int
    words: str
    around: str  # the line's text before and after the words, parted by a line break


class _Document:
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
        return "\n".join(as_data(line.passage.text) for line in self.lines)

    @cached_property
    def style(self) -> Style:
        """How this document writes dates and numbers."""
        return Style.of([line.passage.quote for line in self.lines])

    def places(self, words: str) -> list[_Place]:
        """Every place where the words stand as a whole run, in one line or over neighbouring ones."""
        wanted, found = read(words), list[_Place]()
        for length in range(1, _MOST_LINES + 1):
            for first in range(len(self.lines) - length + 1):
                found += self._places_in(wanted, first, length)
            if found or not wanted:
                break
        return found

    def _places_in(self, wanted: Sequence[Token], first: int, length: int) -> list[_Place]:
        text = "\n".join(line.passage.quote for line in self.lines[first : first + length])
        held = read(text)
        found, start = list[_Place](), 0
        while (run := find_run(wanted, held[start:])) is not None:
            begin, end = held[start + run.start].start, held[start + run.stop - 1].end
            around = f"{text[:begin]}\n{text[end:]}"
            words = _with_signs(text, begin, end)
            found.append(_Place(first=first, last=first + length - 1, words=words, around=around))
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

    def text_of(self, place: _Place, beside: int = 0) -> str:
        """The lines of the place, with so many on either side."""
        lines = self.lines[max(0, place.first - beside) : place.last + 1 + beside]
        return "\n".join(line.passage.text for line in lines)

    def cell(self, place: _Place, support: float) -> Cell:
        lines = self.lines[place.first : place.last + 1]
        boxes = tuple(dict.fromkeys(box for line in lines for box in line.passage.boxes))
        chunk = lines[0].chunk
        return Cell(
            state="quoted",
            written=place.words,
            page=chunk.page,
            boxes=boxes or ((chunk.box,) if chunk.box else ()),
            chunk_id=chunk.id,
            support=support,
        )


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


# -- reading -----------------------------------------------------------------------------------------------------------


@cache
def _wording(name: str) -> str:
    texts: dict[str, str] = tomllib.loads(_WORDING.read_text(encoding="utf-8"))
    return texts[name].strip()


class Extractor:
    """Fills rows from documents with one model."""

    def __init__(self, reader: Reader, find: Find, settings: ExtractSettings | None = None) -> None:
        self._reader, self._find, self._settings = reader, find, settings or ExtractSettings()

    def typed(self, fields: Sequence[Field]) -> list[Field]:
        """The fields, each with a type: the model says what a name without one stands for."""
        return [each if each.type else replace(each, type=self._type_of(each)) for each in fields]

    def _type_of(self, wanted: Field) -> FieldType:
        asked = _wording("type").format(field=json.dumps(as_data(wanted.name), ensure_ascii=False))
        chosen = self._choice([Turn(role="user", text=asked)], ("text", "number", "date", "money", "yes"))
        return "yes/no" if chosen == "yes" else cast(FieldType, chosen)

    def rows(self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field], *, many: bool = False) -> list[Row]:
        """One row of a document, or with `many` one for each entry that it lists, or none where it lists none."""
        if not _Document(chunks).lines:
            return [Row(path=path, reason="no words were found in it")]
        if self._reader.capable:
            return self._all_at_once(path, chunks, fields, many)
        return self._entries(path, chunks, fields) if many else [self._row(path, chunks, fields)]

    def _row(self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field]) -> Row:
        cells = {each.name: self._cell(self._document(path, chunks, each.name), each) for each in fields}
        return Row(path=path, cells=cells)

    def _cell(self, document: _Document, wanted: Field) -> Cell:
        if wanted.type == "yes/no":
            return self._yes_or_no(document, wanted)
        return self._read(document, wanted, self._ask(document, _wording("wanted").format(field=_described(wanted))))

    def _entries(self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field]) -> list[Row]:
        """The first field of every entry, then the others of each, looked for near it."""
        first, *others = fields
        document = self._document(path, chunks, " ".join(each.name for each in fields))
        every = self._ask(document, _wording("every").format(field=_described(first)), lines=True)
        rows, after = list[Row](), -1
        for words in [line.strip() for line in every.splitlines() if not _is_absent(line)][: self._settings.most_rows]:
            places = document.places(words)
            here = next((each for each in places if each.first > after), None)
            if here is None:
                cells = {first.name: self._read(document, first, words)}
                entry, near = words, None
            else:
                after = near = here.first
                cells = {first.name: self._meant(document, first, document.cell(here, 1.0), here)}
                entry = document.lines[near].passage.text
            for each in others:
                asked = _wording("of_entry").format(entry=as_data(entry), field=_described(each))
                cells[each.name] = self._read(document, each, self._ask(document, asked), near=near)
            rows.append(Row(path=path, cells=cells))
        return rows

    def _read(self, document: _Document, wanted: Field, reply: str, near: int | None = None) -> Cell:
        """The reply as a cell. `near` is the line of the entry that it belongs to."""
        words = reply.strip().strip("\"'`*“”")
        if _is_absent(words):
            return Cell()
        places = document.places(words) or document.places(document.nearest(words, wanted.type or "text"))
        if not places:
            return self._meant(document, wanted, Cell(state="unchecked", written=words))
        place, support = self._best(document, wanted, places, near)
        cell = self._meant(document, wanted, document.cell(place, support), place)
        return cell if support >= self._settings.least_answer else replace(cell, state="unchecked")

    def _best(
        self, document: _Document, wanted: Field, places: Sequence[_Place], near: int | None
    ) -> tuple[_Place, float]:
        """The place that is the field's by the model's own judgement; by the field's name where none can be asked."""

        def speaks(place: _Place) -> tuple[float, ...]:
            distance = 0 if near is None else abs(place.first - near)
            line, around = document.text_of(place), document.text_of(place, beside=1)
            return distance, -coverage(wanted.name, line), -coverage(wanted.name, around)

        likely = sorted(places, key=speaks)[: 1 if near is not None else self._settings.most_places]
        ask = self._reader.next_words
        if ask is None:
            return likely[0], 1.0
        judged = [(place, self._judged(ask, document, wanted, place)) for place in likely]
        return max(judged, key=lambda each: each[1])

    def _judged(self, ask: NextWords, document: _Document, wanted: Field, place: _Place) -> float:
        asked = _wording("judged").format(
            line=as_data(document.text_of(place)), words=as_data(place.words), field=_described(wanted)
        )
        *yes, no, other_no = ask(_turns(document, asked), ["yes", "Yes", "no", "No"])
        return sum(yes) / max(1e-9, sum(yes) + no + other_no)

    def _yes_or_no(self, document: _Document, wanted: Field) -> Cell:
        chosen = self._choice(
            _turns(document, _wording("yes_or_no").format(field=_described(wanted))), ("yes", "no", _ABSENT)
        )
        if chosen == _ABSENT:
            return Cell()
        words = self._ask(document, _wording("where").format(field=_described(wanted)))
        places = [] if _is_absent(words) else document.places(words)
        return replace(document.cell(places[0], 1.0) if places else Cell(state="unchecked"), value=chosen)

    def _meant(self, document: _Document, wanted: Field, cell: Cell, place: _Place | None = None) -> Cell:
        around = place.around if place else ""
        meaning = meaning_of(cell.written, wanted.type or "text", document.style, around)
        if wanted.type == "date" and not meaning.value and not meaning.readings:
            told = self._ask(document, _wording("date").format(words=as_data(cell.written)))
            meaning = Meaning(value=day_of(told, cell.written))
        return replace(
            cell,
            value=meaning.value or cell.written,
            currency=meaning.currency,
            readings=meaning.readings,
        )

    # -- a capable model --------------------------------------------------------------------------------------------

    def _all_at_once(self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field], many: bool) -> list[Row]:
        document = self._document(path, chunks, " ".join(each.name for each in fields))
        members = "\n".join(f"- {json.dumps(each.name, ensure_ascii=False)}: {_described(each)}" for each in fields)
        turns = _turns(document, _wording("all_rows" if many else "all").format(members=members))
        for _ in range(2):
            reply = self._reader.write(turns, self._settings.max_new_tokens * 10 * (3 if many else 1), ())
            try:
                objects = _objects(reply, many)
            except ValueError as error:
                again = f"That cannot be used: {error}. Reply with the JSON object only."
                turns = (*turns, Turn(role="assistant", text=reply), Turn(role="user", text=again))
                continue
            return [self._row_of(path, document, fields, each) for each in objects[: self._settings.most_rows]]
        return [Row(path=path, reason="the model did not reply with the JSON that it was asked for")]

    def _row_of(self, path: str, document: _Document, fields: Sequence[Field], said: Mapping[str, Any]) -> Row:
        cells: dict[str, Cell] = {}
        near: int | None = None
        for each in fields:
            words = said.get(each.name)
            cells[each.name] = self._read(document, each, "" if words is None else str(words), near=near)
        return Row(path=path, cells=cells)

    # -- asking -----------------------------------------------------------------------------------------------------

    def _document(self, path: str, chunks: Sequence[Chunk], sought: str) -> _Document:
        """The whole document where it fits, else the chunks that are found for the words, as many as fit."""
        whole = _Document(chunks)
        most = min(self._settings.document_tokens, self._reader.context_tokens - 12 * self._settings.max_new_tokens)
        if self._size(whole) <= most:
            return whole
        kept: list[Chunk] = []
        for chunk in self._find(sought, path) or chunks:
            if self._size(_Document([*kept, chunk])) <= most:
                kept.append(chunk)
        return _Document(kept)

    def _size(self, document: _Document) -> int:
        return self._reader.count_tokens(_turns(document, ""))

    def _ask(self, document: _Document, asked: str, *, lines: bool = False) -> str:
        most = self._settings.max_new_tokens * (10 if lines else 1)
        return self._reader.write(_turns(document, asked), most, () if lines else ("\n",))

    def _choice(self, turns: Sequence[Turn], words: Sequence[str]) -> str:
        """The likeliest of these replies; the first where the model says none of them."""
        if self._reader.next_words is not None:
            both = self._reader.next_words(turns, [*words, *(word.capitalize() for word in words)])
            chances = [small + large for small, large in zip(both, both[len(words) :], strict=False)]
            return words[max(range(len(words)), key=chances.__getitem__)]
        reply = self._reader.write(turns, 8, ("\n",)).casefold()
        return next((word for word in words if reply.strip(" .\"'*`").startswith(word)), words[0])


def _turns(document: _Document, asked: str) -> tuple[Turn, ...]:
    """What differs stands last, so that the engine reads a document once for all its fields."""
    return (
        Turn(role="system", text=_wording("system")),
        Turn(role="user", text=f"The document:\n{document.text}\n\nThis is the end of the document.\n{asked}"),
    )


def _described(wanted: Field) -> str:
    kind = f" ({wanted.type})" if wanted.type and wanted.type not in ("text", "yes/no") else ""
    hint = f": {as_data(wanted.hint)}" if wanted.hint else ""
    return f"{as_data(wanted.name)}{kind}{hint}"


def _is_absent(reply: str) -> bool:
    return "".join(sign for sign in reply if sign.isalnum()).casefold() in ("", _ABSENT)


def _objects(reply: str, many: bool) -> list[dict[str, Any]]:
    """The rows of a JSON reply, whatever stands around it. Raises ValueError with what is wrong."""
    start, end = reply.find("{"), reply.rfind("}")
    if start < 0 or end < start:
        raise ValueError("there is no JSON object in it")
    said = json.loads(reply[start : end + 1])
    rows = said.get("rows") if many else [said]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError('"rows" is no list of objects')
    if any(isinstance(value, list | dict) for row in rows for value in row.values()):
        raise ValueError("a member is neither a string nor null")
    return rows
