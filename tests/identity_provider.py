"""An OpenID provider as a process (oidc-provider-mock), and a page of Llavero that people sign in to at it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USERS = (
    {"sub": "ada", "email": "ada@example.org", "email_verified": True, "name": "Ada <b>L</b>"},
    {"sub": "bob", "email": "bob@example.net", "email_verified": True},
    {"sub": "eve", "email": "eve@example.org", "email_verified": False},
    {"sub": "gus", "groups": ["archive"]},
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def provider() -> Iterator[str]:
    """→ its issuer's address."""
    port = free_port()
    users = [word for user in USERS for word in ("--user-claims", json.dumps(user))]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *users],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://localhost:{port}"
    try:
        wait_for(f"{url}/.well-known/openid-configuration", process)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str, process: "subprocess.Popen[bytes]", seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        assert process.poll() is None, f"ended with code {process.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
        time.sleep(0.2)


@contextmanager
def page_with_sign_in(folder: Path, issuer: str, library: Path | None = None) -> Iterator[tuple[str, Path]]:
    """→ the page's address, and its audit log. Whoever has an address of example.org or the group may come in."""
    port, audit = free_port(), folder / "audit.jsonl"
    url = f"http://localhost:{port}"
    (folder / "secret").write_text("the client's secret\n")
    environment = {
        **os.environ,
        "LLAVERO_SIGN_IN_PROVIDER": issuer,
        "LLAVERO_SIGN_IN_CLIENT_ID": "llavero",
        "LLAVERO_SIGN_IN_CLIENT_SECRET_FILE": str(folder / "secret"),
        "LLAVERO_SIGN_IN_PAGE_URL": url,
        "LLAVERO_SIGN_IN_ALLOW": "@example.org,groups=archive",
    }
    if library is None:
        environment["LLAVERO_HOME"] = str(folder / "no-kits")
    options = ["--library", str(library or folder / "library"), "--port", str(port), "--audit", str(audit)]
    with (folder / "page.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ui.cli.main", "ui", "--no-browser", "--log-format", "json", *options],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(f"{url}/_stcore/health", process)
            yield url, audit
        finally:
            process.terminate()
            process.wait(60)
