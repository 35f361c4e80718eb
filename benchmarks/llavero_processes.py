"""Llavero as processes of its own, for the benchmarks beside this file: verbs, and the service over HTTP.

There is nothing to run here.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "examples" / "sample" / "collection"
COMMAND = (sys.executable, "-m", "ui.cli.main")
_READY_SECONDS = 180.0


def environment() -> dict[str, str]:
    """Offline, and with threads that sleep while they wait, as `llavero ui` sets them."""
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **quiet, "PYTHONPATH": str(ROOT)}


def llavero(*words: str | Path, library: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """One verb, as a person starts it."""
    command = [*COMMAND, *map(str, words), "--library", str(library)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """`llavero api`, or `llavero ui` with its interface, over one library; can be killed and started again."""

    def __init__(self, library: Path, *, keys: Path, page: bool = False) -> None:
        self.library, self.port, self.page_port = library, free_port(), free_port() if page else 0
        self._words = (
            ["ui", "--port", str(self.page_port), "--api-port", str(self.port), "--no-browser"]
            if page
            else ["api", "--port", str(self.port)]
        )
        self._keys = keys
        self.start()

    def start(self) -> None:
        """Returns when it answers."""
        command = [*COMMAND, *self._words, "--library", str(self.library), "--keys", str(self._keys)]
        log = (self.library.parent / f"service-{self.port}.log").open("ab")
        with log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the service does not come up: {self.log()[-2000:]}")
            time.sleep(0.2)

    def log(self) -> str:
        """What it has said."""
        return (self.library.parent / f"service-{self.port}.log").read_text(errors="replace")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def asked(self, method: str, path: str, body: Any, key: str = "") -> tuple[int, Any]:
        """(status, document) of a request below its library; `body` is bytes, None, or becomes JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        url = f"http://127.0.0.1:{self.port}/v1/libraries/{self.library.name}/{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")
        except http.client.HTTPException as error:
            raise OSError(f"the answer broke off: {error}") from error

    def kill(self) -> None:
        """As the system does when memory is short."""
        self.process.kill()
        self.process.wait(30)

    def end(self) -> None:
        """As a person does."""
        self.process.terminate()
        self.process.wait(60)
