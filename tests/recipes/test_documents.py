import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims.passages import fold, passages
from recipes.pocket.documents import KINDS, make, make_clean
from recipes.pocket.documents.document import Document, Part, Table, line
from recipes.pocket.documents.drawing import draw
from recipes.pocket.documents.languages import NAMES, language
from recipes.pocket.documents.noise import misread, read_by_ocr
from recipes.pocket.documents.patterns import Writer
from recipes.pocket.documents.values import GENERATORS, written_date, written_money
from recipes.pocket.documents.wordings import FILTERS, Name, ask, parsed

MONTHS = tuple(language("en").words["month_name"].split("|"))

seeds = st.integers(0, 10**6)
kinds = st.sampled_from(sorted(KINDS))


def texts(document: Document) -> str:
    return "\n".join(chunk.text for chunk in document.chunks())


@given(kind=kinds, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_the_same_seed_makes_the_same_document(kind: str, seed: int) -> None:
    assert make(kind, random.Random(seed)) == make(kind, random.Random(seed))


@given(kind=kinds, seed=seeds)
@settings(max_examples=100, deadline=None)
def test_every_value_that_can_be_asked_for_stands_in_a_passage_of_a_chunk(kind: str, seed: int) -> None:
    document = make(kind, random.Random(seed))
    written = fold(" ".join(passage.text for chunk in document.chunks() for passage in passages(chunk)))
    for asked in document.asks:
        for key in asked.keys:
            if key in document.values:
                assert " ".join(fold(document.values[key]).split()) in " ".join(written.split())


@given(kind=kinds, seed=seeds)
@settings(max_examples=100, deadline=None)
def test_answers_name_only_values_of_their_question_and_the_file(kind: str, seed: int) -> None:
    document = make(kind, random.Random(seed))
    for asked in document.asks:
        for answer in asked.answers:
            answer.format_map({**dict.fromkeys(asked.keys, "x"), "file": "y"})


@given(kind=kinds, seed=seeds)
@settings(max_examples=100, deadline=None)
def test_no_pattern_is_left_in_what_is_written_or_asked(kind: str, seed: int) -> None:
    document = make(kind, random.Random(seed))
    asked = [*document.absent, *(text for each in document.asks for text in (each.question, each.then, each.about))]
    assert not any("<" in text or ">" in text or "{" in text for text in asked)
    assert "<thing>" not in texts(document)


@given(kind=kinds.filter(lambda kind: kind != "picture"), seed=seeds)
@settings(max_examples=100, deadline=None)
def test_a_document_without_a_value_says_it_nowhere_and_keeps_its_other_lines(kind: str, seed: int) -> None:
    document = make(kind, random.Random(seed))
    asked = next(each for each in document.asks if each.keys[0] in document.values)
    value = fold(document.values[asked.keys[0]])
    rest = document.without(asked.keys)
    assert value not in fold(texts(rest))
    kept = [row for row in texts(document).split("\n") if value not in fold(row)]
    assert set(texts(rest).split("\n")) <= set(kept) | {""}


def test_removing_a_total_removes_the_same_amount_under_other_labels() -> None:
    document = Document(
        kind="receipt",
        name="1.jpg",
        blocks=(line("Total: ", ("total", "9.00")), line("CASH 9.00"), line("Date: ", ("date", "1/2/2020"))),
        scanned=True,
    )
    text = document.without(("total",)).chunks()[-1].text
    assert text == "Date: 1/2/2020"


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_lines_of_a_scan_stand_on_the_page_below_each_other(seed: int) -> None:
    document = make("receipt", random.Random(seed))
    boxes = [each.box for each in document.chunks()[-1].lines]
    assert boxes and all(box is not None and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1 for box in boxes)
    tops = [box[1] for box in boxes if box is not None]
    assert tops == sorted(tops)


def test_noise_of_zero_changes_no_letter() -> None:
    assert misread("Total: RM 31.00", random.Random(1), share=0.0) == "Total: RM 31.00"


def test_noise_mistakes_letters_for_their_likes() -> None:
    read = {misread("10:05 Somm", random.Random(seed), share=0.5) for seed in range(200)}
    assert any("l" in text for text in read) and any("rn" in text for text in read)


def test_a_value_is_still_known_after_it_was_misread() -> None:
    document = Document(kind="receipt", name="1.jpg", blocks=(line("Totals: ", ("total", "RM 1005.50")),), scanned=True)
    for seed in range(50):
        worn = read_by_ocr(document, random.Random(seed), strength=0.5)
        if worn.blocks:
            assert worn.values["total"] in worn.chunks()[-1].text


def test_values_are_misread_less_than_other_words() -> None:
    words = "Simple lines of oil 1O0 1805"
    document = Document(kind="x", name="1.jpg", blocks=(line(words, ("key", words)),), scanned=True)

    def changed(key: str) -> int:
        count = 0
        for seed in range(200):
            worn = read_by_ocr(document, random.Random(seed), strength=0.03)
            block = worn.blocks[0]
            assert not isinstance(block, Table)
            count += next(part.text for part in block.parts if part.key == key).casefold() != words.casefold()
        return count

    assert changed("key") < 0.6 * changed("")


@pytest.mark.parametrize(
    ("style", "written"),
    [
        ("d/m/Y", "05/03/2018"),
        ("j M Y", "5 Mar 2018"),
        ("d MON Y", "05 MAR 2018"),
        ("F j, Y", "March 5, 2018"),
        ("d-m-y", "05-03-18"),
        ("W, j F Y", "Monday, 5 March 2018"),
    ],
)
def test_dates_are_written_in_many_styles(style: str, written: str) -> None:
    from datetime import date

    assert written_date(date(2018, 3, 5), style) == written


def test_a_wording_fills_names_in_and_remembers_what_they_are_about() -> None:
    (wording,) = parsed("""
        total
        ? How much is <bill>?
        = The total is {total}.
        + And the total?
    """)
    asked = ask(random.Random(0), wording, {"bill": Name("the bill from Lowe", "Lowe")})
    assert (asked.question, asked.about, asked.then) == ("How much is the bill from Lowe?", "Lowe", "And the total?")


def test_a_table_becomes_a_table_chunk_with_its_rows_spelled_out() -> None:
    table = Table(header=("Item", "Price"), rows=((Part("Lamp"), Part("9 EUR", "price")),))
    document = Document(kind="table", name="a.xlsx", title="List", blocks=(table,))
    (chunk,) = document.chunks()
    assert chunk.kind == "table"
    assert [passage.text for passage in passages(chunk)] == ["Lamp: Price 9 EUR"]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"picture"}))
def test_a_drawing_has_ink_on_paper_and_is_the_same_for_the_same_seed(kind: str) -> None:
    document = make_clean(kind, random.Random(3))
    first, again = draw(document, random.Random(1)), draw(document, random.Random(1))
    grey = np.asarray(first)
    assert np.array_equal(grey, np.asarray(again))
    assert 0.001 < float((grey < 100).mean()) < 0.3


def test_a_clean_drawing_is_printed_without_noise() -> None:
    document = make_clean("receipt", random.Random(5))
    assert int(np.asarray(draw(document, random.Random(1), noise=0)).max()) == 255


def writer(seed: int = 0, **tables: str) -> Writer:
    return Writer(random.Random(seed), [tables], GENERATORS, FILTERS)


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("<7-7> of <town:upper>", r"7 of ROME"),
        ("[a|b]c", r"[ab]c"),
        ("[100%:yes|no][0%:never]", r"yes"),
        ("<#4> <000-009> <0.3-0.9> <,1000-9000/1000>", r"[1-9]\d{3} 00\d 0\.\d \d,000"),
        ("<day_of 2014-2014> <clock 7-9>", r"\d\d/\d\d/2014 0[7-9]:\d\d"),
    ],
)
def test_patterns_are_filled_in(pattern: str, written: str) -> None:
    tables = {
        "town": "Rome", "date_style": "d/m/Y", "month_name": "|".join(MONTHS), "weekday": "|".join("MTWTFSS"),
        "half_day": "am|pm", "clock_style": "H:M",
    }  # fmt: skip
    for seed in range(20):
        assert re.fullmatch(written, writer(seed, **tables).text(pattern))


def test_an_asked_slot_becomes_a_part_with_its_key_and_what_fills_a_slot_is_no_pattern() -> None:
    made = writer(total="9.00", shop="[A|B]")
    made.words["shop"] = "[A|B] <x>"
    assert made.parts("<shop>: {total}.") == (Part("[A|B] <x>: "), Part("9.00", "total"), Part("."))


@pytest.mark.parametrize("pattern", ["[a|b", "a]", "[20%:a[b]"])
def test_a_bracket_without_its_partner_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        writer().text(pattern)


def test_an_unknown_slot_is_named() -> None:
    with pytest.raises(KeyError, match="towm"):
        writer().text("to <towm>")


@pytest.mark.parametrize(
    ("amount", "example", "written"),
    [
        (20088.4, "1.234,50 EUR", "20.088,40 EUR"),
        (7.5, "RM1,234.50", "RM7.50"),
        (1042, "CHF 1'234.50", "CHF 1'042.00"),
        (8, "€1234", "€8"),
    ],
)
def test_money_is_written_in_the_manner_of_an_example(amount: float, example: str, written: str) -> None:
    assert written_money(amount, example) == written


def test_a_column_of_months_keeps_the_order_of_the_year() -> None:
    for seed in range(200):
        document = make_clean("table", random.Random(seed))
        for block in document.blocks:
            if isinstance(block, Table) and block.header[0] == "Month":
                places = [MONTHS.index(row[0].text) for row in block.rows if row[0].text in MONTHS]
                assert places == list(range(places[0], places[0] + len(places)))


@pytest.mark.parametrize("kind", sorted(language("en").facts))
def test_every_statement_has_a_value_a_question_and_an_answer(kind: str) -> None:
    for fact in language("en").facts[kind]:
        assert fact.statement.count("{}") == 1 and fact.questions and fact.answers
        assert fact.key in language("en").words or fact.key in NAMES, fact.key
