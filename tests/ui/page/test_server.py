"""The page's server as a process, asked over real sockets by whoever should not be asking."""

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

WATCHER = """
import sys, os
def _note(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") or "addr" in event or "host" in event:
        asked = arguments[1] if event.startswith("socket.") and len(arguments) > 1 else arguments
        asked = arguments[0] if event in ("socket.getaddrinfo", "socket.gethostbyname") else asked
        if event == "socket.bind":
            return
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {asked!r}\\n")
sys.addaudithook(_note)
"""
"""Notes every address that a process of this Python connects to or looks up."""

INSIDE = re.compile(r"'(?:127\.[\d.]+|::1|localhost|/[^']*|unix:[^']*|\\x00[^']*)'|None|\(\)|b'(?:127\.[\d.]+|::1)'")
USERS_CONFIGURATION = """
[browser]
gatherUsageStats = true
serverAddress = "outside.example"
[server]
enableCORS = false
enableXsrfProtection = false
corsAllowedOrigins = ["http://evil.example"]
allowedHosts = ["*"]
enableAgentApi = true
[theme]
base = "http://outside.example/theme.toml"
font = "Inter:http://outside.example/inter.css"
"""


@dataclass
class Page:
    port: int
    watched: Path

    def upgrade(self, *, origin: str | None, host: str = "") -> int:
        """The status of a WebSocket handshake."""
        lines = [
            "GET /_stcore/stream HTTP/1.1",
            f"Host: {host or f'127.0.0.1:{self.port}'}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *([f"Origin: {origin}"] if origin is not None else []),
        ]
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            return int(connection.makefile("rb").readline().split()[1])

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response

    def outside(self) -> list[str]:
        """What its server asked of other machines."""
        asked = self.watched.read_text().splitlines() if self.watched.exists() else []
        return [line for line in asked if not INSIDE.search(line)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(folder: Path, address: str, configuration: str = USERS_CONFIGURATION) -> "Iterator[Page]":
    """The page as `llavero ui` starts it, for a user whose configuration opens every door; ready for requests."""
    (folder / "watch").mkdir()
    (folder / "watch" / "sitecustomize.py").write_text(WATCHER)
    (folder / "home" / ".streamlit").mkdir(parents=True)
    (folder / "home" / ".streamlit" / "config.toml").write_text(configuration)
    page = Page(free_port(), folder / "watched")
    users = {
        **os.environ,
        "HOME": str(folder / "home"),
        "STREAMLIT_SERVER_ENABLE_CORS": "false",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "true",
        "LLAVERO_HOME": str(folder / "no-kits"),
        "WATCHED": str(page.watched),
        "PYTHONPATH": str(folder / "watch"),
        "PYTHONUNBUFFERED": "1",
    }
    options = ["--library", str(folder / "library"), "--port", str(page.port), "--address", address]
    server = subprocess.Popen(
        [sys.executable, "-m", "ui.cli.main", "ui", "--no-browser", *options],
        env=users,
        cwd=folder / "home",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with server:
        reader = threading.Thread(target=wait_for_the_port(server))
        reader.start()
        yield page
        server.terminate()
        assert server.wait(60) == 0
        reader.join()


def wait_for_the_port(server: "subprocess.Popen[str]") -> Callable[[], None]:
    """Until the server says that it runs; what is returned reads whatever else it says."""
    assert server.stdout is not None
    said = []
    for line in server.stdout:
        said.append(line)
        if "Llavero is ready" in line:
            return server.stdout.read
    raise AssertionError("".join(said))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with started(tmp_path_factory.mktemp("page"), "127.0.0.1") as page:
        yield page


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_the_pages_own_origin_opens_a_session(page: Page, host: str) -> None:
    own = f"{host}:{page.port}"
    assert page.upgrade(origin=f"http://{own}", host=own) == 101


def test_no_other_origin_opens_a_session_and_none_makes_the_server_ask_another_machine(page: Page) -> None:
    own = page.port
    for origin in (
        "http://evil.example",
        f"http://evil.example:{own}",
        "http://localhost:9999",
        "http://127.0.0.1:9999",
        f"http://localhost:{own}",  # while the page was opened as 127.0.0.1
        "http://8.8.8.8",
        "null",
        "",
        f"http://127.0.0.1:{own}@evil.example",
        f"http://127.0.0.1:{own}.evil.example",
        "http://[",
        None,  # no browser leaves it out
    ):
        assert page.upgrade(origin=origin) == 403, origin
    assert page.outside() == []


def test_a_name_that_another_site_points_at_this_machine_is_refused(page: Page) -> None:
    for host in (f"evil.example:{page.port}", "evil.example", f"localhost.evil.example:{page.port}", "@", "[", ""):
        assert page.upgrade(origin=f"http://{host}", host=host) in (400, 403), host
        assert page.ask("/", Host=host).status in (400, 403), host
    assert page.outside() == []


def test_a_person_may_follow_a_link_to_the_page_but_no_site_can_use_it(page: Page) -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert page.ask("/", **link).status == 200
    assert page.ask("/", **(link | {"Sec_Fetch_Dest": "iframe"})).status == 403
    for site in ("cross-site", "same-site"):
        assert page.ask("/static/nothing.js", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403
        assert page.ask("/_stcore/host-config", Sec_Fetch_Site=site, Sec_Fetch_Mode="cors").status == 403
    assert page.ask("/_stcore/host-config", Origin="http://localhost:9999").status == 403


def test_uploads_are_taken_from_the_page_alone(page: Page) -> None:
    path = "/_stcore/upload_file/session/file"
    for origin in ({}, {"Origin": "http://localhost:9999"}, {"Origin": "null"}):
        for method in ("PUT", "DELETE", "POST", "OPTIONS"):
            assert page.ask(path, method, **origin).getheader("Access-Control-Allow-Origin") is None
            assert page.ask(path, method, **origin).status == 403
    own = page.ask(path, "PUT", Origin=f"http://127.0.0.1:{page.port}")
    assert (own.status, own.reason) == (403, "Forbidden")  # Streamlit's own check: no token yet


def test_what_the_page_shows_is_served_to_who_loaded_the_page(page: Page) -> None:
    assert page.ask("/media/0123.jpg").status == 403
    assert page.ask("//media/0123.jpg").status in (400, 403)
    loaded = page.ask("/").getheader("Set-Cookie", "")
    assert "HttpOnly" in loaded and "SameSite=Lax" in loaded
    cookie = loaded.partition(";")[0]
    assert page.ask("/media/0123.jpg", Cookie=cookie).status == 404
    assert page.ask("/media/0123.jpg", Cookie=cookie[:-1] + "!").status == 403
    assert page.ask("/media/0123.jpg", Cookie=cookie, Sec_Fetch_Site="same-site").status == 403
    assert page.ask("/", Cookie=cookie).getheader("Set-Cookie") is None


def test_the_browser_is_told_to_ask_nobody_else(page: Page) -> None:
    loaded = page.ask("/")
    policy = loaded.getheader("Content-Security-Policy", "")
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "http:" not in policy and "https:" not in policy and "*" not in policy
    assert loaded.getheader("Cross-Origin-Resource-Policy") == "same-origin"
    assert loaded.getheader("Referrer-Policy") == "no-referrer"
    assert page.ask("/_stcore/agent/openapi.json").getheader("Access-Control-Allow-Origin") is None


def test_nothing_was_asked_of_another_machine_while_the_page_was_loaded(page: Page) -> None:
    for path in ("/", "/chat", "/_stcore/health", "/_stcore/host-config", "/_stcore/script-health-check"):
        page.ask(path)
    assert page.upgrade(origin=f"http://127.0.0.1:{page.port}") == 101
    assert page.outside() == []


def test_a_page_that_listens_for_all_looks_up_no_address_of_its_own(tmp_path: Path) -> None:
    with started(tmp_path, "0.0.0.0", configuration="") as page:
        assert page.ask("/").status == 200
    assert page.outside() == []


def test_the_watcher_can_see_what_goes_outside(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCHER)
    page = Page(0, tmp_path / "watched")
    asks = "import socket\nwith socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.connect(('192.0.2.1', 9))"
    environment = {"PYTHONPATH": str(tmp_path), "WATCHED": str(page.watched)}
    subprocess.run([sys.executable, "-c", asks], env=environment, check=False)
    assert len(page.outside()) == 1
