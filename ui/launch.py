"""The command that starts the browser page, as `llavero ui` runs it, and every setting that the page relies on.

The settings win over the user's variables and configuration files of Streamlit, which are not read at all.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from indexing.embedding.memory import KEEP_FREED_MEMORY

SERVER = Path(__file__).with_name("page") / "server.py"
HEALTH_PATH = "/_stcore/health"
MAX_UPLOAD_MEGABYTES = 200
ANY_ADDRESS = ("0.0.0.0", "::")
HOSTS_VARIABLE = "LLAVERO_PAGE_HOSTS"
"""Further names and addresses, with commas between them, under which browsers reach the page."""


def command(library: Path, port: int, address: str) -> list[str]:
    """The argument list for `exec`; run it with `environment(library)`. `address` is what the server binds to."""
    return [sys.executable, str(SERVER), "--address", address, "--port", str(port)]


def hosts(address: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The names that a browser may call the server by; a site that points its own name at this machine is refused."""
    allowed = ["localhost", "127.0.0.1", "::1"]
    further = [host.strip().strip("[]") for host in environ.get(HOSTS_VARIABLE, "").split(",")]
    known = [address] if address not in ANY_ADDRESS else []
    return list(dict.fromkeys(host.lower() for host in [*allowed, *known, *further] if host))


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
        "runner.postScriptGC": False,  # a full collection over a loaded torch, on every redraw, stops all else
        "browser.gatherUsageStats": False,
        "browser.serverAddress": "localhost" if address in ANY_ADDRESS else address,  # or Streamlit asks the internet
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.allowedOrigins": [],  # sites that may steer the page when it stands in their frame
        "logger.hideWelcomeMessage": True,
    }


def environment(library: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The process's variables: which library, no hub, threads that sleep while they wait, memory that is used again."""
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    kept = {name: value for name, value in base.items() if not name.startswith("STREAMLIT_")}
    return {**quiet, **KEEP_FREED_MEMORY, **kept, "LLAVERO_LIBRARY": str(library.resolve())}


def health_url(port: int, address: str) -> str:
    """Answers 200 as soon as the page can be opened."""
    host = "127.0.0.1" if address in ANY_ADDRESS else address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{HEALTH_PATH}"
