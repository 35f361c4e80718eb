"""Patterns: text with slots and choices, filled in from tables and a seeded random source.

    <town>             a word of the document, else an entry of the tables, else a generator such as <coined>
    <town:lower>       the same through a filter, here in small letters
    {total}            a word of the document that a question may ask for: it becomes a part with the key "total"
    [a|b|c]            one of these; an alternative written twice comes twice as often
    [20%:text]         the text in one of five cases, else nothing;  [20%:text|other] in the other cases the other
    <2-90>             a whole number; <000-999> with leading zeros; <0.3-9.0> with one decimal
    <,500-4500/500>    in steps of 500, with commas
    <#4>               four digits, the first of them not 0
    <day_of 2014-2027>   generators take arguments

The bars of a table's entry need no brackets. What a slot brings in is never read as a pattern again.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from recipes.pocket.documents.document import Part

_TOKEN = re.compile(r"<(?P<slot>[^<>]+)>|\{(?P<key>[^{}]+)\}|(?P<text>[^<{\[\]|]+|[<{])")
_OPENED = re.compile(r"\[(?:(\d+)%:)?")
_RANGE = re.compile(r"(,?)(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)(?:/(\d+))?")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place to fill. `asked` slots become parts with a key."""

    name: str
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives, all as likely; with a `share` the first has this chance and the last the rest."""

    options: tuple[tuple["Node", ...], ...]
    share: float | None = None

    def drawn(self, draw: random.Random) -> tuple["Node", ...]:
        """One of the alternatives."""
        if self.share is None:
            return draw.choice(self.options)
        return self.options[0] if draw.random() < self.share else self.options[-1]


Node = str | Slot | Choice


@cache
def parsed(pattern: str) -> Choice:
    """The pattern as a choice between its alternatives; most patterns have one.

    >>> parsed("a <b>|c")
    Choice(options=(('a ', Slot(name='b', asked=False)), ('c',)), share=None)
    """
    choice, end = _choice(pattern, 0, None)
    if end < len(pattern):
        raise ValueError(f"a ']' too many at {end} in the pattern {pattern!r}")
    return choice


def _choice(pattern: str, at: int, share: float | None) -> tuple[Choice, int]:
    """The choice that begins at `at`, and the index of the bracket that closes it or of the pattern's end."""
    options: list[list[Node]] = [[]]
    while at < len(pattern) and pattern[at] != "]":
        if pattern[at] == "|":
            options.append([])
            at += 1
        else:
            node, at = _node(pattern, at)
            options[-1].append(node)
    if share is not None and len(options) == 1:
        options.append([])
    return Choice(tuple(map(tuple, options)), share), at


def _node(pattern: str, at: int) -> tuple[Node, int]:
    """A bracket with all that is in it, a slot, or plain text; and the index behind it."""
    if opened := _OPENED.match(pattern, at):
        choice, end = _choice(pattern, opened.end(), int(opened[1]) / 100 if opened[1] else None)
        if end == len(pattern):
            raise ValueError(f"the '[' at {at} is not closed in the pattern {pattern!r}")
        return choice, end + 1
    token = _TOKEN.match(pattern, at)
    assert token is not None  # every sign but [ ] | begins a token
    return _leaf(token), token.end()


def _leaf(token: re.Match[str]) -> Node:
    if token["slot"]:
        return Slot(token["slot"])
    return Slot(token["key"], asked=True) if token["key"] else token["text"]


Words = Mapping[str, str]
Generator = Callable[["Writer", str], str]
"""Makes a text from the words behind its name: `<day_of 2014-2027>` calls the generator `day_of` with "2014-2027"."""


class Writer:
    """Fills the patterns of one document: its random source, its own words, the tables and the generators."""

    def __init__(
        self,
        draw: random.Random,
        tables: Sequence[Words],
        generators: Mapping[str, Generator],
        filters: Mapping[str, Callable[[str], str]],
    ) -> None:
        self.draw, self.words = draw, dict[str, str]()
        self._tables, self._generators, self._filters = tables, generators, filters

    def text(self, pattern: str) -> str:
        """The pattern filled in."""
        return "".join(part.text for part in self.parts(pattern))

    def parts(self, pattern: str) -> tuple[Part, ...]:
        """The pattern filled in; plain text side by side is one part."""
        parts: list[Part] = []
        self._fill(parsed(pattern).drawn(self.draw), parts)
        return tuple(parts)

    def options(self, name: str) -> tuple[str, ...]:
        """Everything that the entry `name` of the tables can be, where it is a plain list."""
        return tuple("".join(map(str, option)) for option in parsed(self._entry(name) or "").options)

    def keep(self, words: Words) -> None:
        """Fill in patterns one after the other and keep each as a word of the document."""
        for name, pattern in words.items():
            self.words[name] = self.text(pattern)

    def _fill(self, nodes: Sequence[Node], parts: list[Part]) -> None:
        for node in nodes:
            if isinstance(node, Choice):
                self._fill(node.drawn(self.draw), parts)
            elif isinstance(node, Slot) and node.asked:
                parts.append(Part(self._word(node.name), node.name))
            else:
                text = node if isinstance(node, str) else self._word(node.name)
                plain = parts and not parts[-1].key
                parts[-1:] = [Part(parts[-1].text + text)] if plain else [*parts[-1:], Part(text)]

    def _word(self, slot: str) -> str:
        name, _, chosen = slot.partition(":")
        if name in self.words:
            text = self.words[name]
        elif (entry := self._entry(name)) is not None:
            text = self.text(entry)
        else:
            text = self._made(name)
        return self._filters[chosen](text) if chosen else text

    def _entry(self, name: str) -> str | None:
        return next((table[name] for table in self._tables if name in table), None)

    def _made(self, name: str) -> str:
        if name[0] == "#":
            return digits(self.draw, int(name[1:]))
        if between := _RANGE.fullmatch(name):
            return _number(self.draw, *between.groups())
        generator, _, argument = name.partition(" ")
        if generator not in self._generators:
            raise KeyError(f"the slot <{name}> is no word of the document, no entry of the tables and no generator")
        return self._generators[generator](self, argument)


def digits(draw: random.Random, count: int) -> str:
    """A number of so many digits, the first not 0."""
    return str(draw.randint(1, 9)) + "".join(str(draw.randrange(10)) for _ in range(count - 1))


def _number(draw: random.Random, comma: str, first: str, last: str, step: str | None) -> str:
    if "." in first:
        return f"{draw.uniform(float(first), float(last)):.{len(first.split('.')[1])}f}"
    number = draw.randrange(int(first), int(last) + 1, int(step or 1))
    return f"{number:,}" if comma else f"{number:0{len(first)}}" if first[0] == "0" else str(number)
