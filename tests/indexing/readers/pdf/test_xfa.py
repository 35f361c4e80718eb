from pathlib import Path

from pdf_doubles import PdfFile
from reading_doubles import read_here, text_at, words_of

from indexing.records import Reading

WAIT = text_at(72, 700, "Please wait...", size=16) + text_at(72, 670, "Your viewer may not show this form.")
TEMPLATE = """<template xmlns="http://www.xfa.org/schema/xfa-template/3.0/"><subform name="form1">
<draw name="t"><value><text>Application for a mooring</text></value></draw>
<field name="boat"><caption><value><text>Name of the boat</text></value></caption></field>
<field name="metres"><caption><value><text>Length:</text></value></caption></field></subform></template>"""
DATASETS = """<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><form1>
<boat>Grey Plover</boat><metres>11.85</metres><berth>A 12</berth></form1></xfa:data></xfa:datasets>"""


def read_form(tmp_path: Path, file: PdfFile, fields: str = "") -> Reading:
    packets = " ".join(f"({name}) {file.stream(xml)}" for name, xml in (("template", TEMPLATE), ("datasets", DATASETS)))
    file.catalog = f"/AcroForm << /Fields [{fields}] /XFA [{packets}] >>"
    (tmp_path / "form.pdf").write_bytes(file.data())
    return read_here(tmp_path / "form.pdf", tmp_path / "out")


def test_a_form_that_one_viewer_alone_shows_is_told_and_its_data_are_read(tmp_path: Path) -> None:
    file = PdfFile()
    file.page(WAIT)
    reading = read_form(tmp_path, file)
    (note,) = reading.notes
    assert (note.kind, note.unread) == ("form", True)
    assert reading.blocks[-1].text == (
        "Application for a mooring\nName of the boat: Grey Plover\nLength: 11.85\nberth: A 12"
    )


def test_a_form_whose_fields_everybody_sees_is_read_like_any_other(tmp_path: Path) -> None:
    file = PdfFile()
    place = "/Rect [200 695 400 715]"
    widget = file.add(f"<< /Type /Annot /Subtype /Widget /F 4 /FT /Tx /T (boat) /V (Grey Plover) {place} >>")
    file.page(text_at(72, 700, "Name of the boat:"), annotations=widget)
    reading = read_form(tmp_path, file, widget)
    assert words_of(reading.blocks) == "Name of the boat: Grey Plover"
    assert reading.notes == ()


def test_data_that_are_no_xml_are_told_all_the_same(tmp_path: Path) -> None:
    file = PdfFile()
    file.page(WAIT)
    file.catalog = f"/AcroForm << /Fields [] /XFA {file.stream('<<<< no xml &&&')} >> /NeedsRendering true"
    (tmp_path / "form.pdf").write_bytes(file.data())
    assert [note.kind for note in read_here(tmp_path / "form.pdf", tmp_path / "out").notes] == ["form"]
