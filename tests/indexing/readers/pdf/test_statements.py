"""Tables of figures by where their figures stand. Pieces are laid out as in printed statements: figures flush right."""

from collections.abc import Sequence

import pytest

from indexing.readers.pdf.ruled_tables import Rules
from indexing.readers.pdf.statements import page_tables, statements
from indexing.readers.reading_order import Piece, Word

_LETTER, _LINE = 0.008, 0.015
_RIGHT = (0.6, 0.72, 0.84, 0.96)


def left(text: str, x: float, row: float) -> Piece:
    """Flush left at `x`; rows are counted from the top."""
    y = 0.1 + row * _LINE
    return Piece(text=text, box=(x, y, x + len(text) * _LETTER, y + 0.01), aspect=0.75)


def right(text: str, x: float, row: float) -> Piece:
    """Its digits end at `x`; a percent sign or a closing bracket hangs over."""
    digits = len(text.rstrip("%) "))
    return left(text, x - digits * _LETTER, row)


def centred(text: str, x: float, row: float) -> Piece:
    return left(text, x - len(text) * _LETTER / 2, row)


def figures(label: str, row: float, *values: str, at: Sequence[float] = _RIGHT) -> list[Piece]:
    return [left(label, 0.05, row), *(right(value, x, row) for value, x in zip(values, at, strict=False) if value)]


def test_a_header_of_several_lines_stands_whole_over_each_column() -> None:
    pieces = [
        centred("Three Months Ended", 0.64, 0), centred("Nine Months Ended", 0.88, 0),
        *(centred(day, x - 0.02, 1) for day, x in zip(("June 25,", "June 26,") * 2, _RIGHT, strict=True)),
        *(centred(year, x - 0.02, 2) for year, x in zip(("2022", "2021") * 2, _RIGHT, strict=True)),
        left("Net sales:", 0.05, 3),
        *figures("Products", 4, "63,355", "63,948", "245,241", "232,309"), *(left("$", x - 0.1, 4) for x in _RIGHT),
        *figures("Services", 5, "19,604", "17,486", "58,941", "50,148"),
        *figures("Other, net", 6, "(10)", "243", "—", "796"),
    ]  # fmt: skip
    (table,) = statements(pieces)
    assert table.cells == (
        ("", "Three Months Ended June 25, 2022", "Three Months Ended June 26, 2021",
         "Nine Months Ended June 25, 2022", "Nine Months Ended June 26, 2021"),
        ("Net sales:", "", "", "", ""),
        ("Products", "$63,355", "$63,948", "$245,241", "$232,309"),
        ("Services", "19,604", "17,486", "58,941", "50,148"),
        ("Other, net", "(10)", "243", "—", "796"),
    )  # fmt: skip
    assert set(map(id, table.pieces)) == set(map(id, pieces))


def test_percentages_and_amounts_share_a_column_and_words_have_one_of_their_own() -> None:
    pieces = [
        left("Level 1", 0.35, 0), *figures("Funds", 0, "1,843", "316"),
        left("Level 2", 0.35, 1), *figures("Bonds", 1, "4,202", "9,974"),
        *figures("Share of all", 2, "15 %", "(14)%"),
    ]  # fmt: skip
    (table,) = statements(pieces)
    assert table.cells == (
        ("Funds", "Level 1", "1,843", "316"),
        ("Bonds", "Level 2", "4,202", "9,974"),
        ("Share of all", "", "15 %", "(14)%"),
    )


def test_a_label_of_two_lines_is_one_cell() -> None:
    pieces = [
        *figures("Net income", 0, "19,442", "21,744"),
        left("Adjustment for net gains realised and", 0.05, 1),
        *figures("included in net income", 2, "121", "17"),
        *figures("Total", 3, "19,563", "21,761"),
    ]
    (table,) = statements(pieces)
    assert table.cells[1] == ("Adjustment for net gains realised and included in net income", "121", "17")


def test_the_currency_of_the_next_column_goes_to_its_figure() -> None:
    words = tuple(Word(text=each.text, box=each.box) for each in (right("63,355", 0.6, 0), left("$", 0.65, 0)))
    glued = Piece(text="63,355 $", box=(words[0].box[0], 0.1, words[1].box[2], 0.11), aspect=0.75, words=words)
    first = [left("Sales", 0.05, 0), glued, right("63,948", 0.72, 0)]
    pieces = [*first, *figures("Costs", 1, "17,486", "58,941"), *figures("Rest", 2, "45,869", "5,007")]
    (table,) = statements(pieces)
    assert table.cells[0] == ("Sales", "63,355", "$63,948")


@pytest.mark.parametrize(
    "pieces",
    [
        [*figures("One line", 0, "1,000", "2,000"), *figures("and another", 1, "3", "4", at=(0.5, 0.66))],
        [left(f"A line of running text that goes over the page, number {n}", 0.05, n) for n in range(8)],
        [piece for n in range(6) for piece in (left(f"Left {n}", 0.05, n), left(f"right column {n}", 0.55, n))],
    ],
    ids=["other columns", "prose", "two columns of words"],
)
def test_what_is_no_table_of_figures_is_left_alone(pieces: list[Piece]) -> None:
    assert statements(pieces) == []


def test_what_stands_below_and_above_a_table_is_no_part_of_it() -> None:
    title = left("Condensed statements of operations and of other income", 0.2, 0)
    note = left("See the notes to these statements, which are a part of them and are to be read with them.", 0.05, 5)
    rows = [*figures("Sales", 2, "63", "64"), *figures("Costs", 3, "20", "21"), *figures("Rest", 4, "43", "43")]
    (table,) = statements([title, *rows, note])
    assert {title.text, note.text}.isdisjoint(piece.text for piece in table.pieces)
    assert len(table.cells) == 3


def test_rules_of_a_grid_have_the_say() -> None:
    rows = [*figures("Sales", 0, "63", "64"), *figures("Costs", 1, "20", "21"), *figures("Rest", 2, "43", "43")]
    ys = [0.095 + n * _LINE for n in range(4)]
    grid = Rules(
        horizontal=tuple((y, 0.04, 0.75) for y in ys),
        vertical=tuple((x, ys[0], ys[-1]) for x in (0.04, 0.5, 0.63, 0.75)),
    )
    (table,) = page_tables(rows, grid)
    assert table.cells == (("Sales", "63", "64"), ("Costs", "20", "21"), ("Rest", "43", "43"))


def test_scripts_from_right_to_left_are_read_by_the_other_way() -> None:
    rows = [
        piece
        for n in range(4)
        for piece in (right(str(n * 1000), 0.2, n), right(str(n * 7000), 0.4, n), left("المبيعات الكلية", 0.7, n))
    ]
    assert statements(rows) == []
