"""Office files with formulas, numbers that lie, and members that lead out of the archive; files that are two kinds."""

import io
import zipfile
from collections.abc import Iterator

from PIL import Image

from makers import HostileFile, World
from makers.base import WORDS, docx, edited, mail, members, pdf_of, pptx, xlsx, zipped


def attacks(world: World) -> Iterator[HostileFile]:
    yield from _formulas(world)
    yield from _members(world)
    yield from _two_kinds()


def _formulas(world: World) -> Iterator[HostileFile]:
    kind = "formulas and numbers"
    formulas = (
        "=cmd|' /C calc'!A0",
        f'=WEBSERVICE("{world.address}/x")',
        "=A1:XFD1048576",
        "=HYPERLINK(A1)",
        "+1",
        "@SUM(A1)",
    )
    for name, data, why in (
        ("commands.xlsx", _workbook([[formula] for formula in formulas]), "formulas that start, fetch and multiply"),
        ("commands.txt", ("\n".join(formulas) + f"\n{WORDS}").encode(), "the same as text"),
        ("far cell.xlsx", _sheet('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'), "the last cell"),
        ("no such string.xlsx", _sheet('<row r="1"><c r="A1" t="s"><v>99999999</v></c></row>'), "string 99,999,999"),
        ("no number.xlsx", _sheet('<row r="1"><c r="A1"><v>1e99999</v></c></row>'), "more than infinity"),
        ("date.xlsx", _sheet('<row r="1"><c r="A1" s="9999"><v>-99999999999</v></c></row>'), "no such style"),
        ("merged.xlsx", _sheet("", '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'), "one merged cell"),
        ("wide table.docx", _wide_table(3_000), "a table of 3,000 columns"),
        ("fields.docx", _field(f'INCLUDETEXT "{world.canary}/secret.txt"'), "a field that draws in a file"),
        ("dde.docx", _field('DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc"'), "a field that starts a program"),
        ("macro.docm", zipped(members(docx()) | {"word/vbaProject.bin": b"\xd0\xcf\x11\xe0" + bytes(500)}), "a macro"),
    ):  # fmt: skip
        yield HostileFile(kind=kind, name=name, why=why, content=data)


def _members(world: World) -> Iterator[HostileFile]:
    kind = "members that lead out"
    outside = str(world.canary / "pwned.xml")
    link = zipfile.ZipInfo("word/media/link.png")
    link.external_attr = 0o120777 << 16
    for name, parts, why in (
        ("dots.docx", {"../" * 12 + outside: b"out"}, "a part above every folder"),
        ("root.docx", {outside: b"out"}, "a part with a path of its own"),
        ("dots.pptx", {"ppt/media/../../../../" + outside: b"out"}, "the same in slides"),
        ("backslash.xlsx", {"..\\..\\pwned": b"out", "C:\\pwned": b"out"}, "the same in Windows' way"),
        ("long.docx", {"word/" + "a/" * 5_000 + "x": b"out"}, "a part 5,000 folders deep"),
        ("null.docx", {"word/a\0b.xml": b"out"}, "a part whose name has a null"),
    ):
        base = {"pptx": pptx, "xlsx": xlsx}.get(name.rpartition(".")[2], docx)()
        yield HostileFile(kind=kind, name=name, why=why, content=zipped([*members(base).items(), *parts.items()]))
    yield HostileFile(
        kind=kind, name="link.docx", why="a part that is a link", content=_with(docx(), link, b"/etc/passwd")
    )
    twice = zipped([*members(docx()).items(), ("word/document.xml", b"<nothing/>")])
    yield HostileFile(kind=kind, name="twice.docx", why="the same part twice", content=twice)
    locked = bytearray(docx())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := locked.find(mark, start + 1)) >= 0:
            locked[start + place] |= 1
    yield HostileFile(kind=kind, name="locked.docx", why="every part says it is encrypted", content=bytes(locked))


def _two_kinds() -> Iterator[HostileFile]:
    kind = "files of two kinds"
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "navy").save(buffer, "PNG")
    picture, archive, page = buffer.getvalue(), docx(), f"<html><body><p>{WORDS}</p></body></html>".encode()
    for name, data in {
        "picture and archive.png": picture + archive,
        "archive and picture.docx": archive + picture,
        "pdf and archive.pdf": pdf_of() + archive,
        "pdf in front.docx": b"%PDF-1.7\n" + archive,
        "picture and page.html": picture + page,
        "gif and page.html": b"GIF89a" + page,
        "page and pdf.html": page + pdf_of(),
        "mail and page.eml": mail() + page,
        "mail and pdf.eml": b"From: a@b.c\nTo: d@e.f\nSubject: %PDF-1.4\n\n" + pdf_of(),
        "jpeg and mail.jpg": b"\xff\xd8\xff\xe0" + mail(),
        "postscript and pdf.pdf": b"%!PS-Adobe-3.0\n" + pdf_of(),
        "zip and mail.zip": zipped({"a.eml": mail()}) + mail(),
        "riff.webp": b"RIFF\xff\xff\xff\xffWEBPVP8 " + picture,
        "program.txt": b"#!/bin/sh\ntouch pwned\n" + WORDS.encode(),
    }.items():
        yield HostileFile(kind=kind, name=name, why="two readers could claim it", content=data)


def _workbook(rows: list[list[str]]) -> bytes:
    from openpyxl import Workbook

    workbook, buffer = Workbook(), io.BytesIO()
    for row in rows:
        workbook.active.append(row)
    workbook.save(buffer)
    return buffer.getvalue()


def _sheet(rows: str, behind: str = "") -> bytes:
    """A workbook whose sheet has these rows."""
    name = "xl/worksheets/sheet1.xml"
    head, _, _ = members(xlsx())[name].decode().partition("<sheetData>")
    return zipped(members(xlsx()) | {name: f"{head}<sheetData>{rows}</sheetData>{behind}</worksheet>".encode()})


def _wide_table(columns: int) -> bytes:
    text = members(docx())["word/document.xml"].decode()
    cells = "<w:tc><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc>" * columns
    table = f"<w:tbl><w:tblPr/><w:tblGrid/><w:tr>{cells}</w:tr></w:tbl>"
    return edited(docx(), word__document=text.replace("<w:sectPr", table + "<w:sectPr", 1).encode())


def _field(instruction: str) -> bytes:
    text = members(docx())["word/document.xml"].decode()
    quoted = instruction.replace("&", "&amp;").replace('"', "&quot;")
    field = f'<w:p><w:fldSimple w:instr="{quoted}"><w:r><w:t>x</w:t></w:r></w:fldSimple></w:p>'
    return edited(docx(), word__document=text.replace("<w:sectPr", field + "<w:sectPr", 1).encode())


def _with(archive: bytes, info: zipfile.ZipInfo, data: bytes) -> bytes:
    buffer = io.BytesIO(archive)
    with zipfile.ZipFile(buffer, "a") as opened:
        opened.writestr(info, data)
    return buffer.getvalue()
