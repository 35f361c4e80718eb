import pytest
from hypothesis import given
from hypothesis import strategies as st
from rag_doubles import chunk

from claims.passages import passages, sentences
from indexing.records import Chunk, Line

TABLE = """Prices
| Model | Price | Weight |
|---|---|---|
| Aurora 200 | 149 EUR | 3.9 kg |
| Aurora 300 | 199 EUR | 4.6 kg |"""


def texts(of: Chunk) -> list[str]:
    return [each.text for each in passages(of)]


def test_prose_becomes_sentences_that_know_their_lines() -> None:
    lines = (Line(text="The tank holds", box=(0, 0, 1, 0.1)), Line(text="1.8 litres. Fill it.", box=(0, 0.1, 1, 0.2)))
    found = passages(
        Chunk(
            content_hash="h", path="/a", kind="text", ordinal=0, lines=lines, text="The tank holds 1.8 litres. Fill it."
        )
    )
    assert [each.text for each in found] == ["The tank holds 1.8 litres.", "Fill it."]
    assert found[0].boxes == ((0, 0, 1, 0.1), (0, 0.1, 1, 0.2))
    assert found[1].boxes == ((0, 0.1, 1, 0.2),)


def test_a_word_hyphenated_at_the_end_of_a_line_keeps_the_lines_boxes() -> None:
    lines = (Line(text="All the informa-", box=(0, 0, 1, 0.1)), Line(text="tion there is.", box=(0, 0.1, 1, 0.2)))
    (found,) = passages(
        Chunk(content_hash="h", path="/a", kind="text", ordinal=0, lines=lines, text="All the information there is.")
    )
    assert len(found.boxes) == 2


def test_lines_side_by_side_are_one_row() -> None:
    lines = (
        Line(text="TOTAL", box=(0.1, 0.50, 0.3, 0.53)),
        Line(text="9.00", box=(0.7, 0.505, 0.8, 0.535)),
        Line(text="CASH", box=(0.1, 0.60, 0.3, 0.63)),
    )
    found = passages(
        Chunk(content_hash="h", path="/r.jpg", kind="text", ordinal=0, lines=lines, text="TOTAL\n9.00\nCASH")
    )
    assert [each.text for each in found] == ["TOTAL 9.00", "CASH"]
    assert len(found[0].boxes) == 2


def test_columns_of_a_page_are_not_joined_into_rows() -> None:
    lines = (
        Line(text="Left column ends", box=(0.1, 0.8, 0.4, 0.83)),
        Line(text="right begins", box=(0.6, 0.1, 0.9, 0.13)),
    )
    found = passages(
        Chunk(
            content_hash="h", path="/m.pdf", kind="text", ordinal=0, lines=lines, text="Left column ends\nright begins"
        )
    )
    assert len(found) == 2


def test_rows_of_a_table_say_their_column_names() -> None:
    found = passages(chunk(TABLE, kind="table"))
    assert [each.text for each in found] == [
        "Prices", "Aurora 200: Price 149 EUR, Weight 3.9 kg", "Aurora 300: Price 199 EUR, Weight 4.6 kg",
    ]  # fmt: skip
    assert found[1].quote == "| Aurora 200 | 149 EUR | 3.9 kg |"


@pytest.mark.parametrize(
    "text",
    ["See No. 5 of it.", "Dr. Lowe came.", "Fruit, e.g. Apples, is there.", "It takes 3.5 Minutes.", "J. K. Lowe"],
)
def test_a_stop_that_ends_no_sentence_splits_none(text: str) -> None:
    assert list(sentences(text)) == [(0, len(text))]


def test_a_marker_behind_the_stop_belongs_to_the_sentence_before() -> None:
    text = "It holds 1.8 litres. [1] It costs 3 euros. [2]"
    assert [text[a:b].strip() for a, b in sentences(text)] == ["It holds 1.8 litres. [1]", "It costs 3 euros. [2]"]


def test_sentences_end_at_stops_and_lines() -> None:
    text = "It opens in May. La nave zarpa.\nTotal\n票价是二十二欧元。"
    assert [text[start:end].strip() for start, end in sentences(text)] == [
        "It opens in May.", "La nave zarpa.", "Total", "票价是二十二欧元。",
    ]  # fmt: skip


@given(st.text(alphabet="abc .|-\n1é", max_size=120), st.booleans())
def test_every_word_of_a_chunk_is_in_some_passage(text: str, boxed: bool) -> None:
    of = chunk(text, boxed=boxed)
    held = " ".join(texts(of))
    if "|" not in text:
        assert "".join(held.split()) == "".join(text.split())


def test_a_row_whose_cell_goes_on_in_a_second_line_is_marked_there_and_not_in_another_row() -> None:
    written = (
        "Part Every",
        "Softener: 4 months or",
        "replace 9,000 litres",
        "Gasket: fit 6 months",
        "Wand: 12 months",
        "replace",
    )
    lines = tuple(Line(text=text, box=(0.1, 0.1 * n, 0.9, 0.1 * n + 0.05)) for n, text in enumerate(written))
    text = (
        "| Part | Every |\n| --- | --- |\n| Softener: replace | 4 months or 9,000 litres |\n"
        "| Gasket: fit | 6 months |\n| Wand: replace | 12 months |"
    )
    table = Chunk(content_hash="a", path="a.pdf", kind="table", ordinal=0, text=text, lines=lines)
    marked = [[line.text for line in row.lines] for row in passages(table)]
    assert marked == [list(written[1:3]), list(written[3:4]), list(written[4:6])]


@pytest.mark.parametrize(("top", "rows"), [(0.512, ["TOTAL 9.00"]), (0.518, ["TOTAL", "9.00"])])
def test_side_by_side_are_lines_that_share_half_of_their_height(top: float, rows: list[str]) -> None:
    lines = (Line(text="TOTAL", box=(0.1, 0.5, 0.3, 0.53)), Line(text="9.00", box=(0.7, top, 0.8, top + 0.03)))
    found = passages(Chunk(content_hash="h", path="/r.jpg", kind="text", ordinal=0, lines=lines, text="TOTAL\n9.00"))
    assert [each.text for each in found] == rows


@pytest.mark.parametrize(
    ("written", "marked"), [("Pump 12 weeks", 1), ("Pump seven weeks", 0)], ids=["most of its words", "a third of them"]
)
def test_a_row_is_marked_where_a_line_has_most_of_its_words_in_it(written: str, marked: int) -> None:
    text = "| Part | Every |\n| --- | --- |\n| Pump | 12 months |"
    lines = (Line(text=written, box=(0.1, 0.1, 0.9, 0.15)),)
    (row,) = passages(Chunk(content_hash="h", path="a.pdf", kind="table", ordinal=0, text=text, lines=lines))
    assert len(row.lines) == marked


@pytest.mark.parametrize(("top", "marked"), [(0.112, ["Pump", "12"]), (0.118, ["12"])])
def test_cells_of_a_row_that_ocr_read_one_by_one_are_a_line_where_they_share_half_of_their_height(
    top: float, marked: list[str]
) -> None:
    text = "| Part | Every |\n| --- | --- |\n| Valve | 12 |"
    lines = (Line(text="Pump", box=(0.1, 0.1, 0.3, 0.13)), Line(text="12", box=(0.7, top, 0.8, top + 0.03)))
    (row,) = passages(Chunk(content_hash="h", path="a.pdf", kind="table", ordinal=0, text=text, lines=lines))
    assert [line.text for line in row.lines] in (marked, [])
