"""Logs: one JSON object a line, with the request's id, and no contents."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ui import logs


def written(record: logging.LogRecord) -> dict[str, Any]:
    text = logs.JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def a_record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    about = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("ui.some", logging.ERROR, "file.py", 1, message, arguments, about)


def test_a_line_has_its_time_level_logger_and_request() -> None:
    with logs.for_request("abcd1234"):
        line = written(a_record("read %d files\n", 3))
    assert (line["level"], line["logger"], line["message"], line["request"]) == (
        "error", "ui.some", "read 3 files\n", "abcd1234"
    )  # fmt: skip
    assert line["time"].endswith("Z") and "request" not in written(a_record("outside of a request"))


def test_an_error_is_told_by_its_type_and_place_not_by_its_words() -> None:
    try:
        raise ValueError("the question was: who is ill?")
    except ValueError as error:
        line = written(a_record("an unexpected error", error=error))
    assert line["error"] == "ValueError" and "test_logs.py" in line["raised"][0]
    assert "ill" not in json.dumps(line)


@pytest.mark.parametrize("given", ["", "short", "with space", 'a"quote-here', "x" * 65, "line\nbreak1", "ünicode12"])
def test_an_id_that_does_not_look_like_one_is_not_taken_over(given: str) -> None:
    assert logs.new_request_id(given) != given
    assert logs.new_request_id("0af7651916cd43dd8448eb211c80319c") == "0af7651916cd43dd8448eb211c80319c"


def test_the_audit_log_is_a_file_for_its_owner_alone_that_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    code = (
        "import sys; from pathlib import Path; from ui import logs; logs.set_up(sys.argv[1], Path(sys.argv[2]));"
        "logs.tell_who('ada', 'ask', library='boats')"
    )
    for form in ("", "json"):
        done = subprocess.run(
            [sys.executable, "-c", code, form, str(file)], capture_output=True, text=True, check=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert len(done.stderr.splitlines()) == (1 if form else 0)
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["who"], line["what"], line["library"]) for line in told] == [("ada", "ask", "boats")] * 2
    assert file.stat().st_mode & 0o077 == 0
