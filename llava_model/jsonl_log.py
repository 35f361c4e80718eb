"""A file of JSON objects, one a line, that a stopped run continues.

The file grows by whole lines and has one writer at a time. A killed process leaves at most half a line at its end; the
next opening cuts it off. Beside the file lies a small JSON file, the note: the settings that the log was begun with,
and the process that writes it now.

    {"question_id": "1", "text": "No"}\\n
    {"question_id": "2", "te                 ← cut off when the log is opened again
"""

import fcntl
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO


class LogInUseError(Exception):
    """Another process writes this log. Its owner says so with an error of its own."""


class BadLineError(Exception):
    """A complete line of the file was not written by the log's owner."""

    def __init__(self, number: int) -> None:
        super().__init__(f"line {number}")
        self.number = number


class JsonlLog:
    """Safe to use from several threads. `settings` go into the note with the number of this process."""

    def __init__(self, path: Path, note: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.path, self.note = path, note
        self._settings = dict(settings or {})
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()

    def open(
        self, read: Callable[[Any, int], None], *, check: Callable[[Mapping[str, Any]], None] = lambda noted: None
    ) -> None:
        """Take the file for this process and hand every record with its place (in bytes) to `read`.

        `check` gets what an earlier run has noted and may refuse to go on, before anything is changed. `read` refuses
        a record with ValueError, KeyError, TypeError or AttributeError. Raises LogInUseError, BadLineError, OSError.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+b")
        try:
            self._take(file)
            check(self.noted())
            self._write_note()
            _recover(file, read)
        except BaseException:
            file.close()
            raise
        self._file = file

    def close(self) -> None:
        """Close the file, so that another process may write it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, record: Mapping[str, Any]) -> int:
        """Write one record → its place. On a full disk nothing is written. A kill after the return loses nothing."""
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            assert self._file is not None, "the log is not open"
            end = self._file.seek(0, os.SEEK_END)
            try:
                self._file.write(line)
                self._file.flush()
            except OSError:
                os.ftruncate(self._file.fileno(), end)
                raise
        return end

    def record_at(self, place: int) -> Any:
        """The record that begins at this place."""
        with self._lock:
            assert self._file is not None, "the log is not open"
            self._file.seek(place)
            return json.loads(self._file.readline())

    def noted(self) -> dict[str, Any]:
        """What the note holds; nothing where there is none, or none that can be read."""
        try:
            found = json.loads(self.note.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _take(self, file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LogInUseError(f"process {self.noted().get('process', '?')}") from None

    def _write_note(self) -> None:
        part = self.note.with_suffix(".part")
        part.write_text(json.dumps({**self._settings, "process": os.getpid()}, indent=1) + "\n", "utf-8")
        part.replace(self.note)


def _recover(file: BinaryIO, read: Callable[[Any, int], None]) -> None:
    """Read all whole lines; cut off a last one that was not finished."""
    file.seek(0)
    place = 0
    for number, line in enumerate(file, 1):
        if not line.endswith(b"\n"):
            os.ftruncate(file.fileno(), place)
            break
        if line.strip():
            try:
                read(json.loads(line), place)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise BadLineError(number) from None
        place += len(line)
