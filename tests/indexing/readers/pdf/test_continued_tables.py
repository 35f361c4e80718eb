from pathlib import Path

from reading_doubles import make_pdf, read_here, text_at

from indexing.records import Block

HEADER = ("Well", "Depth", "Yield", "Owner")
WIDTHS = (72, 200, 300, 400)
DIVIDER = "| --- | --- | --- | --- |"


def rows(first: int, count: int) -> list[tuple[str, ...]]:
    return [
        (f"Well of {number}", str(40 + number), f"{number}.5", f"Parish {number}")
        for number in range(first, first + count)
    ]


def drawn(cells: list[tuple[str, ...]], *, top: float = 730, font: str = "F1", step: float = 20) -> str:
    return "".join(
        text_at(x, top - step * row, cell, size=10, font=font)
        for row, line in enumerate(cells)
        for x, cell in zip(WIDTHS, line, strict=True)
    )


def tables(tmp_path: Path, pages: list[str]) -> list[Block]:
    (tmp_path / "wells.pdf").write_bytes(make_pdf(pages))
    reading = read_here(tmp_path / "wells.pdf", tmp_path / "out")
    return [block for block in reading.blocks if block.kind == "table"]


def line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def test_every_page_of_a_table_begins_with_its_header(tmp_path: Path) -> None:
    pages = [drawn([HEADER, *rows(1, 20)]), drawn(rows(21, 20)), drawn(rows(41, 6))]
    found = tables(tmp_path, pages)
    assert [block.page for block in found] == [1, 2, 3]
    assert [block.text.split("\n")[:2] for block in found] == [[line(HEADER), DIVIDER]] * 3
    assert line(rows(21, 1)[0]) == found[1].text.split("\n")[2]
    assert sum(block.text.count("Parish") for block in found) == 46


def test_a_header_that_stands_on_every_page_is_not_doubled(tmp_path: Path) -> None:
    found = tables(tmp_path, [drawn([HEADER, *rows(1, 20)]), drawn([HEADER, *rows(21, 20)])])
    assert [block.text.count("Owner") for block in found] == [1, 1]


def test_a_single_row_on_the_last_page_is_a_row_of_the_table(tmp_path: Path) -> None:
    after = text_at(72, 600, "This is where the register of the wells ends for the year.")
    found = tables(tmp_path, [drawn([HEADER, *rows(1, 20)]), drawn(rows(21, 1)) + after])
    assert found[1].text == f"{line(HEADER)}\n{DIVIDER}\n{line(rows(21, 1)[0])}"


def test_a_column_that_is_empty_on_a_page_stays_empty_there(tmp_path: Path) -> None:
    without = [(name, depth, "", owner) for name, depth, _, owner in rows(21, 10)]
    found = tables(tmp_path, [drawn([HEADER, *rows(1, 20)]), drawn(without)])
    assert found[1].text.split("\n")[2] == "| Well of 21 | 61 |  | Parish 21 |"


def test_another_table_on_the_next_page_keeps_its_own_header(tmp_path: Path) -> None:
    other = ("Mill", "Wheels", "Rent", "Miller")
    found = tables(tmp_path, [drawn([HEADER, *rows(1, 20)]), drawn([other, *rows(21, 10)])])
    assert found[1].text.startswith(line(other))
    assert "Owner" not in found[1].text


def test_a_table_after_a_paragraph_on_the_next_page_is_another_one(tmp_path: Path) -> None:
    between = text_at(72, 740, "The following wells were closed by the council in the spring of the year.")
    found = tables(tmp_path, [drawn([HEADER, *rows(1, 20)]), between + drawn(rows(21, 10), top=700)])
    assert "Owner" not in found[1].text


def test_page_numbers_do_not_part_a_table(tmp_path: Path) -> None:
    pages = [
        drawn([HEADER, *rows(1, 20)]) + text_at(300, 20, "folio A"),
        drawn(rows(21, 20)) + text_at(300, 20, "folio B"),
    ]
    assert [block.text.split("\n")[0] for block in tables(tmp_path, pages)] == [line(HEADER)] * 2


def test_the_caption_goes_with_every_piece_of_a_table(tmp_path: Path) -> None:
    caption = text_at(72, 755, "Table 4: Wells of the county", size=10)
    found = tables(tmp_path, [caption + drawn([HEADER, *rows(1, 20)]), drawn(rows(21, 20))])
    title = "Table 4: Wells of the county"
    assert [block.caption for block in found] == [title, f"{title} (continued from page 1)"]


def test_a_piece_without_a_caption_says_which_page_it_continues(tmp_path: Path) -> None:
    found = tables(tmp_path, [drawn([HEADER, *rows(1, 20)]), drawn(rows(21, 20)), drawn(rows(41, 20))])
    assert [block.caption for block in found] == ["", "(continued from page 1)", "(continued from page 2)"]


def test_a_ruled_table_goes_on_too(tmp_path: Path) -> None:
    def grid(count: int) -> str:
        across = "".join(f"60 {744 - 20 * n} m 520 {744 - 20 * n} l S\n" for n in range(count + 1))
        return across + "".join(f"{x} 744 m {x} {744 - 20 * count} l S\n" for x in (60, 190, 290, 390, 520))

    pages = [drawn([HEADER, *rows(1, 20)]) + grid(21), drawn(rows(21, 9)) + grid(9), drawn(rows(30, 1)) + grid(1)]
    found = tables(tmp_path, pages)
    assert [block.text.split("\n")[0] for block in found] == [line(HEADER)] * 3
    assert found[2].text.endswith(line(rows(30, 1)[0]))
