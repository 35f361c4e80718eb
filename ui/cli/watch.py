"""`llavero index --watch`: index, then index again whenever something below the paths changes, until Ctrl-C.

While it watches it is the process that has the library open, and listens at the library's socket: other terminals
search and ask through it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ui.cli import terminal

if TYPE_CHECKING:
    from ui.documents import Document
    from ui.service import Service

_QUIET_MILLISECONDS = 1_000
"""A run begins when nothing has changed for so long; programs write a file in several steps."""
_LONGEST_MILLISECONDS = 15_000
"""It begins after so long in any case, where something changes all the time."""


def watch(
    paths: Sequence[str], service: "Service", library: Path, run: Callable[[], "Document"], *, json: bool
) -> None:
    """Call `run` now and after every change, and say what it did. Ctrl-C ends it."""
    shown: set[str] = set()
    try:
        with _listening(service):
            for number, _ in enumerate(_changes(paths, library)):
                report = run()
                if json:
                    terminal.say_json(report)
                elif number == 0 or _did_something(report):
                    _say_new(terminal.report_lines(report), shown)
                if number == 0:
                    terminal.tell("watching for changes; Ctrl-C ends it")
    except KeyboardInterrupt:
        terminal.tell("llavero: no longer watching; what was finished is kept")


def _say_new(lines: Sequence[str], shown: set[str]) -> None:
    """The first line says what the run did; what is said of a file is said once."""
    for line in [*lines[:1], *(each for each in lines[1:] if each not in shown)]:
        terminal.say(line)
    shown.update(lines[1:])


def _did_something(report: "Document") -> bool:
    return any(report[name] for name in ("added", "updated", "removed", "failed"))


def _changes(paths: Sequence[str], library: Path) -> Iterator[None]:
    """At once, when the watch has begun, so that no change is missed; then after every change that counts."""
    from watchfiles import watch as watch_files

    there = [path for path in paths if Path(path).exists()]
    changes = watch_files(
        *there,
        watch_filter=lambda _, path: counts(path, there, library),
        debounce=_LONGEST_MILLISECONDS,
        step=_QUIET_MILLISECONDS,
        rust_timeout=_QUIET_MILLISECONDS,
        yield_on_timeout=True,
        raise_interrupt=True,
        ignore_permission_denied=True,
    )
    has_begun = False
    for changed in changes:
        if changed or not has_begun:
            has_begun = True
            yield


def counts(path: str, roots: Sequence[str], library: Path) -> bool:
    """Whether a change there can change the library: not in hidden files and folders, nor in the library itself."""
    if Path(path).is_relative_to(library):
        return False
    below = (os.path.relpath(path, root) for root in roots if path == root or path.startswith(f"{root.rstrip('/')}/"))
    return any(not _is_hidden(each) for each in below)


def _is_hidden(relative: str) -> bool:
    return any(part.startswith(".") and part != "." for part in relative.split("/"))


@contextmanager
def _listening(service: "Service") -> Iterator[None]:
    """Others find the library through this process, where it is the one that has it open."""
    from ui.service import LibraryService

    if not isinstance(service, LibraryService):
        yield
        return
    from ui.api.libraries import OpenLibrary
    from ui.api.server import OwnersSocket

    library = OpenLibrary("library", service.bench)
    socket = OwnersSocket(library)
    try:
        yield
    finally:
        socket.close()
        library.jobs.close()
