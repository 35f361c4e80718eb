"""`llavero api` as a process of its own, as a person starts it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
_READY_SECONDS = 120.0


class ServiceProcess:
    """Listens on a free port of this machine; `said` has its lines. End it."""

    def __init__(self, *words: str | Path, port: int = 0) -> None:
        command = [sys.executable, "-m", "ui.cli.main", "api", "--port", str(port), *map(str, words)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
        self.said: list[str] = []
        self.url = ""
        self._ready = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self._ready.wait(_READY_SECONDS), "it has not come up"
        assert self.url, "\n".join(self.said)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self.said.append(line.rstrip())
                if found := re.search(r"Llavero serves .*: (http://\S+)/v1 ", line):
                    self.url = found[1]
                    self._ready.set()
        self._ready.set()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """As the system does when memory is short."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def end(self) -> int:
        """As a person does → its exit code."""
        self.process.terminate()
        return self.process.wait(60)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def llavero(*words: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Another verb beside it."""
    command: Sequence[str] = [sys.executable, "-m", "ui.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(), check=False)
