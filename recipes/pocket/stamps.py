"""Tux Paint's stamps (GPL-2+; Debian's tuxpaint-stamps-default) → a test set. Never trained on: mind the licence.

    animals/cats/cat.png + cat.txt, whose first line is "A cat."    ──►  picture, "A cat."

The further lines of a description are its translations. Symbols (letters, digits, coins) are left out, as are stamps
that exist as SVG drawings alone: 538 photographs and drawings remain.
"""

import logging
from pathlib import Path

from llava_model.data.samples import Sample
from recipes.pocket.pictures import UnusablePictureError, on_white
from recipes.pocket.samples import caption, write_samples

log = logging.getLogger(__name__)

_LEFT_OUT = "symbols"


def write_stamps(stamps: Path, out: Path) -> dict[str, int]:
    """Write `test.jsonl` and its pictures under `out`; `stamps` is Tux Paint's folder of stamps."""
    samples: list[Sample] = []
    for words in sorted(stamps.rglob("*.txt")):
        name = words.relative_to(stamps).with_suffix("").as_posix()
        file = words.with_suffix(".png")
        if name.split("/")[0] == _LEFT_OUT or not file.is_file():
            continue
        description = english_description(words)
        target = out / "pictures" / f"{name}.png"
        try:
            picture = on_white(file, refuse_empty=False)
        except UnusablePictureError as error:
            log.info("left out: %s", error)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(target, format="PNG")
        samples.append(caption(f"stamp-{name}", target, description))
    return {"test": write_samples(out / "test.jsonl", samples)}


def english_description(words: Path) -> str:
    """The first line, as it stands."""
    return words.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0].strip()
