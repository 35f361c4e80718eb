"""Readers compute as in a reader's process, where numbers below 1e-38 count as zero: OCR takes 0.4 of the time."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def tiny_is_zero() -> Iterator[None]:
    """For this thread, and not for the tests of other folders."""
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)
