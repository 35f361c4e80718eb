"""Intervals against figures from elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llava_model.benchmarks.figures import ratio_of_means, wilson


def test_wilson_gives_the_textbook_interval() -> None:
    assert wilson(81, 263) == pytest.approx((25.53, 36.62), abs=0.005)  # Newcombe 1998, table 1
    assert wilson(0, 20) == pytest.approx((0.0, 16.11), abs=0.005)
    assert wilson(0, 0) is None


@given(st.integers(1, 5000), st.data())
def test_wilson_holds_the_share_and_stays_in_range(n: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, n))
    found = wilson(correct, n)
    assert found is not None
    assert 0 <= found[0] <= 100 * correct / n + 1e-9 and 100 * correct / n - 1e-9 <= found[1] <= 100


def test_a_ratio_that_never_varies_has_no_width() -> None:
    assert ratio_of_means([(8.0, 4.0)] * 30) == pytest.approx((50.0, 50.0))
    assert ratio_of_means([(8.0, 4.0)]) is None
