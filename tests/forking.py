"""Processes for tests without their seconds of imports: one that has imported a module forks the others.

`python forking.py MODULE.py` reads a line of JSON, a list of `{"call": function, "arguments": [], "environment": {}}`,
forks a process for each, and says "gone" with their exit codes when all have ended. What they say goes the same way.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Forks:
    """The processes of one module, by its file. Close it."""

    def __init__(self, module: Path) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, str(module)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def start(self, function: str, *arguments: str, environments: Sequence[Mapping[str, str]] = ({},)) -> None:
        """One process for each environment; they are told apart by it."""
        wanted = [{"call": function, "arguments": arguments, "environment": dict(each)} for each in environments]
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(wanted) + "\n")
        self._server.stdin.flush()

    def hear(self) -> str:
        """The next line that a process says, or "gone" and the exit codes."""
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, "the process that forks has died"
        return line.strip()

    def rest(self) -> tuple[list[str], list[int]]:
        """What is still said until all have ended, and their exit codes."""
        words: list[str] = []
        while not (line := self.hear()).startswith("gone"):
            words.append(line)
        return words, [int(code) for code in line.split()[1:]]

    def close(self) -> None:
        """End it with everything that it started."""
        with self._server:
            assert self._server.stdin is not None
            self._server.stdin.close()
        assert self._server.returncode == 0


def say(line: str) -> None:
    """To whoever started this process."""
    os.write(1, f"{line}\n".encode())


def _serve(module: Any) -> None:
    for line in sys.stdin:
        processes = [_forked(module, **each) for each in json.loads(line)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in processes]
        say(" ".join(["gone", *map(str, codes)]))


def _forked(module: Any, *, call: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.environ.update(environment)
        getattr(module, call)(*arguments)
        code = 0
    except BaseException:  # noqa: BLE001  # a fork must not go on with its parent's loop
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    script = Path(sys.argv[1])
    sys.path[:0] = [str(script.parent), str(Path(__file__).parent)]
    _serve(import_module(script.stem))
