"""Countries' flags, flat and round (npm's @iconify-json/flag and @iconify-json/circle-flags, both MIT) → pictures.

    "ye-4x3", SVG    ──►  224 x 224 pixels, "yemen flag", tags as for the emoji of that flag

The names are Unicode's for the emoji of the same two letters. What has no such emoji, and the square cut of each flag,
is left out. resvg draws the SVG; its package is fetched like the data and loaded from where it was unpacked.
"""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from llava_model.data.samples import Sample
from recipes.pocket.emoji import Emoji
from recipes.pocket.samples import caption, write_samples

WIDTH = 200
BORDER = 12
_SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
_LETTER_A = 0x1F1E6  # of the 26 characters whose pairs are flags


def write_flags(icons: Sequence[Path], resvg: Path, emoji: Sequence[Emoji], out: Path) -> dict[str, int]:
    """Write `train.jsonl` and its pictures under `out`.

    `icons` are iconify's `icons.json` files, `resvg` is the folder that holds the package `resvg_py`.
    """
    samples: list[Sample] = []
    details: dict[str, dict[str, object]] = {}
    names = countries(emoji)
    for file in icons:
        for identity, country, svg in drawings(file, names):
            picture = out / "pictures" / f"{identity}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            drawn(svg, resvg).save(picture, format="PNG")
            samples.append(caption(f"flag-{identity}", picture, country.name))
            details[samples[-1].id] = {"tags": list(country.tags), "group": country.name}
    return {"train": write_samples(out / "train.jsonl", samples, details)}


def countries(emoji: Sequence[Emoji]) -> dict[str, Emoji]:
    """Two letters ("ye") → the emoji of that flag."""
    pairs = [each for each in emoji if len(each.characters) == 2 and all(0 <= _place(c) < 26 for c in each.characters)]
    return {"".join(chr(ord("a") + _place(c)) for c in each.characters): each for each in pairs}


def drawings(icons: Path, names: dict[str, Emoji]) -> Iterator[tuple[str, Emoji, str]]:
    """Name, country and SVG of each flag in one of iconify's files."""
    content: dict[str, Any] = json.loads(icons.read_text(encoding="utf-8"))
    for slug, icon in content["icons"].items():
        letters = slug.removesuffix("-4x3")
        if letters in names:
            width, height = (icon.get(side, content.get(side, 16)) for side in ("width", "height"))
            svg = f'<svg {_SPACES} viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
            yield f"{content['prefix']}-{letters}", names[letters], svg


def drawn(svg: str, resvg: Path) -> Image.Image:
    """On a white square, so that no edge of it is cut off before it reaches the network."""
    if str(resvg) not in sys.path:
        sys.path.append(str(resvg))
    import resvg_py

    with Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=WIDTH)))) as opened:
        rgba = opened.convert("RGBA")
    side = WIDTH + 2 * BORDER
    white = Image.new("RGBA", (side, side), "white")
    white.alpha_composite(rgba, ((side - rgba.width) // 2, (side - rgba.height) // 2))
    return white.convert("RGB")


def _place(character: str) -> int:
    return ord(character) - _LETTER_A
