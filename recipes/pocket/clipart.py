"""Open Clipart 0.18 (public domain; Debian's openclipart-png and openclipart-svg) → captioned pictures.

    animals/bugs/flying_wasp_gerald_g._02.png + the SVG's title, tags    ──►  "flying wasp", tags insect, bug, animal

Title, artist, description and tags come from the RDF inside the SVG drawing of the same name. A title that many
different drawings carry ("Various Cliparts") says nothing: the file name's words stand in for it.

Members of one artist's series (same words but for numbers, letters, colours, directions) and near-duplicate pictures
form a group, and a group is never split: `held_out.jsonl` takes one picture from each of 400 groups, and the rest of
those groups is used nowhere. Held-out pictures have an English title of their own, and no two of them the same words.
What is not English goes to `other_language.jsonl`.
"""

import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from llava_model.data.samples import Sample
from recipes.pocket import titles
from recipes.pocket.groups import grouped
from recipes.pocket.pictures import UnusablePictureError, near_duplicates, on_white, png_size, thumbprint
from recipes.pocket.samples import caption, write_samples

log = logging.getLogger(__name__)

HELD_OUT = 400
SEED = 20051  # of the draw of the held-out groups
PER_SERIES = 6  # of 88 numbered arrows, six are enough to train on
_SHARED_BY = 3  # a title of drawings with more different file names than this is a placeholder
_LEFT_OUT = ("computer/icons/",)  # programs' icon themes: no titles, names such as "pen_style_dashdot"
_FOLDER_NOUNS = {
    "signs_and_symbols/flags/": "flag",
    "recreation/games/cards/": "playing card",
    "transportation/roadsigns/": "road sign",
    "shapes/flowchart/": "flowchart shape",
    "recreation/games/chess/": "chess piece",
}
_EMPTY_TAGS = frozenset({"", "hash", "unsorted", "clipart", "openclipart", "special", "examples", "icon", "image"})
_DC = {"dc": "http://purl.org/dc/elements/1.1/"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """One PNG of Open Clipart with the words that belong to it."""

    name: str  # its path in the collection without ".png", "food/apple_01"
    file: Path
    text: str
    own_title: bool  # else the text comes from the file name
    english: bool
    file_text: str  # the file name's words
    artist: str = ""
    tags: tuple[str, ...] = ()
    description: str = ""


@dataclass(kw_only=True, slots=True)
class _Raw:
    """What the archives say about one PNG, before the titles are judged against each other."""

    name: str
    file: Path
    title: str = ""
    creator: str = ""
    description: str = ""
    tags: list[str] = field(default_factory=list)


def write_clipart(png: Path, svg: Path, out: Path, vocabulary: Set[str], *, held_out: int = HELD_OUT) -> dict[str, int]:
    """Write `train`, `held_out` and `other_language` with their pictures under `out`; return their sizes.

    `png` and `svg` are the collection's root folders in both formats, `vocabulary` English words.
    """
    drawings = judge(list(_catalogue(png, svg)), vocabulary)
    drawings = _few_of_each_series(drawings)
    drawings, thumbs_NF = _render(drawings, out / "pictures")
    groups = grouped([_keys(drawing) for drawing in drawings], near_duplicates(thumbs_NF))
    chosen, taken = draw_held_out(drawings, groups, held_out)
    english = [i for i, drawing in enumerate(drawings) if drawing.english and groups[i] not in taken]
    other = [i for i, drawing in enumerate(drawings) if not drawing.english and groups[i] not in taken]
    sets = {"train": english, "held_out": chosen, "other_language": other}
    return {name: _write_set(out, name, drawings, groups, members) for name, members in sets.items()}


def judge(raw: Sequence[_Raw], vocabulary: Set[str]) -> list[Drawing]:
    """Titles that stand for one thing are kept, placeholders replaced by the file name's words."""
    users: dict[str, set[str]] = defaultdict(set)
    for one in raw:
        users[titles.from_title(one.title, one.creator)].add(titles.series_key(_file_text(one)))
    drawings = [_judged(one, users, vocabulary) for one in raw]
    foreign = _other_language_artists(raw, drawings)
    return [
        _replaced(drawing, english=drawing.english and one.creator not in foreign)
        for one, drawing in zip(raw, drawings, strict=True)
        if drawing.text and not drawing.name.startswith(_LEFT_OUT)
    ]


def draw_held_out(drawings: Sequence[Drawing], groups: Sequence[int], count: int) -> tuple[list[int], set[int]]:
    """One member of each of `count` groups, drawn with the fixed seed, and the groups so used up.

    Raises ValueError when too few groups have an English title of their own, unlike the others' titles.
    """
    draw = random.Random(SEED)
    order = list(range(len(drawings)))
    draw.shuffle(order)
    chosen: list[int] = []
    taken: set[int] = set()
    said: set[str] = set()
    for index in order:
        words = titles.series_key(drawings[index].text)
        if (
            len(chosen) < count
            and _may_be_held_out(drawings[index])
            and groups[index] not in taken
            and words not in said
        ):
            chosen.append(index)
            taken.add(groups[index])
            said.add(words)
    if len(chosen) < count:
        raise ValueError(f"{count} drawings are to be held out, but only {len(chosen)} have a title of their own")
    return sorted(chosen), taken


def _may_be_held_out(drawing: Drawing) -> bool:
    return drawing.english and drawing.own_title


def _catalogue(png: Path, svg: Path) -> Iterator[_Raw]:
    """Every PNG that is a file of its own; links repeat a drawing under another folder."""
    for file in sorted(png.rglob("*.png")):
        name = file.relative_to(png).with_suffix("").as_posix()
        if file.is_symlink():
            continue
        drawing = svg / f"{name}.svg"
        yield _Raw(name=name, file=file, **(_metadata(drawing) if drawing.is_file() else {}))


def _metadata(svg: Path) -> dict[str, Any]:
    """Title, artist, description and tags of one drawing. Entities stay unresolved: the file may be anyone's."""
    from lxml import etree

    tree = etree.parse(str(svg), etree.XMLParser(recover=True, resolve_entities=False, no_network=True))
    if tree.getroot() is None:
        return {}

    def texts(path: str) -> list[str]:
        return [(found.text or "").strip() for found in tree.xpath(path, namespaces=_DC)]

    def first(path: str) -> str:
        return next(iter(texts(path)), "")

    work = "//*[local-name()='Work']/dc"
    return {
        "title": first(f"{work}:title"),
        "creator": first("//dc:creator//dc:title"),
        "description": first(f"{work}:description"),
        "tags": texts("//dc:subject//*[local-name()='li']"),
    }


def _judged(one: _Raw, users: dict[str, set[str]], vocabulary: Set[str]) -> Drawing:
    own = titles.from_title(one.title, one.creator)
    file_text = _file_text(one)
    is_own = bool(own) and len(users[own]) <= _SHARED_BY and not one.title.lower().startswith("clipart by")
    text = own if is_own else file_text
    if not titles.looks_english(text, vocabulary) and titles.looks_english(file_text, vocabulary):
        text, is_own = file_text, False
    return Drawing(
        name=one.name,
        file=one.file,
        text=_with_noun(one.name, text),
        own_title=is_own,
        english=titles.looks_english(text, vocabulary),
        file_text=file_text,
        artist=titles.artist_key(one.creator),
        tags=_tags(one, vocabulary),
        description=one.description if titles.looks_english(one.description.lower(), vocabulary) else "",
    )


def _other_language_artists(raw: Sequence[_Raw], drawings: Sequence[Drawing]) -> set[str]:
    """Artists with at least four drawings, most of whose titles are not English: their others are chance hits."""
    total: Counter[str] = Counter(one.creator for one in raw)
    english = Counter(one.creator for one, drawing in zip(raw, drawings, strict=True) if drawing.english)
    return {artist for artist, count in total.items() if artist and count >= 4 and 2 * english[artist] < count}


def _with_noun(name: str, text: str) -> str:
    """ "yemen" in the folder of flags is the "yemen flag"."""
    noun = next((noun for folder, noun in _FOLDER_NOUNS.items() if name.startswith(folder)), "")
    return text if not text or not noun or noun.split()[-1] in text else f"{text} {noun}"


def _tags(one: _Raw, vocabulary: Set[str]) -> tuple[str, ...]:
    """The drawing's own, and the names of its folders ("mammals", "animals")."""
    folders = one.name.split("/")[:-1]
    words = [titles.from_title(tag, one.creator) for tag in [*one.tags, *reversed(folders)]]
    kept = [word for word in words if word not in _EMPTY_TAGS and titles.looks_english(word, vocabulary)]
    return tuple(dict.fromkeys(kept))


def _file_text(one: _Raw) -> str:
    return titles.from_file_name(one.name.rsplit("/", 1)[-1], one.creator)


def _keys(drawing: Drawing) -> list[str]:
    """What the members of one artist's series share; two artists' apples are no series."""
    keys = (titles.series_key(drawing.text), titles.series_key(drawing.file_text))
    return [f"{drawing.artist}: {key}" for key in keys if key]


def _few_of_each_series(drawings: Iterable[Drawing]) -> list[Drawing]:
    seen: Counter[str] = Counter()
    kept: list[Drawing] = []
    for drawing in drawings:
        key = f"{drawing.artist}: {titles.series_key(drawing.text)}"
        seen[key] += 1
        if seen[key] <= PER_SERIES:
            kept.append(drawing)
    return kept


def _render(drawings: Sequence[Drawing], folder: Path) -> tuple[list[Drawing], np.ndarray[Any, Any]]:
    """Write each picture small and on white, and leave out, with a word, what cannot be used."""
    from PIL import Image

    usable, thumbs = [], []
    for drawing in drawings:
        target = folder / f"{drawing.name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            png_size(drawing.file)
            if target.is_file():
                with Image.open(target) as opened:
                    picture = opened.convert("RGB")
            else:
                picture = on_white(drawing.file)
                partial = target.with_suffix(".partial")
                picture.save(partial, format="PNG")
                partial.replace(target)
        except UnusablePictureError as error:
            log.info("left out: %s", error)
            continue
        usable.append(drawing)
        thumbs.append(thumbprint(picture))
        if len(usable) % 500 == 0:
            log.info("clip art: %d of %d pictures written", len(usable), len(drawings))
    return usable, np.stack(thumbs)


def _write_set(out: Path, name: str, drawings: Sequence[Drawing], groups: Sequence[int], members: Sequence[int]) -> int:
    samples: list[Sample] = []
    details: dict[str, dict[str, object]] = {}
    for index in members:
        drawing = drawings[index]
        identity = f"clipart-{drawing.name}"
        samples.append(caption(identity, out / "pictures" / f"{drawing.name}.png", drawing.text))
        details[identity] = {
            "tags": list(drawing.tags),
            "description": drawing.description,
            "group": groups[index],
            "own_title": drawing.own_title,
        }
    return write_samples(out / f"{name}.jsonl", samples, details)


def _replaced(drawing: Drawing, *, english: bool) -> Drawing:
    from dataclasses import replace

    return replace(drawing, english=english)
