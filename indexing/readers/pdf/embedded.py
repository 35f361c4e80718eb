"""Files inside a PDF: those of a portfolio or an invoice, and those that are pinned to a page.

Each is read by the readers of all files (`readers/attachments.py`), after the pages. The same file in both places is
read once.
"""

import ctypes
import re
from collections.abc import Iterator
from typing import Any

from indexing.errors import DamagedFileError, FileTooLargeError
from indexing.readers.attachments import Attachments
from indexing.readers.output import ReaderOutput
from indexing.readers.pdf.annotations import annotations, utf16
from indexing.records import Block
from indexing.settings import MEGABYTE

_FOLDER = re.compile(r"^<\d+>")
"""Of a portfolio, before the name."""

Pinned = tuple[int, int]
"""Number of a page, and which of its annotations holds a file."""


def has_annotations(page: Any) -> bool:
    """Whether anything is laid over the page."""
    import pypdfium2.raw as pdfium

    return bool(pdfium.FPDFPage_GetAnnotCount(page) > 0)


def pinned_files(page: Any, number: int) -> list[Pinned]:
    """Files that are pinned to the page."""
    import pypdfium2.raw as pdfium

    return [
        (number, index)
        for index, annotation in enumerate(annotations(page))
        if pdfium.FPDFAnnot_GetSubtype(annotation) == pdfium.FPDF_ANNOT_FILEATTACHMENT
    ]


class EmbeddedFiles:
    """Reads the files inside one document."""

    def __init__(self, document: Any, output: ReaderOutput, attachments: Attachments, heading: str) -> None:
        self._document, self._output, self._attachments, self._heading = document, output, attachments, heading
        self._seen: set[tuple[str, str]] = set()

    def blocks(self, pinned: list[Pinned]) -> Iterator[Block]:
        """Of all files: a heading with the name, then what the file says."""
        import pypdfium2.raw as pdfium

        for index in range(max(0, pdfium.FPDFDoc_GetAttachmentCount(self._document))):
            yield from self._read(pdfium.FPDFDoc_GetAttachment(self._document, index))
        for number, place in pinned:
            page = self._document[number - 1]
            try:
                if annotation := pdfium.FPDFPage_GetAnnot(page, place):
                    yield from self._read(pdfium.FPDFAnnot_GetFileAttachment(annotation))
                    pdfium.FPDFPage_CloseAnnot(annotation)
            finally:
                page.close()

    def _read(self, handle: Any) -> list[Block]:
        if not handle:
            return []
        import pypdfium2.raw as pdfium

        name = _FOLDER.sub("", utf16(lambda buffer, size: pdfium.FPDFAttachment_GetName(handle, buffer, size)))
        if self._is_again(name, handle):
            return []
        return self._attachments.read(name, self._content(handle), heading=self._heading)

    def _is_again(self, name: str, handle: Any) -> bool:
        import pypdfium2.raw as pdfium

        checksum = utf16(lambda buffer, size: pdfium.FPDFAttachment_GetStringValue(handle, b"CheckSum", buffer, size))
        key = (name, checksum or str(ctypes.cast(handle, ctypes.c_void_p).value))
        again = key in self._seen
        self._seen.add(key)
        return again

    def _content(self, handle: Any) -> Iterator[bytes]:
        """Unpacked when it is asked for: a bomb stops the reading of this file alone."""
        yield _data(handle, self._output.limits.max_unpacked_bytes)


def _data(handle: Any, most_bytes: int) -> bytes:
    """Unpacked. Raises FileTooLargeError, DamagedFileError."""
    import pypdfium2.raw as pdfium

    size = ctypes.c_ulong()
    if not pdfium.FPDFAttachment_GetFile(handle, None, 0, size):
        raise DamagedFileError("its data are not in the file")
    if size.value > most_bytes:
        raise FileTooLargeError(f"it unpacks to more than {most_bytes // MEGABYTE} MB")
    buffer = ctypes.create_string_buffer(size.value)
    pdfium.FPDFAttachment_GetFile(handle, buffer, size.value, size)
    return buffer.raw
