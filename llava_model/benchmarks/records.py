"""Reading the files in which other people's code leaves predictions and labels: JSON, or one object a line.

A line that is no JSON is reported by number and the rest is kept: a run that was killed ends in half a line.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from llava_model.benchmarks.figures import Problem, id_problem
from llava_model.errors import AnswersInUseError, AnswersMismatchError, UnscorableError
from llava_model.jsonl_log import BadLineError, JsonlLog, LogInUseError

_IDS = ("question_id", "id")
_TEXTS = ("text", "answer", "prediction", "response")


def read_utf8(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark. Raises UnscorableError, OSError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnscorableError(
            path, f"is no UTF-8 text (byte {error.start} is {error.object[error.start]:#04x})"
        ) from None


def read_document(path: Path) -> Any:
    """A whole JSON file. Raises UnscorableError with the place that is wrong."""
    try:
        return json.loads(read_utf8(path))
    except json.JSONDecodeError as error:
        raise UnscorableError(path, f"is no JSON: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UnscorableError(path, f"is no usable JSON: {error}") from None


def read_records(path: Path) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The objects of a JSON array, of one JSON object, or of a file with one object a line; and what was skipped.

    Raises UnscorableError where nothing at all can be read.
    """
    text = read_utf8(path)
    if not text.strip():
        raise UnscorableError(path, "is empty")
    values, bad = _values(text)
    records = [value for value in values if isinstance(value, dict)]
    if not records:
        raise UnscorableError(path, "holds no JSON object, neither one a line nor in an array")
    others = len(values) - len(records)
    problems = id_problem("unreadable", bad, f"{{n}} lines of '{path.name}' are no JSON and were left out")
    if others:
        problems.append(Problem(kind="unreadable", message=f"{others} entries of '{path.name}' are no objects"))
    return records, problems


def _values(text: str) -> tuple[list[Any], list[str]]:
    """All JSON values, and the lines (`line 7`) that are none."""
    try:
        whole = json.loads(text)
        return (whole if isinstance(whole, list) else [whole]), []
    except (ValueError, RecursionError):
        pass
    values, bad = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError):
            bad.append(f"line {number}")
    return values, bad


def text_of(record: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of these fields that holds text."""
    for name in names:
        if isinstance(record.get(name), str):
            return str(record[name])
    return None


def by_id(
    records: Sequence[Mapping[str, Any]], names: Sequence[str], *, file: str
) -> tuple[dict[str, Mapping[str, Any]], list[Problem]]:
    """Records by id: the first field of `names` that a record has. Of two records with one id the last counts."""
    found: dict[str, Mapping[str, Any]] = {}
    duplicates: dict[str, None] = {}
    nameless = []
    for position, record in enumerate(records, 1):
        name = next((str(record[key]) for key in names if record.get(key) is not None), None)
        if name is None:
            nameless.append(f"record {position}")
            continue
        if name in found:
            duplicates[name] = None
        found[name] = record
    return found, [
        *id_problem("duplicate", duplicates, f"{{n}} ids stand more than once in '{file}'; the last one counts"),
        *id_problem("unreadable", nameless, f"{{n}} records of '{file}' have no {' or '.join(names)}"),
    ]


def read_answers(path: Path) -> tuple[dict[str, str], list[Problem]]:
    """Answers by id or position. Raises UnscorableError."""
    text = read_utf8(path)
    if not text.strip():
        raise UnscorableError(path, "is empty")
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, list) and all(isinstance(entry, str) for entry in whole):
        return {str(position): entry for position, entry in enumerate(whole)}, []
    if (
        isinstance(whole, dict)
        and whole
        and all(isinstance(value, str) for value in whole.values())
        and not _is_record(whole)
    ):
        return dict(whole), []
    if whole is None and not text.lstrip().startswith(("{", "[")):
        return {str(position): line for position, line in enumerate(text.rstrip("\n").split("\n"))}, []
    return _answers_of_records(path)


def _is_record(document: Mapping[str, Any]) -> bool:
    return any(name in document for name in _TEXTS)


def _answers_of_records(path: Path) -> tuple[dict[str, str], list[Problem]]:
    records, problems = read_records(path)
    if problems and not any(key in record for record in records for key in _IDS):
        raise UnscorableError(path, f"has answers without ids, and cannot be matched: {problems[0].message}")
    answers: dict[str, str] = {}
    silent: list[str] = []
    twice: dict[str, None] = {}
    for position, record in enumerate(records):
        name = next((str(record[key]) for key in _IDS if record.get(key) is not None), str(position))
        said = text_of(record, _TEXTS)
        if said is None:
            silent.append(name)
            continue
        if name in answers:
            twice[name] = None
        answers[name] = said
    if not answers:
        raise UnscorableError(path, f"holds no answers: no record has {' or '.join(repr(t) for t in _TEXTS)}")
    return answers, [
        *problems,
        *id_problem("unreadable", silent, f"{{n}} records of '{path.name}' hold no text"),
        *id_problem(
            "duplicate", twice, f"{{n}} questions are answered more than once in '{path.name}'; the last counts"
        ),
    ]


def files_in(path: Path, *suffixes: str) -> list[Path]:
    """The file itself, or a folder's files with one of these endings, sorted. Raises UnscorableError, OSError."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix in suffixes and not file.name.startswith("."))
    if not found:
        raise UnscorableError(path, f"holds no {' or '.join(suffixes)} files")
    return found


class AnswerLog:
    """A file of answers or reviews by question, which a stopped run continues (see `jsonl_log`).

    Nothing that it holds is asked again. `<name>.run.json` beside the file keeps the settings of the run that began it.
    They are compared with `settings` value by value, so that the answers of two models never mix in one file.

    Open it with `with`. Raises AnswersInUseError, AnswersMismatchError, UnscorableError, OSError.
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
