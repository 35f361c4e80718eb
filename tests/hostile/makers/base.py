"""Harmless documents made with the project's own libraries, and the containers that harm is put into."""

import io
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from functools import cache

WORDS = "The ferry to Sandholm leaves at nine and the lighthouse keeper counts forty pelicans on the mole."


@cache
def docx() -> bytes:
    from docx import Document

    document = Document()
    document.add_heading("Harbour report", 1)
    document.add_paragraph(WORDS)
    table = document.add_table(rows=2, cols=2)
    for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"berth {number}"
    return _saved(document)


@cache
def pptx() -> bytes:
    from pptx import Presentation

    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Harbour report"
    slide.placeholders[1].text = WORDS
    return _saved(presentation)


@cache
def xlsx() -> bytes:
    from openpyxl import Workbook

    workbook = Workbook()
    for row in (("ship", "berth"), ("Halcyon", 4), ("Rose", 7), (WORDS, 1)):
        workbook.active.append(row)
    return _saved(workbook)


@cache
def epub() -> bytes:
    container = (
        '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="i">x</dc:identifier><dc:title>Harbour'
        '</dc:title><dc:language>en</dc:language></metadata><manifest><item id="c" href="one.xhtml" '
        'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="c"/></spine></package>'
    )
    chapter = f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>Harbour</h1><p>{WORDS}</p></body></html>'
    return zipped(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": container.encode(),
            "book.opf": package.encode(),
            "one.xhtml": chapter.encode(),
        }
    )


@cache
def mail() -> bytes:
    return mail_with([("report.txt", WORDS.encode())])


def mail_with(attachments: Sequence[tuple[str, bytes]], text: str = WORDS) -> bytes:
    """A letter with files; their names go into the headers as they are."""
    message = EmailMessage()
    message["From"], message["To"] = "Ada Quint <ada@example.org>", "harbour@example.org"
    message["Subject"], message["Date"] = "Harbour report", "Mon, 06 Oct 2025 10:00:00 +0200"
    message.set_content(text)
    for name, data in attachments:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """The objects numbered from 1, the first one the catalogue."""
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def stream(data: bytes, head: bytes = b"") -> bytes:
    """The body of a stream object."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), head, data)


FONT = b"<< /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"


def page(
    more: bytes = b"", *, contents: bytes = b"4 0 R", resources: bytes = FONT, box: bytes = b"0 0 612 792"
) -> bytes:
    """A page below object 2, whose contents are object 4."""
    return b"<< /Type /Page /Parent 2 0 R /MediaBox [%s] /Contents %s /Resources %s %s >>" % (
        box, contents, resources, more,
    )  # fmt: skip


def written(text: str = WORDS, size: int = 10) -> bytes:
    """Page contents that write one line."""
    return b"BT /F %d Tf 40 700 Td (%s) Tj ET" % (size, text.encode("latin-1", "replace"))


def pdf_of(contents: bytes | None = None, *, more: bytes = b"", objects: Sequence[bytes] = ()) -> bytes:
    """One page with these contents, and `objects` from number 5."""
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    return pdf(CATALOGUE, pages, page(more), stream(written() if contents is None else contents), *objects)


def zipped(members: Mapping[str, bytes] | Sequence[tuple[str, bytes]]) -> bytes:
    """An archive with these members in this order."""
    buffer = io.BytesIO()
    pairs = members.items() if isinstance(members, Mapping) else members
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings(action="ignore"):
        for name, data in pairs:  # some of them twice, and that is meant
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def members(archive: bytes) -> dict[str, bytes]:
    """What is in it."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist() if not info.is_dir()}


def edited(archive: bytes, **changes: bytes) -> bytes:
    """Other bytes in some members; `word__document` means `word/document.xml`."""
    return zipped(members(archive) | {f"{name.replace('__', '/')}.xml": data for name, data in changes.items()})


def _saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _open_document() -> bytes:
    names = "urn:oasis:names:tc:opendocument:xmlns:{}:1.0"
    declared = " ".join(f'xmlns:{each}="{names.format(each)}"' for each in ("office", "text", "table"))
    cells = "<table:table-row><table:table-cell><text:p>Rose</text:p></table:table-cell></table:table-row>"
    content = (
        f"<office:document-content {declared}><office:body><office:text><text:h>Harbour</text:h>"
        f"<text:p>{WORDS}</text:p>"
        f"<table:table>{cells * 2}</table:table></office:text></office:body></office:document-content>"
    )
    return zipped({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": content.encode()})


@cache
def seeds() -> dict[str, bytes]:
    """One harmless file of each kind that is made here, by name."""
    page_text = (
        f"<!doctype html><html><body><h1>Harbour</h1><p>{WORDS}</p><table><tr><td>4</td></tr></table></body></html>"
    )
    return {
        "report.docx": docx(),
        "report.pptx": pptx(),
        "report.xlsx": xlsx(),
        "report.epub": epub(),
        "report.eml": mail(),
        "report.pdf": pdf_of(),
        "report.html": page_text.encode(),
        "report.md": f"# Harbour\n\n{WORDS}\n\n| ship | berth |\n|---|---|\n| Rose | 7 |\n".encode(),
        "report.rtf": (r"{\rtf1\ansi\pard Harbour{\footnote " + WORDS + r"}\par \trowd ship\cell 7\cell\row}").encode(),
        "report.odt": _open_document(),
        "report.csv": f"ship;berth\nRose;7\n{WORDS};8\n".encode(),
        "report.json": f'{{"ships": [{{"name": "Rose", "berth": 7}}], "words": "{WORDS}"}}'.encode(),
        "report.ipynb": f'{{"nbformat": 4, "cells": [{{"cell_type": "markdown", "source": ["{WORDS}"]}}]}}'.encode(),
        "report.txt": (WORDS + "\n\n").encode() * 8,
    }
