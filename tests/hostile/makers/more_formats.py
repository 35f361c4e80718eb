"""One harmless file of each further kind that Llavero reads: calendars, cards, mailboxes, Outlook's, old and new
pictures, tables, archives."""

import io
import sys
from pathlib import Path

from PIL import Image

from makers.base import WORDS, mail, seeds, zipped

sys.path.insert(0, str(Path(__file__).parents[2] / "indexing"))
from outlook_files import mapi, msg, ole, tnef

_TESTS = Path(__file__).resolve().parents[2] / "indexing"


def more_seeds() -> dict[str, bytes]:
    """By name."""
    calendar = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:{WORDS}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada Quint\r\nNOTE:{WORDS}\r\nEND:VCARD\r\n"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"><text x="9" y="90">{WORDS}</text></svg>'
    return {
        "report.ics": calendar.encode(),
        "report.vcf": card.encode(),
        "report.svg": svg.encode(),
        "report.tsv": b"ship\tberth\nRose\t7\n" * 20,
        "report.jsonl": f'{{"ship": "Rose", "words": "{WORDS}"}}\n'.encode() * 5,
        "report.mbox": b"From ada@example.org Mon Oct  6 10:00:00 2025\n" + mail() + b"\n",
        "report.msg": ole(msg({0x0037: "Harbour", 0x1000: WORDS})),
        "winmail.dat": tnef([(1, 0x9003, mapi({0x0037: "Harbour", 0x1000: WORDS}))]),
        "report.zip": zipped({"a.txt": WORDS.encode(), "in/b.docx": seeds()["report.docx"]}),
        "report.ods": _sheet(),
        "report.xls": (_TESTS / "readers" / "office" / "files" / "wells.xls").read_bytes(),
        "report.heic": (_TESTS / "pictures" / "half-red.heic").read_bytes(),
        **{f"report.{name}": _picture(name) for name in ("avif", "jp2", "tiff")},
    }


def _picture(kind: str) -> bytes:
    out = io.BytesIO()
    image = Image.effect_noise((160, 120), 60).convert("RGB")
    image.save(out, {"jp2": "JPEG2000"}.get(kind, kind.upper()))
    return out.getvalue()


def _sheet() -> bytes:
    names = "urn:oasis:names:tc:opendocument:xmlns:{}:1.0"
    declared = " ".join(f'xmlns:{each}="{names.format(each)}"' for each in ("office", "text", "table"))
    row = f"<table:table-row><table:table-cell><text:p>{WORDS}</text:p></table:table-cell></table:table-row>"
    content = (
        f"<office:document-content {declared}><office:body><office:spreadsheet><table:table table:name='Ships'>{row}"
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    return zipped({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": content.encode()})
