"""The fields of a form (AcroForm) with their values: pieces of text where the fields stand, beside their labels.

A field that has no printed label near it is read with its own name. Ticked and empty boxes are ☒ and ☐.
"""

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from indexing.readers.pdf.annotations import annotations, box_of, is_hidden, text_of, utf16
from indexing.readers.pdf.glyphs import ToFractions
from indexing.readers.pdf.nearby import ByHeight
from indexing.readers.reading_order import Piece, Word
from indexing.records import Box

TICKED, EMPTY = "☒", "☐"
_MOST_OPTIONS = 300
_LINE_HEIGHT = 0.016
"""Of a line in a field on a page without text, as a fraction of the page's height."""
_REACH = 0.05
_LABEL_BESIDE = 0.25
_LABEL_ABOVE = 1.6
_INDEX = re.compile(r"\[\d+\]$")


@dataclass(frozen=True, kw_only=True, slots=True)
class FormField:
    """One field of a page that has something to read."""

    value: str
    name: str
    box: Box
    is_box: bool = False
    """A box to tick or a round button."""


@dataclass(kw_only=True, slots=True)
class Fields:
    """The fields of one page."""

    filled: list[FormField] = field(default_factory=list)
    signed: list[Box] = field(default_factory=list)
    """Fields with a signature, whose words can be seen alone."""
    hidden: int = 0
    """Fields with a value that no viewer shows."""


def fields_of(page: Any, *, most_characters: int) -> Fields:
    """Values of all fields on the page, whether the document declares them or not."""
    import pypdfium2.raw as pdfium

    to_fractions = ToFractions(page)
    found = Fields()
    for annotation in annotations(page):
        if pdfium.FPDFAnnot_GetSubtype(annotation) != pdfium.FPDF_ANNOT_WIDGET:
            continue
        kind = int(pdfium.FPDFAnnot_GetFormFieldType(page.formenv, annotation)) if page.formenv else -1
        box = box_of(annotation, to_fractions)
        if kind == pdfium.FPDF_FORMFIELD_SIGNATURE:
            if box is not None and pdfium.FPDFAnnot_HasKey(annotation, b"V"):
                found.signed.append(box)
            continue
        value = _value(page.formenv, annotation, kind)[:most_characters]
        if not value:
            continue
        if box is None or is_hidden(annotation):
            found.hidden += value != EMPTY
            continue
        most_characters -= len(value)
        is_box = value in (TICKED, EMPTY)
        found.filled.append(FormField(value=value, name=_name(page.formenv, annotation), box=box, is_box=is_box))
    return found


def _value(form: Any, annotation: Any, kind: int) -> str:
    import pypdfium2.raw as pdfium

    if kind in (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON):
        return TICKED if pdfium.FPDFAnnot_IsChecked(form, annotation) else EMPTY
    if kind in (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX):
        return _chosen(form, annotation) or _written(form, annotation)
    if kind == pdfium.FPDF_FORMFIELD_TEXTFIELD:
        flags = int(pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation))
        return "" if flags & pdfium.FPDF_FORMFLAG_TEXT_PASSWORD else _written(form, annotation)
    if kind == pdfium.FPDF_FORMFIELD_PUSHBUTTON:
        return ""
    return _undeclared(annotation)


def _undeclared(annotation: Any) -> str:
    """Of a field that the document's form does not list."""
    kind, state = text_of(annotation, b"FT"), text_of(annotation, b"AS")
    if kind == "Btn":
        return "" if not state else EMPTY if state == "Off" else TICKED
    return text_of(annotation, b"V") if kind != "Sig" else ""


def _written(form: Any, annotation: Any) -> str:
    import pypdfium2.raw as pdfium

    return utf16(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size))


def _chosen(form: Any, annotation: Any) -> str:
    """The labels of what is selected in a list."""
    import pypdfium2.raw as pdfium

    count = min(_MOST_OPTIONS, int(pdfium.FPDFAnnot_GetOptionCount(form, annotation)))
    chosen = [index for index in range(count) if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, index)]
    return ", ".join(_option(form, annotation, index) for index in chosen)


def _option(form: Any, annotation: Any, index: int) -> str:
    import pypdfium2.raw as pdfium

    return utf16(lambda buffer, size: pdfium.FPDFAnnot_GetOptionLabel(form, annotation, index, buffer, size))


def _name(form: Any, annotation: Any) -> str:
    """What the form calls the field for people, else for programs."""
    import pypdfium2.raw as pdfium

    told, named = text_of(annotation, b"TU"), text_of(annotation, b"T")
    if form:
        told = told or utf16(
            lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldAlternateName(form, annotation, buffer, size)
        )
        named = utf16(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldName(form, annotation, buffer, size)) or named
    return " ".join((told or _INDEX.sub("", named.rpartition(".")[2])).split())[:200]


def pieces_of(fields: Sequence[FormField], pieces: Sequence[Piece], aspect: float) -> list[Piece]:
    """The fields' values as pieces of the page's text; those that the text has already are left out."""
    height = statistics.median([piece.height for piece in pieces]) if pieces else _LINE_HEIGHT
    size = statistics.median([piece.size for piece in pieces]) if pieces else 0.0
    found: list[Piece] = []
    by_height = ByHeight(pieces)
    for each in fields:
        near = list(by_height.near(each.box[1] - _REACH, each.box[3] + _REACH))
        if any(piece.text == each.value and _inside(piece.box, each.box) for piece in near):
            continue
        value = each.value
        if each.name and not is_labelled(each, near, aspect):
            value = f"{each.name}: {value}"
        lines = [line for line in value.split("\n") if line.strip()]
        for text, box in zip(lines, _line_boxes(each.box, len(lines), height), strict=True):
            found.append(Piece(text=text, box=box, aspect=aspect, size=size, words=_words(text, box)))
    return found


def _line_boxes(box: Box, count: int, height: float) -> list[Box]:
    """Where the lines of a field stand: one in the middle, several from the top down."""
    x0, y0, x1, y1 = box
    height = min(height, (y1 - y0) / count)
    top = (y0 + y1 - height) / 2 if count == 1 else y0
    step = (y1 - y0 - height) / max(1, count - 1)
    return [(x0, top + step * line, x1, top + step * line + height) for line in range(count)]


def _words(text: str, box: Box) -> tuple[Word, ...]:
    """Its words, in places in proportion to their letters."""
    x0, y0, x1, y1 = box
    step = (x1 - x0) / len(text)
    return tuple(
        Word(text=found[0], box=(x0 + step * found.start(), y0, x0 + step * found.end(), y1))
        for found in re.finditer(r"\S+", text)
    )


def is_labelled(each: FormField, pieces: Iterable[Piece], aspect: float) -> bool:
    """A piece of the text says what stands in the field."""
    return any(_labels(piece, each, aspect) for piece in pieces)


def _labels(piece: Piece, each: FormField, aspect: float) -> bool:
    """A printed label: to the left, right above, or to the right of a box."""
    (x0, y0, x1, y1), (left, top, right, bottom) = piece.box, each.box
    if not any(char.isalpha() for char in piece.text):
        return False
    level = min(y1, bottom) - max(y0, top) > 0.4 * min(y1 - y0, bottom - top)
    if level and (-0.01 < left - x1 < _LABEL_BESIDE or (each.is_box and -0.01 < (x0 - right) * aspect < 3 * (y1 - y0))):
        return True
    return min(x1, right) > max(x0, left) and 0 <= top - y1 + (y1 - y0) / 2 < _LABEL_ABOVE * (y1 - y0)


def _inside(inner: Box, outer: Box) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]
