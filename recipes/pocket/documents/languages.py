"""The tables of one language: a folder beside this file, named by the language's code, with four files.

    words.toml       names of values, lists of things, phrases; [language]: what sentences are put together with
    facts.txt        statements with one value each, for documents in prose
    documents.toml   templates of the other documents
    tables.toml      templates of documents that are one table

Another language is another folder. names.toml holds what all languages share.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from recipes.pocket.documents.wordings import Wording, parsed

_FOLDER = Path(__file__).parent

Template = Mapping[str, Any]
"""One entry of documents.toml or tables.toml."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """Everything that documents of one language are made of."""

    code: str  # the folder's name
    words: Mapping[str, str]  # patterns by name
    manners: Template  # [language] of words.toml
    facts: Mapping[str, tuple[Wording, ...]]  # by kind of document
    documents: Mapping[str, Template]
    tables: Mapping[str, Template]

    def with_article(self, thing: str) -> str:
        """The thing as a question puts it: "a lamp", "an owl", "bread"."""
        articles: list[list[str]] = self.manners["articles"]
        return next(form.format(thing) for found, form in articles if re.search(found, thing))


@cache
def language(code: str) -> Language:
    """The tables of a language, read once."""
    folder = _FOLDER / code
    words = _toml(folder / "words.toml")
    return Language(
        code=code,
        words=words["words"],
        manners=words["language"],
        facts=_facts(folder / "facts.txt"),
        documents=_inherited(_toml(folder / "documents.toml")),
        tables=_inherited(_toml(folder / "tables.toml")),
    )


def _toml(path: Path) -> dict[str, Any]:
    """The tables of a file; a line that ends in `|` goes on in the next one."""
    return tomllib.loads(path.read_text(encoding="utf-8").replace("|\n", "|"))


def _inherited(templates: Mapping[str, Template]) -> dict[str, Template]:
    """Each template with what it takes over from the one that it is `like`."""

    def whole(template: Template) -> Template:
        return {**whole(templates[template["like"]]), **template} if "like" in template else template

    return {name: whole(template) for name, template in templates.items()}


def _facts(path: Path) -> dict[str, tuple[Wording, ...]]:
    sections = re.split(r"^\[(\w+)\]$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {kind: parsed(text) for kind, text in zip(sections[1::2], sections[2::2], strict=True)}


_SHARED = _toml(_FOLDER / "names.toml")
NAMES: Mapping[str, str] = _SHARED["words"]
SHOPS: Mapping[str, Template] = _SHARED["companies"]
