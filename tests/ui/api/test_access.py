import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ui.api.access import SCOPES, AccessError, KeyFile, KeyFileError, RateLimit

OPEN = {"/health", "/openapi.json"}
"""Routes that answer everybody, and say nothing of a library."""


def every_route(client: TestClient) -> list[tuple[str, str]]:
    """(method, path) as the interface itself lists them."""
    paths = client.app.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def filled(path: str, library: str = "boats") -> str:
    values = {"library": library, "chunk_id": "0" * 32, "number": "1", "upload": "0" * 32, "model": library}
    return path.format(**values)


def scope_of(client: TestClient, method: str, path: str) -> str:
    """The scope that the route's own dependency asks for, found by asking with each."""
    return next(
        scope
        for scope in SCOPES
        if client.request(method, filled(path), headers=_bearer(client, scope)).status_code != 403
    )


def _bearer(client: TestClient, scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.given[scope]}"}


@pytest.fixture
def keyed(client: TestClient, keys: KeyFile) -> TestClient:
    client.given = {scope: keys.add(scope, scope) for scope in SCOPES}
    return client


def test_no_route_answers_without_a_key_once_there_is_one(keyed: TestClient) -> None:
    asked = [(method, path) for method, path in every_route(keyed) if path not in OPEN]
    assert len(asked) > 20
    for method, path in asked:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
            answer = keyed.request(method, filled(path), headers=headers)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_every_route_wants_its_scope_and_no_lesser_one(keyed: TestClient) -> None:
    wanted = {(method, path): scope_of(keyed, method, path) for method, path in every_route(keyed) if path not in OPEN}
    below = "/v1/libraries/{library}"
    for route, scope in (
        (("POST", f"{below}/search"), "read"),
        (("POST", f"{below}/ask"), "read"),
        (("POST", "/v1/chat/completions"), "read"),
        (("POST", f"{below}/remove"), "write"),
        (("POST", f"{below}/uploads"), "write"),
        (("POST", f"{below}/index"), "admin"),
        (("POST", f"{below}/jobs"), "admin"),
        (("POST", f"{below}/uploads/form"), "write"),
        (("POST", f"{below}/extractions"), "write"),
        (("POST", f"{below}/evaluations"), "write"),
        (("DELETE", f"{below}/runs/{{number}}"), "write"),
        (("GET", f"{below}/runs/{{number}}/result"), "read"),
        (("GET", f"{below}/facets"), "read"),
        (("GET", f"{below}/notes"), "read"),
        (("POST", f"{below}/verify"), "admin"),
        (("POST", f"{below}/backup"), "admin"),
        (("DELETE", below), "admin"),
        (("GET", "/metrics"), "admin"),
    ):
        assert wanted[route] == scope, route
    changing = [route for route in wanted if route[0] != "GET" and wanted[route] == "read"]
    assert {path.rpartition("/")[2] for _, path in changing} <= {
        "search",
        "ask",
        "extract",
        "completions",
        "embeddings",
    }


def test_no_route_is_hidden_from_the_list_that_is_walked(client: TestClient) -> None:
    routes = [inner for route in client.app.routes for inner in routes_of(route)]
    hidden = [route.path for route in routes if not getattr(route, "include_in_schema", False)]
    assert hidden == ["/openapi.json"] and len(routes) > 35


def routes_of(route: Any) -> list[Any]:
    included = getattr(route, "original_router", None)
    return list(included.routes) if included is not None else [route]


def unasked(client: TestClient, keys: KeyFile, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Routes that answer a good key although the authorising function lets nobody in. That a key is there at all is
    asked before any route, so only this tells which of them ask what it may."""

    def nobody(*asked: Any) -> Any:
        raise AccessError(403, "nobody")

    given = {"Authorization": f"Bearer {keys.add('walker', 'admin')}"}
    monkeypatch.setattr("ui.api.access.authorise", nobody)
    return [
        path
        for how, path in every_route(client)
        if path not in OPEN and client.request(how, filled(path), headers=given).status_code != 403
    ]


def test_every_route_asks_the_authorising_function(
    client: TestClient, keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unasked(client, keys, monkeypatch) == []


def test_a_route_without_the_authorising_function_would_be_found(
    client: TestClient, keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = client.app
    app.add_api_route("/v1/open", lambda: {"said": "all"}, methods=["GET"])
    app.openapi_schema = None
    assert client.get("/v1/open").status_code == 200
    assert unasked(client, keys, monkeypatch) == ["/v1/open"]
    assert client.get("/v1/open").status_code == 401  # it has a key before it all the same


def test_a_key_for_one_library_does_not_open_another(client: TestClient, keys: KeyFile) -> None:
    other = {"Authorization": f"Bearer {keys.add('other', 'admin', ('letters',))}"}
    for method, path in every_route(client):
        if "{library}" in path:
            assert client.request(method, filled(path), headers=other).status_code == 403, path
    assert client.get("/v1/models", headers=other).json()["data"] == []
    assert client.get("/v1/libraries", headers=other).json()["libraries"] == []
    body = {"model": "boats", "messages": [{"role": "user", "content": "When does the ferry leave?"}]}
    assert client.post("/v1/chat/completions", json=body, headers=other).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_without_keys_a_web_page_from_elsewhere_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/v1/libraries").status_code == 200
    for method, path in every_route(client):
        if path not in OPEN:
            assert client.request(method, filled(path), headers=headers).status_code == 403, path


def test_without_keys_nobody_names_paths_of_this_machine(client: TestClient, tmp_path: Path) -> None:
    for place in ("index", "jobs"):
        answer = client.post(f"/v1/libraries/boats/{place}", json={"paths": [str(tmp_path)]})
        assert answer.status_code == 403 and "admin" in answer.json()["detail"]


def test_another_machine_needs_a_key(client: TestClient) -> None:
    elsewhere = TestClient(client.app, base_url="http://localhost", client=("192.0.2.7", 5000))
    assert elsewhere.get("/v1/libraries").status_code == 401


def test_a_keys_checksum_alone_is_kept_and_for_its_user_alone(keys: KeyFile) -> None:
    given = keys.add("ada", "write")
    text = keys.path.read_text()
    assert given not in text and given.removeprefix("llv_") not in text
    assert oct(keys.path.stat().st_mode & 0o777) == "0o600"
    assert keys.find(given) is not None and keys.find(given + "x") is None and keys.find("") is None


def test_a_removed_or_expired_key_is_refused_at_once(client: TestClient, keys: KeyFile) -> None:
    ada = {"Authorization": f"Bearer {keys.add('ada', 'read')}"}
    old = {"Authorization": f"Bearer {keys.add('old', 'read', expires=date.today().isoformat())}"}
    new = {"Authorization": f"Bearer {keys.add('new', 'read', expires=(date.today() + timedelta(2)).isoformat())}"}
    assert [client.get("/v1/libraries", headers=each).status_code for each in (ada, old, new)] == [200, 401, 200]
    keys.remove("ada")
    assert client.get("/v1/libraries", headers=ada).status_code == 401


@pytest.mark.parametrize("damage", ["{", "[1]", '[{"name": "a"}]', '[{"name": "a", "scope": "god", "libraries": []}]'])
def test_a_damaged_key_file_lets_nobody_in(client: TestClient, keys: KeyFile, damage: str) -> None:
    keys.path.parent.mkdir()
    keys.path.write_text(damage)
    assert client.get("/v1/libraries").status_code == 503
    with pytest.raises(KeyFileError):
        keys.add("ada", "read")
    assert keys.path.read_text() == damage


def test_a_name_is_given_once(keys: KeyFile) -> None:
    keys.add("ada", "read")
    with pytest.raises(KeyFileError, match="already"):
        keys.add("ada", "admin")
    with pytest.raises(KeyFileError, match="no key"):
        keys.remove("bob")
    assert [key.name for key in keys.all()] == ["ada"]


def test_requests_over_the_rate_are_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ui.api.access.time.monotonic", lambda: now[0])
    rate = RateLimit(60)
    for _ in range(60):
        rate.take("ada")
    with pytest.raises(AccessError) as refused:
        rate.take("ada")
    assert refused.value.status == 429 and 0 < refused.value.retry_after_seconds <= 1
    rate.take("bob")  # has a bucket of his own
    now[0] += 1.1
    rate.take("ada")


def test_the_audit_log_names_who_and_what_and_no_contents(keyed: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="llavero.audit"):
        answer = keyed.post(
            "/v1/libraries/boats/search", json={"text": "a secret question"}, headers=_bearer(keyed, "read")
        )
    line: dict[str, Any] = json.loads(caplog.messages[-1])
    assert (line["who"], line["library"], line["status"]) == ("read", "boats", 200)
    assert line["route"].endswith("/search") and line["request"] == answer.headers["x-request-id"]
    assert "secret" not in caplog.text
