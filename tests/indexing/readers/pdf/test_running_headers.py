from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from reading_doubles import make_pdf, read_here, text_at, words_of

from indexing.readers.pdf.running_headers import running_headers, sampled
from indexing.readers.reading_order import Piece
from indexing.records import Reading

SAMPLE = Path(__file__).resolve().parents[4] / "examples/sample/collection/documents/zefira-duo-manual.pdf"


def read_pages(tmp_path: Path, pages: list[str]) -> Reading:
    (tmp_path / "file.pdf").write_bytes(make_pdf(pages))
    return read_here(tmp_path / "file.pdf", tmp_path / "out")


def body(number: int) -> str:
    """Lines that differ from page to page."""
    words = ("copper", "boiler", "gasket", "lens", "harbour", "prism", "kettle")
    return "".join(
        text_at(72, 680 - 14 * row, f"{words[(number + row) % 7]} {words[number % 7]} in line {row} of the text")
        for row in range(6)
    )


def with_edges(number: int, *, header: str, footer: str, size: float = 9) -> str:
    return text_at(72, 750, header, size=size) + body(number) + text_at(300, 40, footer, size=size)


def test_a_header_and_counting_page_numbers_make_no_blocks(tmp_path: Path) -> None:
    pages = [with_edges(n, header="The Copper Boiler Handbook", footer=f"Page {n + 7} of 99") for n in range(1, 5)]
    words = words_of(read_pages(tmp_path, pages).blocks)
    assert "Handbook" not in words
    assert "Page" not in words
    assert words.count("in line 0 of the text") == words.count("in line 5 of the text") == 4


def test_left_and_right_pages_may_have_headers_of_their_own(tmp_path: Path) -> None:
    headers = ("Boilers of the North", "A. Writer and others")
    pages = [with_edges(n, header=headers[n % 2], footer=str(n)) for n in range(1, 9)]
    words = words_of(read_pages(tmp_path, pages).blocks)
    assert not any(header in words for header in headers)


def test_two_pages_keep_their_headers(tmp_path: Path) -> None:
    pages = [with_edges(n, header="The Copper Boiler Handbook", footer=str(n)) for n in (1, 2)]
    assert words_of(read_pages(tmp_path, pages).blocks).count("Handbook") == 2


def test_headers_that_change_with_the_chapter_stay(tmp_path: Path) -> None:
    pages = [with_edges(n, header=f"Chapter {'ABCDE'[n]}", footer="x") for n in range(5)]
    words = words_of(read_pages(tmp_path, pages).blocks)
    assert all(f"Chapter {letter}" in words for letter in "ABCDE")


def test_a_large_line_that_repeats_is_a_heading_and_stays(tmp_path: Path) -> None:
    pages = [with_edges(n, header="Results of the year", footer=str(n), size=20) for n in range(1, 5)]
    assert words_of(read_pages(tmp_path, pages).blocks).count("Results of the year") == 4


def test_numbers_that_do_not_count_with_the_pages_stay(tmp_path: Path) -> None:
    pages = [with_edges(n, header=f"Sum brought forward {n * n * 37}", footer="x") for n in range(1, 6)]
    words = words_of(read_pages(tmp_path, pages).blocks)
    assert all(f"forward {n * n * 37}" in words for n in range(1, 6))


def test_the_header_of_a_table_that_goes_on_stays_with_its_rows(tmp_path: Path) -> None:
    pages = []
    for n in range(1, 5):
        rows = [("Part", "Number", "Price"), *[(f"Seal {n}{r}", f"ZD-{n * n}{r}", f"{n}{r}.50") for r in range(5)]]
        pages.append(
            "".join(
                text_at(x, 750 - 16 * r, cell, size=10)
                for r, row in enumerate(rows)
                for x, cell in zip((90, 210, 330), row, strict=True)
            )
        )
    tables = [block.text for block in read_pages(tmp_path, pages).blocks if block.kind == "table"]
    assert len(tables) == 4
    assert all(table.startswith("| Part | Number | Price |") for table in tables)


def mark(number: int) -> str:
    """A rule without words, so that no two pages are the same."""
    return f"{80 + 20 * number} 40 m 300 40 l S\n"


def test_a_form_whose_upper_lines_all_repeat_keeps_them(tmp_path: Path) -> None:
    form = "".join(text_at(72, 760 - 30 * row, f"Field {'abcdefgh'[row]} of the form", size=10) for row in range(8))
    words = words_of(read_pages(tmp_path, [form + mark(number) for number in range(4)]).blocks)
    assert words.count("Field a of the form") == 4


def test_pages_of_one_and_the_same_line_keep_it(tmp_path: Path) -> None:
    sentence = text_at(72, 750, "Nothing but this sentence", size=10)
    words = words_of(read_pages(tmp_path, [sentence + mark(number) for number in range(3)]).blocks)
    assert words.count("Nothing but this sentence") == 3


def test_the_sample_manual_has_no_block_for_its_header_or_its_page_numbers(tmp_path: Path) -> None:
    reading = read_here(SAMPLE, tmp_path)
    later = [line for block in reading.blocks if (block.page or 0) > 1 for line in block.lines if line.box]
    assert not any(line.box[1] < 0.06 or line.box[3] > 0.95 for line in later if line.box)
    assert "Operating manual" not in " ".join(line.text for line in later)
    assert "Two-group espresso machine, model ZD-2 Operating manual" in words_of(reading.blocks)  # on its title page


@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=8), min_size=1, max_size=12))
def test_words_that_no_two_pages_share_are_never_taken(pages: list[list[int]]) -> None:
    made = [
        (number, [
            Piece(text=f"{chr(97 + number)} word {chr(97 + y)}", box=(0.1, y / 42, 0.5, y / 42 + 0.01), size=10.0)
            for y in page
        ])
        for number, page in enumerate(pages, start=1)
    ]  # fmt: skip
    found = running_headers(made)
    assert all(list(found.without(pieces, number)) == pieces for number, pieces in made)


@given(st.integers(1, 2_000))
def test_few_pages_are_looked_at_and_always_neighbours(count: int) -> None:
    numbers = sampled(count)
    assert len(numbers) == min(count, 16)
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (1, count)


def test_lines_that_were_left_out_are_counted(tmp_path: Path) -> None:
    pages = [with_edges(n, header="The Copper Boiler Handbook", footer=f"Page {n} of 99") for n in range(1, 5)]
    assert read_pages(tmp_path, pages).notes == ("8 lines that repeat at the top or the bottom of pages were left out",)


def printed_from_the_web(number: int, footer: str) -> str:
    """The page ends where its text ends, each at a height of its own."""
    rows = 4 + 3 * (number % 4)
    text = "".join(text_at(72, 740 - 14 * row, f"line {row} of text about page {number * 31}") for row in range(rows))
    return text + text_at(300, 720 - 14 * rows, footer, size=9)


def test_a_counting_footer_is_found_at_any_height(tmp_path: Path) -> None:
    pages = [printed_from_the_web(n, f"Harbour Inc. | Q3 2022 Form 10-Q | {n + 3}") for n in range(1, 8)]
    words = words_of(read_pages(tmp_path, pages).blocks)
    assert "Form 10-Q" not in words
    assert all(f"line 3 of text about page {n * 31}" in words for n in range(1, 8))


def test_a_last_line_whose_number_does_not_count_stays(tmp_path: Path) -> None:
    pages = [printed_from_the_web(n, f"In total {n * n + 5} ships were seen") for n in range(1, 8)]
    assert words_of(read_pages(tmp_path, pages).blocks).count("ships were seen") == 7
