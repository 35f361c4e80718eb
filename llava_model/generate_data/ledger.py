"""Every reply that was paid for, by what was asked: the file from which an interrupted run goes on.

`replies.jsonl` grows by whole lines and by one writer at a time:

    {"sent": "<key>", "in": 900, "out": 700}                       before a request: what it may cost at worst
    {"key": "<key>", "text": "…", "finish": "stop", "in": 871, "out": 212, "estimated": false}
    {"key": "<key>", "error": "HTTP 500 …", "in": 0, "out": 0, "estimated": false}    it brought nothing

A key is a digest of everything in the request, so that a changed prompt, model or picture asks anew and an unchanged
one never does. A request without its second line was under way when the process died; its worst case counts as spent.
"""

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from llava_model.errors import GenerationInUseError, SourceError
from llava_model.generate_data.budget import Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatReply:
    """What the model wrote. `finish` is the server's word for why it ended: stop, length, content_filter …"""

    text: str
    finish: str
    usage: Usage


def key_of(request: Mapping[str, Any]) -> str:
    """40 hex digits of everything that is sent."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()[:40]


class ReplyLedger:
    """Open with `with`; safe to use from several threads. Raises GenerationInUseError, SourceError, OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "replies.jsonl"
        self._file: BinaryIO | None = None
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()
        self.spent = Usage()
        """By all runs in this folder up to its opening."""

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+b")
        try:
            self._take(file)
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

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._places

    def get(self, key: str) -> ChatReply | None:
        """The reply to a request, if there was one."""
        with self._lock:
            place = self._places.get(key)
            if place is None:
                return None
            assert self._file is not None, "the ledger is not open"
            self._file.seek(place)
            record = json.loads(self._file.readline())
        return ChatReply(text=record["text"], finish=str(record["finish"]), usage=_usage(record))

    def sent(self, key: str, worst: Usage) -> None:
        """A request is about to be sent."""
        self._append({"sent": key, "in": worst.tokens_in, "out": worst.tokens_out})

    def replied(self, key: str, reply: ChatReply) -> None:
        """It brought this."""
        place = self._append({"key": key, "text": reply.text, "finish": reply.finish, **_counts(reply.usage)})
        with self._lock:
            self._places[key] = place

    def failed(self, key: str, reason: str, usage: Usage) -> None:
        """It brought nothing, and cost perhaps something."""
        self._append({"key": key, "error": reason, **_counts(usage)})

    def _append(self, record: Mapping[str, Any]) -> int:
        """Write a line whole, or (on a full disk) not at all; where it begins."""
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            assert self._file is not None, "the ledger is not open"
            end = self._file.seek(0, os.SEEK_END)
            try:
                self._file.write(line)
                self._file.flush()
            except OSError:
                os.ftruncate(self._file.fileno(), end)
                raise
        return end

    def _take(self, file: BinaryIO) -> None:
        holder = self.folder / "replies.lock.json"
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GenerationInUseError(self.folder, f"process {_process(holder)}") from None
        holder.write_text(json.dumps({"process": os.getpid()}) + "\n", "utf-8")

    def _recover(self, file: BinaryIO) -> None:
        """Read what is there; cut off a last line that was not finished."""
        file.seek(0)
        waiting: dict[str, Usage] = {}
        place = 0
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                os.ftruncate(file.fileno(), place)
                break
            try:
                self._read(json.loads(line), place, waiting)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise SourceError(self.path, f"line {number} is none that this command wrote") from None
            place += len(line)
        for usage in waiting.values():
            self.spent += usage

    def _read(self, record: Mapping[str, Any], place: int, waiting: dict[str, Usage]) -> None:
        if "sent" in record:
            lost = waiting.pop(record["sent"], None)  # asked again after a crash: the first one is spent
            self.spent += lost or Usage()
            waiting[record["sent"]] = Usage(tokens_in=int(record["in"]), tokens_out=int(record["out"]), estimated=True)
            return
        waiting.pop(record["key"], None)
        self.spent += _usage(record)
        if isinstance(record.get("text"), str):
            self._places[record["key"]] = place


def _counts(usage: Usage) -> dict[str, Any]:
    return {"in": usage.tokens_in, "out": usage.tokens_out, "estimated": usage.estimated}


def _usage(record: Mapping[str, Any]) -> Usage:
    return Usage(tokens_in=int(record["in"]), tokens_out=int(record["out"]), estimated=bool(record["estimated"]))


def _process(holder: Path) -> object:
    try:
        return json.loads(holder.read_text("utf-8"))["process"]
    except (OSError, ValueError, KeyError, TypeError):
        return "?"
