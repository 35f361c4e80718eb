import dataclasses

import pytest

from aggregation.settings import CollectionSettings


def test_a_question_about_all_files_ends_within_minutes_and_is_read_at_a_glance() -> None:
    """Forty documents take a minute or two on two cores; the rest of the table is said to be there."""
    assert dataclasses.asdict(CollectionSettings()) == {
        "most_documents": 40, "most_shown": 50, "least_likely": 0.5, "most_remembered": 10_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [("most_documents", -1), ("most_shown", 0), ("least_likely", 1.1), ("most_remembered", -1)]
)
def test_a_value_out_of_bounds_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        CollectionSettings(**{name: value})
