"""The words that ask for data: a system message and worked examples for each kind, and lists of questions.

They lie in `prompts/` as TOML and text files; a folder of the user's own may replace any of them by name.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from llava_model.errors import SourceError
from llava_model.generate_data.language import NAMES

Kind = Literal["conversation", "detail", "complex", "reading", "brief"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WRITTEN: tuple[Kind, ...] = ("conversation", "detail", "complex", "reading")
"""Kinds that a model writes; a brief answer is the picture's own caption."""
LISTS = ("brief", "detail", "where")

FOLDER = Path(__file__).with_name("prompts")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkedExample:
    """A picture in words, and a good reply."""

    context: str
    reply: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """Everything that is said to the model. `systems` and `examples` by kind, `questions` by list."""

    systems: Mapping[str, str]
    examples: Mapping[str, Sequence[WorkedExample]]
    questions: Mapping[str, Sequence[str]]

    def messages(self, kind: Kind, context: str) -> list[dict[str, str]]:
        """System, examples as turns that went before, and the picture in question."""
        turns = [{"role": "system", "content": self.systems[kind]}]
        for example in self.examples[kind]:
            turns += [{"role": "user", "content": example.context}, {"role": "assistant", "content": example.reply}]
        return [*turns, {"role": "user", "content": context}]


def load_prompts(folder: Path | None = None, *, language: str = "en") -> Prompts:
    """Ours, each replaced by the file of that name in `folder`. Raises SourceError for one that cannot be used."""
    if folder is not None and not folder.is_dir():
        raise SourceError(folder, "is no folder of prompts")
    kinds = {kind: _read_kind(_file(folder, f"{kind}.toml"), NAMES[language]) for kind in WRITTEN}
    return Prompts(
        systems={kind: system for kind, (system, _) in kinds.items()},
        examples={kind: examples for kind, (_, examples) in kinds.items()},
        questions={name: _read_list(_file(folder, f"{name}_questions.txt")) for name in LISTS},
    )


def _file(folder: Path | None, name: str) -> Path:
    own = folder / name if folder is not None else None
    return own if own is not None and own.is_file() else FOLDER / name


def _read_kind(path: Path, language: str) -> tuple[str, tuple[WorkedExample, ...]]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        system = values["system"].strip().replace("{language}", language)
        examples = tuple(
            WorkedExample(context=one["context"].strip(), reply=one["reply"].strip())
            for one in values.get("examples", ())
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(path, f"needs a text 'system' and [[examples]] with context and reply: {error}") from None
    if not system:
        raise SourceError(path, "has an empty 'system'")
    return system, examples


def _read_list(path: Path) -> tuple[str, ...]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise SourceError(path, f"is not in UTF-8: {error}") from None
    questions = tuple(line for line in lines if line and not line.startswith("#"))
    if not questions:
        raise SourceError(path, "holds no question")
    return questions
