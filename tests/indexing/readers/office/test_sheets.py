"""Values of a spreadsheet as a person sees them, and what is hidden or stands beside the cells."""

import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from office_doubles import OFFICE, as_strict, rewritten
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from reading_doubles import read_here

from indexing.readers import grid
from indexing.records import Reading


def book_of(*rows: Any) -> Any:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def read(tmp_path: Path, book: Any) -> Reading:
    path = tmp_path / "a.xlsx"
    book.save(str(path))
    return read_here(path, tmp_path / "out")


def tables(reading: Reading) -> list[str]:
    return [block.text for block in reading.blocks if block.kind == "table"]


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (datetime.date(2024, 3, 5), "dd.mm.yyyy", "05.03.2024"),
        (datetime.date(2024, 3, 5), "mm-dd-yy", "2024-03-05"),
        (datetime.datetime(2024, 3, 5, 18, 30), "d mmm yyyy h:mm AM/PM", "5 Mar 2024 6:30 PM"),
        (datetime.timedelta(hours=36, minutes=15), "[h]:mm", "36:15"),
        (0.125, "0.0%", "12.5%"),
        (1234567.5, "#,##0.00", "1,234,567.50"),
        (1234.5, "[$€-407] #,##0.00", "€ 1,234.50"),
        (-12, "#,##0_);[Red](#,##0)", "(12)"),
        (42, "00000", "00042"),
        (0.1234567891234, "General", "0.1234567891234"),
        (12345678901, "General", "12345678901"),
        (True, "General", "TRUE"),
        ("NA", "General", "NA"),
        ("007", "@", "007"),
        ("x", '"Order "@', "Order x"),
        (1.25, "# ?/?", "1 1/4"),
    ],
)
def test_a_value_is_read_as_its_cell_shows_it(tmp_path: Path, value: object, code: str, shown: str) -> None:
    book = book_of(["Item", "Value"], ["one", value])
    book.active["B2"].number_format = code
    assert tables(read(tmp_path, book)) == [f"| Item | Value |\n| --- | --- |\n| one | {shown} |"]


def test_a_formula_without_a_value_is_read_as_a_formula_and_told(tmp_path: Path) -> None:
    reading = read(tmp_path, book_of(["Item", "Sum"], ["one", 3], ["all", "=SUM(B2:B2)"]))
    assert "| all | =SUM(B2:B2) |" in tables(reading)[0]
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("formula", 1, True)]


def test_a_formula_that_cells_share_is_read_in_each(tmp_path: Path) -> None:
    book_of(["a", "b"], [1, 2], [3, 4]).save(str(tmp_path / "a.xlsx"))
    shared = (('<c r="B2" t="n"><v>2</v></c>', '<c r="B2"><f t="shared" ref="B2:B3" si="0">A2*2</f></c>'),
              ('<c r="B3" t="n"><v>4</v></c>', '<c r="B3"><f t="shared" si="0"/></c>'))  # fmt: skip

    def change(xml: str) -> str:
        for old, new in shared:
            assert old in xml
            xml = xml.replace(old, new)
        return xml

    path = rewritten(tmp_path / "a.xlsx", {"xl/worksheets/sheet1.xml": change})
    assert "| 1 | =A2*2 |\n| 3 | =A3*2 |" in tables(read_here(path, tmp_path / "out"))[0]


def test_hidden_sheets_rows_and_columns_are_read_and_told(tmp_path: Path) -> None:
    book = book_of(["a", "b"], [1, 2], [3, 4])
    book.active.row_dimensions[2].hidden = True
    book.active.column_dimensions["B"].hidden = True
    second = book.create_sheet("Secret")
    second.append(["c", "d"])
    second.append([5, 6])
    second.sheet_state = "hidden"
    reading = read(tmp_path, book)
    assert tables(reading) == [
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |",
        "| c | d |\n| --- | --- |\n| 5 | 6 |",
    ]
    assert "Secret (hidden sheet)" in [block.text for block in reading.blocks]
    assert [(note.kind, note.number, note.place) for note in reading.notes] == [
        ("hidden", 1, "sheet 'Sheet'"), ("hidden", 1, "sheet 'Sheet'"), ("hidden", 1, "sheet 'Secret'"),
    ]  # fmt: skip
    assert not any(note.unread for note in reading.notes)


def test_a_comment_says_its_author_and_its_cell(tmp_path: Path) -> None:
    book = book_of(["Budget", "Sum"], ["Roof", 4100])
    book.active["B2"].comment = Comment("R. Quill:\nagreed on 3 May", "R. Quill")
    reading = read(tmp_path, book)
    assert reading.blocks[-1].text == "Comment by R. Quill (cell B2, 4100): agreed on 3 May"
    assert reading.notes == ()


def test_a_chart_without_values_takes_them_from_its_cells(tmp_path: Path) -> None:
    """openpyxl writes charts so."""
    book = book_of(["Year", "Count"], [2023, 160], [2024, 180])
    chart = BarChart()
    chart.title = "Ducks"
    chart.add_data(Reference(book.active, min_col=2, min_row=1, max_row=3), titles_from_data=True)
    chart.set_categories(Reference(book.active, min_col=1, min_row=2, max_row=3))
    book.active.add_chart(chart, "D2")
    reading = read(tmp_path, book)
    assert [block.caption for block in reading.blocks if block.kind == "table"] == ["", "Chart: Ducks"]
    assert tables(reading)[1] == "|  | Count |\n| --- | --- |\n| 2023 | 160 |\n| 2024 | 180 |"


def test_tables_on_one_sheet_are_apart(tmp_path: Path) -> None:
    rows = [
        ["Ducks"], ["Year", "Count", None, "Name", "Town"], [2023, 160, None, "Kay", "Ryde"], [None], ["Geese"], [None],
        ["Year", "Weight"], [2023, 3.5],
    ]  # fmt: skip
    reading = read(tmp_path, book_of(*rows))
    assert [(block.caption, block.text) for block in reading.blocks if block.kind == "table"] == [
        ("Ducks", "| Year | Count |\n| --- | --- |\n| 2023 | 160 |"),
        ("", "| Name | Town |\n| --- | --- |\n| Kay | Ryde |"),
        ("Geese", "| Year | Weight |\n| --- | --- |\n| 2023 | 3.5 |"),
    ]


def test_a_blank_row_or_column_inside_a_table_does_not_part_it(tmp_path: Path) -> None:
    rows = [["Item", None, "Sum"], ["Roof", None, 1], ["Door", None, 2], [None], ["All", None, 3]]
    assert tables(read(tmp_path, book_of(*rows))) == [
        "| Item | Sum |\n| --- | --- |\n| Roof | 1 |\n| Door | 2 |\n| All | 3 |"
    ]


def test_words_in_merged_cells_belong_to_all_their_rows(tmp_path: Path) -> None:
    book = book_of(["Region", "Well", "Depth"], ["North", "Frome", 3], [None, "Exe", 4])
    book.active.merge_cells("A2:A3")
    assert tables(read(tmp_path, book)) == [
        "| Region | Well | Depth |\n| --- | --- | --- |\n| North | Frome | 3 |\n| North | Exe | 4 |"
    ]


def test_a_cell_merged_over_columns_keeps_the_others_in_theirs_and_says_what_it_covers(tmp_path: Path) -> None:
    book = book_of(["Well", "Sunk", None, "Depth"], ["Exe", "May", 1998, 4], ["Frome", "June", 2001, 3])
    book.active.merge_cells("B1:C1")
    assert tables(read(tmp_path, book)) == [
        "| Well | Sunk || Depth |\n| --- | --- | --- | --- |\n| Exe | May | 1998 | 4 |\n| Frome | June | 2001 | 3 |"
    ]


def test_cells_over_the_limit_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexing.readers.office.excel_cells.MOST_CELLS", 6)
    monkeypatch.setattr(grid, "MOST_CELLS", 6)
    reading = read(tmp_path, book_of(["a", "b"], [1, 2], [3, 4], [5, 6]))
    assert tables(reading) == ["| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"]
    assert reading.notes[0].unread and "row 3" in reading.notes[0]


def test_a_sheet_that_claims_a_million_rows_costs_what_is_in_it(tmp_path: Path) -> None:
    book = book_of(["Key", "Holder"], ["Boathouse", "Lark"])
    book.active["XFD1048576"].number_format = "0.00"
    assert tables(read(tmp_path, book)) == ["| Key | Holder |\n| --- | --- |\n| Boathouse | Lark |"]


def test_a_strict_workbook_is_read_as_the_ordinary_kind(tmp_path: Path) -> None:
    book = book_of(["Budget", "Sum"], ["Roof", 0.5])
    book.active["B2"].number_format = "0%"
    book.active["B2"].comment = Comment("agreed", "R. Quill")
    ordinary = read(tmp_path, book)
    assert read_here(as_strict(tmp_path / "a.xlsx"), tmp_path / "out").blocks == ordinary.blocks
    assert "50%" in tables(ordinary)[0]


def test_a_damaged_sheet_is_read_up_to_its_damage(tmp_path: Path) -> None:
    book_of(["a", "b"], [1, 2], [3, 4]).save(str(tmp_path / "a.xlsx"))
    path = rewritten(
        tmp_path / "a.xlsx", {"xl/worksheets/sheet1.xml": lambda xml: xml.replace('<row r="3"', '<row <<r="3"')}
    )
    reading = read_here(path, tmp_path / "out")
    assert tables(reading) == ["| a | b |\n| --- | --- |\n| 1 | 2 |"]
    assert reading.notes[0].unread and "damaged" in reading.notes[0]


def related(xml: str, kind: str, target: str) -> str:
    new = f'<Relationship Id="x{kind}" Type="{OFFICE}/{kind}" Target="{target}"/>'
    return xml.replace("</Relationships>", f"{new}</Relationships>")


def test_a_conversation_says_who_wrote_what_and_is_read_once(tmp_path: Path) -> None:
    book = book_of(["Budget", "Sum"], ["Roof", 4100])
    book.active["B2"].comment = Comment("[Threaded comment] Your version of Excel …", "tc={1}")
    book.save(str(tmp_path / "a.xlsx"))
    space = 'xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"'
    said = f'<ThreadedComments {space}><threadedComment ref="B2" personId="p"><text>agreed</text></threadedComment>'
    said += '<threadedComment ref="B2" personId="q"><text>paid</text></threadedComment></ThreadedComments>'
    people = f'<personList {space}><person displayName="R. Quill" id="p"/>'
    people += '<person displayName="K. Vane" id="q"/></personList>'
    rewritten(
        tmp_path / "a.xlsx",
        {
            "xl/worksheets/_rels/sheet1.xml.rels": lambda xml: related(xml, "threadedComment", "/xl/said.xml"),
            "xl/_rels/workbook.xml.rels": lambda xml: related(xml, "person", "/xl/people.xml"),
        },
        **{"xl/said.xml": said, "xl/people.xml": people},
    )
    reading = read_here(tmp_path / "a.xlsx", tmp_path / "out")
    assert [block.text for block in reading.blocks if block.text.startswith("Comment")] == [
        "Comment by R. Quill (cell B2, 4100): agreed", "Comment by K. Vane (cell B2, 4100): paid",
    ]  # fmt: skip


def test_check_boxes_that_lie_on_the_cells_say_whether_they_are_ticked(tmp_path: Path) -> None:
    book = book_of(["Budget", "Sum"], ["Roof", 4100])
    book.active["B2"].comment = Comment("agreed", "R. Quill")
    book.save(str(tmp_path / "a.xlsx"))
    box = (
        '<v:shape xmlns:v="urn:schemas-microsoft-com:vml" xmlns:x="urn:schemas-microsoft-com:office:excel"><v:textbox>'
        '<div><font>Paid</font></div></v:textbox><x:ClientData ObjectType="Checkbox"><x:Checked>1</x:Checked>'
        "</x:ClientData></v:shape>"
    )
    vml = f"<xml>{box}{box.replace('<x:Checked>1</x:Checked>', '').replace('Paid', 'Late')}</xml>"
    relations = {"xl/worksheets/_rels/sheet1.xml.rels": lambda xml: related(xml, "vmlDrawing", "/xl/boxes.vml")}
    reading = read_here(rewritten(tmp_path / "a.xlsx", relations, **{"xl/boxes.vml": vml}), tmp_path / "out")
    assert [block.text for block in reading.blocks if block.text[0] in "☒☐"] == ["☒ Paid", "☐ Late"]
