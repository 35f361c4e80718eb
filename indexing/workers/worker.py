"""The process that parses strangers' files: `python -m indexing.workers.worker`, started by `process.py`.

One JSON line in (the set-up, then one file each), JSON lines out: `{"page": n, "of": m}` after each page,
`{"part": n}` when the reader enters an attachment or the like and `{"part": 0}` when it is back in the file's own
words, and one answer, `{"reading": …}` or `{"error": …}`. Libraries that print cannot disturb it: the real stdout is
put aside and file descriptor 1 leads to stderr. The process has no network, starts no program but LibreOffice
(`libreoffice.py`), dies with its parent, and imports parsers when the first file asks for them.
"""

import contextlib
import ctypes
import json
import os
import resource
import sys
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import indexing.readers
from indexing import errors
from indexing.embedding.protocol import Preprocess
from indexing.errors import UnreadableFileError, disk_fault, lacks_memory
from indexing.settings import MEGABYTE, ReadLimits
from indexing.workers import confinement
from indexing.workers.libreoffice import LibreOffice

_KEPT_BYTES = 250 * MEGABYTE
"""A worker that reads photographs holds less after each; one that has met text in a picture holds more."""
_NETWORK_EVENTS = frozenset(
    {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"}
    | {"socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request"}
)
_PROGRAM_EVENTS = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn"}
)
"""Parsers know helpers (Ghostscript for EPS, pandoc for e-books …) that do what a file tells them."""


def main() -> None:
    """Serve files until stdin ends."""
    requests, answers = _take_the_pipes()
    setup = json.loads(requests.readline())
    confinement.die_with(int(setup["parent"]))
    _cut_the_network()
    limits = ReadLimits.from_json(setup["limits"])
    confinement.limit(_bounds(limits))
    office = LibreOffice(limits)
    sys.addaudithook(partial(_refuse_programs, office))
    preprocess = Preprocess(**setup["preprocess"])
    indexing.readers.__path__[:] = setup["readers"]
    _send(answers, {"ready": True})
    for line in iter(requests.readline, b""):
        request = json.loads(line)
        answer = _answer(request, limits=limits, preprocess=preprocess, answers=answers, office=office)
        _give_back_memory(_KEPT_BYTES)
        _send(answers, answer)


def _answer(
    request: dict[str, Any], *, limits: ReadLimits, preprocess: Preprocess, answers: BinaryIO, office: LibreOffice
) -> dict[str, Any]:
    from indexing.readers import ocr_networks, registry
    from indexing.readers.output import LeftOut, ReaderOutput
    from indexing.workers.messages import reading_to_json

    ocr_networks.tiny_is_zero = True
    pages = 0

    def on_page(of: int) -> None:
        nonlocal pages
        pages += 1
        _send(answers, {"page": pages, "of": of})

    output = ReaderOutput(
        Path(request["folder"]),
        preprocess=preprocess,
        limits=limits,
        on_page=on_page,
        on_part=lambda part: _send(answers, {"part": part}),
        left_out=LeftOut.from_json(request["left_out"]),
        converter=office,
    )
    try:
        reading = registry.read(Path(request["path"]), output)
        return {"reading": reading_to_json(reading), "pixels": output.names}
    except Exception as error:  # noqa: BLE001  # whatever a parser throws is this file's failure, or the disk's
        failure = _failure(error, limits)
        return {"error": type(failure).__name__, "reason": failure.reason}


def _failure(error: Exception, limits: ReadLimits) -> UnreadableFileError:
    fault = disk_fault(error)
    if fault is not None:
        return errors.DiskError(fault.strerror or str(fault))
    if lacks_memory(error):
        memory = limits.max_memory_bytes // MEGABYTE
        return errors.ReaderStoppedError(f"reading it takes more than {memory} MB of memory")
    if isinstance(error, UnreadableFileError):
        return error
    return errors.DamagedFileError(errors.in_words(error))


def _take_the_pipes() -> tuple[BinaryIO, BinaryIO]:
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def _give_back_memory(kept_bytes: int) -> None:
    """Hand freed memory back to the system after a large file. glibc keeps it in pieces between what is in use: 0.2 GB
    after a page of OCR. A process that holds little keeps it for the next picture."""
    if sys.platform != "linux" or _resident_bytes() <= kept_bytes:
        return
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _send(answers: BinaryIO, message: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()
    except BrokenPipeError:
        os._exit(0)


def _cut_the_network() -> None:
    """An empty network namespace where the system allows one; Python's own sockets are refused anyway."""
    confinement.cut_the_network()
    sys.addaudithook(_refuse_network)


def _refuse_network(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _NETWORK_EVENTS:
        raise PermissionError(f"a reader has no network ({event})")


def _refuse_programs(office: LibreOffice, event: str, arguments: tuple[Any, ...]) -> None:
    if event in _PROGRAM_EVENTS and not (event == "subprocess.Popen" and office.is_starting(arguments[1])):
        raise PermissionError(f"a reader starts no programs ({event})")


def _bounds(limits: ReadLimits) -> dict[int, int]:
    """Second line of defence behind the parent's watch over resident memory and time."""
    return {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: limits.max_memory_bytes + 2_000 * MEGABYTE,
        resource.RLIMIT_FSIZE: limits.max_spool_bytes,
    }


if __name__ == "__main__":
    main()
