from hypothesis import given
from hypothesis import strategies as st
from rag_doubles import chunk

from indexing.records import Chunk, Line
from rag.choosing import choose, in_reading_order, most_telling
from rag.passages import passages

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


def test_the_row_that_holds_the_whole_question_is_chosen_alone() -> None:
    (only,) = choose("What is the weight of the Aurora 200?", [chunk(TABLE, kind="table")], most=4, least_gain=0.1)
    assert only.passage.text == "Aurora 200: Price 149 EUR, Weight 3.9 kg"


def test_name_and_total_of_a_receipt_are_both_chosen() -> None:
    receipt = chunk(
        "SOON HUAT MACHINERY\nJALAN PUTRA 1\nTEL 07-5547360\nENGINE OIL 17.00\nTOTAL SALES 327.00\nTHANK YOU"
    )
    chosen = choose("What is the total at Soon Huat Machinery?", [receipt], most=3, least_gain=0.1)
    assert {"SOON HUAT MACHINERY", "TOTAL SALES 327.00"} <= {each.passage.text for each in chosen}


def test_what_a_passage_announces_comes_with_it() -> None:
    chosen = choose("What is the total?", [chunk("SHOP\nTotal:\n9.00\nThank you")], most=1, least_gain=0.1)
    assert [each.passage.text for each in in_reading_order(chosen)] == ["Total:", "9.00"]


def test_the_heading_is_not_chosen_over_what_stands_under_it() -> None:
    errors = chunk(
        "Error codes of the Zefira\nE07: the steam boiler is overfilled.", heading="Manual › Error codes of the Zefira"
    )
    chosen = choose("What does error E07 on the Zefira mean?", [errors], most=1, least_gain=0.1)
    assert chosen[0].passage.text.startswith("E07")


def test_how_often_is_answered_by_a_line_that_says_every() -> None:
    manual = chunk("Descale the machine when asked.\nDescale it every two months.\nThe machine has a lamp.")
    chosen = choose("How often should I descale the machine?", [manual], most=2, least_gain=0.0)
    assert any("every two months" in each.passage.text for each in chosen)


def test_the_passage_to_quote_is_the_one_with_what_is_asked_for() -> None:
    found = passages(chunk("SOON HUAT MACHINERY\nTOTAL SALES 327.00"))
    place = most_telling("What is the total sales at Soon Huat Machinery?", found)
    assert place is not None and found[place].text == "TOTAL SALES 327.00"
    assert most_telling("anything", ()) is None


def test_a_long_table_is_weighed_in_reasonable_time_and_nothing_is_lost() -> None:
    table = "| Item | Price |\n|---|---|\n" + "\n".join(f"| item {i} | {2 * i}.50 |" for i in range(700))
    chosen = choose("What is the price of item 444?", [chunk(table, kind="table")], most=10_000, least_gain=-10.0)
    assert len(chosen) == 700 and chosen[0].passage.text == "item 444: Price 888.50"


@given(st.text(alphabet="abc .|-\n1é", max_size=120), st.booleans())
def test_every_word_of_a_chunk_is_in_some_passage(text: str, boxed: bool) -> None:
    of = chunk(text, boxed=boxed)
    held = " ".join(texts(of))
    if "|" not in text:
        assert "".join(held.split()) == "".join(text.split())


@given(st.lists(st.text(alphabet="ab1 .\n", max_size=40), max_size=4), st.integers(1, 5))
def test_choosing_names_real_passages_once(parts: list[str], most: int) -> None:
    chunks = [chunk(part, file=f"{i}.txt") for i, part in enumerate(parts)]
    chosen = choose("a 1 b", chunks, most=most, least_gain=0.0)
    places = [(each.hit, each.place) for each in chosen]
    assert len(set(places)) == len(places) <= 2 * most
    assert all(passages(chunks[hit])[place] == each.passage for (hit, place), each in zip(places, chosen, strict=True))


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
