"""Which words count as English: the sentence encoder's vocabulary, ImageNet's names, the Unicode names of emoji."""

import re
import unicodedata
from pathlib import Path


def english_words(text_encoder: Path) -> frozenset[str]:
    """Lower-case words of letters alone. `text_encoder` is the pocket kit's text folder (its `vocab.txt`)."""
    from timm.data.imagenet_info import ImageNetInfo

    vocabulary = (text_encoder / "vocab.txt").read_text(encoding="utf-8").split()
    info = ImageNetInfo()
    entries = [info.label_name_to_description(name, detailed=True) for name in info.label_names()]
    pictographs = [unicodedata.name(chr(code), "") for code in range(0x1F300, 0x1FB00)]
    words = {word for text in [*entries, *pictographs] for word in re.findall(r"[a-z]+", text.lower())}
    return frozenset(words | {word for word in vocabulary if word.isascii() and word.isalpha()})
