"""What /metrics says of a search, an answer, and the model."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from ui.api.access import KeyFile

PATH = "/v1/libraries/boats"
Numbers = Callable[[], dict[str, float]]


@pytest.fixture
def key(keys: KeyFile) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys.add('monitor', 'admin')}"}


@pytest.fixture
def numbers(client: TestClient, key: dict[str, str]) -> Numbers:
    """→ the numbers now, by name and labels' values."""

    def read() -> dict[str, float]:
        answer = client.get("/metrics", headers=key)
        assert answer.status_code == 200
        return {
            " ".join([sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "le")]):
            sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if not sample.name.endswith("_bucket")
        }  # fmt: skip

    return read


def test_a_search_and_an_answer_are_counted_by_their_steps(
    client: TestClient, key: dict[str, str], numbers: Numbers
) -> None:
    before = numbers()
    client.post(f"{PATH}/search", json={"text": "bilge pump"}, headers=key)
    asked = client.post(f"{PATH}/ask", json={"text": "How much oil does the pump need?", "stream": False}, headers=key)
    assert asked.status_code == 200
    after = numbers()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    for step in ("all", "clip", "text", "bm25", "embed", "relevance"):
        assert grown(f"llavero_search_seconds_count {step}") >= 2, step
    assert grown("llavero_answer_seconds_count") == 1
    if not asked.json()["refused"]:
        assert grown("llavero_first_token_seconds_count") == 1 and grown("llavero_generated_pieces_total") >= 1
    assert after["llavero_model_requests boats running"] == after["llavero_model_requests boats waiting"] == 0


def test_rows_that_are_written_are_counted(numbers: Numbers) -> None:
    assert numbers()["llavero_indexed_rows_total"] >= 2  # of the library that these tests search
    assert numbers()["llavero_store_write_seconds_count"] >= 1


def test_a_method_that_somebody_makes_up_is_no_name_of_its_own(
    client: TestClient, key: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="llavero.audit"):
        for number in range(3):
            client.request(f"MADE{number}UP", "/health", headers=key)
            client.request(f"MADE{number}UP", "/health")
    text = client.get("/metrics", headers=key).text
    assert 'method="other"' in text and "MADE" not in text
    assert "other" in caplog.text and "MADE" not in caplog.text
