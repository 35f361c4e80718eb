"""A file of answers or reviews by question, which a stopped run goes on with (see `jsonl_log`).

Nothing that it holds is asked again. Beside the file lies `<name>.run.json` with the settings it was begun with, so
that two models never mix in one file.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from llava_model.errors import AnswersInUseError, AnswersMismatchError, UnscorableError
from llava_model.jsonl_log import BadLineError, JsonlLog, LogInUseError


class AnswerLog:
    """Open with `with`. Raises AnswersInUseError, AnswersMismatchError, UnscorableError, OSError.

    `settings` are compared with those of the run that began the file, value by value.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self._settings = path, dict(settings)
        self._log = JsonlLog(path, path.with_name(path.name + ".run.json"), settings)
        self.records: dict[str, Mapping[str, Any]] = {}
        """What the file holds, by question id."""

    def __enter__(self) -> Self:
        try:
            self._log.open(self._read, check=self._check)
        except LogInUseError as error:
            raise AnswersInUseError(self.path, str(error)) from None
        except BadLineError as error:
            raise UnscorableError(self.path, f"line {error.number} is no answer with a 'question_id'") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()

    def append(self, record: Mapping[str, Any]) -> None:
        """Keep one answer; on a full disk the file stays as it was."""
        self._log.append(record)
        self.records[str(record["question_id"])] = record

    def _read(self, record: Any, place: int) -> None:
        self.records[str(record["question_id"])] = record

    def _check(self, noted: Mapping[str, Any]) -> None:
        if not self.path.stat().st_size:
            return
        if not noted:
            raise UnscorableError(
                self.path, f"exists and was not begun by this command: '{self._log.note.name}' is missing"
            )
        for name, wanted in self._settings.items():
            if noted.get(name) != wanted:
                raise AnswersMismatchError(self.path, name, found=noted.get(name), wanted=wanted)
