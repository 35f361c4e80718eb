"""Made-up business documents with known answers: a seed → document → chunks, questions, a drawing.

en/        all words, names and templates of English documents; another language is another folder
languages  reads such a folder          names.toml   what all languages share
patterns   text with slots and choices  values       what fills slots: dates, money, companies
wordings   how people ask, what is answered
templates  template → document          kinds, tables   what has to be computed for each kind
questions  documents → a question with its evidence
noise      what a text recogniser makes of a scan
drawing    the document as a picture file
"""

import random

from recipes.pocket.documents.document import Ask, Document
from recipes.pocket.documents.kinds import MAKERS
from recipes.pocket.documents.languages import language
from recipes.pocket.documents.noise import read_by_ocr
from recipes.pocket.documents.tables import listing
from recipes.pocket.documents.templates import Sheet

KINDS = (*MAKERS, "table", "schedule")
"""The kinds of documents."""


def make(kind: str, draw: random.Random, *, code: str = "en") -> Document:
    """One document of a kind in a language; what was scanned has been read by OCR."""
    document = make_clean(kind, draw, code=code)
    if not document.scanned:
        return document
    return read_by_ocr(document, draw, strength=draw.choice([0.0, 0.004, 0.01, 0.02, 0.035]))


def make_clean(kind: str, draw: random.Random, *, code: str = "en") -> Document:
    """One document of a kind, its pages without the noise of OCR."""
    spoken = language(code)
    templates = [each for name, each in {**spoken.documents, **spoken.tables}.items() if each.get("kind", name) == kind]
    template = draw.choices(templates, [each.get("share", 1) for each in templates])[0]
    return MAKERS.get(kind, listing)(Sheet(kind, template, spoken, draw))


__all__ = ["KINDS", "Ask", "Document", "make", "make_clean"]
