"""Made-up documents (`reading_sheets`) → samples of reading fields out of them, in the prompts of `extraction.asking`.

for sample in extraction(seed=1, count=500): …
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from extraction.asking import described, request, turns_about
from extraction.document import Document
from extraction.fields import Field
from indexing.records import Chunk
from llava_model.serving.engine import Turn
from llava_model.text.templates import Role
from rag.prompt import as_data
from recipes.small.draw import wording
from recipes.small.reading_asker import Asker, without_article, written_in
from recipes.small.reading_pen import LANGUAGES, reading
from recipes.small.reading_sheets import MAKERS, Fact, Sheet, facts_of, prose

_TASKS = {"fill": 50, "wanted": 20, "choose": 15, "yes_or_no": 5, "where": 3, "every": 5, "date": 2}
"""Shares in per cent."""
_DOCUMENTS = ("receipt", "receipt", "receipt", "letter", "lease", "minutes")
_ABSENT_TOO = ("due", "fax", "phone", "order", "customer", "shipped", "discount", "sender", "recipient")
"""Fields that a document may lack without one of its other lines saying the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialogue:
    """A whole prompt and its reply, which is the last turn."""

    kind: str
    turns: tuple[tuple[Role, str], ...]


def extraction(seed: int, count: int) -> Iterator[Dialogue]:
    """That many samples in the prompts of `extraction.asking`, languages in turn; the same for the same seed."""
    chance = random.Random(f"extraction {seed}")
    for at in range(count):
        made: tuple[Sequence[Turn], str] | None = None
        while made is None:
            kind = chance.choices(list(_TASKS), list(_TASKS.values()))[0]
            made = _MAKERS[kind](_Reader(chance, LANGUAGES[at % len(LANGUAGES)]))
        turns, reply = made
        yield Dialogue(kind=kind, turns=(*((turn.role, turn.text) for turn in turns), ("assistant", reply)))


class _Reader:
    """One document and the fields that can be read out of it."""

    def __init__(self, chance: random.Random, language: str) -> None:
        self.random, self.asker = chance, Asker(chance, language)
        self.pen = written_in(self.asker)

    def sheet(self, kinds: Sequence[str] = _DOCUMENTS, **chosen: bool) -> tuple[Sheet, Document]:
        """A document, and as the product reads it."""
        kind = self.random.choice(kinds)
        sheet = prose(self.pen, kind, **chosen) if chosen else MAKERS[kind](self.pen)
        text = "\n".join((sheet.title, *sheet.lines) if self.random.random() < 0.3 else sheet.lines)
        return sheet, Document([Chunk(content_hash="", path=sheet.title, kind="text", ordinal=0, text=text)])

    def fields(self, sheet: Sheet, document: Document) -> list[tuple[str, Fact]]:
        """(name, fact) of what a document says once and as a whole."""
        named = [(self.name(fact), fact) for fact in sheet.facts if "t" not in fact.slots and not fact.polarity]
        return [(name, fact) for name, fact in named if name and document.places(fact.value)]

    def name(self, fact: Fact) -> str:
        """The field as a user would call it; "" where no name fits."""
        _, called = self.asker.patterns(fact)
        alias = reading()["names"]["alias"].get(fact.key, {}).get(self.asker.language, ())
        if not called:
            return ""
        bare = without_article(called)
        some = [bare, bare, bare[0].upper() + bare[1:], bare.replace(" ", "_"), *alias, *alias]
        if fact.key in self.asker.words["p"]:
            some.append(self.pen.choices(self.asker.words["p"][fact.key][0]) or bare)
        return str(self.random.choice(some))

    def absent(self, sheet: Sheet) -> list[tuple[str, Fact]]:
        """Fields that the document does not say."""
        keys = list(_ABSENT_TOO if sheet.kind in ("receipt", "invoice") else ("fax", "customer", "vat", "discount"))
        for name, clause in reading()["clause"].get(sheet.kind, {}).items():
            keys += [f"{sheet.kind}.{name}/{slot}" for slot in facts_of(clause["en"])]
        missing = [Fact(key=key, value="", line=-1) for key in keys if key not in sheet.keys]
        return [(name, fact) for fact in missing if (name := self.name(fact))]

    def some(self, sheet: Sheet, document: Document, most: int) -> list[tuple[str, Fact]]:
        """Up to `most` fields of different names, about a quarter of them absent."""
        told, untold = self.fields(sheet, document), self.absent(sheet)
        self.random.shuffle(told)
        self.random.shuffle(untold)
        untold = untold[: max(1, most // 3)]
        chosen: dict[str, Fact] = {}
        while len(chosen) < most and (told or untold):
            name, fact = (untold if untold and (not told or self.random.random() < 0.25) else told).pop()
            if name.casefold() not in map(str.casefold, chosen):
                chosen[name] = fact
        return list(chosen.items())


_Sample = tuple[Sequence[Turn], str] | None


def _fill(reader: _Reader) -> _Sample:
    sheet, document = reader.sheet()
    chosen = reader.some(sheet, document, reader.random.randrange(1, 7))
    keys = [described(Field(name=name)) for name, _ in chosen]
    blanks = ", ".join(f"{json.dumps(key, ensure_ascii=False)}: …" for key in keys)
    values = {key: fact.value or None for key, (_, fact) in zip(keys, chosen, strict=True)}
    return turns_about(document, request("fill").format(blanks=blanks)), json.dumps(values, ensure_ascii=False)


def _wanted(reader: _Reader) -> _Sample:
    sheet, document = reader.sheet()
    chosen = reader.some(sheet, document, 1)
    if not chosen:
        return None
    name, fact = chosen[0]
    return turns_about(document, request("wanted").format(field=described(Field(name=name)))), fact.value or "absent"


def _choose(reader: _Reader) -> _Sample:
    """The field's line among lines that look like it, or none of them."""
    sheet, document = reader.sheet()
    told = reader.fields(sheet, document)
    if not told:
        return None
    name, fact = reader.random.choice(told)
    right = as_data(document.text_of(document.places(fact.value)[0]))
    if fact.value not in right:
        return None
    figures = any(map(str.isdigit, fact.value))
    others = [as_data(line.passage.text) for line in document.lines]
    others = [text for text in others if fact.value not in text and any(map(str.isdigit, text)) == figures]
    options = reader.random.sample(others, min(len(others), reader.random.randrange(0, 3)))
    if reader.random.random() < 0.75:
        options.insert(reader.random.randrange(len(options) + 1), right)
    if not options:
        return None
    letters = "ABCDEFG"[: len(options) + 1]
    shown = "\n".join(f"{letter}) {text}" for letter, text in zip(letters, [*options, request("none")], strict=True))
    asked = request("choose").format(field=described(Field(name=name)), options=shown)
    return turns_about(document, asked), letters[options.index(right)] if right in options else letters[-1]


def _judged(reader: _Reader) -> tuple[Sheet, Document, str, Fact | None] | None:
    """A yes/no matter as a field; without a fact where the document does not touch it."""
    kind = reader.random.choice(("lease", "lease", "minutes", "product", "manual"))
    sheet, document = reader.sheet((kind,), yes_no=reader.random.random() < 0.6)  # with yes_no it touches all of them
    told = [fact for fact in sheet.facts if fact.polarity]
    clauses = reading()["clause"][kind]
    untold = [name for name in clauses if "ask" in clauses[name]["en"] and f"{kind}.{name}/ask" not in sheet.keys]
    language = reader.asker.language
    if not told or (untold and reader.random.random() < 0.6):
        slots = reader.pen.slots()
        name = reader.random.choice(untold) if untold else ""
        return (sheet, document, clauses[name][language]["short"].format(**slots), None) if name else None
    fact = reader.random.choice(told)
    name = fact.key.partition(".")[2].partition("/")[0]
    return sheet, document, clauses[name][language]["short"].format(**fact.slots), fact


def _yes_no_absent(reader: _Reader) -> _Sample:
    judged = _judged(reader)
    if judged is None:
        return None
    _, document, name, fact = judged
    asked = request("yes_or_no").format(field=described(Field(name=name)))
    return turns_about(document, asked), fact.polarity if fact else "absent"


def _where(reader: _Reader) -> _Sample:
    judged = _judged(reader)
    if judged is None:
        return None
    _, document, name, fact = judged
    asked = request("where").format(field=described(Field(name=name)))
    return turns_about(document, asked), fact.value if fact else "absent"


def _every(reader: _Reader) -> _Sample:
    """The items of a receipt or the rows of a table, one a line; absent in a document without entries."""
    sheet, document = reader.sheet(("receipt", "receipt", "table", "letter"))
    named = sheet.rows or tuple(fact.slots["t"] for fact in sheet.facts if fact.key.startswith("item_"))
    asked = request("every").format(field=reader.random.choice(reader.asker.words["item"]))
    return turns_about(document, asked), "\n".join(dict.fromkeys(named)) or "absent"


def _date(reader: _Reader) -> _Sample:
    """A date written in words, as figures."""
    chance, spoken = reader.random, reader.asker.language
    day, month, year = chance.randrange(1, 29), chance.randrange(1, 13), chance.randrange(1990, 2035)
    _, document = reader.sheet()
    name = wording()[spoken]["months"][month - 1]
    written = chance.choice((wording()[spoken]["date"], "{day} {month} {year}", "{month} {day}, {year}"))
    said = written.format(day=day, month=name, year=year)
    return turns_about(document, request("date").format(words=as_data(said))), f"{year}-{month:02}-{day:02}"


_MAKERS: Mapping[str, Callable[[_Reader], _Sample]] = {
    "fill": _fill, "wanted": _wanted, "choose": _choose, "yes_or_no": _yes_no_absent, "where": _where, "every": _every,
    "date": _date,
}  # fmt: skip
