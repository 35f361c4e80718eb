"""The command that starts the browser page, as `llavero ui` runs it.

Safety is given as flags because flags win over every configuration file and variable of the user.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from indexing.embedding.memory import KEEP_FREED_MEMORY

APP = Path(__file__).with_name("app.py")
HEALTH_PATH = "/_stcore/health"
MAX_UPLOAD_MEGABYTES = 200
ANY_ADDRESS = ("0.0.0.0", "::")


def command(library: Path, port: int, address: str, *, hosts: Sequence[str] = ()) -> list[str]:
    """The argument list for `exec`; run it with `environment(library)`.

    `address` is what the server binds to. `hosts` are further names under which a browser may reach it
    (a page of another origin that points its own name at this machine is refused).
    """
    allowed = ["localhost", "127.0.0.1", "::1", *hosts]
    if address not in (*ANY_ADDRESS, *allowed):
        allowed.append(address)
    flags = {
        "server.address": address,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": str(MAX_UPLOAD_MEGABYTES),
        "server.enableXsrfProtection": "true",
        "server.enableStaticServing": "false",
        "runner.postScriptGC": "false",  # a full collection over a loaded torch, on every redraw, stops all else
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": "false",
    }
    options = [f"--{name}={value}" for name, value in flags.items()]
    options += [f"--server.allowedHosts={host}" for host in allowed]
    return [sys.executable, "-m", "streamlit", "run", str(APP), *options]


def environment(library: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The process's variables: which library, no hub, threads that sleep while they wait, memory that is used again."""
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    return {**quiet, **KEEP_FREED_MEMORY, **base, "LLAVERO_LIBRARY": str(library.resolve())}


def health_url(port: int, address: str) -> str:
    """Answers 200 as soon as the page can be opened."""
    host = "127.0.0.1" if address in ANY_ADDRESS else address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{HEALTH_PATH}"
