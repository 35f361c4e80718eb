"""Which words count as English: Debian's word list `wamerican`, and the names of things in ImageNet."""

import re
from pathlib import Path
from typing import Any


def english_words(word_list: Path) -> frozenset[str]:
    """Lower-case words of letters alone. `word_list` has one word a line, names of places and people among them."""
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo()
    names = [info.label_name_to_description(synset) for synset in info.label_names()]
    lines = word_list.read_text(encoding="utf-8").lower().split()
    named = {word for name in names for word in re.findall(r"[a-z]+", name.lower())}
    return frozenset(named | {line for line in lines if line.isascii() and line.isalpha()})
