"""Templates → documents: what every kind has in common.

Sheet(template, language, draw)   draws the firms and the words that the template names
  .blocks()   fills in the lines      .asks()   the questions      .document()   all of it as a file
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from recipes.pocket.documents.document import Ask, Document, Table, Written
from recipes.pocket.documents.languages import NAMES, SHOPS, Language, Template
from recipes.pocket.documents.patterns import Writer
from recipes.pocket.documents.values import GENERATORS, company
from recipes.pocket.documents.wordings import FILTERS, Name, Wording, asks, parsed

_MARKS = {"# ": (0.0, True), "^ ": (0.5, False), "> ": (1.0, False)}
"""How a line begins: where it stands (0 left, 1 right), and whether it is a heading."""

_SCANS = (".jpg", ".png", ".tif")
"""The endings of files whose pages are pictures; a PDF may be a scan or not."""

Blocks = list[Written | Table]


class Sheet:
    """One document in the making: its template, its language, and the writer that holds its words."""

    def __init__(self, kind: str, template: Template, spoken: Language, draw: random.Random) -> None:
        self.kind, self.template, self.language, self.draw = kind, template, spoken, draw
        self._manner: dict[str, str] = {}
        self.writer = Writer(
            draw, [self._manner, spoken.words, NAMES], GENERATORS, {**FILTERS, "one": spoken.with_article}
        )
        for firm in template.get("firms", ()):
            self._keep_firm(firm)

    def keep_words(self) -> None:
        """Draw the template's own words; whatever they are made of must be kept before."""
        self.writer.keep(self.template.get("words", {}))

    def _keep_firm(self, name: str) -> None:
        firm = company(self.writer)
        street = self.writer.text(SHOPS[firm.country]["street"])
        self.writer.words.update(
            {
                name: firm.name,
                f"{name}_short": firm.short,
                f"{name}_first": firm.short.split()[0],
                f"{name}_street": street,
            }
        )
        if "money_style" not in self.writer.words:
            manners = self.template.get("manners", {})
            self._manner.update(manners.get(SHOPS[firm.country]["manner"], {}))
            self.writer.words["money_style"] = self.draw.choice(SHOPS[firm.country]["money"])

    def blocks(self, inserts: Mapping[str, Sequence[Written | Table]]) -> Blocks:
        """The template's lines; "@name" is an insert."""
        return self._filled(self.template["lines"], inserts)

    def _filled(self, lines: Sequence[Any], inserts: Mapping[str, Sequence[Written | Table]]) -> Blocks:
        made: Blocks = []
        for each in lines:
            if isinstance(each, list):
                made.extend(self._group(each[0], self._filled(each[1:], inserts)))
            elif each.startswith("@"):
                made.extend(inserts[each[1:]])
            else:
                made.append(self.line(each))
        return [block for block in made if isinstance(block, Table) or block.text]

    def _group(self, what: str, made: Blocks) -> Blocks:
        if what == "shuffle":
            self.draw.shuffle(made)
            return made
        return made if self.draw.random() < int(what.rstrip("%")) / 100 else []

    def line(self, pattern: str) -> Written:
        """One line from its pattern with a mark before it."""
        align, heading = _MARKS.get(pattern[:2], (0.0, False))
        parts = self.writer.parts(pattern[2:] if pattern[:2] in _MARKS else pattern)
        return Written(parts=parts, align=align, heading=heading)

    def value(self, kind: str) -> str:
        """A value of a kind from words.toml, not a word of this document that happens to have the same name."""
        return self.writer.text(self.language.words[kind] if kind in self.language.words else NAMES[kind])

    def names(self, more: Mapping[str, str] | None = None) -> dict[str, Name]:
        """How questions call things: every word by itself, and the template's `names` with what they are about."""
        made = {word: Name(text) for word, text in self.writer.words.items()}
        for name, pattern in {**self.template.get("names", {}), **(more or {})}.items():
            text, _, about = self.writer.text(pattern).partition(" @ ")
            made[name] = Name(text, about)
        return made

    def wordings(self) -> tuple[Wording, ...]:
        """The template's wordings."""
        return parsed(self.template["asks"]) if "asks" in self.template else ()

    def asks(self) -> tuple[Ask, ...]:
        """A question for each wording."""
        return asks(self.draw, self.wordings(), self.names())

    def absent(self, more: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """The questions that the document does not answer."""
        kept = dict(self.writer.words)
        self.writer.words.update({name: called.text for name, called in self.names(more).items()})
        made = tuple(self._sentence(text) for text in self.template.get("absent", ()))
        self.writer.words = kept
        return made

    def _sentence(self, pattern: str) -> str:
        text = self.writer.text(pattern)
        return FILTERS["capital"](text) if pattern[:1] == "<" else text

    def document(self, blocks: Sequence[Written | Table], **more: Any) -> Document:
        """The file: its name, title and pages from the template, everything else from `more`."""
        template, writer = self.template, self.writer
        writer.words["title"] = writer.text(template.get("title", ""))
        name = writer.text(template["file"])
        share = template.get("scanned", 0) / 100
        drawn = self.draw.random() < share if name.endswith(".pdf") else name.endswith(_SCANS)
        return Document(
            kind=self.kind,
            name=name,
            title=writer.words["title"],
            blocks=tuple(blocks),
            scanned=share > 0 and drawn,
            language=self.language.code,
            **more,
        )
