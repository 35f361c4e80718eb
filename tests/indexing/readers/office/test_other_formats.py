"""OpenDocument, RTF and old Excel workbooks."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from office_doubles import pairs, texts
from PIL import Image
from reading_doubles import read_here

from indexing.errors import DamagedFileError, EncryptedFileError
from indexing.records import Reading

SPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in {
        "office": "office", "text": "text", "table": "table", "draw": "drawing", "style": "style", "form": "form",
        "presentation": "presentation", "chart": "chart", "meta": "meta",
    }.items()
) + ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'  # fmt: skip


def odf(path: Path, kind: str, body: str, *, styles: str = "", more: Mapping[str, str | bytes] | None = None) -> Path:
    media = f"application/vnd.oasis.opendocument.{kind}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", media, zipfile.ZIP_STORED)
        archive.writestr(
            "content.xml",
            f"<office:document-content {SPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body>{body}</office:body></office:document-content>",
        )
        for name, data in (more or {}).items():
            archive.writestr(name, data)
    return path


def read(path: Path) -> Reading:
    return read_here(path, path.parent / "out")


def red_picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (200, 160), "red").save(data, "PNG")
    return data.getvalue()


CHART = (
    f"<office:document-content {SPACES}><office:body><office:chart><chart:chart><chart:title><text:p>Water</text:p>"
    "</chart:title><table:table><table:table-rows><table:table-row><table:table-cell/><table:table-cell><text:p>Share"
    "</text:p></table:table-cell></table:table-row><table:table-row><table:table-cell><text:p>May</text:p>"
    "</table:table-cell><table:table-cell><text:p>25</text:p></table:table-cell></table:table-row></table:table-rows>"
    "</table:table></chart:chart></office:chart></office:body></office:document-content>"
)


def test_a_text_with_all_that_hangs_on_it(tmp_path: Path) -> None:
    body = (
        "<office:text><office:forms><form:form><form:checkbox form:id='c1' form:label='I agree' "
        "form:current-state='checked'/></form:form></office:forms>"
        "<text:tracked-changes><text:changed-region><text:deletion/><text:p>980</text:p></text:changed-region>"
        "</text:tracked-changes>"
        "<text:h text:outline-level='2'>Roof</text:h>"
        "<text:p>oak<text:note text:note-class='footnote'><text:note-citation>1</text:note-citation><text:note-body>"
        "<text:p>from 1437</text:p></text:note-body></text:note> beams<text:s text:c='2'/>and<text:tab/>elm"
        "<office:annotation><dc:creator>R. Quill</dc:creator><text:p>paid</text:p></office:annotation></text:p>"
        "<text:list><text:list-item><text:p>an item</text:p></text:list-item></text:list>"
        "<text:section><text:p>See <draw:frame><draw:text-box><text:p>the box</text:p></draw:text-box></draw:frame>"
        "</text:p></text:section>"
        "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
        "<table:table-cell><text:p>b</text:p></table:table-cell></table:table-row><table:table-row>"
        "<table:table-cell table:number-columns-repeated='2'><text:p>1</text:p></table:table-cell></table:table-row>"
        "</table:table>"
        "<text:p><draw:control draw:control='c1'/></text:p>"
        "<text:p><draw:frame><draw:object xlink:href='./Object 1'/><draw:image xlink:href='./x'/></draw:frame></text:p>"
        "<text:p><draw:frame><draw:image xlink:href='Pictures/a.png'/></draw:frame></text:p></office:text>"
    )
    styles = f"<office:document-styles {SPACES}><style:header><text:p>Marlowe</text:p></style:header>"
    styles += "<style:header><text:p>Marlowe</text:p></style:header></office:document-styles>"
    meta = f"<office:document-meta {SPACES}><dc:title>Survey</dc:title></office:document-meta>"
    more = {"styles.xml": styles, "meta.xml": meta, "Object 1/content.xml": CHART, "Pictures/a.png": red_picture()}
    reading = read(odf(tmp_path / "a.odt", "text", body, more=more))
    assert pairs(reading) == [
        ("text", "Marlowe"), ("heading", "Roof"), ("text", "oak beams  and\telm"), ("text", "Footnote 1: from 1437"),
        ("text", "Comment by R. Quill: paid"), ("text", "an item"), ("text", "See"), ("text", "the box"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | 1 |"), ("text", "☒ I agree"),
        ("table", "|  | Share |\n| --- | --- |\n| May | 25 |"), ("figure", ""),
    ]  # fmt: skip
    assert reading.title == "Survey"
    assert [(note.kind, note.unread) for note in reading.notes] == [("revision", False)]


def test_slides_are_pages_with_their_notes_and_hidden_ones_are_told(tmp_path: Path) -> None:
    def slide(number: int, style: str = "") -> str:
        return (
            f"<draw:page draw:style-name='{style}'><draw:frame presentation:class='title'><draw:text-box><text:p>Slide "
            f"{number}</text:p></draw:text-box></draw:frame><draw:g><draw:custom-shape><text:p>point</text:p>"
            "</draw:custom-shape></draw:g><presentation:notes><draw:frame presentation:class='notes'><draw:text-box>"
            "<text:p>say it</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>"
        )

    hiding = (
        "<style:style style:name='h'><style:drawing-page-properties presentation:visibility='hidden'/></style:style>"
    )
    body = f"<office:presentation>{slide(1)}{slide(2, 'h')}</office:presentation>"
    reading = read(odf(tmp_path / "a.odp", "presentation", body, styles=hiding))
    assert [(block.page, block.kind, block.text) for block in reading.blocks] == [
        (1, "heading", "Slide 1"), (1, "text", "point"), (1, "text", "Speaker notes: say it"),
        (2, "text", "(hidden slide)"), (2, "heading", "Slide 2"), (2, "text", "point"),
        (2, "text", "Speaker notes: say it"),
    ]  # fmt: skip
    assert [note.kind for note in reading.notes] == ["hidden"]


def test_a_sheet_shows_the_values_that_the_program_showed(tmp_path: Path) -> None:
    body = (
        "<office:spreadsheet><table:table table:name='Wells' table:style-name='t'><table:table-column "
        "table:number-columns-repeated='2'/><table:table-row><table:table-cell><text:p>Well</text:p></table:table-cell>"
        "<table:table-cell><text:p>Sunk</text:p></table:table-cell></table:table-row>"
        "<table:table-row table:visibility='collapse'><table:table-cell><text:p>Frome</text:p></table:table-cell>"
        "<table:table-cell office:value-type='date' office:date-value='1998-03-05'><office:annotation>"
        "<dc:creator>R. Quill</dc:creator><text:p>dry</text:p></office:annotation>"
        "<text:p>5 March 98</text:p></table:table-cell>"
        "</table:table-row><table:table-row><table:table-cell><text:p>Exe</text:p></table:table-cell><table:table-cell "
        "table:formula='of:=TODAY()'/></table:table-row><table:table-row table:number-rows-repeated='1048573'>"
        "<table:table-cell table:number-columns-repeated='16384'/></table:table-row></table:table></office:spreadsheet>"
    )
    hiding = "<style:style style:name='t'><style:table-properties table:display='false'/></style:style>"
    reading = read(odf(tmp_path / "a.ods", "spreadsheet", body, styles=hiding))
    assert pairs(reading) == [
        ("heading", "Wells (hidden sheet)"),
        ("table", "| Well | Sunk |\n| --- | --- |\n| Frome | 5 March 98 |\n| Exe | =TODAY() |"),
        ("text", "Comment by R. Quill (cell B2, 5 March 98): dry"),
    ]
    assert [(note.kind, note.unread) for note in reading.notes] == [
        ("hidden", False), ("hidden", False), ("formula", True),
    ]  # fmt: skip


def test_a_password_is_told(tmp_path: Path) -> None:
    manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>"
    path = odf(tmp_path / "a.odt", "text", "<office:text/>", more={"META-INF/manifest.xml": manifest})
    with pytest.raises(EncryptedFileError):
        read(path)


def test_old_workbooks_are_read_with_their_formats(tmp_path: Path) -> None:
    """wells.xls was written once by xlwt; nothing here writes such files."""
    path = tmp_path / "wells.xls"
    path.write_bytes((Path(__file__).parent / "files" / "wells.xls").read_bytes())
    reading = read(path)
    assert pairs(reading) == [
        ("heading", "Wells"),
        ("table", "| Well | Sunk | Share | Cost | Open |\n| --- | --- | --- | --- | --- |\n"
                  "| Frome | 05.03.1998 | 12.5% | 1,234.50 EUR | TRUE |\n"
                  "| Exe | 31.12.2001 | 100.0% | 7.00 EUR |  |"),
        ("heading", "Notes (hidden sheet)"),
        ("table", "| kept | dry |\n| --- | --- |\n| 5 | 0.1 |"),
    ]  # fmt: skip
    assert [(note.kind, note.place) for note in reading.notes] == [
        ("hidden", "sheet 'Wells'"),
        ("hidden", "sheet 'Notes'"),
    ]


@pytest.mark.parametrize("cut", [700, 3_000])
def test_a_cut_old_workbook_is_damaged(tmp_path: Path, cut: int) -> None:
    whole = (Path(__file__).parent / "files" / "wells.xls").read_bytes()
    (tmp_path / "a.xls").write_bytes(whole[:cut])
    with pytest.raises(DamagedFileError):
        read(tmp_path / "a.xls")


RTF = (
    r"{\rtf1\ansi\ansicpg1251{\fonttbl{\f0\fcharset204 Arial;}}{\info{\title Survey}{\author Ann}}"
    r"{\header \pard Marlowe\par}"
    r"\pard The beams are oak{\super 1}{\footnote \pard dated to 1437\par} and elm {\deleted gone}.\par "
    r"\'c4\'ee\'e3\'ee\'e2\'ee\'f0 \u8364?5 a|b\par "
    r"{\*\atnauthor R. Quill}{\*\annotation \pard the bill was paid\par}Paid.\par "
    r"\trowd\intbl a\cell b\cell\row \trowd\intbl 1\cell 2|3\cell\row "
    r"\pard After.{\shp{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt \pard in the box\par}}}\par "
    r"{\*\shppict{\pict\pngblip PICTURE}}{\nonshppict{\pict\wmetafile8 00}}{\object{\*\objdata 0102}{\result x}}\par}"
)


def test_rich_text_with_its_notes_tables_and_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.rtf"
    path.write_text(RTF.replace("PICTURE", red_picture().hex()))
    reading = read(path)
    assert pairs(reading) == [
        ("text", "Marlowe"), ("text", "The beams are oak1 and elm ."), ("text", "Footnote 1: dated to 1437"),
        ("text", "Договор €5 a|b"), ("text", "Paid."), ("text", "Comment by R. Quill: the bill was paid"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | 2\\|3 |"), ("text", "After."),
        ("text", "in the box"), ("figure", ""),
    ]  # fmt: skip
    assert (reading.title, reading.metadata) == ("Survey", {"author": "Ann"})
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [
        ("revision", 1, False), ("embedded", 1, True),
    ]  # fmt: skip


@pytest.mark.parametrize("text", [r"{\rtf1 open {", r"{\rtf1 }}}} closed", r"{\rtf1 " + r"{\footnote " * 2_000])
def test_unbalanced_rich_text_ends(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.rtf").write_text(text)
    read(tmp_path / "a.rtf")


def test_texts_of_a_document_without_styles(tmp_path: Path) -> None:
    assert texts(read(odf(tmp_path / "a.odt", "text", "<office:text><text:p>words</text:p></office:text>"))) == [
        "words"
    ]
