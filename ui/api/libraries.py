"""The libraries that one process has open, by name."""

import errno
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui import owner
from ui.documents import Document
from ui.evaluation import evaluate_for_client
from ui.extraction import extract_for_client
from ui.jobs import IndexingQueue
from ui.runs import Runs
from ui.service import LibraryService
from ui.wording import attempt

if TYPE_CHECKING:
    from ui.workbench import Workbench

OpenWorkbench = Callable[[Path], "Workbench"]
"""Opens the library in a folder, and makes it where it is new."""
logger = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MARK = "llavero.toml"
_LOADING = "llavero-loading"
RUNS_FOLDER = "runs"
JOBS_FILE = "jobs.json"


class UnknownLibraryError(Exception):
    """No library of that name is open here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no library '{name}'")


class LibraryNameError(Exception):
    """The name cannot be a library's, or is taken."""


class BaselineGoneError(FileNotFoundError):
    """The evaluation to compare with was forgotten before its turn came."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.ENOENT, f"evaluation {number}, to compare with, is not there any more")
        self.add_note("Ask for it again without it, or with another one that is done.")


class OpenLibrary:
    """One library with its service, its queue of indexing jobs, and its runs over fields and questions."""

    def __init__(self, name: str, bench: "Workbench") -> None:
        self.name, self.service = name, LibraryService(bench)
        service = self.service

        self.jobs = IndexingQueue(
            lambda paths, facts, on_progress, cancelled, choices: service.bench.index(
                list(paths), on_progress=on_progress, cancelled=cancelled, facts=facts, **asdict(choices)
            ),
            kept_in=bench.library_folder / JOBS_FILE,
        )

        def before(asked: Document) -> list[Any] | None:
            if asked.get("baseline") is None:
                return None
            found = self.runs.result(asked["baseline"])
            if found is None:
                raise BaselineGoneError(asked["baseline"])
            return list(found["results"])

        self.runs = Runs(
            bench.library_folder / RUNS_FOLDER,
            {
                "extraction": lambda asked, log, on_count: extract_for_client(service, asked, log, on_count),
                "evaluation": lambda asked, log, on_count: evaluate_for_client(
                    service.bench, asked, log, on_count, before(asked)
                ),
            },
        )

    def close(self) -> None:
        """End its jobs and runs, then close it."""
        self.runs.close()
        self.jobs.close()
        self.service.bench.close()


def load_behind(library: OpenLibrary) -> None:
    """Load the models in a thread, so that the first question waits less and everything else not at all."""

    def load() -> None:
        failed = attempt(lambda: library.service.bench.answerer)
        if isinstance(failed, Exception):  # search works without a model; the first question says what is wrong
            logger.error("the answering model could not be loaded", exc_info=failed)

    threading.Thread(target=load, name=_LOADING, daemon=True).start()


def is_loading() -> bool:
    """Whether models are being loaded in such a thread."""
    return any(thread.name == _LOADING for thread in threading.enumerate())


class Libraries:
    """Those named at the start, and those below `root`, where clients may make more. Safe to call from any thread."""

    def __init__(self, open_workbench: OpenWorkbench, *, root: Path | None = None) -> None:
        self._open, self._root = open_workbench, root
        self._found: dict[str, OpenLibrary] = {}
        self._lock = threading.RLock()
        self.on_open: Callable[[OpenLibrary], None] = lambda library: None

    @classmethod
    def with_open(cls, library: OpenLibrary) -> "Libraries":
        """One that is open already, and no other."""

        def refuse(folder: Path) -> "Workbench":
            raise LibraryNameError(f"'{folder.name}' cannot be added here")

        libraries = cls(refuse)
        libraries._found[library.name] = library
        return libraries

    def add(self, folder: Path) -> OpenLibrary:
        """Open the library in a folder under the folder's name. Raises LibraryNameError, and what opening raises."""
        name = folder.name
        with self._lock:
            if not _NAME.fullmatch(name):
                raise LibraryNameError(f"'{name}' cannot be a library's name: letters, digits, '.', '_' and '-' can")
            if name in self._found:
                raise LibraryNameError(f"there is a library '{name}' already")
            opened = OpenLibrary(name, self._open(folder))
            self._found[name] = opened
        self.on_open(opened)
        return opened

    def add_below_root(self) -> None:
        """Open every library that lies in the root folder."""
        if self._root is not None:
            self._root.mkdir(parents=True, exist_ok=True)
            for mark in sorted(self._root.glob(f"*/{_MARK}")):
                self.add(mark.parent)

    def make(self, name: str) -> OpenLibrary:
        """A new, empty one below the root."""
        if self._root is None:
            raise LibraryNameError("no library can be made here; start the service with --root FOLDER")
        if not _NAME.fullmatch(name):
            raise LibraryNameError(f"'{name}' cannot be a library's name: letters, digits, '.', '_' and '-' can")
        if (self._root / name).exists():
            raise LibraryNameError(f"there is a library '{name}' already")
        return self.add(self._root / name)

    def delete(self, name: str) -> None:
        """Close it and delete its folder, which must lie below the root. The files that it was made of stay."""
        with self._lock:
            library = self.get(name)
            folder = library.service.bench.library_folder
            if self._root is None or folder.parent != self._root.absolute():
                raise LibraryNameError(f"'{name}' was not made here and is not deleted")
            del self._found[name]
        owner.let_go(folder)
        library.close()
        shutil.rmtree(folder)

    def get(self, name: str) -> OpenLibrary:
        """Raises UnknownLibraryError."""
        with self._lock:
            if name not in self._found:
                raise UnknownLibraryError(name)
            return self._found[name]

    def only(self) -> OpenLibrary:
        """The one that there is, for clients that came through its own socket."""
        with self._lock:
            (library,) = self._found.values()
            return library

    def __iter__(self) -> Iterator[OpenLibrary]:
        with self._lock:
            return iter(list(self._found.values()))

    def close(self) -> None:
        """All of them."""
        with self._lock:
            found: Mapping[str, OpenLibrary] = dict(self._found)
            self._found.clear()
        for library in found.values():
            with suppress(OSError):
                owner.let_go(library.service.bench.library_folder)
            library.close()
