"""What a PDF holds and its reader leaves out, counted and said in one sentence for each kind."""

from collections import Counter
from typing import Any, Literal

from indexing.readers.limits import ReadLimits

Kind = Literal["characters", "figures", "objects", "repeating", "remarks", "files", "lines"]
_SENTENCES: dict[Kind, str] = {
    "characters": "{count:,} characters over the limit of {limits.max_text_characters:,} were left out",
    "figures": "{count:,} figures over the limit of {limits.max_figures:,} were kept without their pictures",
    "objects": "{count:,} drawn objects over the limit for a page were not looked at for tables and figures",
    "repeating": "{count:,} lines that repeat at the top or the bottom of pages were left out",
    "remarks": "{count:,} filled form fields, comments or other remarks laid over pages were not read",
    "files": "{count:,} embedded files were not read",
    "lines": "{count:,} lines over the limit for text in a picture were left out",
}


class LeftOut:
    """Add up with `count[kind] += n`."""

    def __init__(self, limits: ReadLimits) -> None:
        self.count: Counter[Kind] = Counter()
        self._limits = limits

    def notes(self) -> list[str]:
        """In the order above, without the kinds of which there is nothing."""
        return [
            sentence.format(count=self.count[kind], limits=self._limits)
            for kind, sentence in _SENTENCES.items()
            if self.count[kind]
        ]


def remarks_on(page: Any) -> int:
    """Fields with a value, notes and text boxes; they lie over the page and are no part of its text."""
    import pypdfium2.raw as pdfium

    told = 0
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        remark = pdfium.FPDFPage_GetAnnot(page, index)
        if not remark:
            continue
        kind = pdfium.FPDFAnnot_GetSubtype(remark)
        key = b"V" if kind == pdfium.FPDF_ANNOT_WIDGET else b"Contents"
        if kind not in (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP):
            told += pdfium.FPDFAnnot_GetStringValue(remark, key, None, 0) > _NOTHING
        pdfium.FPDFPage_CloseAnnot(remark)
    return told


_NOTHING = 2
"""Bytes of an empty UTF-16 string with its end."""


def embedded_files(document: Any) -> int:
    """Files inside the file."""
    import pypdfium2.raw as pdfium

    return max(0, int(pdfium.FPDFDoc_GetAttachmentCount(document)))
