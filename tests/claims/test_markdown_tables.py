from hypothesis import given
from hypothesis import strategies as st

from claims.passages import as_plain_rows, cells, is_rule

TABLE = "Table 5: How often.\n| Part | Every |\n| --- | :-: |\n| <b>Pump</b> | 12 months |"
SIGNS = st.characters(exclude_characters="\\", exclude_categories=["Cc", "Cs", "Zl", "Zp"])


def test_rows_are_written_as_a_person_would() -> None:
    assert as_plain_rows(TABLE) == "Table 5: How often.\nPart · Every\n<b>Pump</b> · 12 months"


def test_lines_that_are_no_rows_stay() -> None:
    text = "a | b\n---\n|"
    assert as_plain_rows(text) == text
    assert not is_rule("---")


@given(st.lists(st.text(SIGNS).map(str.strip).filter(bool), min_size=1))
def test_cells_come_back_bars_inside_them_included(row: list[str]) -> None:
    written = " | ".join(cell.replace("|", "\\|") for cell in row)
    assert cells(f"| {written} |") == row
