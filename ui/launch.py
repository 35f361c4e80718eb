"""`llavero ui`: start the page's server with every setting that it relies on, say when it answers, end it cleanly.

Streamlit's own variables and configuration files of the user are not read.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

from indexing.embedding.protocol import KEEP_FREED_MEMORY
from ui.logs import AUDIT_VARIABLE, FORMAT_VARIABLE
from ui.settings import Settings, SettingsError

SERVER = Path(__file__).with_name("page") / "server.py"
HEALTH_PATH = "/_stcore/health"
MAX_UPLOAD_MEGABYTES = 200
READY_WITHIN_SECONDS = 120.0
ANY_ADDRESS = ("0.0.0.0", "::")
HOSTS_VARIABLE = "LLAVERO_PAGE_HOSTS"
"""Further names and addresses, with commas between them, under which browsers reach the page."""


def command(library: Path, port: int, address: str, *, api_port: int = 0, keys: Path | None = None) -> list[str]:
    """The argument list for `exec`; run it with `environment(library)`. `address` is what the server binds to; with
    `api_port` the same process also answers programs there."""
    more = [*(["--api-port", str(api_port)] if api_port else []), *(["--keys", str(keys)] if keys else [])]
    return [sys.executable, str(SERVER), "--address", address, "--port", str(port), *more]


def hosts(address: str, environ: Mapping[str, str] = os.environ, *, page_host: str = "") -> list[str]:
    """The names that a browser may call the server by; a site that points its own name at this machine is refused."""
    allowed = ["localhost", "127.0.0.1", "::1"]
    further = [host.strip().strip("[]") for host in environ.get(HOSTS_VARIABLE, "").split(",")]
    known = [address] if address not in ANY_ADDRESS else []
    return list(dict.fromkeys(host.lower() for host in [*allowed, *known, page_host, *further] if host))


def settings(port: int, address: str, allowed: Sequence[str]) -> dict[str, Any]:
    """Streamlit's settings. Each is here because another value would open a door or reach another machine."""
    return {
        "server.address": address,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.maxUploadSize": MAX_UPLOAD_MEGABYTES,
        "server.baseUrlPath": "",
        "server.allowedHosts": list(allowed),
        "server.enableCORS": True,
        "server.corsAllowedOrigins": [],
        "server.enableXsrfProtection": True,
        "server.enableStaticServing": False,
        "server.enableAgentApi": False,
        "runner.postScriptGC": False,  # a full collection over a loaded torch in each redraw would stop everything else
        "browser.gatherUsageStats": False,
        "browser.serverAddress": "localhost" if address in ANY_ADDRESS else address,  # or Streamlit asks the internet
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.allowedOrigins": [],  # sites that may steer the page when it stands in their frame
        "logger.hideWelcomeMessage": True,
        "secrets.files": [],  # who signs in is set in llavero.toml, never by a file of Streamlit's
    }


def environment(library: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The process's variables: which library, no hub, threads that sleep while they wait, memory that is used again."""
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    kept = {name: value for name, value in base.items() if not name.startswith("STREAMLIT_")}
    ours = {"LLAVERO_LIBRARY": str(library.resolve()), "LLAVERO_COMMAND": "llavero ui"}
    return {**quiet, **KEEP_FREED_MEMORY, **kept, **ours}


def health_url(port: int, address: str) -> str:
    """The address that answers 200 as soon as the page can be opened."""
    host = "127.0.0.1" if address in ANY_ADDRESS else address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{HEALTH_PATH}"


def serve_page(
    settings: Settings,
    *,
    port: int,
    address: str,
    open_browser: bool,
    on_ready: Callable[[str], None],
    api_port: int = 0,
    keys: Path | None = None,
    audit: Path | None = None,
    log_format: str = "",
) -> int:
    """Start the page and wait until it ends → its exit code, or 0 if a signal ended it.

    Raises SettingsError when the port is taken or the page does not answer in time.
    """
    _check_port(address, port)
    if settings.sign_in is not None and find_spec("authlib") is None:
        fault = SettingsError("[sign_in] is set, and a package that signing in needs is missing")
        fault.add_note("Install it: pip install 'llavero[sign-in]'")
        raise fault
    generator = settings.rag.generator
    variables = environment(settings.library) | {
        name: value
        for name, value in {
            "LLAVERO_KIT": settings.kit,
            "LLAVERO_DEVICE": settings.device,
            "LLAVERO_GENERATOR_URL": generator.url if generator else "",
            "LLAVERO_GENERATOR_MODEL": generator.model if generator else "",
            AUDIT_VARIABLE: str(audit.absolute()) if audit else "",
            FORMAT_VARIABLE: log_format,
        }.items()
        if value
    }
    words = command(settings.library, port, address, api_port=api_port, keys=keys)
    process = subprocess.Popen(words, env=variables)

    def stop(signal_number: int, frame: FrameType | None) -> None:
        process.terminate()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if _answers(process, health_url(port, address)):
            shown = "127.0.0.1" if address in ANY_ADDRESS else address
            on_ready(f"Llavero is ready: http://{shown}:{port}  (Ctrl-C ends it)")
            if open_browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.name != "posix"):
                webbrowser.open(f"http://{shown}:{port}")
        code = process.wait()
        return code if code > 0 else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if process.poll() is None:
            process.kill()


def _check_port(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            fault = SettingsError(f"cannot listen on {address}:{port}: {error.strerror}")
            fault.add_note("Another page may be running there. Choose another port: llavero ui --port 8502")
            raise fault from error


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Wait until the page answers; False if its process ended before."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                if response.status == 200:
                    return True
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SettingsError(f"the page did not answer at {url} within {READY_WITHIN_SECONDS:.0f} s")
        time.sleep(0.2)
    return False
