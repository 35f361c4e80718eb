"""Python imports this by itself in every process that has this folder on its path: it writes down each address that
the process looks up or connects to, and each program that it starts. Judging is somebody else's work.
"""

import os
import sys
from typing import Any

_TRACE = os.environ["HOSTILE_TRACE"]
_NETWORK = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
_PROGRAMS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"}


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _NETWORK:
        _write(f"network\t{event}\t{_where(arguments)}")
    elif event in _PROGRAMS:
        _write(f"program\t{event}\t{arguments[0]!r}")


def _where(arguments: tuple[Any, ...]) -> str:
    """`socket.connect` gives the socket first and the address last, the look-ups give the name first."""
    address = arguments[-1] if arguments and hasattr(arguments[0], "fileno") else arguments[0]
    return str(address[0] if isinstance(address, tuple) else address)


def _write(line: str) -> None:
    descriptor = os.open(_TRACE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, (line.replace("\n", " ") + "\n").encode(errors="backslashreplace"))
    finally:
        os.close(descriptor)


sys.addaudithook(_note)
