"""What a text recogniser makes of printed words.

Looked at: RapidOCR on receipts. It writes `Totai Amount`, `Rour ding`, `I00100000060` for `100100000060`,
`TAXINVOICE`, `20.90SR`, `PLEASE CONE AGAIN`, `Come Againl`, `Amount($]`, `Perindustrian,Tampoi`; amounts and dates are
mostly right. So values get a third of the noise that words get.
"""

import random
import re
from dataclasses import replace

from recipes.pocket.documents.document import Document, Part, Written

_ALIKE = {
    "0": "O", "O": "0", "o": "0", "1": "l", "l": "1", "I": "1", "i": "l", "5": "S", "S": "5", "8": "B", "B": "8",
    "Z": "2", "2": "Z", "G": "6", "6": "G", "M": "N", "m": "rn", "!": "l", "c": "e", "e": "c", "u": "v", "n": "r",
    ".": ",", ",": ".", ":": ";", ")": "}", "(": "{", "T": "I", "t": "i", "E": "F", "h": "b", "g": "q", "-": "_",
}  # fmt: skip
_LETTER_PAIRS = {"rn": "m", "cl": "d", "vv": "w", "li": "h"}
_VALUE_SHARE = 0.3


def read_by_ocr(document: Document, draw: random.Random, *, strength: float) -> Document:
    """The document as OCR would read it. `strength` is the share of letters misread, about 0 to 0.04."""
    shouted = draw.random() < 0.15

    def change(part: Part) -> Part:
        share = strength * (_VALUE_SHARE if part.key else 1.0)
        text = part.text.upper() if shouted and draw.random() < 0.9 else part.text
        return replace(part, text=misread(text, draw, share=share))

    worn = document.changed(change)
    blocks = [_crowded(block, draw, strength) if isinstance(block, Written) else block for block in worn.blocks]
    return replace(
        worn, blocks=tuple(block for block in blocks if not isinstance(block, Written) or block.text.strip())
    )


def misread(text: str, draw: random.Random, *, share: float) -> str:
    """`text` with about this share of its letters taken for others, and a few spaces lost or gained."""
    letters: list[str] = []
    position = 0
    while position < len(text):
        pair, sign = text[position : position + 2], text[position]
        if pair in _LETTER_PAIRS and draw.random() < share:
            letters.append(_LETTER_PAIRS[pair])
            position += 2
            continue
        position += 1
        if draw.random() >= share:
            letters.append(sign)
        elif sign == " ":
            letters.append("")
        elif sign in _ALIKE and draw.random() < 0.8:
            letters.append(_ALIKE[sign])
        else:
            letters.append(draw.choice([sign, sign + " ", ""]) if sign.isalpha() else sign)
    return "".join(letters)


def _crowded(written: Written, draw: random.Random, strength: float) -> Written:
    """Lines whose spaces around signs were not seen: `12, Jalan 7` → `12,Jalan 7`; `Date : ` → `Date:`."""
    if draw.random() >= 8 * strength:
        return written
    sign = draw.choice([", ", ". ", " :", ": "])
    tight = sign.strip()
    return replace(
        written, parts=tuple(replace(part, text=re.sub(re.escape(sign), tight, part.text)) for part in written.parts)
    )
