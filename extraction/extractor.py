"""Documents → a table: for each field its words in the document, what they mean, and where they stand.

fields → the document's lines → the model names each field's words → these are looked up in the lines → judged → read

A model is only believed about where to look. Words that stand nowhere in the document as they are stay "unchecked",
and so do words of which the model, asked twice more in other ways, does not say the same again. What the words mean
(`extraction.meanings`) is computed from them, and what can be read two ways stays as it is written.

Every question to a model in process begins with the same document, which the engine reads once. A capable model, by
address, is asked once for everything.
"""

import json
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from claims.support import coverage
from claims.tokens import read
from extraction.asking import ABSENT, bare, described, is_absent, json_rows, request, turns_about
from extraction.cells import Cell, ExtractedRow, cell_at
from extraction.document import Document, Place
from extraction.fields import Field, FieldType
from extraction.meanings import Meaning, day_of, meaning_of
from extraction.settings import ExtractSettings
from indexing.records import Chunk
from llava_model.serving.engine import Turn
from rag.prompt import CountTokens, NextWords, Write, as_data

Find = Callable[[str, str], Sequence[Chunk]]
"""(words, path) → the chunks of that file that may hold them, best first."""

_HEAD_CHARACTERS = 1_000  # from which one sees what a document is


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldReader:
    """The model that reads. `capable` models reply in JSON; `next_words` is there where the model is in process."""

    write: Write
    count_tokens: CountTokens
    context_tokens: int
    next_words: NextWords | None = None
    capable: bool = False


class Extractor:
    """Fills rows from documents with one model."""

    def __init__(self, reader: FieldReader, find: Find, settings: ExtractSettings | None = None) -> None:
        self._reader, self._find, self._settings = reader, find, settings or ExtractSettings()

    def typed(self, fields: Sequence[Field]) -> list[Field]:
        """The fields, each with a type: the model says what a name without one stands for."""
        return [each if each.type else replace(each, type=self._type_of(each)) for each in fields]

    def _type_of(self, wanted: Field) -> FieldType:
        asked = request("type").format(field=json.dumps(as_data(wanted.name), ensure_ascii=False))
        chosen = self._choice([Turn(role="user", text=asked)], ("text", "number", "date", "money", "yes"))
        return "yes/no" if chosen == "yes" else cast(FieldType, chosen)

    def fits(self, name: str, chunks: Sequence[Chunk], which: str) -> bool:
        """Whether the model takes the document for one of these, by its name and its beginning."""
        head = Document(chunks).text[:_HEAD_CHARACTERS]
        asked = request("is_one").format(which=json.dumps(as_data(which), ensure_ascii=False))
        text = f"The document {as_data(name)}:\n{head}\n\nThis is the end of the document.\n{asked}"
        turns = (Turn(role="system", text=request("system")), Turn(role="user", text=text))
        return self._choice(turns, ("no", "yes")) == "yes"

    def rows(
        self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field], *, many: bool = False
    ) -> list[ExtractedRow]:
        """One row of a document, or with `many` one for each entry that it lists, or none where it lists none."""
        if not Document(chunks).lines:
            return [ExtractedRow(path=path, reason="no words were found in it")]
        if self._reader.capable:
            return self._all_at_once(path, chunks, fields, many)
        return self._entries(path, chunks, fields) if many else [self._row(path, chunks, fields)]

    def _row(self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field]) -> ExtractedRow:
        document = self._document(path, chunks)
        if document is not None:
            return ExtractedRow(path=path, cells=self._cells(document, fields))
        cells: dict[str, Cell] = {}
        for each in fields:  # each has parts of the document of its own
            cells |= self._cells(self._parts(path, chunks, [each]), [each])
        return ExtractedRow(path=path, cells=cells)

    def _cells(
        self, document: Document, fields: Sequence[Field], entry: str = "", near: int | None = None
    ) -> dict[str, Cell]:
        """A cell for each field, of the whole document or of an entry that stands in the line `near`."""
        words = [each for each in fields if each.type != "yes/no"]
        said: dict[str, str] = {}
        for start in range(0, len(words), self._settings.fields_at_once):
            said |= self._said(document, words[start : start + self._settings.fields_at_once], entry)
        return {
            each.name: self._read(document, each, said[each.name], near)
            if each.name in said
            else self._yes_or_no(document, each, entry)
            for each in fields
        }

    def _said(self, document: Document, fields: Sequence[Field], entry: str) -> dict[str, str]:
        """What the model says for each field: all in one reply, and alone where that was no JSON."""
        blanks = ", ".join(f"{json.dumps(described(each), ensure_ascii=False)}: …" for each in fields)
        reply = self._ask(document, entry + request("fill").format(blanks=blanks), values=len(fields))
        try:
            (found,) = json_rows(reply, many=False)
        except ValueError:
            found = {}
        keys = {each.name: described(each) for each in fields}
        return {
            name: found[key] if key in found else self._ask(document, entry + self._alone(key))
            for name, key in keys.items()
        }

    @staticmethod
    def _alone(described: str) -> str:
        return request("wanted").format(field=described)

    def _entries(self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field]) -> list[ExtractedRow]:
        """The first field of every entry, then the others of each, looked for near it."""
        first, *others = fields
        document = self._document(path, chunks) or self._parts(path, chunks, fields)
        every = self._ask(document, request("every").format(field=described(first)), values=10)
        rows, after = list[ExtractedRow](), -1
        for words in [line.strip() for line in every.splitlines() if not is_absent(line)][: self._settings.most_rows]:
            here = next((each for each in document.places(words) if each.first > after), None)
            if here is None:
                cell, line, near = self._read(document, first, words), words, None
            else:
                after = near = here.first
                cell, line = self._meant(document, first, cell_at(document, here, 1.0), here), document.text_of(here)
            entry = request("entry").format(line=as_data(line)) + "\n"
            rows.append(ExtractedRow(path=path, cells={first.name: cell, **self._cells(document, others, entry, near)}))
        return rows

    def _read(self, document: Document, wanted: Field, reply: str, near: int | None = None) -> Cell:
        """The reply as a cell. `near` is the line of the entry that it belongs to."""
        words = bare(reply)
        if is_absent(words):
            return Cell()
        places = document.places(words) or document.places(document.nearest(words, wanted.type or "text"))
        if not places:
            return self._meant(document, wanted, Cell(state="unchecked", written=words))
        place, support = self._best(document, wanted, places, near)
        says_again = near is not None or self._says_again(document, wanted, place)
        if not says_again:
            place, support = self._asked_alone(document, wanted, place), 0.0
        cell = self._meant(document, wanted, cell_at(document, place, support), place)
        return cell if support >= self._settings.least_choice else replace(cell, state="unchecked")

    def _best(
        self, document: Document, wanted: Field, places: Sequence[Place], near: int | None
    ) -> tuple[Place, float]:
        """The place that the model chooses; what stands nearest to the field's name, or to the entry, comes first."""

        def speaks(place: Place) -> tuple[float, ...]:
            distance = 0 if near is None else abs(place.first - near)
            line, around = document.text_of(place), document.text_of(place, beside=1)
            return distance, -coverage(wanted.name, line), -coverage(wanted.name, around)

        likely = sorted(places, key=speaks)
        if self._reader.next_words is None or near is not None:
            return likely[0], 1.0
        lines = {document.text_of(place): place for place in reversed(likely)}
        some = [lines[text] for text in dict.fromkeys(map(document.text_of, likely))][: self._settings.most_places]
        chances = self._chances(document, wanted, some)
        return some[max(range(len(some)), key=chances.__getitem__)], sum(chances)  # the same value in each of them

    def _chances(self, document: Document, wanted: Field, places: Sequence[Place]) -> list[float]:
        """How likely the model chooses the line of each place; a small model prefers some letters, so in two orders."""
        chances = [0.0] * len(places)
        orders = {tuple(range(len(places))), tuple(reversed(range(len(places))))}
        for order in sorted(orders):
            texts = [as_data(document.text_of(places[at])) for at in order]
            for at, chance in zip(order, self._chosen(document, wanted, texts), strict=True):
                chances[at] += chance / len(orders)
        return chances

    def _asked_alone(self, document: Document, wanted: Field, place: Place) -> Place:
        """This place, or what the model says when it is asked for the field alone, whichever it chooses."""
        words = bare(self._ask(document, self._alone(described(wanted))))
        others = [] if is_absent(words) else document.places(words)
        if not others:
            return place
        other, _ = self._best(document, wanted, others, None)
        mine, its = self._chances(document, wanted, [place, other])
        return other if its > mine else place

    def _chosen(self, document: Document, wanted: Field, texts: Sequence[str]) -> list[float]:
        """How likely the model chooses each line, where it may also choose none."""
        assert self._reader.next_words is not None
        letters = string.ascii_uppercase[: len(texts) + 1]
        options = [f"{letter}) {text}" for letter, text in zip(letters, [*texts, request("none")], strict=True)]
        asked = request("choose").format(field=described(wanted), options="\n".join(options))
        return self._reader.next_words(turns_about(document, asked), list(letters))[:-1]

    def _says_again(self, document: Document, wanted: Field, place: Place) -> bool:
        """Whether the model begins with these words when it is asked for this field alone."""
        if self._reader.next_words is None:
            return True
        turns = turns_about(document, self._alone(described(wanted)))
        numbers = [token for token in read(place.words) if token.readings]
        glued = place.around.partition("\n")[0].rpartition(" ")[2]  # "$" or "RM" that touches an amount
        begins = [place.words, *(place.words[token.start : token.end] for token in numbers[:1]), glued + place.words]
        return max(self._reader.next_words(turns, begins)) >= self._settings.least_again

    def _yes_or_no(self, document: Document, wanted: Field, entry: str) -> Cell:
        asked = entry + request("yes_or_no").format(field=described(wanted))
        chosen = self._choice(turns_about(document, asked), ("yes", "no", ABSENT))
        if chosen == ABSENT:
            return Cell()
        words = self._ask(document, entry + request("where").format(field=described(wanted)))
        places = [] if is_absent(words) else document.places(words)
        return replace(cell_at(document, places[0], 1.0) if places else Cell(state="unchecked"), value=chosen)

    def _meant(self, document: Document, wanted: Field, cell: Cell, place: Place | None = None) -> Cell:
        around = place.around if place else ""
        meaning = meaning_of(cell.written, wanted.type or "text", document.style, around)
        if wanted.type == "date" and not meaning.value and not meaning.readings:
            told = self._ask(document, request("date").format(words=as_data(cell.written)))
            meaning = Meaning(value=day_of(told, cell.written))
        return replace(
            cell,
            value=meaning.value or cell.written,
            currency=meaning.currency,
            readings=meaning.readings,
        )

    # -- a capable model --------------------------------------------------------------------------------------------

    def _all_at_once(
        self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field], many: bool
    ) -> list[ExtractedRow]:
        document = self._document(path, chunks) or self._parts(path, chunks, fields)
        members = "\n".join(
            f"- {json.dumps(each.name, ensure_ascii=False)}: "
            + (f"yes or no: {each.hint or each.name}" if each.type == "yes/no" else described(each))
            for each in fields
        )
        turns = turns_about(document, request("all_rows" if many else "all").format(members=members))
        most = self._settings.max_new_tokens * len(fields) * (self._settings.most_rows if many else 1)
        for _ in range(2):
            reply = self._reader.write(turns, min(most, self._reader.context_tokens // 4), ())
            try:
                rows = json_rows(reply, many=many)
            except ValueError as error:
                again = f"That cannot be used: {error}. Reply with the JSON object only."
                turns = (*turns, Turn(role="assistant", text=reply), Turn(role="user", text=again))
                continue
            return [self._row_of(path, document, fields, each) for each in rows[: self._settings.most_rows]]
        return [ExtractedRow(path=path, reason="the model did not reply with the JSON that it was asked for")]

    def _row_of(self, path: str, document: Document, fields: Sequence[Field], said: Mapping[str, str]) -> ExtractedRow:
        cells: dict[str, Cell] = {}
        for each in fields:
            cell = self._read(document, each, said.get(each.name, ""))
            cells[each.name] = replace(cell, value=said[each.name]) if each.type == "yes/no" and cell.written else cell
        return ExtractedRow(path=path, cells=cells)

    # -- asking -----------------------------------------------------------------------------------------------------

    @property
    def _most(self) -> int:
        return min(self._settings.document_tokens, self._reader.context_tokens * 2 // 3)

    def _document(self, path: str, chunks: Sequence[Chunk]) -> Document | None:
        """The whole document, None where it is too long."""
        whole = Document(chunks)
        return whole if self._size(whole) <= self._most else None

    def _parts(self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field]) -> Document:
        """The chunks of a long document that are found for the fields, as many as fit."""
        kept: list[Chunk] = []
        for chunk in self._find(", ".join(each.name for each in fields), path) or chunks:
            if self._size(Document([*kept, chunk])) <= self._most:
                kept.append(chunk)
        return Document(kept)

    def _size(self, document: Document) -> int:
        return self._reader.count_tokens(turns_about(document, ""))

    def _ask(self, document: Document, asked: str, *, values: int = 0) -> str:
        """The reply: one line, or whatever has room for so many values."""
        most = self._settings.max_new_tokens * max(1, values)
        return self._reader.write(turns_about(document, asked), most, () if values else ("\n",))

    def _choice(self, turns: Sequence[Turn], words: Sequence[str]) -> str:
        """The likeliest of these replies; the first where the model says none of them."""
        if self._reader.next_words is not None:
            both = self._reader.next_words(turns, [*words, *(word.capitalize() for word in words)])
            chances = [small + large for small, large in zip(both, both[len(words) :], strict=False)]
            return words[max(range(len(words)), key=chances.__getitem__)]
        reply = self._reader.write(turns, 8, ("\n",)).casefold()
        return next((word for word in words if reply.strip(" .\"'*`").startswith(word)), words[0])
