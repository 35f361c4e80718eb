"""COCO's JSON, or a CSV, → items: a picture and all that is known of it, and the same in words.

COCO: captions (`images`, `annotations` with `image_id` and `caption`) and, if there are any, instances (`annotations`
with `bbox` as x, y, width, height in pixels and `category_id`; `categories`).

CSV: a header and one row per caption or box. `image` and any of `id`, `caption`, `label`, `x0`, `y0`, `x1`, `y1`;
boxes are fractions of the picture, or pixels where the columns `width` and `height` say how large it is.

A text model is told the item in words instead of seeing the picture:

    Item(captions=("A dog chases a ball.",), regions=(Region(label="dog", box=(.1, .2, .4, .9)),), …)
    →
    Sentences:
    A dog chases a ball.

    Objects:
    dog: [0.100, 0.200, 0.400, 0.900]

Boxes are `(x0, y0, x1, y1)` as fractions of the picture, origin top left. A fault of one picture is a SourceProblem;
the others go on.
"""

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from llava_model.errors import SourceError
from llava_model.synthesis.prompts import is_other_language

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
    """Its samples go into `held_out.json`, on which nothing is trained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceProblem:
    """What is wrong with the input about one picture; the rest goes on."""

    kind: SourceProblemKind
    id: str
    reason: str


def digest(item: Item) -> str:
    """A digest of the content alone: the same picture under another id has the same one."""
    regions = [(region.label, region.box, region.crowd) for region in item.regions]
    lines = [(line.text, line.box) for line in item.lines]
    known = (item.image, item.captions, regions, lines, item.tables)
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def checked_box(values: Iterable[object]) -> Box:
    """Four fractions in order. A box that rounding pushed over an edge is cut. Raises ValueError with the reason."""
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
    """The item in words. Lines are numbered from 1, so that a reply can name them."""
    lines = [f"{number}. {_placed(line.text, line.box)}" for number, line in enumerate(item.lines, 1)]
    objects = [_placed(f"group of {one.label}" if one.crowd else one.label, one.box) for one in item.regions]
    parts = (("Sentences", item.captions), ("Objects", objects), ("Text", lines), ("Tables", item.tables))
    return "\n\n".join(f"{name}:\n" + "\n".join(rows) for name, rows in parts if rows)


def fitted(item: Item, most_characters: int = _MOST_CHARACTERS) -> tuple[Item, bool]:
    """→ the item with as much as fits the prompt, sentences first, and whether something was left out."""
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


_CORNERS = ("x0", "y0", "x1", "y1")
_MOST_FIELD_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureSource:
    """Checked items, and what was wrong with the input."""

    items: tuple[Item, ...]
    problems: tuple[SourceProblem, ...]


@dataclass(kw_only=True, slots=True)
class _Picture:
    """What has been collected about one picture."""

    id: str
    image: str
    width: float = 1.0
    height: float = 1.0
    captions: list[str] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)


def read_coco(captions: Path, instances: Path | None, images: Path, *, language: str = "en") -> PictureSource:
    """Items from COCO's JSON. Raises SourceError for a file that is no COCO file, OSError."""
    problems: list[SourceProblem] = []
    document = _loaded(captions)
    pictures = _coco_pictures(_rows(document, "images", captions), problems)
    for note in _rows(document, "annotations", captions):
        picture = _picture_of(note, pictures, captions, problems)
        if picture is not None:
            picture.captions.append(str(note.get("caption") or ""))
    if instances is not None:
        _add_boxes(instances, pictures, problems)
    return _checked(pictures.values(), images, language, problems)


def read_csv(path: Path, images: Path, *, language: str = "en") -> PictureSource:
    """Items from a CSV. Raises SourceError for a file without the columns, OSError."""
    problems: list[SourceProblem] = []
    pictures: dict[str, _Picture] = {}
    csv.field_size_limit(_MOST_FIELD_BYTES)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [name for name in reader.fieldnames or () if name]
            if "image" not in columns or not {"caption", "label"} & set(columns):
                raise SourceError(path, f"has the columns {', '.join(columns)}; it needs image, and caption or label")
            for row in reader:
                _add_row(row, f"{path.name} line {reader.line_num}", pictures, problems)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(path, f"is no CSV in UTF-8: {error}") from None
    return _checked(pictures.values(), images, language, problems)


def check_items(items: Iterable[Item], images: Path, *, language: str = "en") -> PictureSource:
    """The checks that every source goes through, for items that somebody else made."""
    problems: list[SourceProblem] = []
    kept: dict[str, Item] = {}
    known: dict[str, str] = {}
    for item in items:
        good = _checked_item(item, images, language, problems)
        if good is None:
            continue
        if good.id in kept:
            problems.append(SourceProblem(kind="duplicate-id", id=good.id, reason="this id came before"))
        elif (same := known.setdefault(digest(good), good.id)) != good.id:
            problems.append(
                SourceProblem(kind="duplicate", id=good.id, reason=f"is the same picture and words as '{same}'")
            )
        else:
            kept[good.id] = good
    return PictureSource(items=tuple(kept.values()), problems=tuple(problems))


def _checked(pictures: Iterable[_Picture], images: Path, language: str, problems: list[SourceProblem]) -> PictureSource:
    source = check_items(
        (
            Item(id=one.id, image=one.image, captions=tuple(one.captions), regions=tuple(one.regions))
            for one in pictures
        ),
        images,
        language=language,
    )
    return PictureSource(items=source.items, problems=tuple(dict.fromkeys((*problems, *source.problems))))


def _checked_item(item: Item, images: Path, language: str, problems: list[SourceProblem]) -> Item | None:
    def find(kind: SourceProblemKind, reason: str) -> None:
        problems.append(SourceProblem(kind=kind, id=item.id, reason=reason))

    path = PurePosixPath(item.image)
    if not item.image or ".." in path.parts or path.is_absolute() or "\0" in item.image:
        find("bad-picture-name", f"its picture {item.image!r} is not inside the folder of pictures")
        return None
    if not (images / path).is_file():
        find("missing-picture", f"there is no file '{images / path}'")
        return None
    captions = []
    for caption in (" ".join(text.split()) for text in item.captions):
        if not caption:
            find("empty-caption", "one of its captions is empty")
        elif is_other_language(caption, language):
            find("other-language", f"“{caption[:80]}” is not in the language asked for ({language})")
        elif caption not in captions:
            captions.append(caption)
    good, shortened = fitted(
        Item(
            id=item.id, image=item.image, captions=tuple(captions), regions=item.regions, lines=item.lines,
            tables=item.tables, held_out=item.held_out,
        )
    )  # fmt: skip
    if shortened:
        find("shortened", "more is known of it than fits the prompt")
    if not is_known(good):
        find("nothing-known", "it has no caption, box or text that can be used")
        return None
    return good


# -- COCO ------------------------------------------------------------------------------------------------------------


def _coco_pictures(records: Sequence[Mapping[str, Any]], problems: list[SourceProblem]) -> dict[str, _Picture]:
    pictures: dict[str, _Picture] = {}
    for number, record in enumerate(records):
        name, image = record.get("id"), record.get("file_name")
        if name is None or not isinstance(image, str):
            problems.append(SourceProblem(kind="bad-row", id=f"image {number}", reason="has no 'id' or no 'file_name'"))
        elif str(name) in pictures:
            problems.append(SourceProblem(kind="duplicate-id", id=str(name), reason="this id came before"))
        else:
            width, height = _number(record.get("width")), _number(record.get("height"))
            pictures[str(name)] = _Picture(id=str(name), image=image, width=width, height=height)
    return pictures


def _add_boxes(path: Path, pictures: Mapping[str, _Picture], problems: list[SourceProblem]) -> None:
    document = _loaded(path)
    labels = {record.get("id"): str(record.get("name")) for record in _rows(document, "categories", path)}
    for note in _rows(document, "annotations", path):
        picture = _picture_of(note, pictures, path, problems)
        if picture is None:
            continue
        try:
            x, y, width, height = (float(value) for value in note.get("bbox") or ())
            box = checked_box(_fractions((x, y, x + width, y + height), picture.width, picture.height))
            label = labels[note.get("category_id")]
        except (ValueError, TypeError) as error:
            problems.append(SourceProblem(kind="bad-box", id=picture.id, reason=f"its box {note.get('bbox')}: {error}"))
            continue
        except KeyError:
            problems.append(
                SourceProblem(
                    kind="bad-box", id=picture.id, reason=f"its box is of category {note.get('category_id')!r}"
                )
            )
            continue
        picture.regions.append(Region(label=label, box=box, crowd=bool(note.get("iscrowd"))))


def _picture_of(
    note: Mapping[str, Any], pictures: Mapping[str, _Picture], path: Path, problems: list[SourceProblem]
) -> _Picture | None:
    name = str(note.get("image_id"))
    if name not in pictures:
        problems.append(
            SourceProblem(kind="unknown-picture", id=name, reason=f"'{path.name}' knows of it, the images do not")
        )
    return pictures.get(name)


def _rows(document: Mapping[str, Any], name: str, path: Path) -> Sequence[Mapping[str, Any]]:
    value = document.get(name)
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise SourceError(path, f"has no list of objects '{name}', as COCO's files have")
    return value


def _loaded(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SourceError(path, f"is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise SourceError(path, f"holds {type(value).__name__}, not COCO's object of lists")
    return value


# -- CSV -------------------------------------------------------------------------------------------------------------


def _add_row(
    row: Mapping[str | None, Any], place: str, pictures: dict[str, _Picture], problems: list[SourceProblem]
) -> None:
    image = str(row.get("image") or "").strip()
    if not image or None in row:
        reason = "has no image" if not image else "has more fields than the header"
        problems.append(SourceProblem(kind="bad-row", id=place, reason=reason))
        return
    name = str(row.get("id") or "").strip() or image
    picture = pictures.setdefault(name, _Picture(id=name, image=image))
    if picture.image != image:
        reason = f"{place}: this id names '{picture.image}' and '{image}'"
        problems.append(SourceProblem(kind="duplicate-id", id=name, reason=reason))
        return
    if row.get("caption") is not None and (row["caption"].strip() or not row.get("label")):
        picture.captions.append(row["caption"])
    label = str(row.get("label") or "").strip()
    if label:
        _add_region(row, label, place, picture, problems)


def _add_region(
    row: Mapping[str | None, Any], label: str, place: str, picture: _Picture, problems: list[SourceProblem]
) -> None:
    corners = [row.get(corner) for corner in _CORNERS]
    if not any(corners):
        picture.regions.append(Region(label=label))
        return
    try:
        values = [float(value) for value in corners if value is not None]
        if row.get("width") or row.get("height"):
            values = _fractions(values, _number(row.get("width")), _number(row.get("height")))
        picture.regions.append(Region(label=label, box=checked_box(values)))
    except ValueError as error:
        problems.append(SourceProblem(kind="bad-box", id=picture.id, reason=f"{place}: {error}"))


def _fractions(pixels: Sequence[float], width: float, height: float) -> list[float]:
    if not (width > 0 and height > 0):
        raise ValueError(f"the picture's size is {width:g} × {height:g}")
    return [value / (height if number % 2 else width) for number, value in enumerate(pixels)]


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0
