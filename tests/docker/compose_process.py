"""What a container runs, as a process of this machine: the image's start script with a service's variables.

Paths of the container lie in a folder of the test, ports are free ones, and the weights are those installed here.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(folder: Path, words: list[str], variables: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """→ the address once the service's own health check succeeds, and the variables it ran with."""
    commands = folder / "bin"
    commands.mkdir(parents=True)
    llavero = commands / "llavero"
    llavero.write_text(f'#!/bin/sh\nexec {sys.executable} -m ui.cli.main "$@"\n')
    llavero.chmod(0o755)
    port = str(free_port())
    moved = {
        name: value.replace("/data/", f"{folder}/data/").replace("/run/secrets/", f"{folder}/secrets/")
        .replace("/secrets/keys.json", f"{folder}/secrets/llavero_keys")
        for name, value in variables.items()
        if name != "LLAVERO_HOME"
    }  # fmt: skip
    own = {"LLAVERO_ADDRESS": "127.0.0.1", "LLAVERO_API_PORT" if "api" in words else "LLAVERO_PORT": port}
    environment = {
        **os.environ, **moved, **own, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", str(ROOT / "docker" / "start.sh"), *words], env=environment, stdout=log, stderr=log, cwd=folder
        )
        try:
            deadline = time.monotonic() + 180
            check = [sys.executable, str(ROOT / "docker" / "healthy.py"), *(["api"] if "api" in words else [])]
            while subprocess.run(check, env=environment, capture_output=True, check=False).returncode:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}", environment
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) in (0, -signal.SIGTERM), (folder / "log").read_text()
