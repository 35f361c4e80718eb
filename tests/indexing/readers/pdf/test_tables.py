from collections.abc import Sequence
from pathlib import Path

from reading_doubles import make_pdf, read_here, source_of, text_at, words_of

from indexing.chunking import ChunkSettings, chunks
from indexing.records import Block, Reading

SAMPLE = Path(__file__).resolve().parents[4] / "examples/sample/collection/documents"
COLUMNS = (90, 170, 300)
HEIGHT = 12


def read_page(tmp_path: Path, content: str) -> Reading:
    (tmp_path / "file.pdf").write_bytes(make_pdf([content]))
    return read_here(tmp_path / "file.pdf", tmp_path / "out")


def tables(reading: Reading) -> list[Block]:
    return [block for block in reading.blocks if block.kind == "table"]


def cells(block: Block) -> list[list[str]]:
    """The rows of a Markdown table, the line under the header left out."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.text.split("\n")]
    return [rows[0], *rows[2:]]


def row_text(top: float, lines: Sequence[Sequence[str]], *, font: str = "F1") -> str:
    """The lines of one row of cells; the first stands at `top`."""
    return "".join(
        text_at(x, top - HEIGHT * number, cell, size=10, font=font)
        for number, line in enumerate(lines)
        for x, cell in zip(COLUMNS, line, strict=False)
        if cell
    )


ROWS = [
    [("Code", "Meaning", "What to do")],
    [("F1", "No water from the", "Open the valve on the"), ("", "mains", "wall; check the hose")],
    [("F2", "Tray is full", "Empty it")],
    [("F3", "Left meter gives no", "Grind the coffee coarser"), ("", "pulses", "")],
    [("F4", "Cover open", "Close it")],
]
JOINED = [
    ["Code", "Meaning", "What to do"],
    ["F1", "No water from the mains", "Open the valve on the wall; check the hose"],
    ["F2", "Tray is full", "Empty it"],
    ["F3", "Left meter gives no pulses", "Grind the coffee coarser"],
    ["F4", "Cover open", "Close it"],
]


def banded(top: float, rows: Sequence[Sequence[Sequence[str]]], *, shades: Sequence[str]) -> str:
    """A table whose rows have a ground of their own and no rule at all."""
    content = ""
    for number, lines in enumerate(rows):
        high = HEIGHT * len(lines) + 8
        content += f"q {shades[number % len(shades)]} rg 84 {top - high} 346 {high} re f Q\n"
        content += row_text(top - 13, lines, font="F2" if number == 0 else "F1")
        top -= high
    return content


def ruled(top: float, rows: Sequence[Sequence[Sequence[str]]]) -> str:
    """A table with a rule above, below and between its rows."""
    content = f"84 {top} m 430 {top} l S\n"
    for lines in rows:
        high = HEIGHT * len(lines) + 8
        content += row_text(top - 13, lines)
        top -= high
        content += f"84 {top} m 430 {top} l S\n"
    return content


def prose(top: float, name: str, *, rows: int = 6) -> str:
    return "".join(
        text_at(86, top - 14 * row, f"{name} line {row} goes on with many words up to the right edge", size=10)
        for row in range(rows)
    )


def test_cells_of_several_lines_on_filled_bands_are_one_row_under_their_header(tmp_path: Path) -> None:
    content = banded(700, ROWS, shades=["0.1 0.3 0.3", "1 1 1", "0.9 0.95 0.95"])
    reading = read_page(tmp_path, prose(600 - 60, "after") + content)
    (table,) = tables(reading)
    assert cells(table) == JOINED
    assert "Meaning" not in words_of(tuple(block for block in reading.blocks if block.kind != "table"))


def test_cells_of_several_lines_between_rules_are_one_row(tmp_path: Path) -> None:
    (table,) = tables(read_page(tmp_path, ruled(700, ROWS)))
    assert cells(table) == JOINED


def test_an_empty_first_cell_between_rules_is_a_row_of_its_own(tmp_path: Path) -> None:
    rows = [
        [("Group", "Part", "Number")],
        [("Pump", "Gasket for the valve", "ZD-1")],
        [("", "Screw", "ZD-2")],
        [("Boiler", "Heating rod", "ZD-3")],
    ]
    (table,) = tables(read_page(tmp_path, ruled(700, rows)))
    assert cells(table) == [["Group", "Part", "Number"], *[list(row[0]) for row in rows[1:]]]


def test_lines_that_had_room_above_are_rows_even_without_a_rule_between_them(tmp_path: Path) -> None:
    rows = [
        [("Group", "Part", "Number")],
        [("Pump", "Gasket", "ZD-1"), ("Pump", "Screw", "ZD-2")],
        [("Boiler", "Rod", "ZD-3"), ("Boiler", "Lid", "ZD-4")],
    ]
    (table,) = tables(read_page(tmp_path, ruled(700, rows)))
    assert cells(table) == [list(line) for lines in rows for line in lines]


def test_numbers_below_numbers_are_rows(tmp_path: Path) -> None:
    rows = [
        [("Year", "Litres of water taken", "Litres of milk")],
        [("2019", "1,200,000,000,000,000", "3"), ("2020", "1,300,000,000,000,000", "4")],
        [("2021", "1,400,000,000,000,000", "5"), ("2022", "1,500,000,000,000,000", "6")],
    ]
    (table,) = tables(read_page(tmp_path, ruled(700, rows)))
    assert [row[0] for row in cells(table)] == ["Year", "2019", "2020", "2021", "2022"]


def test_text_between_two_tables_of_one_width_stays_text(tmp_path: Path) -> None:
    content = ruled(740, ROWS) + prose(600, "between") + ruled(480, ROWS)
    reading = read_page(tmp_path, content)
    assert [cells(table) for table in tables(reading)] == [JOINED, JOINED]
    assert [block.kind for block in reading.blocks] == ["table", "text", "table"]


def test_a_title_on_a_band_is_no_header(tmp_path: Path) -> None:
    rows = [[("What the codes on the display of the machine mean",)], *ROWS]
    reading = read_page(tmp_path, banded(700, rows, shades=["0.8 0.9 0.9", "1 1 1"]))
    (table,) = tables(reading)
    assert cells(table) == JOINED
    assert reading.blocks[0].text == "What the codes on the display of the machine mean"


def test_a_bold_line_of_cells_above_the_first_rule_is_the_header(tmp_path: Path) -> None:
    content = row_text(707, ROWS[0], font="F2") + ruled(700, ROWS[1:])
    reading = read_page(tmp_path, prose(770, "before", rows=2) + content)
    (table,) = tables(reading)
    assert cells(table) == JOINED


def test_a_header_wider_than_its_column_stays_one_cell(tmp_path: Path) -> None:
    rows = [[("Part", "Order number", "In a set of four")], *[[(f"Seal {n}", f"ZD-{n}", "2")] for n in range(9)]]
    (table,) = tables(read_page(tmp_path, ruled(700, rows)))
    assert cells(table)[0] == ["Part", "Order number", "In a set of four"]


def test_lines_with_dots_up_to_the_next_column_are_rows(tmp_path: Path) -> None:
    rows = [[(f"Place {n}", "." * 44, f"www.place-{n}.example")] for n in range(5)]
    together = [[line for lines in rows for line in lines]]
    (table,) = tables(read_page(tmp_path, ruled(700, [[("Name", "", "Address")], *together])))
    assert len(cells(table)) == 6


def test_notes_on_a_ground_of_their_own_are_no_table(tmp_path: Path) -> None:
    content = "".join(f"q 0.9 0.9 0.9 rg 80 {660 - 200 * n} 450 90 re f Q\n" for n in range(2))
    reading = read_page(tmp_path, content + prose(735, "first") + prose(635, "second") + prose(535, "third"))
    assert tables(reading) == []
    assert all(f"{name} line {row}" in words_of(reading.blocks) for name in ("first", "third") for row in range(6))


def test_the_sample_manual_s_error_codes_are_one_table_with_its_header(tmp_path: Path) -> None:
    reading = read_here(SAMPLE / "zefira-duo-manual.pdf", tmp_path)
    (codes,) = [table for table in tables(reading) if "E07" in table.text]
    assert cells(codes)[0] == ["Code", "Meaning", "What to do"]
    assert ["E07", "Steam boiler overfilled", "Drain it by the tea tap; technician"] in cells(codes)
    assert [row[0] for row in cells(codes)[1:]] == [f"E{n:02}" for n in range(1, 11)]
    assert (codes.page, codes.caption) == (5, "Table 6: Error codes on the display.")


def test_the_lines_of_a_joined_row_keep_their_own_boxes(tmp_path: Path) -> None:
    reading = read_here(SAMPLE / "zefira-duo-manual.pdf", tmp_path)
    (codes,) = [table for table in tables(reading) if "E07" in table.text]
    by_text = {line.text: line.box for line in codes.lines}
    above, below = by_text["E07 Steam boiler Drain it by the tea tap;"], by_text["overfilled technician"]
    assert above is not None
    assert below is not None
    assert 0.36 < above[1] < above[3] <= below[1] < below[3] < 0.40  # as the page shows them
    assert below[0] > above[0]


def test_every_table_of_the_sample_manual_has_its_header_and_whole_rows(tmp_path: Path) -> None:
    found = [cells(table) for table in tables(read_here(SAMPLE / "zefira-duo-manual.pdf", tmp_path))]
    assert [table[0][0] for table in found] == [
        "Property", "Setting", "Drink", "Menu", "Part", "Code", "What happens", "Part",
    ]  # fmt: skip
    assert [len(table) - 1 for table in found] == [12, 5, 7, 8, 8, 10, 8, 8]
    assert all(row[0] for table in found for row in table)


def test_the_chunks_of_the_sample_manual_have_the_header_in_tables_only(tmp_path: Path) -> None:
    path = SAMPLE / "zefira-duo-manual.pdf"
    found = chunks(read_here(path, tmp_path), source=source_of(path), image_folder="x", settings=ChunkSettings())
    (codes,) = [chunk for chunk in found if "| E07 | Steam boiler overfilled |" in chunk.text]
    assert "| Code | Meaning | What to do |" in codes.text
    assert not any("Code Meaning What to do" in chunk.text for chunk in found)


def test_a_ground_inside_another_of_its_colour_parts_no_rows(tmp_path: Path) -> None:
    """Word shades each line of a cell once more; ROWS[1] has its ground from 648 to 680."""
    content = banded(700, ROWS, shades=["0.1 0.3 0.3", "0.9 0.9 1", "1 1 1"])
    lines = "".join(f"q 0.9 0.9 1 rg 86 {bottom} 342 12 re f Q\n" for bottom in (662, 650))
    (table,) = tables(read_page(tmp_path, lines + content))
    assert cells(table) == JOINED


def test_a_bold_line_of_words_heads_a_table_without_rules(tmp_path: Path) -> None:
    rows = [("Property", "Value"), ("Weight", "62 kg"), ("Power", "4,300 W"), ("Noise", "58 dB")]
    content = "".join(
        row_text(700 - 16 * n, [row], font="F2" if n == 0 else "F1") for n, row in enumerate(rows)
    )  # fmt: skip
    (table,) = tables(read_page(tmp_path, prose(800, "before", rows=5) + content))
    assert cells(table) == [list(row) for row in rows]
