"""A pair, and what every kind of pair draws from: chance, the words of one language, its paragraphs."""

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Words = Mapping[str, Any]
Prose = Mapping[str, Sequence[Sequence[str]]]
Drawn = tuple[str, str] | None
"""Claim and passage, or None where the sentence does not lend itself to the kind."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One claim about one passage."""

    claim: str
    passage: str
    true: bool
    kind: str
    language: str


@cache
def wording() -> Words:
    """wording.toml, read once."""
    return tomllib.loads(Path(__file__).with_name("wording.toml").read_text(encoding="utf-8"))


class Draw:
    """What every kind draws from: chance, the words of one language and, for prose, its paragraphs."""

    def __init__(self, seed: int, language: str, prose: Sequence[Sequence[str]]) -> None:
        self.random = random.Random(f"{seed} {language}")
        self.words: Words = wording()[language]
        self.names: Words = wording()["names"]
        self.language, self.prose = language, prose

    def sentence(self) -> str:
        """Any sentence of the prose."""
        return self.random.choice(self.random.choice(self.prose))

    def some(self, of: Sequence[str], count: int) -> list[str]:
        """That many different ones."""
        return self.random.sample(list(of), count)
