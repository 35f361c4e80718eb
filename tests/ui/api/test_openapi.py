"""The whole interface, asked at random along its own description: nothing may be a surprise to it."""

import os

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ui.api.access import KeyFile

EXAMPLES = int(os.environ.get("LLAVERO_API_EXAMPLES", "6"))
QUIET = settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
HARMFUL = {"/v1/libraries/{library}/backup", "/v1/libraries/{library}/index", "/v1/libraries/{library}/jobs"}
"""Write to or read from the machine by design; only an administrator's key may."""


@pytest.mark.parametrize("whose", ["this machine", "read"])
def test_no_request_meets_an_unexpected_error(client: TestClient, keys: KeyFile, whose: str) -> None:
    headers = {} if whose == "this machine" else {"Authorization": f"Bearer {keys.add('reader', 'read')}"}
    schema = schemathesis.openapi.from_dict(client.app.openapi())
    asked = 0
    for operation in (each.ok() for each in schema.get_all_operations()):
        if operation.path in HARMFUL:
            continue
        is_openais = "openai" in (operation.tags or ())

        def ask(case: schemathesis.Case, is_openais: bool) -> None:
            nonlocal asked
            asked += 1
            path = case.formatted_path.replace("{library}", "boats")
            path = "/v1/libraries/boats/" + path.split("/", 4)[-1] if path.startswith("/v1/libraries/") else path
            body = case.body if isinstance(case.body, dict | list) else None
            answer = client.request(
                case.method, path, params=dict(case.query or {}), json=body, headers={**(case.headers or {}), **headers}
            )
            assert answer.status_code != 500, (case.method, path, body, answer.text)
            if answer.status_code >= 400 and not is_openais:
                assert answer.json()["status"] == answer.status_code

        QUIET(given(case=operation.as_strategy(), is_openais=st.just(is_openais))(ask))()
    assert asked > 20 * min(EXAMPLES, 5)


FIELDS = ("path", "folder", "name", "extension", "title", "page")
EVIL = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ['" or 1 == 1 or "', "\\", '\\" or id != "', "a\nb", "{x}", "'; drop", "\ud800", "x" * 3000, "null"]
    ),
)


@QUIET
@given(pairs=st.lists(st.tuples(st.sampled_from(FIELDS), EVIL), min_size=1, max_size=3))
def test_no_value_of_a_filter_changes_what_it_means(client: TestClient, pairs: list[tuple[str, str]]) -> None:
    where = [[field, value.encode("utf-8", "replace").decode()] for field, value in pairs]
    answer = client.post("/v1/libraries/boats/search", json={"text": "ferry oil", "where": where})
    assert answer.status_code in (200, 422)
    for hit in answer.json().get("hits", ()):
        names = [value for field, value in where if field == "name"]
        assert not names or hit["path"].rpartition("/")[2] in names
