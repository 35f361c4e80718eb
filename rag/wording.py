"""Sentences of Llavero's own, in the language of the question."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from llava_model.errors import MissingPackageError

Phrase = Literal[
    "nothing_found", "empty_library", "nothing_to_read", "not_in_evidence",
    "count", "sum", "average", "looked", "undecided", "more",
]  # fmt: skip


def phrase(name: Phrase, question: str) -> str:
    """English where the question's language cannot be told, or has no words here."""
    from llava_model.synthesis.prompts import language_of

    try:
        language = language_of(question) or "en"
    except MissingPackageError:
        language = "en"
    wordings = _wordings()
    return wordings.get(language, wordings["en"])[name]


@cache
def _wordings() -> Mapping[str, Mapping[Phrase, str]]:
    return tomllib.loads(Path(__file__).with_name("wording.toml").read_text(encoding="utf-8"))
