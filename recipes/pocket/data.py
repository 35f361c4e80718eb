"""All data of the pocket recipe, from packages to samples.

python recipes/pocket/data.py --out build/pocket-data
"""

import argparse
import json
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script from anywhere

from recipes.pocket.clipart import write_clipart
from recipes.pocket.easy_vqa import write_easy_vqa
from recipes.pocket.emoji import write_emoji
from recipes.pocket.fetch import SourceError, fetch, sources
from recipes.pocket.stamps import write_stamps
from recipes.pocket.words import english_words


def main() -> None:
    """Fetch, unpack, write; prints how many samples each file holds."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--out", type=Path, default=Path("build/pocket-data"))
    out: Path = arguments.parse_args().out.resolve()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        at = {source.name: fetch(source, out) for source in sources()}
    except SourceError as error:
        sys.exit(f"{error}\nThe recipe needs apt-get, dpkg-deb and pip, and their archives.")
    unicode = at["unicode-cldr-core"] / "usr/share/unicode/cldr/common"
    for name in ("easy_vqa", "clipart", "emoji", "stamps"):
        (out / name).mkdir(exist_ok=True)
    counts = {
        "easy_vqa": write_easy_vqa(at["easy-vqa"], out / "easy_vqa"),
        "clipart": write_clipart(
            at["openclipart-png"] / "usr/share/openclipart/png",
            at["openclipart-svg"] / "usr/share/openclipart/svg",
            out / "clipart",
            english_words(at["wamerican"] / "usr/share/dict/american-english"),
        ),
        "emoji": write_emoji(
            at["fonts-noto-color-emoji"] / "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
            at["unicode-data"] / "usr/share/unicode/emoji/emoji-test.txt",
            [unicode / folder / "en.xml" for folder in ("annotations", "annotationsDerived")],
            out / "emoji",
        ),
        "stamps": write_stamps(at["tuxpaint-stamps-default"] / "usr/share/tuxpaint/stamps", out / "stamps"),
    }
    print(json.dumps(counts, indent=1))


if __name__ == "__main__":
    main()
