"""Bodies: nothing is read for a client without a key, and no body is larger or slower than its route needs."""

import asyncio
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ui.api import body_limits
from ui.api.access import KeyFile

BOATS = "/v1/libraries/boats"


class Sender:
    """Sends a request as a server hands it on; `taken` counts the pieces that were read, `status` is the answer's."""

    def __init__(self, app: Any, path: str, *, key: str = "", method: str = "POST", pieces: int = 3) -> None:
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        headers += [(b"authorization", f"Bearer {key}".encode())] if key else []
        self._scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 5000), "server": ("localhost", 80), "state": {},
        }  # fmt: skip
        self._app, self._pieces = app, pieces
        self.taken, self.status, self.body = 0, 0, b""

    def send(self, piece: bytes = b"", *, seconds: float = 0.0) -> "Sender":
        async def receive() -> dict[str, Any]:
            if seconds:
                await asyncio.sleep(seconds)
            self.taken += 1
            return {"type": "http.request", "body": piece, "more_body": self.taken < self._pieces}

        async def answer(message: dict[str, Any]) -> None:
            self.status = message.get("status", self.status)
            self.body += message.get("body", b"")

        asyncio.run(asyncio.wait_for(self._app(self._scope, receive, answer), 30))
        return self


@pytest.mark.parametrize("path", ["/search", "/ask", "/jobs", "/uploads/form", "/uploads/" + "0" * 32])
@pytest.mark.parametrize("key", ["", "wrong"])
def test_nothing_of_a_body_is_read_without_a_key(client: TestClient, keys: KeyFile, path: str, key: str) -> None:
    keys.add("ada", "admin")
    method = "PATCH" if path.startswith("/uploads/0") else "POST"
    sent = Sender(client.app, BOATS + path, key=key, method=method).send(b"x" * 1000)
    assert (sent.status, sent.taken) == (401, 0)


def test_with_a_key_the_body_is_read(client: TestClient, keys: KeyFile) -> None:
    sent = Sender(client.app, f"{BOATS}/search", key=keys.add("ada", "read"), pieces=1).send(b'{"text": "pump"}')
    assert (sent.status, sent.taken) == (200, 1)


def test_without_keys_another_machine_sends_no_body(client: TestClient) -> None:
    sender = Sender(client.app, f"{BOATS}/search")
    sender._scope["client"] = ("192.0.2.7", 5000)
    assert (sender.send(b"x").status, sender.taken) == (401, 0)


def test_what_is_open_stays_open(client: TestClient, keys: KeyFile) -> None:
    keys.add("ada", "read")
    assert client.get("/health").status_code == client.get("/openapi.json").status_code == 200
    assert client.options("/v1/libraries").status_code == 405


@pytest.mark.parametrize(
    ("path", "megabytes", "status"),
    [
        ("/remove", 3, 413),
        ("/extract", 3, 413),
        ("/jobs", 3, 413),
        ("/evaluations", 3, 422),
        ("/evaluations", 21, 413),
        ("/search", 21, 422),
        ("/search", 101, 413),
    ],
)
def test_a_body_is_as_large_as_its_route_needs(
    client: TestClient, keys: KeyFile, path: str, megabytes: int, status: int
) -> None:
    sender = Sender(client.app, BOATS + path, key=keys.add("ada", "admin"), pieces=megabytes)
    assert sender.send(b" " * 1_000_000).status == status
    assert sender.taken <= megabytes


def test_a_body_that_stops_is_refused(client: TestClient, keys: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "IDLE_SECONDS", 0.05)
    given = keys.add("ada", "admin")
    for method, path in (("POST", "/search"), ("POST", "/remove")):
        assert Sender(client.app, BOATS + path, key=given, method=method).send(b" ", seconds=5).status == 408, path
    begun = client.post(
        f"{BOATS}/uploads", json={"name": "a.txt", "size": 5}, headers={"Authorization": f"Bearer {given}"}
    )
    place = f"{BOATS}/uploads/{begun.json()['upload']}"
    sender = Sender(client.app, place, key=given, method="PATCH")
    sender._scope["query_string"] = b"offset=0"
    assert sender.send(b" ", seconds=5).status == 408


def test_a_small_body_that_drips_is_refused(client: TestClient, keys: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "SMALL_SECONDS", 0.3)
    sender = Sender(client.app, f"{BOATS}/remove", key=keys.add("ada", "admin"), pieces=1000)
    assert sender.send(b" ", seconds=0.02).status == 408
    assert 1 < sender.taken < 30


def test_whoever_listens_for_a_client_that_leaves_may_wait_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "IDLE_SECONDS", 0.05)

    async def listen() -> list[str]:
        messages = iter([{"type": "http.request", "body": b""}, {"type": "http.disconnect"}])

        async def receive() -> Any:
            message = next(messages)
            await asyncio.sleep(0.2 if message["type"] == "http.disconnect" else 0.0)
            return message

        within = body_limits.limited({"type": "http", "method": "POST", "path": "/ask"}, receive)
        return [(await within())["type"], (await within())["type"]]

    assert asyncio.run(listen()) == ["http.request", "http.disconnect"]
