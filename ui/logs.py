"""What is written down while Llavero works: logs for people or machines, and who asked what; never any contents.

A request has an id, which comes back as `X-Request-ID` and stands in every line that belongs to it. The audit log has
one JSON line for each request: who, what, when, how long.
"""

import json
import logging
import os
import re
import secrets
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, get_args

LogFormat = Literal["text", "json"]
LOG_FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)
FORMAT_VARIABLE = "LLAVERO_LOG_FORMAT"
AUDIT_VARIABLE = "LLAVERO_AUDIT"
REQUEST_HEADER = "X-Request-ID"
_FITTING_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_request: ContextVar[str] = ContextVar("llavero_request", default="")
_audit = logging.getLogger("llavero.audit")
_QUIET = ("httpx", "httpx2", "httpcore", "uvicorn.access")
"""Say at INFO which addresses they ask, with whatever stands in them."""


def new_request_id(given: str = "") -> str:
    """The id that a proxy in front of us gave, if it looks like one; else a new one."""
    return given if _FITTING_ID.fullmatch(given) else secrets.token_hex(8)


def request_id() -> str:
    """The id of the request that this code works for; "" outside of one."""
    return _request.get()


@contextmanager
def for_request(identity: str) -> Iterator[None]:
    """What happens inside belongs to this request."""
    token = _request.set(identity)
    try:
        yield
    finally:
        _request.reset(token)


def tell_who(who: str, what: str, *, seconds: float | None = None, **more: str | int | float) -> None:
    """One line of the audit log: `what` is a route or a verb; `more` are counts, states and names, no contents."""
    line: dict[str, Any] = {"time": _now(), "request": request_id(), "who": who, "what": what, **more}
    if seconds is not None:
        line["milliseconds"] = round(seconds * 1000, 1)
    _audit.info(json.dumps(line), extra={"fields": line})


class JsonLines(logging.Formatter):
    """One JSON object a line. Of an error: its type and place, not its words, which may quote contents."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line: dict[str, Any] = {
            "time": _now(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        fields = getattr(record, "fields", None)
        line |= fields if fields is not None else {"message": record.getMessage()}
        if "request" not in line and request_id():
            line["request"] = request_id()
        line |= _trace_ids()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            frames = traceback.extract_tb(error.__traceback__)
            line["error"] = type(error).__name__
            line["raised"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
        return json.dumps(line, ensure_ascii=True, default=str)


def set_up(log_format: str = "", audit: Path | None = None) -> None:
    """Begin to write logs. Without a format nothing changes. Raises OSError where the audit log cannot be opened."""
    if log_format == "json":
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(logging.INFO)
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
    if audit is not None:
        descriptor = os.open(audit, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        _audit.addHandler(logging.StreamHandler(os.fdopen(descriptor, "a", encoding="utf-8")))
        _audit.propagate = log_format == "json"
    if audit is not None or log_format == "json":
        _audit.setLevel(logging.INFO)


def _trace_ids() -> dict[str, str]:
    """The ids under which the same request is found among the traces, where there are any."""
    from indexing import spans

    return spans.current_ids()


def _now(moment: float | None = None) -> str:
    seconds = time.time() if moment is None else moment
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"
