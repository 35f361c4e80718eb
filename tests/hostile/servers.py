"""`llavero serve` and `llavero ui` as processes: started, listened to until they say their port, and ended."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import MemoryWatch, started
from traps import Traps

_READY_SECONDS = 180
_PORT = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """One that answers. What it says stands in `log`."""

    port: int
    log: Path
    process: "subprocess.Popen[bytes]"
    memory: MemoryWatch

    def faults(self) -> list[str]:
        """It is alive, and has not stumbled."""
        found = [] if self.process.poll() is None else [f"the server has ended with {self.process.returncode}"]
        said = self.log.read_text(encoding="utf-8", errors="replace")
        return [*found, *(["there is a traceback in its log"] if "Traceback" in said else [])]

    def end(self) -> list[str]:
        """What SIGTERM makes of it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            return ["it does not end when it is told to"]
        return [] if code == 0 else [f"it ended with {code}"]


@contextmanager
def serving(*words: str | Path, traps: Traps, log: Path, said: str, **environment: str) -> Iterator[Server]:
    """`said` begins the line with the port. Raises RuntimeError where the server does not come up."""
    with (
        log.open("wb") as out,
        started(*words, traps=traps, output=out, **environment) as process,
        MemoryWatch(process.pid) as memory,
    ):
        yield Server(port=_port(process, log, said), log=log, process=process, memory=memory)


def _port(process: "subprocess.Popen[bytes]", log: Path, said: str) -> int:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(said) and (found := _PORT.search(line)):
                return int(found[1])
        time.sleep(0.1)
    raise RuntimeError(f"the server did not come up:{os.linesep}{log.read_text(errors='replace')[-1000:]}")
