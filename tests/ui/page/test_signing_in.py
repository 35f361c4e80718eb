"""A page to which people sign in, as a process, with a provider of identities as another, over real sockets."""

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from identity_provider import page_with_sign_in, provider
from starlette.types import Message

from ui.page.gate import _WatchedSocket

PAGES_HEADERS = {"Accept": "text/html,application/xhtml+xml"}


@dataclass
class Place:
    url: str
    audit: Path
    log: Path

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=PAGES_HEADERS, timeout=60)

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("signing-in")
    with provider() as issuer, page_with_sign_in(folder, issuer) as (url, audit):
        yield Place(url, audit, folder / "page.log")


def sign_in(browser: httpx.Client, who: str) -> httpx.Response:
    """By way of the provider, as a browser goes → the answer to the provider's redirect."""
    at_provider = browser.get("/sign-in", follow_redirects=True)
    assert at_provider.url.path == "/oauth2/authorize", at_provider.text
    allowed = browser.post(str(at_provider.url), data={"sub": who})
    assert allowed.status_code == 302
    return browser.get(allowed.headers["location"])


def handshake(place: Place, cookie: str = "") -> tuple[int, socket.socket]:
    """→ the status of a WebSocket's handshake, and its connection."""
    host = urlsplit(place.url).netloc
    lines = [
        "GET /_stcore/stream HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Origin: {place.url}",
        *([f"Cookie: {cookie}"] if cookie else []),
    ]  # fmt: skip
    connection = socket.create_connection(("localhost", urlsplit(place.url).port or 80), timeout=60)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        head += byte
    return int(head.split()[1]), connection


def session_of(browser: httpx.Client) -> str:
    return next(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar if "session" in cookie.name)


EVERYTHING = (
    "/", "/chat", "/search", "/library", "/add", "/index.html", "/static/js/index.js", "/media/0123.jpg", "//media/x",
    "/_stcore/host-config", "/_stcore/metrics", "/_stcore/script-health-check", "/_stcore/health/",
    "/_stcore/health/../x", "/_stcore/agent/openapi.json", "/_stcore/bidi-components/x", "/component/x",
    "/app/static/x", "/sign-in/", "/auth", "/auth/login/", "/media/%2e%2e/_stcore/health", "/oauth2callback/",
    "/SIGN-IN", "/favicon.png", "/nothing/of/this",
)  # fmt: skip


def test_without_a_session_nothing_answers_but_the_way_in(place: Place) -> None:
    with place.browser() as browser:
        for path in EVERYTHING:
            answer = browser.get(path)
            assert answer.status_code in (400, 401, 403), path
            assert "streamlit" not in answer.text.lower(), path
        for method in ("PUT", "DELETE", "POST"):
            own = {"Origin": place.url}
            assert browser.request(method, "/_stcore/upload_file/s/f", headers=own).status_code == 401
            assert browser.request(method, "/sign-in", headers=own).status_code == 405
        assert browser.get("/_stcore/health").status_code == 200
    status, connection = handshake(place)
    connection.close()
    assert status == 403


def test_a_person_gets_a_page_and_a_program_a_line(place: Place) -> None:
    with place.browser() as browser:
        page = browser.get("/")
        assert page.status_code == 401 and 'href="/sign-in"' in page.text and "<script" not in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert browser.get("/", headers={"Accept": "*/*"}).text == "Sign in to Llavero first.\n"


def test_who_is_named_gets_in_and_the_browser_holds_a_random_name_alone(place: Place) -> None:
    with place.browser() as browser:
        welcome = sign_in(browser, "ada")
        assert (welcome.status_code, welcome.headers["location"]) == (302, "/")
        given = [written for written in welcome.headers.get_list("set-cookie") if "session-" in written]
        assert len(given) == 1 and "HttpOnly" in given[0] and "samesite=lax" in given[0].lower()
        assert not any(cookie.name.startswith("_streamlit_user") for cookie in browser.cookies.jar)
        assert "ada" not in str(browser.cookies.jar)
        assert "streamlit" in browser.get("/").text.lower()
        assert browser.get("/media/0123.jpg").status_code == 404
        status, connection = handshake(place, session_of(browser))
        connection.close()
        assert status == 101


@pytest.mark.parametrize("who", ["bob", "eve", "mallory@example.org"])
def test_everybody_else_gets_a_clear_page_and_nothing_of_the_library(place: Place, who: str) -> None:
    with place.browser() as browser:
        refused = sign_in(browser, who)
        assert refused.status_code == 403 and "may not use this library" in refused.text
        assert not any("session-" in cookie.name for cookie in browser.cookies.jar)
        assert browser.get("/").status_code == 401


def test_a_group_lets_in_who_has_no_address(place: Place) -> None:
    with place.browser() as browser:
        assert sign_in(browser, "gus").status_code == 302
        assert browser.get("/").status_code == 200


def test_signing_out_ends_the_session_at_once_also_for_who_copied_its_cookie(place: Place) -> None:
    with place.browser() as browser:
        sign_in(browser, "ada")
        copied = session_of(browser)
        status, connection = handshake(place, copied)
        assert status == 101
        foreign = browser.get(
            "/auth/logout",
            headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        )
        assert foreign.status_code == 403 and browser.get("/").status_code == 200
        out = browser.get("/auth/logout")
        assert out.status_code == 303 and "/oauth2/end_session" in out.headers["location"]
        assert "id_token_hint=" in out.headers["location"]
        assert browser.get("/").status_code == 401
        with place.browser() as thief:
            assert thief.get("/", headers={"Cookie": copied}).status_code == 401
        connection.settimeout(10)
        with connection:
            closing = connection.recv(100)
        assert closing[:1] == b"\x88", "the open connection was not closed"
        assert browser.get("/oauth2callback").headers["location"] == "/"  # where the provider sends people then


def test_a_made_up_callback_signs_nobody_in(place: Place) -> None:
    with place.browser() as browser:
        for query in ("code=1&state=2", "error=access_denied&state=x", "state=x"):
            failed = browser.get(f"/oauth2callback?{query}")
            assert failed.status_code == 401 and "did not work" in failed.text, query
        at_provider = browser.get("/sign-in", follow_redirects=True)
        code = browser.post(str(at_provider.url), data={"sub": "ada"}).headers["location"]
        with place.browser() as victim:  # was never sent to the provider: somebody else's sign-in is pushed on them
            assert victim.get(code).status_code == 401
            assert victim.get("/").status_code == 401


def test_cookies_in_streamlits_names_sign_nobody_in(place: Place) -> None:
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

    claims = json.dumps({"email": "ada@example.org", "email_verified": True, "is_logged_in": True, "origin": place.url})
    forged = create_signed_value("a guess", "_streamlit_user", claims).decode()
    with place.browser() as browser:
        assert browser.get("/", headers={"Cookie": f"_streamlit_user={forged}"}).status_code == 401


def test_the_audit_log_says_who_came_who_was_refused_and_what_they_fetched(place: Place) -> None:
    with place.browser() as browser:
        sign_in(browser, "bob")
        sign_in(browser, "ada")
        asked = browser.get("/media/0123.jpg", headers={"X-Request-ID": "proxys-id-1"})
        browser.get("/auth/logout")
    assert asked.headers["x-request-id"] == "proxys-id-1"
    told = [(line["who"], line["what"], line.get("state", line.get("status"))) for line in place.told()[-4:]]
    assert told == [
        ("bob@example.net", "sign in", "refused"),
        ("ada@example.org", "sign in", "done"),
        ("ada@example.org", "GET /media", 404),
        ("ada@example.org", "sign out", None),
    ]
    assert place.told()[-2]["request"] == "proxys-id-1"
    assert place.audit.stat().st_mode & 0o077 == 0


def test_signing_in_again_ends_the_browsers_former_session(place: Place) -> None:
    with place.browser() as browser, place.browser() as other:
        sign_in(browser, "ada")
        former = session_of(browser)
        sign_in(other, "ada")
        sign_in(browser, "ada")
        now = session_of(browser)
        assert now != former
        status = {}
        for name, cookie in (("former", former), ("now", now), ("other", session_of(other))):
            status[name], connection = handshake(place, cookie)
            connection.close()
    assert status == {"former": 403, "now": 101, "other": 101}


def test_the_log_is_json_and_holds_no_secret_and_no_token(place: Place) -> None:
    with place.browser() as browser:
        sign_in(browser, "ada")
        value = session_of(browser).partition("=")[2]
    lines = [line for line in place.log.read_text().splitlines() if line.startswith("{")]
    assert lines and all(json.loads(line)["time"] for line in lines)
    text = place.log.read_text() + place.audit.read_text()
    assert "the client's secret" not in text and value not in text and "id_token" not in text and "code=" not in text


def test_a_connection_says_nothing_more_and_closes_when_its_session_has_ended() -> None:
    sent: list[Message] = []
    holds = [True]

    async def receive() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    async def life() -> None:
        watched = _WatchedSocket(receive, send, lambda: holds[0])
        await watched.send({"type": "websocket.send", "bytes": b"1"})
        holds[0] = False
        await watched.send({"type": "websocket.send", "bytes": b"2"})
        assert (await watched.receive())["type"] == "websocket.disconnect"
        watched.forget()

    asyncio.run(life())
    assert [message["type"] for message in sent] == ["websocket.send", "websocket.close"]


def test_without_a_provider_the_page_says_that_nobody_can_sign_in_now(tmp_path: Path) -> None:
    with (
        page_with_sign_in(tmp_path, "http://localhost:9") as (url, _),
        httpx.Client(base_url=url, timeout=60) as browser,
    ):
        silent = browser.get("/sign-in", follow_redirects=True)
        assert silent.status_code == 503 and "cannot be reached" in silent.text
        assert browser.get("/_stcore/health").status_code == 200
