"""`llavero` in processes that are forked, to be killed by `kills.py`: the real commands over the real store, with an
embedder that takes no time and, where READERS is "plain", readers that are no processes of their own.

Whatever changes the library's folder is a step: a file that is opened to be written, a rename, a deletion, a statement
of SQL. With KILL_AT_STEP a process kills itself just before that step: so the moments between the writes to ledger,
store and pictures are met as often as the long ones. It says "begins" with its number, "watching", "indexed" after each
run of a watch, and "ends" with its exit code and its number of steps.
"""

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "indexing"))
from indexing_doubles import PlainReader, TinyEmbedder, WiderEmbedder

import ui.rebuilding
import ui.workbench
from indexing import pipeline
from indexing.embedding.protocol import Embedder
from indexing.settings import IndexingSettings
from ui.cli import library as commands
from ui.cli import main as cli
from ui.cli import terminal, upkeep, watch
from ui.service import LibraryService

for name in ("pymilvus", "milvus_lite.server_manager", "milvus_lite.adapter.grpc.server", "scipy.sparse", "torch"):
    import_module(name)  # seconds of imports that need no killing

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
_CONNECT = sqlite3.connect
_READS = ("SELECT", "PRAGMA", "--")


def run(library: str, *words: str) -> None:
    """One command on a library."""
    answers = _apart_from_the_streams(Path(os.environ["LOG"]))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _replace_what_is_slow(answers)
    steps = _Steps(Path(library).absolute(), kill_at=int(os.environ.get("KILL_AT_STEP", "0")))
    answers(f"begins {os.getpid()}")
    sys.addaudithook(steps.note)
    sqlite3.connect = steps.connect
    sys.argv = ["llavero", *words, "--library", library]
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    answers(f"ends {code or 0} {steps.count}")


def _apart_from_the_streams(log: Path) -> Callable[[str], None]:
    """Says lines to whoever started this process; what the command prints goes to a file."""
    descriptor = os.dup(1)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    return lambda line: _write(descriptor, line)


def _write(descriptor: int, line: str) -> None:
    os.write(descriptor, f"{line}\n".encode())


@dataclass
class _Steps:
    """Counts what changes the folder, and ends the process before one of them."""

    folder: Path
    kill_at: int
    count: int = 0

    def __post_init__(self) -> None:
        self._turn = threading.RLock()

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if isinstance(arguments[2], int) and arguments[2] & _WRITING and self._is_inside(arguments[0]):
                self._step()
        elif event in _CHANGES and self._is_inside(arguments[0]):
            self._step()

    def connect(self, *arguments: Any, **named: Any) -> sqlite3.Connection:
        """In place of `sqlite3.connect`: its statements are steps."""
        connection = _CONNECT(*arguments, **named)
        connection.set_trace_callback(self._statement)
        return connection

    def _statement(self, words: str) -> None:
        if not words.lstrip().upper().startswith(_READS):
            self._step()

    def _is_inside(self, path: object) -> bool:
        """Also names that are relative to an open folder, as `rmtree` gives them."""
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        return bool(name) and (not name.startswith("/") or name.startswith(f"{self.folder}/"))

    def _step(self) -> None:
        with self._turn:
            self.count += 1
            if self.count == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def _replace_what_is_slow(answers: Callable[[str], None]) -> None:
    for module in (ui.workbench, ui.rebuilding):
        _put(module, find=_kit, embedder_of=_embedder, check_device=lambda device: None)
    _put(ui.workbench, embedder_name=lambda kit: _embedder(kit).name)
    if os.environ["READERS"] == "plain":
        _put(pipeline, ReaderPool=_plain)
    _put(pipeline, _PROGRESS_SECONDS=0.0)
    for module in (commands, upkeep):
        _put(module, settings=_small_batches(module.settings))
    _put(watch, _QUIET_MILLISECONDS=50)
    told, index = terminal.tell, LibraryService.index

    def tell(words: str) -> None:
        told(words)
        if words.startswith("watching"):
            answers("watching")

    def indexed(service: LibraryService, *arguments: Any, **named: Any) -> Any:
        report = index(service, *arguments, **named)
        answers("indexed")
        return report

    _put(terminal, tell=tell)
    _put(LibraryService, index=indexed)


def _put(owner: object, **doubles: object) -> None:
    """In place of what the owner has under these names, as long as the process lives."""
    for name, double in doubles.items():
        setattr(owner, name, double)


def _small_batches(load: Callable[..., Any]) -> Callable[..., Any]:
    """Batches so small that one run has many."""
    small = IndexingSettings(workers=2, picture_batch=4, text_batch=2, write_batch=3, objects=False)
    return lambda *arguments, **named: replace(load(*arguments, **named), indexing=small)


def _kit(name: str) -> Any:
    return SimpleNamespace(name=name, components=(), defaults={})


def _embedder(kit: Any, device: str = "cpu") -> Embedder:
    embedder = WiderEmbedder() if kit.name == "small" else TinyEmbedder()
    embedder.delay_seconds = 0.005
    return embedder


def _plain(*, spool: Path, **_: Any) -> PlainReader:
    return PlainReader(spool)
