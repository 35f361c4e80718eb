"""Made-up business documents with known answers: seed → document → chunks, questions, a drawing.

names, values, facts   what is written: people, firms, goods, amounts, dates, statements
wordings               how people ask and what is answered
receipts invoices tables cards prose pictures   one function a kind: `random.Random` → Document
noise    what a text recogniser makes of it
drawing  the document as a picture file
"""

import random
from collections.abc import Callable, Mapping

from recipes.pocket.documents.cards import card
from recipes.pocket.documents.document import Ask, Document
from recipes.pocket.documents.invoices import invoice
from recipes.pocket.documents.noise import read_by_ocr
from recipes.pocket.documents.pictures import picture
from recipes.pocket.documents.prose import handbook, letter, manual, minutes
from recipes.pocket.documents.receipts import receipt
from recipes.pocket.documents.tables import price_list, schedule

KINDS: Mapping[str, Callable[[random.Random], Document]] = {
    "receipt": receipt,
    "invoice": invoice,
    "letter": letter,
    "table": price_list,
    "manual": manual,
    "minutes": minutes,
    "handbook": handbook,
    "schedule": schedule,
    "card": card,
    "picture": picture,
}
"""The kinds, each with the function that makes one."""


def make(kind: str, draw: random.Random) -> Document:
    """One document of a kind; what was scanned has been read by OCR."""
    document = KINDS[kind](draw)
    if not document.scanned:
        return document
    return read_by_ocr(document, draw, strength=draw.choice([0.0, 0.004, 0.01, 0.02, 0.035]))


__all__ = ["KINDS", "Ask", "Document", "make"]
