"""Noto Color Emoji (SIL OFL 1.1; Debian's fonts-noto-color-emoji) → captioned pictures.

    1F408 "cat" (Unicode's emoji-test.txt) + "cat | pet" (CLDR)    ──►  136 x 128 pixels, "cat", tags cat, pet

The font holds bitmaps of one size, which Pillow draws at size 109. Names come from Unicode's list of emoji, keywords
from CLDR's annotations. The same emoji modelled in three dimensions come as picture files (Fluent Emoji, MIT). Skin
tones repeat a picture and are left out; flags of countries stay.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.data.samples import Sample
from recipes.pocket.samples import caption, write_samples

log = logging.getLogger(__name__)

STRIKE = 109  # the only size of the font's bitmaps
SIDE = 160  # of pictures that come as files
_LINE = re.compile(r"(?P<codes>[0-9A-F ]+?)\s*; fully-qualified\s*# \S+ E\d+\.\d+ (?P<name>.+)")
_PLAIN = "\U0001f408"  # a glyph that every such font has; joined sequences it cannot draw come out wider


@dataclass(frozen=True, kw_only=True, slots=True)
class Emoji:
    """A sequence of characters that is drawn as one picture."""

    characters: str
    name: str
    group: str
    tags: tuple[str, ...]

    @property
    def codes(self) -> str:
        """Its code points as they stand in file names: "1f469-200d-1f33e"."""
        return "-".join(f"{ord(character):x}" for character in self.characters)


def write_emoji(font: Path, emoji: Sequence[Emoji], out: Path) -> dict[str, int]:
    """Write `train.jsonl` and the font's pictures under `out`."""
    return _write(_drawn(font, emoji), out)


def write_modelled(folder: Path, suffix: str, emoji: Sequence[Emoji], out: Path) -> dict[str, int]:
    """The same for a folder with one picture file for each emoji, named after its code points ("1f408.png")."""
    return _write(_opened(folder, suffix, emoji), out)


def _write(drawn: Iterator[tuple[Emoji, Any]], out: Path) -> dict[str, int]:
    samples: list[Sample] = []
    details: dict[str, dict[str, object]] = {}
    pictures = out / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for emoji, picture in drawn:
        file = pictures / f"{emoji.codes}.png"
        picture.save(file, format="PNG")
        samples.append(caption(f"{out.name}-{emoji.codes}", file, emoji.name))
        details[samples[-1].id] = {"tags": list(emoji.tags), "group": emoji.group}
    return {"train": write_samples(out / "train.jsonl", samples, details)}


def listed(emoji_test: Path, tags: dict[str, tuple[str, ...]]) -> Iterator[Emoji]:
    """The fully qualified emoji without skin tones. "flag: Yemen" becomes "yemen flag"."""
    subgroup = ""
    for line in emoji_test.read_text(encoding="utf-8").splitlines():
        if line.startswith("# subgroup:"):
            subgroup = line.partition(":")[2].strip()
        elif (found := _LINE.fullmatch(line)) and "skin tone" not in found["name"]:
            characters = "".join(chr(int(code, 16)) for code in found["codes"].split())
            own = tags.get(characters) or tags.get(characters.replace("\ufe0f", ""), ())
            yield Emoji(characters=characters, name=_plain_name(found["name"]), group=subgroup, tags=own)


def keywords(annotations: list[Path]) -> dict[str, tuple[str, ...]]:
    """Characters → CLDR's English keywords for them."""
    from lxml import etree

    found: dict[str, tuple[str, ...]] = {}
    for file in annotations:
        tree = etree.parse(str(file), etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
        for node in tree.iterfind(".//annotation"):
            if node.get("type") is None and node.text:
                words = [word.strip().lower() for word in node.text.split("|")]
                found[str(node.get("cp"))] = tuple(word for word in words if word.isascii())
    return found


def _plain_name(name: str) -> str:
    before, colon, after = name.lower().partition(": ")
    return (
        f"{after} flag"
        if colon and before == "flag"
        else name.lower().replace(":", "").replace("“", "").replace("”", "")
    )


def _opened(folder: Path, suffix: str, wanted: Sequence[Emoji]) -> Iterator[tuple[Emoji, Any]]:
    """Each emoji that has a file, on white with a narrow border. File names may lack "-fe0f", "draw it in colour"."""
    from PIL import Image, ImageOps

    for emoji in wanted:
        names = (emoji.codes, emoji.codes.replace("-fe0f", ""))
        file = next((file for name in names if (file := folder / f"{name}{suffix}").is_file()), None)
        if file is None:
            log.info("left out: %s has no picture for '%s'", folder.name, emoji.name)
            continue
        with Image.open(file) as opened:
            picture = opened.convert("RGBA")
        picture.thumbnail((SIDE, SIDE))
        white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        yield emoji, ImageOps.expand(white, border=SIDE // 20, fill="white")


def _drawn(font: Path, wanted: Sequence[Emoji]) -> Iterator[tuple[Emoji, Any]]:
    """Each emoji on white, those that the font cannot draw left out."""
    from PIL import Image, ImageDraw, ImageFont, features

    engine = ImageFont.Layout.RAQM if features.check("raqm") else ImageFont.Layout.BASIC
    type_face = ImageFont.truetype(str(font), STRIKE, layout_engine=engine)
    width = type_face.getlength(_PLAIN)
    left, top, right, bottom = (round(edge) for edge in type_face.getbbox(_PLAIN))
    for emoji in wanted:
        if abs(type_face.getlength(emoji.characters) - width) > 1:
            log.info("left out: the font has no single picture for '%s'", emoji.name)
            continue
        picture = Image.new("RGB", (right - left, bottom - top), "white")
        ImageDraw.Draw(picture).text((-left, -top), emoji.characters, font=type_face, embedded_color=True)
        if max(high - low for low, high in picture.getextrema()) < 16:
            log.info("left out: the font draws nothing for '%s'", emoji.name)
            continue
        yield emoji, picture
