"""The words that ask for data: a system message and worked examples for each kind, and lists of questions.

They lie in `prompts/` as TOML and text files; a folder of the user's own may replace any of them by name.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from llava_model.errors import SourceError
from llava_model.synthesis.language import NAMES

# ---
# A picture in words: what the text model is told instead of seeing it.
#
#     Item(captions=("A dog chases a ball.",), regions=(Region(label="dog", box=(.1, .2, .4, .9)),), …)
#     →
#     Sentences:
#     A dog chases a ball.
#
#     Objects:
#     dog: [0.100, 0.200, 0.400, 0.900]
#
# Boxes are `(x0, y0, x1, y1)` as fractions of the picture, origin top left.
# ---

Box = tuple[float, float, float, float]
SourceProblemKind = Literal[
    "missing-picture", "bad-picture-name", "duplicate-id", "duplicate", "empty-caption", "other-language",
    "bad-box", "nothing-known", "shortened", "unknown-picture", "bad-row",
]  # fmt: skip

MEANINGS: dict[SourceProblemKind, str] = {
    "missing-picture": "pictures that are not there; left out",
    "bad-picture-name": "pictures whose names lead out of the folder; left out",
    "duplicate-id": "pictures whose id came before; left out",
    "duplicate": "pictures with the same words as an earlier one of that name; left out",
    "empty-caption": "pictures with an empty caption; it is not used",
    "other-language": "pictures with captions in another language; they are not used",
    "bad-box": "pictures with a box that is none or lies outside; it is not used",
    "nothing-known": "pictures without any usable caption, box or text; left out",
    "shortened": "pictures about which more is known than fits the prompt; the rest is not used",
    "unknown-picture": "captions or boxes of pictures that the file does not list; not used",
    "bad-row": "rows that cannot be read; left out",
}

_ROUNDING = 0.005
_MOST_CHARACTERS = 6_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """Something in the picture. `crowd`: a group that was not counted."""

    label: str
    box: Box | None = None
    crowd: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TextLine:
    """A line that can be read in the picture."""

    text: str
    box: Box | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One picture and all that is known of it. `image` is relative to the folder of pictures."""

    id: str
    image: str
    captions: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    lines: tuple[TextLine, ...] = ()
    tables: tuple[str, ...] = ()
    held_out: bool = False
    """Its samples go into the other file, which nothing is trained on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceProblem:
    """What is wrong with the input about one picture; the rest goes on."""

    kind: SourceProblemKind
    id: str
    reason: str


def digest(item: Item) -> str:
    """Of the content alone: the same picture under another id has the same one."""
    regions = [(region.label, region.box, region.crowd) for region in item.regions]
    lines = [(line.text, line.box) for line in item.lines]
    known = (item.image, item.captions, regions, lines, item.tables)
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def checked_box(values: Iterable[object]) -> Box:
    """Four fractions in order; what rounding pushed over an edge is cut. Raises ValueError with the reason."""
    numbers = [float(str(value)) for value in values]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{_short(numbers)} is not four finite numbers")
    if min(numbers) < -_ROUNDING or max(numbers) > 1 + _ROUNDING:
        raise ValueError(f"{_short(numbers)} lies outside the picture (0 to 1)")
    x0, y0, x1, y1 = (min(1.0, max(0.0, number)) for number in numbers)
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"{_short(numbers)} has no area")
    return x0, y0, x1, y1


def written_box(box: Box) -> str:
    """`[0.100, 0.200, 0.400, 0.900]`."""
    return "[" + ", ".join(f"{value:.3f}" for value in box) + "]"


def render(item: Item) -> str:
    """The symbolic context. Lines are numbered from 1, so that a reply can name them."""
    lines = [f"{number}. {_placed(line.text, line.box)}" for number, line in enumerate(item.lines, 1)]
    objects = [_placed(f"group of {one.label}" if one.crowd else one.label, one.box) for one in item.regions]
    parts = (("Sentences", item.captions), ("Objects", objects), ("Text", lines), ("Tables", item.tables))
    return "\n\n".join(f"{name}:\n" + "\n".join(rows) for name, rows in parts if rows)


def fitted(item: Item, most_characters: int = _MOST_CHARACTERS) -> tuple[Item, bool]:
    """The item with what fits the prompt, sentences first; True where something had to go."""
    left = most_characters

    def fits(text: str) -> bool:
        nonlocal left
        left -= len(text) + 34  # a box, its blanks, a number
        return left >= 0

    kept = Item(
        id=item.id,
        image=item.image,
        captions=tuple(text for text in item.captions if fits(text)),
        regions=tuple(region for region in item.regions if fits(region.label)),
        lines=tuple(line for line in item.lines if fits(line.text)),
        tables=tuple(table for table in item.tables if fits(table)),
        held_out=item.held_out,
    )
    return kept, kept != item


def is_known(item: Item) -> bool:
    """Whether anything can be said about the picture."""
    return bool(item.captions or item.regions or item.lines or item.tables)


def _placed(text: str, box: Box | None) -> str:
    words = " ".join(text.split())
    return f"{words}: {written_box(box)}" if box else words


def _short(numbers: list[float]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers[:6]) + "]"


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
