"""The three office files as packages whose bytes do not depend on the clock."""

import re
import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

from docx.document import Document as DocxDocument
from openpyxl import Workbook
from pptx.presentation import Presentation as Slides

from sample_maker.minutes import minutes
from sample_maker.slides import slides
from sample_maker.workbook import workbook

WRITTEN = datetime(2025, 9, 30, 12, 0, 0)


def write_all(collection: Path) -> None:
    """Write the three files."""
    office = collection / "office"
    office.mkdir(parents=True, exist_ok=True)
    for name, written in (
        ("board-minutes-2025-05-06.docx", _bytes(minutes())),
        ("lighthouse-gallery-opening.pptx", _bytes(slides())),
        ("museum-workbook-2025.xlsx", _bytes(workbook())),
    ):
        (office / name).write_bytes(_without_clock(written))


def _bytes(document: DocxDocument | Slides | Workbook) -> bytes:
    written = BytesIO()
    document.save(written)
    return written.getvalue()


def _without_clock(package: bytes) -> bytes:
    """The same ZIP package with fixed times, so that drawing it again gives the same bytes."""
    written = BytesIO()
    stamp = WRITTEN.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(BytesIO(package)) as old, zipfile.ZipFile(written, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:(created|modified)[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            entry = zipfile.ZipInfo(name, WRITTEN.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content, compresslevel=9)
    return written.getvalue()
