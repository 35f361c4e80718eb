"""A file of answers or reviews, one object a line, that grows by whole lines and by one writer at a time.

A run that was killed goes on where it stopped: half a last line is cut off, what is there is not asked again.
Beside the file lies `<name>.run.json` with the settings it was begun with, so that two models never mix in one file.
"""

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from llava_model.errors import AnswersInUseError, AnswersMismatchError, UnscorableError


class AnswerLog:
    """Open with `with`. Raises AnswersInUseError, AnswersMismatchError, UnscorableError, OSError.

    `settings` are compared with those of the run that began the file, value by value. `accepts` says whether a line may
    stand in this file at all.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], *, accepts: Callable[[Mapping[str, Any]], bool] | None = None
    ) -> None:
        self.path, self._settings, self._accepts = path, dict(settings), accepts
        self._file: BinaryIO | None = None
        self.records: dict[str, Mapping[str, Any]] = {}
        """What the file holds, by question id."""

    @property
    def settings_path(self) -> Path:
        """Where the settings lie."""
        return self.path.with_name(self.path.name + ".run.json")

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+b")
        try:
            self._lock(file)
            self._check_settings()
            self._recover(file)
        except BaseException:
            file.close()
            raise
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record whole, or (on a full disk) not at all, and hand it to the operating system at once."""
        assert self._file is not None, "the ledger is not open"
        end = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
            self._file.flush()
        except OSError:
            os.ftruncate(self._file.fileno(), end)
            raise
        self.records[str(record["question_id"])] = record

    def _lock(self, file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnswersInUseError(self.path, f"process {self._stored().get('process', '?')}") from None

    def _stored(self) -> dict[str, Any]:
        try:
            found = json.loads(self.settings_path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _check_settings(self) -> None:
        stored = self._stored()
        if self.path.stat().st_size and stored:
            for name, wanted in self._settings.items():
                if stored.get(name) != wanted:
                    raise AnswersMismatchError(self.path, name, found=stored.get(name), wanted=wanted)
        elif self.path.stat().st_size:
            raise UnscorableError(
                self.path, f"exists and was not begun by this command: '{self.settings_path.name}' is missing"
            )
        temporary = self.settings_path.with_suffix(".part")
        temporary.write_text(json.dumps({**self._settings, "process": os.getpid()}, indent=1) + "\n", "utf-8")
        temporary.replace(self.settings_path)

    def _recover(self, file: BinaryIO) -> None:
        """Read what is there; cut off a last line that was not finished."""
        file.seek(0)
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.ftruncate(file.fileno(), whole)
        for number, line in enumerate(content[:whole].split(b"\n"), 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                name = str(record["question_id"])
            except (ValueError, TypeError, KeyError):
                raise UnscorableError(self.path, f"line {number} is no answer with a 'question_id'") from None
            if self._accepts is None or self._accepts(record):
                self.records[name] = record
